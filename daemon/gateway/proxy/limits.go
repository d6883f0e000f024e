package proxy

import (
	"net/netip"
	"sync"
	"time"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/http1"
)

// limits are a snapshot's, with defaults filled in.
type limits struct {
	http1.Limits
	inspected      int64
	held           int64
	heldPerAddress int64
	connections    int
	perAddress     int
	streams        int
}

func newLimits(l model.GatewayLimits) limits {
	made := limits{
		Limits: http1.Limits{
			Head: or(l.HeaderBytes, 32<<10), Headers: or(l.Headers, 128), URL: or(l.URLBytes, 16<<10), Body: l.BodyBytes,
			Slow: seconds(l.SlowSeconds, 30), Rate: or(l.BodyRate, 100), Idle: 5 * time.Minute,
		},
		inspected: or(l.InspectedBytes, 1<<20), held: or(l.HeldBytes, 64<<20),
		connections: or(l.Connections, 20_000), perAddress: or(l.ConnectionsPerAddress, 1000), streams: or(l.Streams, 100),
	}
	made.heldPerAddress = max(made.held/heldShare, made.inspected+piece+maxResponse)
	return made
}

// heldShare is the part of the room for held bodies that one client may take: an eighth,
// or what one request and its answer may need.
const heldShare = 8

func or[T int | int64](n, otherwise T) T {
	if n == 0 {
		return otherwise
	}
	return n
}

// clients counts connections.
type clients struct {
	mu         sync.Mutex
	total      int
	perAddress map[netip.Addr]int
}

// enter counts a connection, unless there are too many; the reason says of what.
func (c *clients) enter(from netip.Addr, l *limits) (reason string) {
	// An IPv6 client has a /64 to itself.
	from = network(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.total >= l.connections:
		return "connections"
	case c.perAddress[from] >= l.perAddress:
		return "connections of one address"
	}
	c.total++
	c.perAddress[from]++
	return ""
}

func (c *clients) leave(from netip.Addr) {
	from = network(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.perAddress[from]--; c.perAddress[from] == 0 {
		delete(c.perAddress, from)
	}
}

func (c *clients) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

func network(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		return ip
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.Addr()
}
