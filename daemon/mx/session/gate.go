package session

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// How attempts are held up. What counts is the pair of name and address, so that
// nobody who fails elsewhere locks out an administrator, and the address, so that
// nobody tries many names.
const (
	freePair    = 3  // failures of a pair that cost nothing, because people mistype
	freeAddress = 20 // failures of an address, with whatever names
	firstHold   = time.Second
	longestPair = 5 * time.Minute
	longestAddr = 30 * time.Second
	forgetAfter = time.Hour      // without a failure
	trustFor    = 24 * time.Hour // since a pair's last success its address holds it up no more
	maxRecords  = 8192           // pairs and addresses; the one that rested longest is forgotten
)

// How many attempts wait at a time.
const (
	waitPair    = 4
	waitAddress = 16
	waitUnknown = 128 // pairs that never succeeded
	waitTrusted = 64
)

// heldError means that an attempt was not looked at.
type heldError struct {
	wait time.Duration // 0: too many wait
}

func (e heldError) Error() string {
	if e.wait == 0 {
		return "too many logins are under way, try again in a few seconds"
	}
	return fmt.Sprintf("too many logins have failed, try again in %d seconds", max(1, int(e.wait.Round(time.Second)/time.Second)))
}

// key is the SHA-256 of a pair or of an address, whose length strangers choose.
type key [sha256.Size]byte

// record is what is remembered of a pair or of an address.
type record struct {
	failures  int
	until     time.Time // attempts before are refused
	touched   time.Time
	succeeded time.Time
	waiting   int
}

// gate lets attempts through. Pairs that have succeeded before pass by the queue of
// the others, so a flood costs them the time of two hashes.
type gate struct {
	now     func() time.Time
	unknown chan struct{} // held by the one unknown pair that is looked at

	mu      sync.Mutex
	records map[key]*record
	waiting map[bool]int // by whether the pair is trusted
	held    int          // attempts refused since the last that was looked at
}

func newGate(now func() time.Time) *gate {
	return &gate{now: now, unknown: make(chan struct{}, 1), records: make(map[key]*record), waiting: make(map[bool]int)}
}

// visit is one attempt under way.
type visit struct {
	pair, address *record
	trusted       bool
}

// attempt calls check when its turn has come, and remembers what it said. held is
// how many attempts were refused since the last one that was not.
func (g *gate) attempt(ctx context.Context, name string, from netip.Addr, check func() (bool, error)) (ok bool, held int, err error) {
	v, err := g.enter(name, from)
	if err != nil {
		return false, 0, err
	}
	defer g.leave(v)
	if !v.trusted {
		select {
		case g.unknown <- struct{}{}:
			defer func() { <-g.unknown }()
		case <-ctx.Done():
			return false, 0, ctx.Err()
		}
	}
	// Others of the pair may have failed meanwhile.
	if wait := g.wait(v); wait > 0 {
		return false, 0, heldError{wait}
	}
	if ok, err = check(); err != nil {
		return false, 0, err
	}
	return ok, g.judge(v, ok), nil
}

// enter makes records of an attempt only when it lets it in: what is refused must
// not push out what others are remembered by.
func (g *gate) enter(name string, from netip.Addr) (visit, error) {
	address := keyOf("address", network(from))
	pair := keyOf("pair", network(from)+"\x00"+name)
	g.mu.Lock()
	defer g.mu.Unlock()
	v := visit{pair: g.look(pair), address: g.look(address)}
	v.trusted = !v.pair.succeeded.IsZero() && g.now().Sub(v.pair.succeeded) < trustFor
	most := waitUnknown
	if v.trusted {
		most = waitTrusted
	}
	wait := v.until().Sub(g.now())
	switch {
	case wait > 0:
		g.held++
		return visit{}, heldError{wait}
	case v.pair.waiting >= waitPair, !v.trusted && v.address.waiting >= waitAddress, g.waiting[v.trusted] >= most:
		g.held++
		return visit{}, heldError{}
	}
	v.pair.waiting++
	v.address.waiting++
	g.waiting[v.trusted]++
	g.keep(pair, v.pair)
	g.keep(address, v.address)
	return v, nil
}

func (g *gate) leave(v visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v.pair.waiting--
	v.address.waiting--
	g.waiting[v.trusted]--
}

// until is when the visit may be looked at.
func (v visit) until() time.Time {
	if v.trusted || v.pair.until.After(v.address.until) {
		return v.pair.until
	}
	return v.address.until
}

func (g *gate) wait(v visit) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return v.until().Sub(g.now())
}

func (g *gate) judge(v visit, ok bool) (held int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if ok {
		// The address keeps its failures: who has one account must not try others free.
		v.pair.failures, v.pair.succeeded, v.pair.touched = 0, now, now
	} else {
		v.pair.fail(now, freePair, longestPair)
		v.address.fail(now, freeAddress, longestAddr)
	}
	held, g.held = g.held, 0
	return held
}

func (r *record) fail(now time.Time, free int, longest time.Duration) {
	if now.Sub(r.touched) > forgetAfter {
		r.failures = 0
	}
	r.failures++
	r.touched = now
	if r.failures <= free {
		return
	}
	hold := longest
	if n := r.failures - free - 1; n < 16 {
		hold = min(longest, firstHold<<n)
	}
	r.until = now.Add(hold)
}

func keyOf(kind, what string) key { return sha256.Sum256([]byte(kind + "\x00" + what)) }

// look is the record of a pair or an address, a fresh one if there is none.
func (g *gate) look(k key) *record {
	if r := g.records[k]; r != nil {
		return r
	}
	return &record{touched: g.now()}
}

func (g *gate) keep(k key, r *record) {
	if g.records[k] == nil && len(g.records) >= maxRecords {
		g.forget()
	}
	g.records[k] = r
}

// forget makes room for one record. One that somebody waits at is kept, so there
// may be more by the attempts that wait, which are bounded.
func (g *gate) forget() {
	var oldest key
	var when time.Time
	for k, r := range g.records {
		if r.waiting == 0 && (when.IsZero() || r.touched.Before(when)) {
			oldest, when = k, r.touched
		}
	}
	delete(g.records, oldest)
}

// network is what counts as one address: that of IPv4, 64 bits of IPv6, whose rest
// is for its owner to choose.
func network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
