package transfer

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/pkg/sftp"
)

const (
	// mostLanes is how many connections carry one file where one alone would mostly wait: SSH lets 2 MiB be on their way
	// unanswered, which at 50 ms are 40 MB/s at most.
	mostLanes = 2
	// lanePieces is how many pieces of sftpPacket are on their way on each: what the memory of a small job allows. What is
	// received lies in memory twice, in the packet and in the piece.
	lanePieces         = 7
	lanePiecesReceived = 5
	// farAway is the least round trip, and largeFile the least number of bytes, that more connections are worth.
	farAway   = 20 * time.Millisecond
	largeFile = 64 << 20
)

// worthLanes judges by the time that the server took to answer.
func (s *sftpServer) worthLanes(roundTrip time.Duration, bytes int64) bool {
	_, large := s.files.HasExtension("limits@openssh.com")
	return large && roundTrip >= farAway && bytes >= largeFile
}

// lanes carry one file piece by piece over several connections. The first one begins; the others join when they have
// logged in, and when they cannot, it goes on without them. What breaks one of them breaks the attempt.
type lanes struct {
	s      *session
	pieces int                                   // on their way on each connection
	open   func(*sftpServer) (*sftp.File, error) // the file as another connection sees it
	// move carries the next piece, in a buffer of sftpPacket bytes, and returns io.EOF when there is none left.
	move func(file *sftp.File, buffer []byte) error
	// say puts what broke on a connection in the words of a transfer. It is called with mu held.
	say func(*sftpServer, error) error

	mu     sync.Mutex // of all that move touches
	turn   sync.Cond  // on mu, when a piece has arrived or the attempt has failed
	failed error
	stop   context.CancelFunc // closes the connections that have joined
}

// run returns when every piece has been moved, or why not.
func (l *lanes) run(ctx context.Context, first *sftpServer, file *sftp.File) error {
	ctx, l.stop = context.WithCancel(ctx)
	defer l.stop()
	l.turn.L = &l.mu
	left, lastOne := context.WithCancel(ctx) // ends with the pieces
	defer lastOne()
	var all sync.WaitGroup
	for range mostLanes - 1 {
		all.Go(func() { l.join(ctx, left) })
	}
	l.carry(first, file)
	lastOne()
	all.Wait()
	return l.failed
}

// join carries over a connection of its own. A key that is not the known one is not passed over in silence.
func (l *lanes) join(ctx, left context.Context) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	waiting := context.AfterFunc(left, leave)
	server, err := l.twin().scpLogin(ctx)
	if fault, ok := errors.AsType[*Error](err); ok && (fault.Kind == HostKeyChanged || fault.Kind == HostKeyUnknown) {
		l.fail(func() error { return err })
	}
	if err != nil {
		return
	}
	defer server.close()
	if server.files == nil {
		return
	}
	server.ours = l.s.ours
	file, err := l.open(server)
	if err != nil || !waiting() {
		return
	}
	l.carry(server, file)
	if err := file.Close(); err != nil {
		l.fail(func() error { return l.say(server, err) })
	}
}

// twin is a session with what the first connection has learned. It asks nobody and tells nothing.
func (l *lanes) twin() *session {
	o := l.s.o
	o.AskHostKey, o.Notice = nil, nil
	twin := newSession(l.s.target, o)
	twin.idle, twin.trusted = l.s.idle, l.s.trusted
	return twin
}

func (l *lanes) carry(server *sftpServer, file *sftp.File) {
	var all sync.WaitGroup
	for range l.pieces {
		all.Go(func() {
			buffer := make([]byte, sftpPacket)
			var err error
			for err == nil {
				err = l.move(file, buffer)
			}
			if err != io.EOF {
				l.fail(func() error { return l.say(server, err) })
			}
		})
	}
	all.Wait()
}

// fail keeps the first failure, and ends everything with it.
func (l *lanes) fail(why func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = why()
		l.stop()
		l.turn.Broadcast()
	}
}

// scpLanes receives the file in pieces, which are written in their order: what is there has no holes.
func (d *download) scpLanes(ctx context.Context, server *sftpServer, file *sftp.File) error {
	next := d.at
	l := &lanes{s: d.session, pieces: lanePiecesReceived}
	l.open = func(other *sftpServer) (*sftp.File, error) {
		info, err := other.files.Stat(d.target.Path)
		if err != nil {
			return nil, err
		}
		if size, mark := sftpState(info); size != d.size || mark != d.mark {
			return nil, errSourceChanged // another machine of that name
		}
		return other.files.Open(d.target.Path)
	}
	l.say = func(server *sftpServer, err error) error {
		if _, ok := errors.AsType[sizeError](err); ok {
			return d.received(ctx, err)
		}
		return server.readFault(ctx, err)
	}
	l.move = func(file *sftp.File, buffer []byte) error {
		l.mu.Lock()
		at := next
		piece := buffer[:min(int64(len(buffer)), d.size-at)]
		next += int64(len(piece))
		failed := l.failed
		l.mu.Unlock()
		if failed != nil || len(piece) == 0 {
			return io.EOF
		}
		n, err := file.ReadAt(piece, at)
		if n < len(piece) && (err == nil || err == io.EOF) {
			err = sizeError{d.size, at + int64(n)}
		}
		if n < len(piece) {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for d.at != at && l.failed == nil {
			l.turn.Wait()
		}
		if l.failed != nil {
			return io.EOF
		}
		_, err = d.Write(piece)
		l.turn.Broadcast()
		return err
	}
	return l.run(ctx, server, file)
}

// scpLanes sends the source in pieces. After a failure u.safe is where the first hole begins.
func (u *upload) scpLanes(ctx context.Context, server *sftpServer, file *sftp.File, part string, source io.Reader) error {
	next, ended := u.safe, false
	unanswered := make(map[int64]bool)
	l := &lanes{s: u.session, pieces: lanePieces}
	l.open = func(other *sftpServer) (*sftp.File, error) { return other.files.OpenFile(part, os.O_WRONLY) }
	l.say = func(server *sftpServer, err error) error { return server.fault(ctx, OpWrite, err) }
	take := func(buffer []byte) (n int, at int64, err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.failed != nil || ended {
			return 0, 0, io.EOF
		}
		n, err = io.ReadFull(source, buffer)
		if err == io.ErrUnexpectedEOF {
			err = nil
		}
		ended = err != nil
		at = next
		next += int64(n)
		unanswered[at] = true
		return n, at, err
	}
	l.move = func(file *sftp.File, buffer []byte) error {
		n, at, err := take(buffer)
		if err != nil {
			return err
		}
		if _, err := file.WriteAt(buffer[:n], at); err != nil {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(unanswered, at)
		return nil
	}
	err := l.run(ctx, server, file)
	u.safe = next
	for at := range unanswered {
		u.safe = min(u.safe, at)
	}
	return err
}
