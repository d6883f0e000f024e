package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// Source is what is sent. It can be opened more than once: an attempt that has to start again opens it again.
type Source interface {
	// Open starts at the first byte. Reads may wait as long as they like (for a file that is still being written), and
	// must end when ctx does. Close may come while a Read waits, and must then end it.
	Open(ctx context.Context) (io.ReadCloser, error)
	// Size is the number of bytes that a reader gives, or -1 while that is unknown.
	Size() int64
}

// File is the regular file at path as it is now. A file that shrinks or grows while it is sent is an error; a source
// that follows a growing file is the caller's to write.
func File(path string) Source { return file(path) }

type file string

func (f file) Open(context.Context) (io.ReadCloser, error) {
	// Without O_NONBLOCK, opening a FIFO would wait for a writer that may never come.
	opened, err := os.OpenFile(string(f), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := opened.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", string(f))
	}
	if err != nil {
		opened.Close()
		return nil, err
	}
	return opened, nil
}

func (f file) Size() int64 {
	info, err := os.Stat(string(f))
	if err != nil || !info.Mode().IsRegular() {
		return -1 // Open says why
	}
	return info.Size()
}

var errSourceChanged = errors.New("the file changed while it was sent")

// reader is an opened Source: it counts, keeps the source's own failure apart from those of the network, and tells the
// idle clock when it is the source that everybody waits for.
type reader struct {
	rc    io.ReadCloser
	gone  func() error // why nothing more is to be sent, nil as long as it is
	size  int64
	meter *meter
	idle  *idleClock
	began *atomic.Bool

	mu     sync.Mutex
	read   int64
	ended  bool
	failed error

	closeOnce sync.Once
	closeErr  error
	closed    chan struct{}
}

// open opens the source for one attempt that begins at byte from, and the meter with it.
func (u *upload) open(ctx context.Context, from int64) (*reader, error) {
	size := u.src.Size()
	if u.size >= 0 && size != u.size {
		return nil, u.sourceFault(errSourceChanged) // what the server has would be of another file
	}
	u.size = size
	rc, err := u.src.Open(ctx)
	if err == nil {
		err = skip(rc, from)
	}
	if err != nil {
		return nil, u.fault(ctx, OpSource, u.sourceFault(err))
	}
	u.meter.restart(from)
	r := &reader{rc: rc, gone: ctx.Err, size: size, read: from, meter: u.meter, idle: u.idle, began: &u.began, closed: make(chan struct{})}
	context.AfterFunc(ctx, func() { r.Close() })
	u.reader = r
	return r, nil
}

// skip passes over the first n bytes, and closes rc when it cannot.
func skip(rc io.ReadCloser, n int64) error {
	var err error
	if seeker, ok := rc.(io.Seeker); ok && n > 0 {
		_, err = seeker.Seek(n, io.SeekStart)
	} else if n > 0 {
		_, err = io.CopyN(io.Discard, rc, n)
	}
	if err == io.EOF {
		err = errSourceChanged
	}
	if err != nil {
		rc.Close()
	}
	return err
}

// sourceFailure is the source's own failure in the words of a transfer.
func (u *upload) sourceFailure() error {
	if u.reader == nil || u.reader.failure() == nil {
		return nil
	}
	return u.sourceFault(u.reader.failure())
}

func (u *upload) sourceFault(err error) error {
	kind := SourceFailed
	if errors.Is(err, errSourceChanged) {
		kind = SizeMismatch
	}
	return u.wrap(OpSource, kind, err, "")
}

func (r *reader) Read(p []byte) (int, error) {
	r.idle.pause()
	n, err := r.rc.Read(p)
	r.idle.resume()
	// The connection closes a moment after a cancel, in which all the rest could leave.
	if over := r.gone(); over != nil {
		n, err = 0, over
	}

	r.mu.Lock()
	r.read += int64(n)
	if r.size >= 0 && (r.read > r.size || err == io.EOF && r.read < r.size) {
		err = errSourceChanged
	}
	switch err {
	case nil:
	case io.EOF:
		r.ended = true
	default:
		r.failed = err
	}
	r.mu.Unlock()

	select {
	case <-r.closed: // given up; another attempt may be counting already
	default:
		r.meter.add(n)
		r.began.Store(r.began.Load() || n > 0)
	}
	return n, err
}

// Close may be called again and again, and while a Read waits.
func (r *reader) Close() error {
	r.closeOnce.Do(func() {
		r.closeErr = r.rc.Close()
		close(r.closed)
	})
	return r.closeErr
}

// failure is what went wrong on this side, if anything did.
func (r *reader) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// whole says whether all there is has been read.
func (r *reader) whole() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended || r.size >= 0 && r.read >= r.size
}

// count is the number of bytes read until now.
func (r *reader) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read
}
