package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"time"
)

const (
	// maxFTPReply bounds what a server may say between two of our commands; the library reads lines of any length.
	maxFTPReply = 64 << 10
	// goodbyeTime is how long a data connection may take to be closed by the server after we said that we are done.
	goodbyeTime = 5 * time.Second
	// goodbyeText is how much the server may say meanwhile, in bytes.
	goodbyeText = 64 << 10
)

var errLongReply = fmt.Errorf("the server's answer is longer than %d bytes", maxFTPReply)

// ftpLine is a control connection and what its data connections must share with it. Connecting is ours and not the
// library's, which can neither tell "no TLS offered" from a failed handshake nor protect connections that it did not
// dial itself.
type ftpLine struct {
	s       *session
	control *ftpControl
	host    string      // the address that the control connection has reached, or what the proxy reaches it by: data goes there and nowhere else
	tls     *tls.Config // nil when the server offers no TLS
}

// noDataConnection is the failure that another passive command may avoid.
type noDataConnection struct {
	error
	ipv4 bool // PASV knows no other addresses
}

// ftpDial connects, reads the greeting and turns on TLS when the server offers it. A handshake that fails is the end:
// going on without TLS would hand the password to whoever broke it.
func (s *session) ftpDial(ctx context.Context) (*ftpLine, error) {
	raw, err := s.dial(ctx, s.target.addr())
	if err != nil {
		return nil, s.fault(ctx, OpConnect, err)
	}
	line := &ftpLine{s: s, control: &ftpControl{Conn: raw, budget: maxFTPReply}}
	if line.host = s.target.Host; !s.o.Proxy.set() {
		line.host, _, _ = net.SplitHostPort(raw.RemoteAddr().String())
	}
	if err := line.start(ctx, raw); err != nil {
		raw.Close()
		return nil, err
	}
	return line, nil
}

func (l *ftpLine) start(ctx context.Context, raw *conn) error {
	greeting, err := l.control.answer()
	for err == nil && greeting.Code/100 == 1 {
		greeting, err = l.control.answer()
	}
	if err != nil {
		return l.s.fault(ctx, OpLogin, err)
	}
	if greeting.Code != 220 {
		return l.s.ftpFault(ctx, OpLogin, greeting)
	}
	offer, err := l.control.command("AUTH TLS")
	if err != nil {
		return l.s.fault(ctx, OpTLS, err)
	}
	switch {
	case offer.Code == 234:
		l.tls = l.s.tlsConfig(l.s.target.Host)
		secured, err := l.s.handshake(ctx, raw, l.tls)
		if err != nil {
			return l.s.fault(ctx, OpTLS, err)
		}
		l.control.Conn = secured
		l.s.hasTLS()
	case offer.Code/100 != 5:
		// "Not now" is not "not offered".
		return l.s.ftpFault(ctx, OpTLS, offer)
	default:
		if err := l.s.withoutTLS(); err != nil {
			return err
		}
	}
	// The library wants to read a greeting itself. The server's own was judged above.
	l.control.greeting = strings.NewReader("220 \r\n")
	return nil
}

// dialFunc hands the library the control connection first and data connections from then on.
func (l *ftpLine) dialFunc(ctx context.Context) func(network, address string) (net.Conn, error) {
	first := true
	return func(_, address string) (net.Conn, error) {
		if first {
			first = false
			return l.control, nil
		}
		return l.dialData(ctx, address)
	}
}

func (l *ftpLine) dialData(ctx context.Context, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	raw, err := l.s.dial(ctx, net.JoinHostPort(l.host, port))
	if err != nil {
		known, ok := errors.AsType[*Error](err)
		if ctx.Err() != nil || ok && known.Kind != Unreachable {
			return nil, l.s.fault(ctx, OpConnect, err)
		}
		address, err2 := netip.ParseAddr(l.host)
		missing := &noDataConnection{inWords(err, "data connection to port %s", port), err2 != nil || address.Is4()}
		return nil, l.s.wrap(OpConnect, Unreachable, missing, "check the server's passive ports and the firewalls between here and there")
	}
	data := &ftpData{Conn: raw, raw: raw, control: l.control, proxied: l.s.o.Proxy.set()}
	if l.tls != nil {
		data.tls = tls.Client(readAhead(raw), l.tls)
		data.Conn = data.tls
	}
	return data, nil
}

// ftpControl is the control connection as the library sees it.
type ftpControl struct {
	net.Conn
	greeting *strings.Reader
	budget   int
}

func (c *ftpControl) Read(p []byte) (int, error) {
	if c.greeting != nil && c.greeting.Len() > 0 {
		return c.greeting.Read(p)
	}
	if c.budget == 0 {
		return 0, errLongReply
	}
	n, err := c.Conn.Read(p[:min(len(p), c.budget)])
	c.budget -= n
	return n, err
}

func (c *ftpControl) Write(p []byte) (int, error) {
	c.budget = maxFTPReply
	return c.Conn.Write(p)
}

func (c *ftpControl) command(line string) (*textproto.Error, error) {
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		return nil, err
	}
	return c.answer()
}

// answer reads one answer and not a byte more, so that what the server sends ahead of a TLS handshake cannot pass for
// words that were said within it.
func (c *ftpControl) answer() (*textproto.Error, error) {
	first, err := c.line()
	if err != nil {
		return nil, err
	}
	var code int
	if n, err := fmt.Sscanf(first, "%3d", &code); n != 1 || err != nil || code < 100 || len(first) > 3 && first[3] != ' ' && first[3] != '-' {
		return nil, fmt.Errorf("this is not an ftp server: it said %q", first[:min(len(first), 80)])
	}
	text := first[min(len(first), 4):]
	for last := first; len(last) > 3 && last[3] == '-' || !strings.HasPrefix(last, first[:3]); {
		if last, err = c.line(); err != nil {
			return nil, err
		}
		text += "\n" + last
	}
	return &textproto.Error{Code: code, Msg: text}, nil
}

func (c *ftpControl) line() (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(c, b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, b[0])
	}
}

// ftpData is a data connection. Its end is the end of the file, so it must reach the server in order: say goodbye, wait
// until the server has read it all and closes, and only then close. Closing with unread TLS session tickets would reset
// the connection and cut the file.
type ftpData struct {
	net.Conn
	raw     *conn
	tls     *tls.Conn // nil without TLS
	control *ftpControl
	whole   bool // all there was went out, so there is something to say goodbye to
	// proxied: TLS's own goodbye must do. squid closes both sides when one half closes, and tickets of the server that it
	// has not read then reset the connection before the server has read all.
	proxied bool
}

func (d *ftpData) ReadFrom(r io.Reader) (int64, error) {
	n, err := inBlocks{d.Conn}.ReadFrom(r)
	d.whole = err == nil
	if !d.whole {
		// The server may still say why (a full disk), but on a dead network it is not worth another idle time-out.
		d.control.SetReadDeadline(time.Now().Add(goodbyeTime))
	}
	return n, err
}

// Handshake is called by the library for an empty file, which writes nothing that would start it.
func (d *ftpData) Handshake() error {
	if d.tls == nil {
		return nil
	}
	return d.tls.Handshake()
}

func (d *ftpData) Close() error {
	defer d.raw.Close()
	if !d.whole {
		return nil // refused before any data, or given up
	}
	d.raw.SetDeadline(time.Now().Add(goodbyeTime))
	var errs []error
	if d.tls != nil {
		errs = append(errs, d.tls.CloseWrite())
	}
	if d.tls == nil || !d.proxied {
		errs = append(errs, d.raw.CloseWrite())
	}
	// Nothing is expected but tickets and the end; an error here says no more than the answer on the control line will.
	io.Copy(io.Discard, io.LimitReader(d.Conn, goodbyeText))
	return errors.Join(errs...)
}
