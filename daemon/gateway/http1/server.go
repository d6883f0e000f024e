// Package http1 serves HTTP/1.0 and HTTP/1.1 to clients that are not trusted. It
// takes what RFC 9112 allows and refuses, with the connection closed, whatever two
// readers could understand in two ways: both lengths, lengths that are lists,
// folded lines, a bare LF, extensions of chunks, white space before a colon.
// What it hands on is framed anew by who sends it on.
//
// Memory for one connection is bounded by Limits.Head and two buffers, which
// idle connections do not hold for long. Handlers are those of net/http; the
// context of a request is that of its connection.
package http1

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound what a client may send and how long it may take.
type Limits struct {
	Head    int           // bytes of request line and headers
	Headers int           // their number
	URL     int           // bytes
	Body    int64         // bytes; 0: any
	Slow    time.Duration // for the head, between two pieces of a body, and for taking a piece of an answer
	Rate    int64         // bytes a second that a body must have come with on average, after Slow; 0: any
	Idle    time.Duration // between requests
}

// TooSlow says whether a body came below the rate, of which taken bytes came while they
// were waited for.
func (l *Limits) TooSlow(taken int64, waited time.Duration) bool {
	return l.Rate > 0 && waited > l.Slow && taken < l.Rate*int64(waited/time.Second)
}

// Server serves connections. Its fields do not change once it serves; SetLimits comes
// first.
type Server struct {
	Handler http.Handler
	Log     *slog.Logger
	// Refused hears of requests that were not taken, when it is not nil.
	Refused func(from netip.AddrPort, r *Refusal)
	// HTTP2 takes over a plain connection whose client begins with HTTP/2, when it is
	// not nil. Nothing is lost of what c will read.
	HTTP2 func(c net.Conn)

	limits   atomic.Pointer[Limits]
	draining atomic.Bool
	mu       sync.Mutex
	conns    map[*conn]struct{}
	watching bool
	empty    chan struct{} // closed when the last connection has gone
}

// SetLimits bounds the requests that come next.
func (s *Server) SetLimits(l Limits) { s.limits.Store(&l) }

// ServeConn serves c to its end, and closes it unless a handler took it over.
func (s *Server) ServeConn(ctx context.Context, c net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	served := &conn{Conn: c, srv: s, ctx: ctx, cancel: cancel, limits: s.limits.Load()}
	defer served.end()
	if s.enter(served) {
		served.serve()
	}
}

func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*conn]struct{})
	}
	s.conns[c] = struct{}{}
	if !s.watching {
		s.watching = true
		go s.watch()
	}
	return !s.draining.Load()
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

const watchEvery = time.Second

// watch looks whether clients that wait for an answer are still there. It ends with
// the last connection.
func (s *Server) watch() {
	for tick := time.NewTicker(watchEvery); ; {
		<-tick.C
		s.mu.Lock()
		if len(s.conns) == 0 {
			s.watching = false
			s.mu.Unlock()
			tick.Stop()
			return
		}
		before := time.Now().Add(-watchEvery).UnixNano()
		for c := range s.conns {
			if c.state.Load() == busy && c.since.Load() < before && c.hungUp() {
				c.cancel()
			}
		}
		s.mu.Unlock()
	}
}

// Shutdown ends what idles, lets requests end until ctx does, and then cuts them.
// Connections that come later end at once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	empty := make(chan struct{})
	if len(s.conns) == 0 {
		close(empty)
	} else {
		s.empty = empty
	}
	for c := range s.conns {
		if c.state.Load() == idle {
			c.Conn.Close()
		}
	}
	s.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		c.cancel()
		c.Conn.Close()
	}
	s.mu.Unlock()
	<-empty
	return ctx.Err()
}
