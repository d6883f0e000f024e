package shell

import (
	"context"
	"errors"
	"strings"
	"sync"

	"sealgate/control"
)

// collector keeps the text of a quick answer instead of showing it, so an
// answer that comes too late is never seen.
type collector struct {
	mu   sync.Mutex
	text strings.Builder
}

const maxCollected = 256 << 10

func (c *collector) Text(_ control.Stream, s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text.Len()+len(s) <= maxCollected {
		c.text.WriteString(s)
	}
}

func (c *collector) Progress(control.Progress) {}

func (c *collector) Ask(context.Context, control.Question) (string, error) {
	return "", errors.New("nothing can be asked here")
}

func (c *collector) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}
