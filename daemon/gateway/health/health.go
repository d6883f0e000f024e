// Package health watches the path through a gateway that load balancers watch: URLs
// that an administrator names in the gateway group's advanced configuration,
//
//	<http-health-check-monitoring>
//	  <interval>30</interval>
//	  <url>/health</url>
//	</http-health-check-monitoring>
//
// Requests for them that pass through are logged with their outcome, and where none
// came within the interval (in seconds, 5 to 3600, 30 unless given) the gateway asks
// for itself, over its own listeners, by a host of the rules. It shows no certificate:
// where one is asked for, what the log says is that refusal. The log is a ring of the last 3,000 entries.
package health

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sealgate/appliance/healthlog"
	"sealgate/appliance/model"
	"sealgate/daemon/gateway/proxy"
)

const probeTimeout = 5 * time.Second

// Monitor watches.
type Monitor struct {
	log  *healthlog.Log
	urls atomic.Pointer[map[string]bool]

	probes sync.Map // near ends of connections that are our own

	mu        sync.Mutex
	last      map[place]time.Time
	addresses map[netip.AddrPort]proxy.Address
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// place is a URL at one of the gateway's addresses.
type place struct {
	url string
	at  netip.AddrPort
}

// New makes a monitor that logs to a file, and watches nothing yet.
func New(file string) (*Monitor, error) {
	log, err := healthlog.Open(file)
	if err != nil {
		return nil, err
	}
	m := &Monitor{log: log, last: make(map[place]time.Time), cancel: func() {}}
	m.urls.Store(&map[string]bool{})
	return m, nil
}

// Watches says whether requests for a target are watched.
func (m *Monitor) Watches(target string) bool {
	urls := *m.urls.Load()
	if len(urls) == 0 {
		return false
	}
	path, _, _ := strings.Cut(target, "?")
	return urls[path]
}

// Saw logs a request that passed through.
func (m *Monitor) Saw(s proxy.Seen) {
	path, _, _ := strings.Cut(s.Target, "?")
	if m.arm(place{path, s.Gateway}) {
		_, own := m.probes.Load(s.Client)
		m.log.Add(healthlog.Entry{Time: time.Now().UTC(), Probe: own, Client: s.Client, Gateway: s.Gateway, Server: s.Server, URL: path, Status: s.Status})
	}
}

// Use watches these URLs from now on, and no others, at these addresses.
func (m *Monitor) Use(w model.Watch, addresses map[netip.AddrPort]proxy.Address) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cancel()
	urls := make(map[string]bool, len(w.URLs))
	now := time.Now()
	last := make(map[place]time.Time)
	for _, u := range w.URLs {
		urls[u] = true
		for at := range addresses {
			p := place{u, at}
			if last[p] = now; !m.last[p].IsZero() {
				last[p] = m.last[p]
			}
		}
	}
	m.last, m.addresses = last, addresses
	m.urls.Store(&urls)
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	if len(last) > 0 {
		m.running.Go(func() { m.probe(ctx, w.Interval) })
	}
}

// probe asks for what nobody has asked for within the interval.
func (m *Monitor) probe(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m.mu.Lock()
		var due []place
		for p, at := range m.last {
			if time.Since(at) >= interval {
				due = append(due, p)
			}
		}
		m.mu.Unlock()
		var asking sync.WaitGroup
		for _, p := range due {
			asking.Go(func() { m.ask(ctx, p) })
		}
		asking.Wait()
	}
}

// ask sends a request through the gateway. It is logged when it passes, like any
// other; what never got that far is logged here.
func (m *Monitor) ask(ctx context.Context, p place) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	m.mu.Lock()
	address := m.addresses[p.at]
	m.mu.Unlock()
	scheme, host := "http", address.Host(p.url)
	if address.TLS {
		scheme = "https"
	}
	// The certificate is the gateway's own, whatever name it has.
	transport := &http.Transport{DialContext: m.dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: host}, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+reachable(p.at)+p.url, nil)
	if err == nil {
		r.Host = host
		r.Header.Set("User-Agent", "sealgate health check")
		var resp *http.Response
		if resp, err = transport.RoundTrip(r); err == nil {
			resp.Body.Close()
			return
		}
	}
	if m.arm(p) {
		m.log.Add(healthlog.Entry{Time: time.Now().UTC(), Probe: true, Gateway: p.at, URL: p.url})
	}
}

// arm begins the interval anew. It says whether the place is still watched.
func (m *Monitor) arm(p place) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.last[p]; !ok {
		return false
	}
	m.last[p] = time.Now()
	return true
}

// dial remembers the near end, by which the request is known when it comes through.
func (m *Monitor) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	at := c.LocalAddr().(*net.TCPAddr).AddrPort()
	m.probes.Store(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), true)
	return &probe{c, m}, nil
}

type probe struct {
	net.Conn
	m *Monitor
}

func (p *probe) Close() error {
	at := p.LocalAddr().(*net.TCPAddr).AddrPort()
	p.m.probes.Delete(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	return p.Conn.Close()
}

// reachable is an address to connect to, where the gateway listens at all of them too.
func reachable(at netip.AddrPort) string {
	ip := at.Addr()
	if ip.IsUnspecified() {
		ip = netip.IPv6Loopback()
		if at.Addr().Is4() {
			ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	return netip.AddrPortFrom(ip, at.Port()).String()
}

// Close ends the watch.
func (m *Monitor) Close() error {
	m.mu.Lock()
	m.cancel()
	m.mu.Unlock()
	m.running.Wait()
	return m.log.Close()
}
