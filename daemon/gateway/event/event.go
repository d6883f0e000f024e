// Package event takes a gateway's violations: it puts them into the spool, for the
// management server, and sends them to the syslog servers that action sets name. System
// events, of what happens to the gateway itself, go into the spool beside them; they are
// bounded in time, so that they push out no violations.
//
// Texts were masked before they come here. Nothing waits for a syslog server: what
// one does not take in time is dropped and counted.
package event

import (
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/spool"
	"sealgate/appliance/store"
)

// Kinds of spooled records.
const (
	Violation = "violation"
	System    = "system"
)

// Record is what a record of the spool holds, as JSON.
type Record struct {
	Kind      string             `json:"kind"`
	Violation *store.Violation   `json:"violation,omitempty"` // without the numbers that the management server gives
	System    *store.SystemEvent `json:"system,omitempty"`
}

// Log takes events.
type Log struct {
	spool *spool.Spool
	log   *slog.Logger

	mu      sync.Mutex
	senders map[target]*sender
	lost    atomic.Int64
	failing atomic.Bool // the spool took the last event not
	closed  bool
	running sync.WaitGroup
	pacing  pacing

	toldLosses int64 // of TellLosses
	lossesTold time.Time
}

// New makes a log that spools into s.
func New(s *spool.Spool, log *slog.Logger) *Log {
	return &Log{spool: s, log: log, senders: make(map[target]*sender), pacing: pacing{paces: make(map[string]*pace)}}
}

// Lost is how many events neither the spool nor a syslog server took.
func (l *Log) Lost() int64 { return l.lost.Load() }

// Put takes a violation, with the actions that follow it.
func (l *Log) Put(v *store.Violation, followed []model.Action) {
	l.keep(Record{Kind: Violation, Violation: v})
	for i := range followed {
		if followed[i].Type == model.ActionSyslog {
			l.send(v, &followed[i])
		}
	}
}

func (l *Log) keep(r Record) {
	body, err := json.Marshal(r)
	if err == nil {
		_, err = l.spool.Append(body)
	}
	if err != nil {
		l.lost.Add(1)
	}
	if failing := err != nil; l.failing.Swap(failing) != failing && failing {
		l.log.Error("an event could not be kept", "error", err)
	}
}

func (l *Log) send(v *store.Violation, a *model.Action) {
	t := target{protocol: strings.ToUpper(a.Protocol), host: a.Host, port: a.Port, secondHost: a.SecondaryHost, secondPort: a.SecondaryPort}
	message := format(v, a, time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.senders[t]
	if s == nil && !l.closed && len(l.senders) < maxSenders {
		s = newSender(t, l)
		l.senders[t] = s
		l.running.Go(s.run)
	}
	if s == nil {
		l.lost.Add(1)
		return
	}
	select {
	case s.queue <- message:
	default:
		l.lost.Add(1)
	}
}

// Close sends what waits, for a moment, and closes the spool.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	for _, s := range l.senders {
		close(s.queue)
	}
	l.senders = nil
	l.mu.Unlock()
	l.running.Wait()
	return l.spool.Close()
}
