package trial

import (
	"sync"
	"time"
)

// Clock is a clock that tests turn. Its zero value goes with the machine's.
type Clock struct {
	mu  sync.Mutex
	off time.Duration
}

// Now is what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

// Pass turns the clock on, or back.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}
