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
	held    int       // occurrences, of all entries
}

const (
	// remembered is how many clients, of all policies together, a Memory holds,
	remembered = 50_000
	// occurrences is how many times of theirs, of eight bytes each, and
	occurrences = 1_000_000
	// longest the most of one.
	longest = 1000
)

// NewMemory returns an empty memory.
func NewMemory() *Memory { return &Memory{now: time.Now, entries: map[string]*list.Element{}} }

type entry struct {
	key   string
	times []int64 // in milliseconds, ascending
}

// count notes an occurrence and says how many there were within a time, up to most.
func (m *Memory) count(key string, within time.Duration, most int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.get(key)
	before := len(e.times)
	now := m.now().UnixMilli()
	from := max(0, before+1-most)
	for from < before && now-e.times[from] >= within.Milliseconds() {
		from++
	}
	e.times = append(e.times[:0], e.times[from:]...)
	e.times = append(e.times, now)
	m.held += len(e.times) - before
	for m.order.Len() > remembered || m.held > occurrences {
		m.forget()
	}
	return len(e.times)
}

// First says whether a key comes for the first time within a time.
func (m *Memory) First(key string, within time.Duration) bool { return m.count(key, within, 2) == 1 }

func (m *Memory) get(key string) *entry {
	if found, ok := m.entries[key]; ok {
		m.order.MoveToFront(found)
		return found.Value.(*entry)
	}
	e := &entry{key: key}
	m.entries[key] = m.order.PushFront(e)
	return e
}

func (m *Memory) forget() {
	e := m.order.Remove(m.order.Back()).(*entry)
	delete(m.entries, e.key)
	m.held -= len(e.times)
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
	within := time.Duration(c.WithinSeconds) * time.Second
	k.counts++
	counter := fmt.Sprintf("%s\x00%d\x00%s", k.policy, k.counts, c.Context)
	this := &c
	return criterion{counts: true, holds: func(v *view) bool {
		enough, known := v.counted[this]
		if !known {
			key := "count\x00" + v.where() + "\x00" + counter + "\x00" + whose(v)
			enough = k.memory.count(key, within, c.NumTimes) >= c.NumTimes
			v.counted[this] = enough
		}
		return enough
	}}, nil
}
