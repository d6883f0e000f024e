package waf

import "time"

// SetClock makes a memory live by another clock.
func (m *Memory) SetClock(now func() time.Time) { m.now = now }

// Count is count, and Held how many clients and occurrences there are.
func (m *Memory) Count(key string, within time.Duration, most int) int {
	return m.count(key, within, most)
}
func (m *Memory) Held() (clients, occurrences int) { return m.order.Len(), m.held }
