package transfer

import (
	"net"
	"sync"
)

// gatherLimit is how much waits to be written, in bytes, before a writer waits.
const gatherLimit = 256 << 10

// gathered is a connection that writes in a goroutine of its own, at once whatever came meanwhile. x/crypto/ssh writes
// each packet of 32 KiB in two pieces, and encrypts nothing while the kernel takes them.
type gathered struct {
	*eager
	mu      sync.Mutex
	changed sync.Cond
	pending []byte
	failed  error // net.ErrClosed after Close
}

func gather(c *conn) *gathered {
	g := &gathered{eager: readAhead(c)}
	g.changed.L = &g.mu
	go g.pump()
	return g
}

// Write takes all of p, or says why an earlier write failed.
func (g *gathered) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.pending) >= gatherLimit && g.failed == nil {
		g.changed.Wait()
	}
	if g.failed != nil {
		return 0, g.first(g.failed)
	}
	g.pending = append(g.pending, p...)
	g.changed.Broadcast()
	return len(p), nil
}

func (g *gathered) pump() {
	var batch []byte
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		for len(g.pending) == 0 && g.failed == nil {
			g.changed.Wait()
		}
		if g.failed != nil {
			return
		}
		batch, g.pending = g.pending, batch[:0]
		g.changed.Broadcast()
		g.mu.Unlock()
		_, err := g.conn.Write(batch)
		g.mu.Lock()
		g.fail(err)
	}
}

// fail keeps the first failure. The caller holds the lock.
func (g *gathered) fail(err error) {
	if g.failed == nil && err != nil {
		g.failed = err
		g.changed.Broadcast()
	}
}

// Close gives up what was not written yet.
func (g *gathered) Close() error {
	g.mu.Lock()
	g.fail(net.ErrClosed)
	g.mu.Unlock()
	return g.conn.Close()
}
