package waf

import (
	"container/list"
	"fmt"
	"sync"
	"time"
)

// Memory is what engines remember of clients: how often they did what, and whom
// an alert was raised for. It outlives changes of the configuration, and
// forgets those who were away longest when it is full.
type Memory struct {
	now func() time.Time // of tests, too

	mu      sync.Mutex
	entries map[string]*list.Element
	order   list.List // the most recent first
}

// remembered is how many clients, of all policies together, a Memory holds.
const remembered = 50_000

// longest is the most occurrences that one entry holds.
const longest = 1000

// NewMemory returns an empty memory.
func NewMemory() *Memory { return &Memory{now: time.Now, entries: map[string]*list.Element{}} }

type entry struct {
	key   string
	times []time.Time // ascending
}

// count notes an occurrence and says how many there were within a time.
func (m *Memory) count(key string, within time.Duration) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.get(key)
	now := m.now()
	from := 0
	for from < len(e.times) && now.Sub(e.times[from]) >= within {
		from++
	}
	e.times = append(e.times[from:], now)
	if len(e.times) > longest {
		e.times = e.times[1:]
	}
	return len(e.times)
}

// first says whether a key comes for the first time within a time.
func (m *Memory) first(key string, within time.Duration) bool { return m.count(key, within) == 1 }

func (m *Memory) get(key string) *entry {
	if found, ok := m.entries[key]; ok {
		m.order.MoveToFront(found)
		return found.Value.(*entry)
	}
	if m.order.Len() >= remembered {
		oldest := m.order.Back()
		delete(m.entries, oldest.Value.(*entry).key)
		m.order.Remove(oldest)
	}
	e := &entry{key: key}
	m.entries[key] = m.order.PushFront(e)
	return e
}

// contexts are whom occurrences are counted for.
var contexts = map[string]func(*view) string{
	"":        (*view).client,
	"ip":      (*view).client,
	"session": (*view).session,
	"url":     (*view).path,
	"site":    func(*view) string { return "" },
}

func makeOccurrences(k *compiler, c Criterion) (criterion, error) {
	whose, ok := contexts[c.Context]
	if !ok {
		return criterion{}, fmt.Errorf("context %q: %w", c.Context, ErrUnsupported)
	}
	if c.NumTimes < 1 || c.NumTimes > longest {
		return criterion{}, fmt.Errorf("numTimes %d is not between 1 and %d", c.NumTimes, longest)
	}
	if c.WithinSeconds < 5 || c.WithinSeconds%5 != 0 {
		return criterion{}, fmt.Errorf("withinSeconds %d is no multiple of 5", c.WithinSeconds)
	}
	within, policy := time.Duration(c.WithinSeconds)*time.Second, k.policy
	return criterion{counts: true, holds: func(v *view) bool {
		key := "count\x00" + v.where() + "\x00" + policy + "\x00" + c.Context + "\x00" + whose(v)
		return k.memory.count(key, within) >= c.NumTimes
	}}, nil
}
