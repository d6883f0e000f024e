package mx

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Connections that the management address has at a time. A browser takes six, a gateway
// two, and many of either may share an address.
const (
	maxConnections = 8192
	maxOfAddress   = 2048 // a thousand gateways may come from behind one translator
)

// tellEvery is how often the log tells of connections that were refused.
const tellEvery = time.Minute

// crowd is a listener that closes at once what is beyond its bounds, so that one
// address cannot take the descriptors of all others.
type crowd struct {
	net.Listener
	log *slog.Logger

	mu      sync.Mutex
	all     int
	of      map[netip.Prefix]int
	refused int // since told
	told    time.Time
}

func newCrowd(ln net.Listener, log *slog.Logger) *crowd {
	return &crowd{Listener: ln, log: log, of: make(map[netip.Prefix]int)}
}

func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := networkOf(conn.RemoteAddr())
		if c.enter(from, time.Now()) {
			return &member{Conn: conn, leave: sync.OnceFunc(func() { c.leave(from) })}, nil
		}
		conn.Close()
	}
}

// networkOf is whom an address is counted as: itself, or the 64 bits of IPv6 that a
// host has all addresses of.
func networkOf(a net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	address := at.Addr().Unmap().WithZone("")
	network, _ := address.Prefix(min(address.BitLen(), 64)) // which an address always has
	return network
}

func (c *crowd) enter(from netip.Prefix, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all < maxConnections && c.of[from] < maxOfAddress {
		c.all++
		c.of[from]++
		return true
	}
	if c.refused++; now.Sub(c.told) >= tellEvery {
		c.log.Warn("connections to the management address are refused: there are too many", "refused", c.refused, "last", from.String(), "of it", c.of[from], "all", c.all)
		c.refused, c.told = 0, now
	}
	return false
}

func (c *crowd) leave(from netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.of[from]--; c.of[from] == 0 {
		delete(c.of, from)
	}
}

// member is a connection that is counted until it is closed.
type member struct {
	net.Conn
	leave func()
}

func (m *member) Close() error {
	m.leave()
	return m.Conn.Close()
}
