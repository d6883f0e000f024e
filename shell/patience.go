package shell

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// patience is how long the prompt waits for a key. Only waiting counts: a
// command may run as long as it likes.
type patience struct {
	keys  func(context.Context) (key, error)
	warn  func(string)
	spent func() // the session must end

	mu    sync.Mutex
	limit time.Duration // 0: for ever
}

var errIdle = errors.New("nobody is at the terminal")

// warnBefore is how long before the end a person is warned.
const warnBefore = time.Minute

func (p *patience) set(limit time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = limit
}

// next waits for one key. Without one it warns, and then calls spent.
func (p *patience) next(ctx context.Context) (key, error) {
	p.mu.Lock()
	limit := p.limit
	p.mu.Unlock()
	if limit == 0 {
		return p.keys(ctx)
	}
	last := min(warnBefore, limit/2)
	if k, err := p.within(ctx, limit-last); err != errIdle {
		return k, err
	}
	p.warn(fmt.Sprintf("this session is idle: it ends in %s unless a key is pressed", spoken(last)))
	k, err := p.within(ctx, last)
	if err == errIdle {
		p.warn(fmt.Sprintf("this session was idle for %s and ends", spoken(limit)))
		p.spent()
	}
	return k, err
}

func (p *patience) within(ctx context.Context, d time.Duration) (key, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d, errIdle)
	defer cancel()
	return p.keys(ctx)
}

// spoken is a duration in the largest unit that says it exactly.
func spoken(d time.Duration) string {
	n, unit := int(d/time.Second), "second"
	if n > 0 && n%60 == 0 {
		n, unit = n/60, "minute"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}
