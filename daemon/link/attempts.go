package link

import (
	"net/netip"
	"sync"
	"time"
)

// How wrong guesses are held up. The first ones are free, because people mistype.
const (
	freeAttempts = 2
	firstWait    = time.Second
	longestWait  = 5 * time.Minute
	forgetAfter  = time.Hour // longer than any wait: it gives no more guesses
	maxAddresses = 4096      // remembered; the one that rested longest is forgotten
)

// attempts holds up addresses from which wrong guesses came. Right ones cost nothing.
type attempts struct {
	now func() time.Time

	mu   sync.Mutex
	from map[netip.Prefix]*attempt
}

type attempt struct {
	failures int
	until    time.Time
}

// network is what counts as one address: who has an IPv6 address has 2^64 of them.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// wait is how long an address has to wait.
func (a *attempts) wait(address netip.Addr) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.from[network(address)]; f != nil {
		return max(0, f.until.Sub(a.now()))
	}
	return 0
}

// failed counts a wrong guess.
func (a *attempts) failed(address netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.from == nil {
		a.from = make(map[netip.Prefix]*attempt)
	}
	f := a.from[network(address)]
	if f == nil {
		if len(a.from) >= maxAddresses {
			a.forget()
		}
		f = new(attempt)
		a.from[network(address)] = f
	}
	if a.now().Sub(f.until) > forgetAfter {
		f.failures = 0
	}
	f.failures++
	wait := time.Duration(0)
	for i := freeAttempts; i < f.failures && wait < longestWait; i++ {
		wait = max(firstWait, 2*wait)
	}
	f.until = a.now().Add(min(wait, longestWait))
}

// forget makes room for one address, with a.mu held.
func (a *attempts) forget() {
	var oldest netip.Prefix
	for p, f := range a.from {
		if !oldest.IsValid() || f.until.Before(a.from[oldest].until) {
			oldest = p
		}
	}
	delete(a.from, oldest)
}
