package event

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"sealgate/appliance/store"
)

// Codes of a gateway's system events.
const (
	Started      = "gateway-started"
	Stopped      = "gateway-stopped"
	Drained      = "gateway-drained"
	Restarting   = "gateway-restarting"
	KeysRenewed  = "keys-renewed"
	Connected    = "management-server-connected"
	Disconnected = "management-server-lost"
	Taken        = "configuration-taken"
	Refused      = "configuration-refused"
	ServerDown   = "server-down"
	ServerUp     = "server-up"
	Dropped      = "events-dropped"
)

// Severities of system events.
const (
	Informative = "informative"
	Low         = "low"
	Medium      = "medium"
	High        = "high"
)

// Of each code at most burst system events go into the spool at once, and one more
// every oneEvery: a MiB a day, beside 256 MiB for violations.
const (
	burst    = 60
	oneEvery = time.Minute
	maxText  = 400 // bytes
)

// Tell takes a system event. Those of a code that come too fast are counted, and the
// next one that does not says how many they were.
func (l *Log) Tell(severity, code, format string, args ...any) {
	now := time.Now()
	ok, missed := l.pacing.take(code, now)
	if !ok {
		return
	}
	text := fmt.Sprintf(format, args...)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	if missed > 0 {
		text += fmt.Sprintf(" (%d more such events came too fast and were left out)", missed)
	}
	l.keep(Record{Kind: System, System: &store.SystemEvent{ID: rand.Text(), Time: now.UnixMilli(), Severity: severity, Code: code, Text: text}})
}

// pacing bounds how many events there are of each code in a while.
type pacing struct {
	mu    sync.Mutex
	paces map[string]*pace
}

type pace struct {
	used   int       // of the burst
	since  time.Time // when it was reckoned
	missed int
}

// take says whether there is room for one more, and how many there was none for before.
func (p *pacing) take(code string, now time.Time) (ok bool, missed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.paces[code]
	if c == nil {
		c = &pace{since: now}
		p.paces[code] = c
	}
	if back := int(now.Sub(c.since) / oneEvery); back > 0 {
		c.used, c.since = max(c.used-back, 0), now
	}
	if c.used >= burst {
		c.missed++
		return false, 0
	}
	c.used++
	missed, c.missed = c.missed, 0
	return true, missed
}

// lossesEvery is how often losses are told of.
const lossesEvery = time.Minute

// TellLosses tells of events that the spool dropped since it told of some last. It is
// called again and again.
func (l *Log) TellLosses() {
	dropped := int64(l.spool.Stats().Dropped)
	if now := time.Now(); dropped > l.toldLosses && now.Sub(l.lossesTold) >= lossesEvery {
		l.Tell(High, Dropped, "%d events were lost, %d since the gateway started: the spool is full, or its disk", dropped-l.toldLosses, dropped)
		l.toldLosses, l.lossesTold = dropped, now
	}
}
