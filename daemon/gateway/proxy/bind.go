package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
)

// Unbound is an address of the configuration where the proxy does not listen.
type Unbound struct {
	Address netip.AddrPort
	Service string // the web service that is not reached there
	Reason  string
}

// unbound is what waits for an address.
type unbound struct {
	binding *binding
	reason  string
}

// listen listens at the addresses of bindings that are new, with p.mu held.
func (p *Proxy) listen(bindings map[netip.AddrPort]*binding, doubled []Unbound) {
	before := p.unbound
	p.unbound, p.doubled = make(map[netip.AddrPort]unbound), doubled
	limits := p.config.Load().limits
	for at, b := range bindings {
		if p.listeners[at] != nil {
			continue
		}
		ln, err := p.o.Listen(at)
		if err != nil {
			p.unbound[at] = unbound{b, reasonOf(err)}
			if before[at].reason != p.unbound[at].reason {
				p.o.Log.Error("the gateway cannot listen and tries again", "address", at.String(), "web_service", b.service.Name, "error", err.Error())
			}
			continue
		}
		if _, waited := before[at]; waited {
			p.o.Log.Info("the gateway listens", "address", at.String(), "web_service", b.service.Name)
		}
		l := p.newListener(at, ln)
		l.use(b, limits)
		p.listeners[at] = l
		p.serving.Go(l.serve)
	}
}

// reasonOf is why an address could not be listened at, less the address.
func reasonOf(err error) string {
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Err.Error()
	}
	return err.Error()
}

// ListenAgain tries the addresses where the proxy does not listen. It says whether that
// changed anything.
func (p *Proxy) ListenAgain() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.unbound) == 0 {
		return false
	}
	before := p.unbound
	bindings := make(map[netip.AddrPort]*binding, len(before))
	for at, u := range before {
		bindings[at] = u.binding
	}
	p.listen(bindings, p.doubled)
	return !maps.Equal(before, p.unbound)
}

// Unbound are the addresses of the configuration where the proxy does not listen.
func (p *Proxy) Unbound() []Unbound {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := slices.Clone(p.doubled)
	for at, u := range p.unbound {
		list = append(list, Unbound{at, u.binding.service.Name, u.reason})
	}
	slices.SortFunc(list, func(a, b Unbound) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Service, b.Service))
	})
	return list
}

func (u Unbound) String() string {
	return fmt.Sprintf("%s of web service %q: %s", u.Address, u.Service, u.Reason)
}
