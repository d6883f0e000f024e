package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Peer is who speaks, as the kernel says.
type Peer struct {
	UID uint32
	GID uint32
	PID int32
}

// Handler runs one request. The context ends when the client goes away.
type Handler interface {
	Serve(ctx context.Context, peer Peer, req Request, s *Session) Result
}

// HandlerFunc is a function as a [Handler].
type HandlerFunc func(context.Context, Peer, Request, *Session) Result

// Serve calls f.
func (f HandlerFunc) Serve(ctx context.Context, p Peer, r Request, s *Session) Result {
	return f(ctx, p, r, s)
}

const (
	maxConns       = 512
	maxConnsPerUID = 256
	// maxStrangers is for all uids together that [Server.Known] does not know:
	// they must not take the places of those who have rights.
	maxStrangers = 16
)

// requestTimeout is from accept to the whole request. A test changes it.
var requestTimeout = 10 * time.Second

// Server answers connections of a unix socket.
type Server struct {
	Handler Handler
	// Known says whether a uid has any rights. Nil knows everybody.
	Known func(uid uint32) bool
	// MaxFiles is how many descriptors a request may bring.
	MaxFiles int
	Log      *slog.Logger

	mu        sync.Mutex
	total     int
	strangers int
	byUID     map[uint32]int
	wg        sync.WaitGroup
}

// Serve accepts until ctx ends, then waits for the commands that run, whose
// contexts end too.
func (srv *Server) Serve(ctx context.Context, ln *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	defer srv.wg.Wait()
	for {
		conn, err := ln.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
				time.Sleep(50 * time.Millisecond)
				continue
			}
			return fmt.Errorf("accept on the control socket: %w", err)
		}
		srv.wg.Go(func() { srv.serve(ctx, conn) })
	}
}

func (srv *Server) serve(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	peer, err := PeerOf(conn)
	if err != nil {
		srv.Log.Warn("control connection without a peer", "error", err)
		return
	}
	known := srv.Known == nil || srv.Known(peer.UID)
	if !srv.enter(peer.UID, known) {
		srv.Log.Warn("too many control connections", "uid", peer.UID)
		conn.SetDeadline(time.Now().Add(time.Second))
		writeFrame(conn, MaxEvent, event{Result: &Result{Exit: ExitFailed,
			Error: "too many commands run at the same time", Hint: "wait for one to end and try again"}})
		return
	}
	defer srv.leave(peer.UID, known)
	if err := serveConn(ctx, conn, peer, srv.MaxFiles, srv.Handler, srv.Log); err != nil {
		srv.Log.Warn("control request refused", "uid", peer.UID, "pid", peer.PID, "error", err)
	}
}

// ServeConn answers the one request of conn. Jobs use it on the connection
// that the daemon handed them.
func ServeConn(ctx context.Context, conn net.Conn, h Handler, log *slog.Logger) error {
	return serveConn(ctx, conn, Peer{}, 0, h, log)
}

func serveConn(ctx context.Context, conn net.Conn, peer Peer, maxFiles int, h Handler, log *slog.Logger) error {
	conn.SetReadDeadline(time.Now().Add(requestTimeout))
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })
	defer stop()
	var req Request
	err := readRequest(conn, &req, maxFiles)
	defer closeFiles(req.Files)
	if err != nil {
		writeFrame(conn, MaxEvent, event{Result: &Result{Exit: ExitUsage, Error: "the request cannot be read: " + err.Error()}})
		return err
	}
	if !stop() {
		return context.Cause(ctx)
	}
	conn.SetReadDeadline(time.Time{})
	s, ctx := newSession(ctx, conn)
	s.finish(run(ctx, h, peer, req, s, log))
	return nil
}

func run(ctx context.Context, h Handler, peer Peer, req Request, s *Session, log *slog.Logger) (res Result) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("a command crashed", "op", req.Op, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			res = Result{Exit: ExitFailed, Error: "the command crashed; the appliance goes on",
				Hint: "the daemon's log holds the details"}
		}
	}()
	return h.Serve(ctx, peer, req, s)
}

func (srv *Server) enter(uid uint32, known bool) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.byUID == nil {
		srv.byUID = map[uint32]int{}
	}
	if srv.total >= maxConns || srv.byUID[uid] >= maxConnsPerUID || (!known && srv.strangers >= maxStrangers) {
		return false
	}
	srv.count(uid, known, 1)
	return true
}

func (srv *Server) leave(uid uint32, known bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.count(uid, known, -1)
}

func (srv *Server) count(uid uint32, known bool, n int) {
	srv.total += n
	if !known {
		srv.strangers += n
	}
	if srv.byUID[uid] += n; srv.byUID[uid] == 0 {
		delete(srv.byUID, uid)
	}
}

// PeerOf is who is at the other end of conn. For a client that is who began to
// listen.
func PeerOf(conn *net.UnixConn) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return Peer{}, err
	}
	return Peer{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}, nil
}
