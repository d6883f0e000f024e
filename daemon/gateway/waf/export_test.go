package waf

import "time"

// SetClock makes a memory live by another clock.
func (m *Memory) SetClock(now func() time.Time) { m.now = now }
