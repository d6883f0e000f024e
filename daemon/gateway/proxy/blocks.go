package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// blocks are who is kept out for a time, by server group: addresses and sessions
// that followed actions named.
type blocks struct {
	some atomic.Bool // false: nobody is
	mu   sync.RWMutex
	till map[blocked]time.Time
}

type blocked struct{ group, who string }

// maxBlocks bounds memory. When there are more, those that end first go.
const maxBlocks = 100_000

func (b *blocks) add(group, who string, length time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.till == nil {
		b.till = make(map[blocked]time.Time)
	}
	if len(b.till) >= maxBlocks {
		b.makeRoom()
	}
	key, end := blocked{group, who}, time.Now().Add(length)
	if b.till[key].Before(end) {
		b.till[key] = end
	}
	b.some.Store(true)
}

// makeRoom drops what has ended, and otherwise one of many that ends early.
func (b *blocks) makeRoom() {
	now := time.Now()
	var first blocked
	looked := 0
	for key, end := range b.till {
		if end.Before(now) {
			delete(b.till, key)
			continue
		}
		if looked == 0 || end.Before(b.till[first]) {
			first = key
		}
		if looked++; looked == 100 {
			break
		}
	}
	if len(b.till) >= maxBlocks {
		delete(b.till, first)
	}
}

func (b *blocks) has(group, who string) bool {
	if who == "" || !b.some.Load() {
		return false
	}
	b.mu.RLock()
	end, ok := b.till[blocked{group, who}]
	b.mu.RUnlock()
	if !ok {
		return false
	}
	if time.Now().Before(end) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if end := b.till[blocked{group, who}]; !time.Now().Before(end) {
		delete(b.till, blocked{group, who})
	}
	b.some.Store(len(b.till) > 0)
	return false
}

// hasAddress is has without making a name of the address while nobody is blocked.
func (b *blocks) hasAddress(group string, ip netip.Addr) bool {
	return b.some.Load() && b.has(group, ip.String())
}
