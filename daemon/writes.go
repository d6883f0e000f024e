package daemon

import (
	"fmt"
	"sync"
	"time"

	"sealgate/appliance/audit"
	"sealgate/daemon/errand"
)

// written is the event of a write that the REST API committed.
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

// take is the records for a list, as far as they are affordable.
func (w *writes) take(list []errand.Write, untold int64) []audit.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	w.spent = max(0, w.spent-now.Sub(w.at).Seconds()*writesASecond)
	w.at = now
	n := min(len(list), int(writesAtOnce-w.spent))
	w.spent += float64(n)
	records := make([]audit.Record, n)
	for i, x := range list[:n] {
		records[i] = audit.Record{
			Event: written, User: restUser + ": " + x.User, Origin: x.Address, Words: []string{x.Method, x.Path},
			Note: fmt.Sprintf("%s, revision %d", x.Summary, x.Revision),
		}
	}
	w.count(untold)
	for _, x := range list[n:] {
		w.count(1)
		w.upto = max(w.upto, x.Revision)
	}
	return records
}

// count has writes told of as a number, a while from now.
func (w *writes) count(n int64) {
	if n == 0 {
		return
	}
	if w.untold == 0 {
		w.timer = time.AfterFunc(untoldEvery, w.flush)
	}
	w.untold += n
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

// Wrote keeps records of what the REST API has committed. What cannot be kept is
// counted.
func (e *errands) Wrote(list []errand.Write, untold int64) error {
	records := e.writes.take(list, untold)
	if len(records) == 0 {
		return nil
	}
	err := e.keep(records...)
	if err != nil {
		e.writes.mu.Lock()
		defer e.writes.mu.Unlock()
		e.writes.count(int64(len(records)))
	}
	return err
}
