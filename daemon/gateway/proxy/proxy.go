// Package proxy is the gateway's reverse proxy: it listens where inbound rules say,
// has requests judged by package waf, and sends them where outbound rules say.
//
// It promises that a change of configuration loses no request, that a request is
// forwarded framed anew and with its target byte by byte as it was judged, that what
// a client may use of memory, time and connections is bounded, and that a panic in a
// rule costs that request alone. It decides whether a verdict is carried out, which
// the operation mode says; what a verdict is, is the engine's.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/access"
	"sealgate/daemon/gateway/metrics"
	"sealgate/daemon/gateway/waf"
)

// Options are what a proxy works with. Those that are nil are left out.
type Options struct {
	Gateway  string // this gateway's name
	Log      *slog.Logger
	Registry *metrics.Registry
	Resolver Resolver
	// Engine makes the judge of a web service.
	Engine func(*model.Snapshot, *model.SnapshotService) (waf.Engine, error)
	// Event takes a violation, masked, with the actions of its action set.
	Event func(v *store.Violation, followed []model.Action)
	// Listen opens an address.
	Listen func(netip.AddrPort) (net.Listener, error)
	// Watched says whether somebody wants to hear of requests with this path, and Saw
	// tells how one ended.
	Watched func(target string) bool
	Saw     func(Seen)
	// Server tells that a server does not answer, and why; nil: that it answers again.
	Server func(address string, failure error)
	// Access takes requests.
	Access *access.Log
}

// Seen is how a watched request ended.
type Seen struct {
	Target         string
	Client, Server netip.AddrPort // of the path's two ends; Server is zero when none was reached
	Gateway        netip.AddrPort // where the client came in
	Status         int            // 0: no answer came
}

// Proxy is a running proxy.
type Proxy struct {
	o       Options
	metrics counters

	mu        sync.Mutex // of Apply and Shutdown
	listeners map[netip.AddrPort]*listener
	upstreams map[string]*upstream
	closed    bool
	serving   sync.WaitGroup
	ctx       context.Context // ends with the proxy
	cancel    context.CancelFunc

	config   atomic.Pointer[config]
	clients  clients
	blocks   blocks
	held     atomic.Int64 // bytes of bodies that wait for a verdict
	snippets *waf.Memory  // of whom got which snippet
}

// config is what holds for all web services of a snapshot.
type config struct {
	revision   int64
	group      model.SnapshotGroup
	limits     limits
	failClosed bool
	actions    map[string]model.ActionSetSettings
}

// New makes a proxy that listens nowhere.
func New(o Options) *Proxy {
	if o.Listen == nil {
		o.Listen = listenTCP
	}
	if o.Resolver == (Resolver{}) {
		o.Resolver = SystemResolver
	}
	if o.Registry == nil {
		o.Registry = new(metrics.Registry)
	}
	if o.Event == nil {
		o.Event = func(*store.Violation, []model.Action) {}
	}
	if o.Server == nil {
		o.Server = func(string, error) {}
	}
	p := &Proxy{o: o, listeners: make(map[netip.AddrPort]*listener), snippets: waf.NewMemory()}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.clients.perAddress = make(map[netip.Addr]int)
	p.metrics = newCounters(p)
	return p
}

func listenTCP(at netip.AddrPort) (net.Listener, error) { return net.Listen("tcp", at.String()) }

// Apply makes a snapshot the configuration, whole or not at all: requests that are
// under way end under the old one. An error names all that stands against it.
func (p *Proxy) Apply(s *model.Snapshot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("the gateway stops")
	}
	built, err := p.compile(s)
	if err != nil {
		return err
	}
	opened, err := p.open(built.bindings)
	if err != nil {
		return err
	}
	p.config.Store(built.config)
	maps.Copy(p.listeners, opened)
	for at, l := range p.listeners {
		l.use(built.bindings[at], built.config.limits)
		if built.bindings[at] == nil {
			delete(p.listeners, at)
			l.retire()
		}
	}
	for _, l := range opened {
		p.serving.Go(l.serve)
	}
	for key, u := range p.upstreams {
		if built.upstreams[key] == nil {
			u.close()
		}
	}
	p.upstreams = built.upstreams
	return nil
}

// open listens at the addresses that are new. On an error none of them is open.
func (p *Proxy) open(bindings map[netip.AddrPort]*binding) (map[netip.AddrPort]*listener, error) {
	opened := make(map[netip.AddrPort]*listener)
	var errs []error
	for at, b := range bindings {
		if p.listeners[at] != nil {
			continue
		}
		ln, err := p.o.Listen(at)
		if err != nil {
			errs = append(errs, fmt.Errorf("listen for the web service %q: %w", b.service.Name, err))
			continue
		}
		opened[at] = p.newListener(at, ln)
	}
	if len(errs) > 0 {
		for _, l := range opened {
			l.ln.Close()
		}
		return nil, errors.Join(errs...)
	}
	return opened, nil
}

// Addresses are where the proxy listens, and whether it speaks TLS there.
func (p *Proxy) Addresses() map[netip.AddrPort]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[netip.AddrPort]bool, len(p.listeners))
	for _, l := range p.listeners {
		b := l.binding.Load()
		all[l.at] = b != nil && b.tls != nil
	}
	return all
}

// Revision is that of the configuration; 0: there is none.
func (p *Proxy) Revision() int64 {
	if c := p.config.Load(); c != nil {
		return c.revision
	}
	return 0
}

// Shutdown takes no more connections, lets requests end until ctx does, and cuts the
// rest.
func (p *Proxy) Shutdown(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	listeners := p.listeners
	p.listeners = nil
	p.mu.Unlock()
	var draining sync.WaitGroup
	for _, l := range listeners {
		draining.Go(func() { l.shutdown(ctx) })
	}
	draining.Wait()
	p.cancel()
	p.serving.Wait()
	for _, u := range p.upstreams {
		u.close()
	}
}
