package daemon

import (
	"fmt"
	"sync"
	"time"

	"sealgate/appliance/audit"
	"sealgate/daemon/errand"
)

// written is the event of what a request to the REST API did.
const written audit.Event = "write"

// The audit log forgets its oldest records, so a role that was taken over must not be
// able to push them out: beyond so many writes they are only counted. The history of the
// configuration has each.
const (
	writesAtOnce  = 40_000 // some 16 MiB of the log's 128
	writesASecond = 2      // some 64 MiB a day
	untoldEvery   = time.Minute
)

// writes say which writes get a record of their own.
type writes struct {
	keep func(...audit.Record) error
	now  func() time.Time

	mu     sync.Mutex
	spent  float64 // of writesAtOnce
	at     time.Time
	untold int64
	upto   int64 // the last revision of those
	timer  *time.Timer
}

// take keeps records of a list, as far as they are affordable, and counts the rest. After
// an error it has done nothing.
func (w *writes) take(list []errand.Write) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	w.spent = max(0, w.spent-now.Sub(w.at).Seconds()*writesASecond)
	w.at = now
	n := min(len(list), int(writesAtOnce-w.spent))
	if n > 0 {
		records := make([]audit.Record, n)
		for i, x := range list[:n] {
			records[i] = recordOf(x)
		}
		if err := w.keep(records...); err != nil {
			return err
		}
	}
	w.spent += float64(n)
	w.count(list[n:])
	return nil
}

func recordOf(x errand.Write) audit.Record {
	note := x.Summary
	if x.Revision > 0 {
		note += fmt.Sprintf(", revision %d", x.Revision)
	}
	return audit.Record{Event: written, User: restUser + ": " + x.User, Origin: x.Address, Words: []string{x.Method, x.Path}, Note: note}
}

// count has writes told of as a number, a while from now.
func (w *writes) count(list []errand.Write) {
	if len(list) == 0 {
		return
	}
	if w.untold == 0 {
		w.timer = time.AfterFunc(untoldEvery, w.flush)
	}
	w.untold += int64(len(list))
	for _, x := range list {
		w.upto = max(w.upto, x.Revision)
	}
}

// flush keeps how many writes were only counted.
func (w *writes) flush() {
	w.mu.Lock()
	n, upto := w.untold, w.upto
	w.untold, w.upto = 0, 0
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	if n == 0 {
		return
	}
	note := fmt.Sprintf("and %d more writes: impctl server history shows each", n)
	if upto > 0 {
		note += fmt.Sprintf(", up to revision %d", upto)
	}
	_ = w.keep(audit.Record{Event: written, User: restUser, Note: note}) // it is logged there
}

// Wrote keeps records of what requests to the REST API did.
func (e *errands) Wrote(list []errand.Write) error { return e.writes.take(list) }
