package transfer

import (
	"sync"
	"time"
)

// reportEvery keeps progress from costing more than the transfer.
const reportEvery = 100 * time.Millisecond

// meter counts what was handed to the network and reports it now and then. Its methods may be called from any
// goroutine; the reports never overlap.
type meter struct {
	report func(int64) // may be nil

	mu       sync.Mutex
	sent     int64
	last     time.Time
	finished bool
}

func (m *meter) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent += int64(n)
	if m.report == nil || m.finished {
		return
	}
	if now := time.Now(); now.Sub(m.last) >= reportEvery {
		m.last = now
		m.report(m.sent)
	}
}

func (m *meter) restart(from int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = from
}

// finish makes the last report and returns the count.
func (m *meter) finish() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.report != nil && !m.finished {
		m.report(m.sent)
	}
	m.finished = true
	return m.sent
}
