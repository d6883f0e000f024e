package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// idleClock knows whether a transfer stands still. All its connections and its source share one, since a control
// connection is silent while data flows, and everything is silent while the source has nothing to give.
type idleClock struct {
	limit   time.Duration
	waiting atomic.Int32 // reads of the source that are under way
	last    atomic.Int64 // when something last moved, in Unix nanoseconds
}

func (c *idleClock) pause()  { c.waiting.Add(1) }
func (c *idleClock) resume() { c.moved(); c.waiting.Add(-1) }
func (c *idleClock) moved()  { c.last.Store(time.Now().UnixNano()) }

// excused says whether silence on one connection is no reason to give up.
func (c *idleClock) excused() bool {
	return c.waiting.Load() > 0 || time.Since(time.Unix(0, c.last.Load())) < c.limit
}

// conn is a connection of a transfer. Every read and write has the idle time-out, beneath TLS and SSH, so a read that
// waits on behalf of a slow source can go on waiting without those layers noticing. It closes when its context ends.
type conn struct {
	net.Conn
	clock   *idleClock
	ahead   []byte      // read already, behind a proxy's answer
	release func() bool // from context.AfterFunc

	// broken is the first failure. What comes after it is only "use of closed network connection".
	broken atomic.Pointer[error]

	// Deadlines that the layers above set (crypto/tls does when it says goodbye), in Unix nanoseconds, 0 for none.
	readBy, writeBy atomic.Int64
	writeUntil      atomic.Int64 // the deadline that Write has set, 0 when a layer above has set another since
}

// dial connects to address, through the proxy where there is one. The connection closes when ctx ends.
func (s *session) dial(ctx context.Context, address string) (*conn, error) {
	if s.o.Proxy.set() {
		return s.tunnel(ctx, address)
	}
	return s.dialDirect(ctx, address)
}

func (s *session) dialDirect(ctx context.Context, address string) (*conn, error) {
	dialer := net.Dialer{Timeout: s.o.ConnectTimeout, ControlContext: s.judgeDial}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && ctx.Err() == nil {
			if _, ok := errors.AsType[*net.DNSError](err); !ok {
				err = &worded{"no answer within " + s.o.ConnectTimeout.String(), err}
			}
		}
		return nil, err
	}
	s.idle.moved()
	c := &conn{Conn: raw, clock: s.idle}
	c.release = context.AfterFunc(ctx, func() { raw.Close() })
	return c, nil
}

func (c *conn) Close() error {
	c.release()
	return c.Conn.Close()
}

// CloseWrite ends our half; the peer reads end of file.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	for {
		if err := c.Conn.SetReadDeadline(earlier(time.Now().Add(c.clock.limit), &c.readBy)); err != nil {
			return 0, c.first(err)
		}
		n, err := c.Conn.Read(p)
		if n > 0 {
			c.clock.moved()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !passed(&c.readBy) {
			if c.clock.excused() {
				continue
			}
			err = &idleError{c.clock.limit}
		}
		return n, c.first(err)
	}
}

// Write goes on as long as some of p leaves within each idle time-out. It looks
// four times as often, since a part of p leaves at an unknown time of a wait.
func (c *conn) Write(p []byte) (int, error) {
	for done, left := 0, time.Now(); ; {
		if err := c.limitWrite(); err != nil {
			return done, c.first(err)
		}
		n, err := c.Conn.Write(p[done:])
		done += n
		if n > 0 {
			left = time.Now()
			c.clock.moved()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !passed(&c.writeBy) {
			if time.Since(left) < c.clock.limit {
				continue
			}
			err = &idleError{c.clock.limit}
		}
		return done, c.first(err)
	}
}

// limitWrite lets a write wait for a quarter of the idle time-out, or for an eighth when an earlier write has set that
// deadline: setting it for each record of TLS takes as long as a tenth of encrypting it.
func (c *conn) limitWrite() error {
	now := time.Now()
	if c.writeUntil.Load() > now.Add(c.clock.limit/8).UnixNano() {
		return nil
	}
	until := now.Add(c.clock.limit / 4)
	c.writeUntil.Store(until.UnixNano())
	return c.Conn.SetWriteDeadline(earlier(until, &c.writeBy))
}

// first remembers err when it is the first failure, and returns that one in place of what only follows from it.
func (c *conn) first(err error) error {
	if err == nil || c.broken.CompareAndSwap(nil, &err) || !errors.Is(err, net.ErrClosed) {
		return err
	}
	return *c.broken.Load()
}

// failure is the first failure, nil when there was none.
func (c *conn) failure() error {
	if err := c.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// idleError is a net.Error, so that the layers above treat it as the time-out that it is.
type idleError struct{ limit time.Duration }

func (e *idleError) Error() string   { return "nothing moved for " + e.limit.String() }
func (e *idleError) Timeout() bool   { return true }
func (e *idleError) Temporary() bool { return false }
func (e *idleError) Unwrap() error   { return os.ErrDeadlineExceeded }

// earlier is the earlier of t and a deadline that a layer above has set.
func earlier(t time.Time, by *atomic.Int64) time.Time {
	if set := by.Load(); set != 0 && set < t.UnixNano() {
		return time.Unix(0, set)
	}
	return t
}

func passed(by *atomic.Int64) bool {
	t := by.Load()
	return t != 0 && t <= time.Now().UnixNano()
}

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	keep(&c.readBy, t)
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	keep(&c.writeBy, t)
	c.writeUntil.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

func keep(by *atomic.Int64, t time.Time) {
	if t.IsZero() {
		by.Store(0)
		return
	}
	by.Store(t.UnixNano())
}

// tlsConfig is the one configuration for every TLS connection of the transfer. The session cache lets an ftp data
// connection resume the control connection's session, which servers demand as proof that both are the same client.
func (s *session) tlsConfig(host string) *tls.Config {
	return &tls.Config{
		ServerName:         host,
		RootCAs:            s.o.RootCAs,
		InsecureSkipVerify: s.o.Insecure,
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: s.tls,
	}
}

// handshake makes raw a TLS connection within the connect time-out.
func (s *session) handshake(ctx context.Context, raw *conn, config *tls.Config) (*tls.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, s.o.ConnectTimeout)
	defer cancel()
	secured := tls.Client(readAhead(raw), config)
	if err := secured.HandshakeContext(limited); err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			err = &worded{"the TLS handshake did not end within " + s.o.ConnectTimeout.String(), os.ErrDeadlineExceeded}
		}
		return nil, err
	}
	return secured, nil
}
