package transfer

import (
	"context"
	"net"
	"strconv"
)

// Dialer makes connections for a client of https that is not of this package, by the rules of a transfer: the policy,
// the proxy and the time-outs of o. They close when ctx ends. An error is an *Error.
func Dialer(ctx context.Context, o Options) func(_ context.Context, network, address string) (net.Conn, error) {
	return func(_ context.Context, _, address string) (net.Conn, error) {
		t := Target{Protocol: "https"}
		host, port, err := net.SplitHostPort(address)
		if err == nil {
			t.Host = host
			t.Port, err = strconv.Atoi(port)
		}
		if err != nil {
			return nil, badTarget("", "%q is not HOST:PORT", address)
		}
		s := newSession(t, o)
		if err := s.checkLogins(); err != nil {
			return nil, err
		}
		c, err := s.httpDial(ctx, address)
		if err != nil {
			return nil, err // and no *conn, which would be an interface that is not nil
		}
		return c, nil
	}
}
