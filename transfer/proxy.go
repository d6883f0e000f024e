package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// defaultProxyPort is curl's.
const defaultProxyPort = 1080

// Proxy is an HTTP proxy that all connections of a transfer go through. It resolves the names. The zero value is none.
type Proxy struct {
	Host string // as in Target
	Port int
	// User and Password are told to the proxy alone, and only after it has asked.
	User, Password string
}

// ParseProxy reads HOST[:PORT]; the port is 1080 when it is left out. "http://" before it is accepted.
func ParseProxy(raw string) (Proxy, error) {
	t := Target{Protocol: "http", Port: defaultProxyPort}
	name, rest, ok := strings.Cut(raw, "://")
	switch {
	case strings.Contains(raw, "@"):
		return Proxy{}, badTarget("give user and password with --proxy-user", "the proxy's address holds a user name")
	case ok && !strings.EqualFold(name, "http"):
		return Proxy{}, badTarget("write HOST[:PORT] of an HTTP proxy", "only HTTP proxies are supported")
	case ok:
		raw = rest
	}
	if err := t.setAuthority(strings.TrimSuffix(raw, "/")); err != nil {
		return Proxy{}, err
	}
	return Proxy{Host: t.Host, Port: t.Port}, nil
}

func (p Proxy) set() bool { return p.Host != "" }

// String is the proxy's HOST:PORT.
func (p Proxy) String() string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

// proxyRefusal is the cause of an error when the proxy, and not the server, said no.
type proxyRefusal struct {
	words   string
	address string // HOST:PORT that was asked for
}

func (r *proxyRefusal) Error() string { return r.words }

// tunnel connects to address with CONNECT. Each try is a connection of its own, since proxies close after a refusal.
func (s *session) tunnel(ctx context.Context, address string) (*conn, error) {
	host, _, _ := net.SplitHostPort(address)
	if err := s.judgeForProxy(host); err != nil {
		return nil, s.fault(ctx, OpConnect, err)
	}
	for range maxAsked {
		c, err := s.dialProxy(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := c.connect(address, s.proxy.header(http.MethodConnect, address), s.o.ConnectTimeout)
		if err != nil {
			c.Close()
			return nil, s.proxyFault(ctx, err)
		}
		if answer.StatusCode/100 == 2 {
			return c, nil
		}
		c.Close()
		if answer.StatusCode != http.StatusProxyAuthRequired || !s.proxy.learn(challengesOf(answer.Header, "Proxy-Authenticate")) {
			return nil, s.proxyRefused(answer, address)
		}
	}
	return nil, s.wrap(OpProxy, LoginRefused, errors.New("the proxy asks for the password again and again"), "")
}

// dialProxy connects to the proxy itself.
func (s *session) dialProxy(ctx context.Context) (*conn, error) {
	c, err := s.dialDirect(ctx, s.o.Proxy.String())
	if err != nil {
		return nil, s.proxyFault(ctx, err)
	}
	return c, nil
}

// proxyFault is a failure of the connection to the proxy.
func (s *session) proxyFault(ctx context.Context, err error) error {
	fault, ok := s.fault(ctx, OpProxy, err).(*Error)
	if !ok || fault.ended() || fault.Kind == Forbidden {
		return fault
	}
	return s.wrap(OpProxy, Unreachable, inWords(err, "the proxy %s", s.o.Proxy), "check --proxy, and that this machine may reach it")
}

// connect asks the proxy for a connection to address within limit. What follows the answer already belongs to the
// connection.
func (c *conn) connect(address, authorization string, limit time.Duration) (*http.Response, error) {
	c.SetDeadline(time.Now().Add(limit))
	defer c.SetDeadline(time.Time{})
	request := fmt.Sprintf("CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\nUser-Agent: %s\r\n", address, userAgent)
	if authorization != "" {
		request += "Proxy-Authorization: " + authorization + "\r\n"
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return nil, err
	}
	capped := &io.LimitedReader{R: c, N: maxHTTPHeader}
	lines := bufio.NewReader(capped)
	answer, err := http.ReadResponse(lines, &http.Request{Method: http.MethodConnect})
	for err == nil && answer.StatusCode/100 == 1 {
		answer, err = http.ReadResponse(lines, &http.Request{Method: http.MethodConnect})
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &worded{"it did not answer within " + limit.String(), err}
	case err != nil && capped.N == 0:
		return nil, fmt.Errorf("its answer is longer than %d bytes", maxHTTPHeader)
	case err != nil:
		return nil, err
	}
	ahead, _ := lines.Peek(lines.Buffered())
	c.ahead = bytes.Clone(ahead)
	return answer, nil
}

// proxyRefused is the error for what the proxy itself has answered to a request that concerns address.
func (s *session) proxyRefused(answer *http.Response, address string) error {
	said := fmt.Sprintf("(%s)", answer.Status)
	refuse := func(op Op, kind Kind, hint, format string, args ...any) error {
		return s.wrap(op, kind, &proxyRefusal{fmt.Sprintf(format, args...) + " " + said, address}, hint)
	}
	challenges := challengesOf(answer.Header, "Proxy-Authenticate")
	_, port, _ := net.SplitHostPort(address)
	code := answer.StatusCode
	login := code == http.StatusProxyAuthRequired || code == http.StatusUnauthorized // tinyproxy, for a wrong password
	switch {
	case login && !s.proxy.basic && s.proxy.digest == nil && s.proxy.user != "":
		return refuse(OpProxy, LoginRefused, supported,
			"the proxy %s wants %s", s.o.Proxy, foreign(challenges))
	case login && s.proxy.user == "":
		return refuse(OpProxy, LoginRefused, "add --proxy-user USER:PASSWORD", "the proxy %s wants a user and a password", s.o.Proxy)
	case login:
		return refuse(OpProxy, LoginRefused, "check --proxy-user", "the proxy %s refused user %q with this password", s.o.Proxy, s.proxy.user)
	case code == http.StatusBadGateway || code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout:
		return refuse(OpConnect, Unreachable, "check the host and the port; the proxy resolves the name itself",
			"the proxy %s cannot reach %s", s.o.Proxy, address)
	default:
		return refuse(OpProxy, Refused, "the proxy's owner must allow this appliance to connect to port "+port,
			"the proxy %s does not allow connections to %s", s.o.Proxy, address)
	}
}

// proxySaid says whether the answer to a request to to is the proxy's own refusal and not the server's. Proxies have
// several ways to say so.
func (s *session) proxySaid(to Target, answer *http.Response) bool {
	server := strings.ToLower(answer.Header.Get("Server"))
	return s.proxied(to) && (answer.StatusCode == http.StatusProxyAuthRequired ||
		answer.Header.Get("X-Squid-Error") != "" ||
		strings.HasPrefix(server, "tinyproxy") || strings.HasPrefix(server, "squid") ||
		strings.Contains(answer.Header.Get("Proxy-Status"), "error="))
}
