package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn is one client's connection.
type conn struct {
	net.Conn
	srv    *Server
	ctx    context.Context
	cancel context.CancelFunc
	tls    *tls.ConnectionState
	remote string
	limits *Limits

	buf  []byte // buf[from:to] was read and not consumed
	from int
	to   int
	bw   *bufio.Writer
	w    *writer

	given bool // to a handler or to HTTP/2: not ours to close

	bodyMu    sync.Mutex
	readUntil time.Time // the deadlines that are set
	sendUntil time.Time

	state atomic.Int32
	since atomic.Int64 // when the exchange began, nanoseconds
}

const (
	idle int32 = iota
	busy
)

const (
	readSize  = 8 << 10
	writeSize = 16 << 10
)

var (
	readers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, writeSize) }}
)

// preface is what a client of HTTP/2 begins with.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func (c *conn) serve() {
	c.remote = c.RemoteAddr().String()
	if t, ok := c.Conn.(*tls.Conn); ok {
		state := t.ConnectionState()
		c.tls = &state
	}
	for first := true; ; first = false {
		text, err := c.readHead(first)
		if err != nil {
			c.failed(err)
			return
		}
		if first && text == preface[:18] && c.tls == nil && c.srv.HTTP2 != nil {
			c.handOver()
			return
		}
		h, refusal := parseHead(text, c.limits)
		if refusal != nil {
			c.failed(refusal)
			return
		}
		if !c.exchange(h) {
			return
		}
	}
}

// handOver gives the connection to who speaks HTTP/2.
func (c *conn) handOver() {
	rest := append([]byte(preface[:18]), c.buffered()...)
	c.SetDeadline(time.Time{})
	c.given = true
	c.srv.HTTP2(&replay{Conn: c.Conn, before: rest})
}

// replay is a connection of which something was read already.
type replay struct {
	net.Conn
	before []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.before) > 0 {
		n := copy(p, r.before)
		r.before = r.before[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// exchange has the handler answer one request. It says whether another may follow.
func (c *conn) exchange(h *head) bool {
	c.bw = writers.Get().(*bufio.Writer)
	c.bw.Reset(sender{c})
	w := &writer{c: c, header: make(http.Header, 8), head: h.method == http.MethodHead, old: h.minor == 0, close: !h.keepAlive}
	c.w = w
	b := &body{c: c, left: h.length, chunked: h.length < 0, first: true, done: h.length == 0, expect: h.expect, trailer: h.trailer}
	if b.chunked {
		b.left = 0
	}
	if limit := c.limits.Body; limit > 0 && h.length > limit {
		c.failed(errTooLarge)
		return false
	}
	c.since.Store(time.Now().UnixNano())
	c.state.Store(busy)
	ok := c.handle(w, c.request(h, b))
	if w.hijacked {
		c.given = true
		return false
	}
	if ok = ok && w.finish(); ok {
		b.drain()
	}
	if b.release() && ok {
		c.giveBack()
		c.w = nil
		c.state.Store(idle)
		return !c.srv.draining.Load()
	}
	c.linger()
	return false
}

func (c *conn) request(h *head, b *body) *http.Request {
	r := http.Request{Method: h.method, URL: urlOf(h.target), Proto: h.proto, ProtoMajor: 1, ProtoMinor: h.minor, Header: h.header,
		Body: b, ContentLength: h.length, Host: h.host, RemoteAddr: c.remote, RequestURI: h.line, TLS: c.tls, Trailer: h.trailer}
	if h.length == 0 {
		r.Body = http.NoBody
	}
	if h.length < 0 {
		r.TransferEncoding = chunkedEncoding
	}
	return r.WithContext(c.ctx)
}

var chunkedEncoding = []string{"chunked"}

func (c *conn) handle(w *writer, r *http.Request) (ok bool) {
	defer func() {
		switch reason := recover(); reason {
		case nil:
		case http.ErrAbortHandler:
			ok = false
		default:
			c.srv.Log.Error("a request ended in a panic", "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
			ok = false
		}
	}()
	c.srv.Handler.ServeHTTP(w, r)
	return true
}

// end closes what is still ours.
func (c *conn) end() {
	c.cancel()
	c.srv.leave(c)
	c.giveBack()
	if c.buf != nil {
		c.putBuffer()
	}
	if !c.given {
		c.Conn.Close()
	}
}

// failed answers a request that cannot be taken, unless the client has gone.
func (c *conn) failed(err error) {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return
	}
	if c.srv.Refused != nil {
		from, _ := netip.ParseAddrPort(c.remote)
		c.srv.Refused(from, refusal)
	}
	c.giveBack()
	c.bw = writers.Get().(*bufio.Writer)
	c.bw.Reset(sender{c})
	c.refuse(refusal)
	c.linger()
}

// lingering bounds how long and how much is read of a client that is refused, so
// that the answer reaches it before a reset would.
const (
	lingering  = 500 * time.Millisecond
	lingerSize = 256 << 10
)

func (c *conn) linger() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	c.Conn.SetReadDeadline(time.Now().Add(lingering))
	io.CopyN(io.Discard, c.Conn, lingerSize)
}

func (c *conn) giveBack() {
	if c.bw != nil {
		c.bw.Reset(nil)
		writers.Put(c.bw)
		c.bw = nil
	}
}

func (c *conn) putBuffer() {
	if len(c.buf) == readSize {
		b := c.buf
		readers.Put(&b)
	}
	c.buf, c.from, c.to = nil, 0, 0
}

func (c *conn) buffered() []byte { return c.buf[c.from:c.to] }

func (c *conn) consume(n int) {
	if c.from += n; c.from == c.to {
		c.from, c.to = 0, 0
	}
}

// warm is how long an idle connection keeps its buffer.
const warm = 5 * time.Second

// readHead reads up to the empty line behind a request's headers. No error is
// given for a client that leaves between requests, but io.EOF.
func (c *conn) readHead(first bool) (string, error) {
	c.limits = c.srv.limits.Load()
	wait := c.limits.Idle
	if first {
		wait = c.limits.Slow
	}
	if c.from == c.to {
		if err := c.awaitHead(wait); err != nil {
			return "", err
		}
	}
	deadline := time.Time{}
	for seen := 0; ; {
		c.skipEmptyLine()
		have := c.buffered()
		if n := endOfHead(have, seen); n > 0 {
			if n > c.limits.Head {
				return "", errHeadTooLong(have)
			}
			text := string(have[:n])
			c.consume(n)
			return text, nil
		}
		if r := hopeless(have, seen); r != nil {
			return "", r
		}
		if len(have) >= c.limits.Head {
			return "", errHeadTooLong(have)
		}
		if seen = len(have); deadline.IsZero() {
			deadline = time.Now().Add(c.limits.Slow)
			c.readUntil = deadline
			c.Conn.SetReadDeadline(deadline)
		}
		if err := c.fill(c.limits.Head); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return "", errSlowHead
			}
			return "", err
		}
	}
}

// awaitHead waits for the first bytes of a request.
func (c *conn) awaitHead(wait time.Duration) error {
	c.readUntil = time.Now().Add(min(wait, warm))
	c.Conn.SetReadDeadline(c.readUntil)
	err := c.fill(readSize)
	if !errors.Is(err, os.ErrDeadlineExceeded) || wait <= warm {
		return err
	}
	c.putBuffer()
	c.readUntil = time.Now().Add(wait - warm)
	c.Conn.SetReadDeadline(c.readUntil)
	var one [1]byte
	if _, err := io.ReadFull(c.Conn, one[:]); err != nil {
		return err
	}
	c.buf = *readers.Get().(*[]byte)
	c.buf[0], c.from, c.to = one[0], 0, 1
	return nil
}

// skipEmptyLine drops what some clients send behind a body (RFC 9112, 2.2).
func (c *conn) skipEmptyLine() {
	if bytes.HasPrefix(c.buffered(), []byte("\r\n")) {
		c.consume(2)
	}
}

// hopeless says of a head that is not whole yet that it cannot become one.
func hopeless(have []byte, seen int) *Refusal {
	if len(have) > 0 && have[0] != '\r' && classes[have[0]]&token == 0 {
		return bad(MalformedRequest, "the request line is malformed")
	}
	for i := seen; i < len(have); i++ {
		if have[i] == '\n' && (i == 0 || have[i-1] != '\r') {
			return bad(MalformedHeader, "a line ends with LF alone")
		}
	}
	return nil
}

func errHeadTooLong(have []byte) *Refusal {
	if !bytes.Contains(have, []byte("\r\n")) {
		return &Refusal{http.StatusRequestURITooLong, URLTooLong, "the URL is longer than allowed"}
	}
	return &Refusal{http.StatusRequestHeaderFieldsTooLarge, HeaderTooLong, "the headers are longer than allowed"}
}

// fill reads more into the buffer, which grows up to limit.
func (c *conn) fill(limit int) error {
	if c.buf == nil {
		c.buf = *readers.Get().(*[]byte)
	}
	if c.from > 0 && c.to == len(c.buf) {
		c.to = copy(c.buf, c.buf[c.from:c.to])
		c.from = 0
	}
	if c.to == len(c.buf) {
		grown := make([]byte, min(max(2*len(c.buf), readSize), max(limit, readSize)+1))
		copy(grown, c.buf[:c.to])
		from, to := c.from, c.to
		c.putBuffer()
		c.buf, c.from, c.to = grown, from, to
	}
	n, err := c.Conn.Read(c.buf[c.to:])
	c.to += n
	if n > 0 {
		return nil
	}
	return err
}

// readBody reads a piece of the body: what lies here first.
func (c *conn) readBody(p []byte, b *body) (int, error) {
	if have := c.buffered(); len(have) > 0 {
		n := copy(p, have)
		c.consume(n)
		return n, nil
	}
	begin := c.beforeRead()
	n, err := c.Conn.Read(p)
	return n, b.afterRead(begin, err)
}

func (c *conn) fillBody(b *body) error {
	begin := c.beforeRead()
	return b.afterRead(begin, c.fill(c.limits.Head))
}

// beforeRead gives the next read its time. Deadlines are moved once a second.
func (c *conn) beforeRead() time.Time {
	now := time.Now()
	if until := now.Add(c.limits.Slow); until.Sub(c.readUntil) > time.Second || c.readUntil.After(until) {
		c.readUntil = until
		c.Conn.SetReadDeadline(until)
	}
	return now
}

func (b *body) afterRead(begin time.Time, err error) error {
	b.waited += time.Since(begin)
	if errors.Is(err, os.ErrDeadlineExceeded) || b.c.limits.TooSlow(b.taken, b.waited) {
		return ErrSlowBody
	}
	return err
}

// sender gives each write its time.
type sender struct{ c *conn }

func (s sender) Write(p []byte) (int, error) {
	c := s.c
	now := time.Now()
	if until := now.Add(c.limits.Slow); until.Sub(c.sendUntil) > time.Second {
		c.sendUntil = until
		c.Conn.SetWriteDeadline(until)
	}
	return c.Conn.Write(p)
}

func (c *conn) write(p []byte) (int, error) { return c.bw.Write(p) }

func (c *conn) flush() error { return c.bw.Flush() }

// hungUp says whether the client has ended its side.
func (c *conn) hungUp() bool {
	inner := c.Conn
	if t, ok := inner.(*tls.Conn); ok {
		inner = t.NetConn()
	}
	s, ok := inner.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(polled, 0)
		gone = err == nil && n > 0 && polled[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone || err != nil
}
