// Package guard holds up those who try secrets: attempts at one name come one
// after the other, and wait longer after each failure. It keeps its memory
// bounded, and forgets everything when the process ends.
package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// How attempts are held up. The first failures are free, because people mistype.
const (
	freeFailures = 2
	firstDelay   = 250 * time.Millisecond
	maxDelay     = 4 * time.Second
	maxWaiting   = 8    // attempts at one name; more are refused at once
	maxNames     = 4096 // names remembered; the one that rested longest is forgotten
)

// ErrBusy means that too many attempts at one name are waiting.
var ErrBusy = errors.New("too many attempts, try again in a few seconds")

// Guard spaces the attempts at each name after failures. The zero value is ready.
type Guard struct {
	mu    sync.Mutex
	names map[string]*attempts
}

// attempts is what is remembered of one name.
type attempts struct {
	turn     chan struct{} // one attempt at a time, so failures are counted in order
	waiting  int           // guarded by Guard.mu, as are the following
	failures int
	rested   time.Time // when the next attempt may be made
}

// Attempt calls try when name's turn has come, and remembers what it said.
func (g *Guard) Attempt(ctx context.Context, name string, try func() (bool, error)) (bool, error) {
	a, err := g.enter(name)
	if err != nil {
		return false, err
	}
	defer g.leave(a)
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if err := rest(ctx, g.until(a)); err != nil {
		return false, err
	}
	ok, err := try()
	if err != nil {
		return false, err
	}
	g.remember(a, ok)
	return ok, nil
}

func (g *Guard) enter(name string) (*attempts, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.names[name]
	if a == nil {
		if g.names == nil {
			g.names = make(map[string]*attempts)
		}
		if len(g.names) >= maxNames {
			g.forget()
		}
		a = &attempts{turn: make(chan struct{}, 1)}
		g.names[name] = a
	}
	if a.waiting >= maxWaiting {
		return nil, fmt.Errorf("%w: %d are waiting", ErrBusy, a.waiting)
	}
	a.waiting++
	return a, nil
}

// forget makes room for one name, with g.mu held. A name that somebody waits at
// is kept, so the map may exceed its bound by the attempts in flight, which are
// bounded by the callers.
func (g *Guard) forget() {
	var oldest string
	var when time.Time
	found := false
	for name, a := range g.names {
		if a.waiting == 0 && (!found || a.rested.Before(when)) {
			oldest, when, found = name, a.rested, true
		}
	}
	if found {
		delete(g.names, oldest)
	}
}

func (g *Guard) leave(a *attempts) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a.waiting--
}

func (g *Guard) until(a *attempts) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return a.rested
}

func (g *Guard) remember(a *attempts, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if ok {
		a.failures, a.rested = 0, now
		return
	}
	a.failures++
	a.rested = now.Add(delay(a.failures))
}

// delay doubles with each failure after the free ones, up to maxDelay.
func delay(failures int) time.Duration {
	d := time.Duration(0)
	for i := freeFailures; i < failures && d < maxDelay; i++ {
		d = max(firstDelay, 2*d)
	}
	return min(d, maxDelay)
}

func rest(ctx context.Context, until time.Time) error {
	d := time.Until(until)
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
