package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sealgate/daemon/gateway/http1"
)

// http2Server serves connections that speak HTTP/2. What it holds them to is settled
// when it begins: other limits are another server's.
type http2Server struct {
	http.Server
	limits  http2Limits
	waiting handedOver
}

// http2Limits are the limits that connections of HTTP/2 know of.
type http2Limits struct {
	head, headers, streams int
	slow, idle             time.Duration
}

const (
	// perField is what HTTP/2 adds to the size of a header, in bytes (RFC 9113, 10.5.1).
	// Without it headers that are within what exchange.admitted allows could be too long.
	perField = 32
	// leastHead is how long a head may be, in bytes, to be refused in words: a longer
	// one can end its connection.
	leastHead = 32 << 10
)

// newHTTP2Server serves what it is given until it is shut down.
func (l *listener) newHTTP2Server(limits http2Limits) *http2Server {
	s := &http2Server{limits: limits, waiting: handedOver{conns: make(chan net.Conn), closed: make(chan struct{}), at: l.ln.Addr()}}
	s.Server = http.Server{Handler: l, ErrorLog: slog.NewLogLogger(l.proxy.o.Log.Handler(), slog.LevelDebug), Protocols: new(http.Protocols),
		MaxHeaderBytes: max(limits.head, leastHead) + perField*limits.headers, IdleTimeout: limits.idle, ReadHeaderTimeout: limits.slow,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: limits.streams, WriteByteTimeout: limits.slow, SendPingTimeout: limits.idle / 2, PingTimeout: limits.slow},
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, streamsKey{}, new(streams))
		}}
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	l.proxy.serving.Go(func() { s.Serve(&s.waiting) })
	return s
}

// end lets streams end until ctx does, and then cuts them.
func (s *http2Server) end(ctx context.Context) {
	s.waiting.Close()
	if s.Shutdown(ctx) != nil {
		s.Close()
	}
}

// streams are those of an HTTP/2 connection: how many are open, and how many the
// client took back before they were answered.
type streams struct{ open, resets atomic.Int32 }

type streamsKey struct{}

// useHTTP2 holds connections that come now to limits. Those that are there are told to
// come again, and end with their streams.
func (l *listener) useHTTP2(limits limits) {
	wanted := http2Limits{head: limits.Head, headers: limits.Headers, streams: limits.streams, slow: limits.Slow, idle: limits.Idle}
	old := l.http2.Load()
	if old != nil && old.limits == wanted {
		return
	}
	l.http2.Store(l.newHTTP2Server(wanted))
	if old != nil {
		l.replaced.Go(func() { old.end(l.stopping) })
	}
}

// giveHTTP2 gives a connection to who serves HTTP/2 now.
func (l *listener) giveHTTP2(c net.Conn) {
	for {
		s := l.http2.Load()
		if s.waiting.give(c) {
			return
		}
		if l.http2.Load() == s { // nobody takes its place
			c.Close()
			return
		}
	}
}

// handedOver is a listener for connections that somebody else took.
type handedOver struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	at     net.Addr
}

// give says whether somebody took the connection.
func (h *handedOver) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

func (h *handedOver) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handedOver) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handedOver) Addr() net.Addr { return h.at }

// admitted holds requests of HTTP/2 to what http1 holds others to.
func (x *exchange) admitted() bool {
	limits := x.l.limits.Load()
	fields, bytes := x.headSize()
	refusal := http1.Misread(x.r.Header)
	switch {
	case refusal != nil:
	case len(x.r.RequestURI) > limits.URL:
		refusal = &http1.Refusal{Status: http.StatusRequestURITooLong, Name: http1.URLTooLong, Reason: "the URL is longer than allowed"}
	case !http1.ValidTarget(x.r.RequestURI) || x.r.RequestURI[0] != '/' && x.r.RequestURI != "*":
		refusal = &http1.Refusal{Status: http.StatusBadRequest, Name: http1.IllegalURL, Reason: "the URL has an illegal byte"}
	case !http1.ValidHost(x.r.Host):
		refusal = &http1.Refusal{Status: http.StatusBadRequest, Name: http1.MalformedHeader, Reason: "the authority names no host"}
	case x.r.Method == http.MethodConnect:
		refusal = &http1.Refusal{Status: http.StatusMethodNotAllowed, Name: http1.IllegalMethod, Reason: "CONNECT is not for a reverse proxy"}
	case bytes > limits.Head:
		refusal = &http1.Refusal{Status: http.StatusRequestHeaderFieldsTooLarge, Name: http1.HeaderTooLong, Reason: "the headers are longer than allowed"}
	case fields > limits.Headers:
		refusal = &http1.Refusal{Status: http.StatusRequestHeaderFieldsTooLarge, Name: http1.TooManyHeaders, Reason: "there are more headers than allowed"}
	case limits.Body > 0 && x.r.ContentLength > limits.Body:
		refusal = &http1.Refusal{Status: http.StatusRequestEntityTooLarge, Name: "Body Too Long", Reason: "the body is longer than allowed"}
	}
	if refusal == nil {
		if x.grpc { // whose clients may be silent for as long as they listen
			x.r.Body = &messages{ReadCloser: x.r.Body}
		} else {
			x.timed = &timedBody{ReadCloser: x.r.Body, control: http.NewResponseController(x.w), limits: &limits.Limits}
			x.r.Body = x.timed
		}
		if limits.Body > 0 {
			x.r.Body = http.MaxBytesReader(x.w, x.r.Body, limits.Body)
		}
		return true
	}
	x.refuse(refusal)
	return false
}

// headSize is the number of headers, and how long the head is where it is written out.
func (x *exchange) headSize() (fields, bytes int) {
	bytes = len(x.r.Method) + len(x.r.RequestURI) + len(x.r.Host) + len("  HTTP/1.1\r\nHost: \r\n\r\n")
	for name, values := range x.r.Header {
		for _, v := range values {
			fields++
			bytes += len(name) + len(": \r\n") + len(v)
		}
	}
	return fields, bytes
}

// timedBody holds a body of HTTP/2 to the pace that http1 holds others to. Time counts
// while somebody reads: a client is not slow when the server takes nothing.
type timedBody struct {
	io.ReadCloser
	limits *http1.Limits
	taken  int64
	waited time.Duration

	mu      sync.Mutex
	control *http.ResponseController // nil after the exchange
}

func (b *timedBody) Read(p []byte) (int, error) {
	begin := time.Now()
	patience := time.AfterFunc(b.limits.Slow, b.giveUp)
	n, err := b.ReadCloser.Read(p)
	patience.Stop()
	b.waited += time.Since(begin)
	b.taken += int64(n)
	if errors.Is(err, os.ErrDeadlineExceeded) || err == nil && b.limits.TooSlow(b.taken, b.waited) {
		return n, http1.ErrSlowBody
	}
	return n, err
}

// giveUp ends the read that is under way.
func (b *timedBody) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.control != nil {
		b.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// end is called before the exchange is over: the transport may read on for a while, and
// nobody may touch an answer's writer then.
func (b *timedBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.control = nil
}
