package daemon

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"sealgate/appliance/audit"
	"sealgate/daemon/errand"
)

// written is the event of what a request to the REST API did.
const written audit.Event = "write"

// The audit log forgets its oldest records, so a role that was taken over must not be
// able to push them out: beyond so many writes they are only counted. The history of the
// configuration has each that changed it.
const (
	writesAtOnce  = 40_000 // some 16 MiB of the log's 128
	writesASecond = 2      // some 64 MiB a day
	untoldEvery   = time.Minute
	toldLate      = time.Minute // after which a record's own time says too little
)

// writes say which writes get a record of their own.
type writes struct {
	keep func(...audit.Record) error
	now  func() time.Time

	mu     sync.Mutex
	spent  float64 // of writesAtOnce
	at     time.Time
	untold int64 // writes of the configuration that are only counted
	upto   int64 // the last revision of those
	others int64 // further writes, of which nothing else tells
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
			records[i] = recordOf(x, now)
		}
		if err := w.keep(records...); err != nil {
			return err
		}
	}
	w.spent += float64(n)
	w.count(list[n:])
	return nil
}

func recordOf(x errand.Write, now time.Time) audit.Record {
	note := x.Summary
	if x.Revision > 0 {
		note += fmt.Sprintf(", revision %d", x.Revision)
	}
	if at := time.UnixMilli(x.At); now.Sub(at) > toldLate {
		note += ", told late: it was at " + at.UTC().Format(time.DateTime)
	}
	return audit.Record{Event: written, User: restUser + ": " + x.User, Origin: x.Address, Words: []string{x.Method, x.Path}, Note: note}
}

// count has writes told of as a number, a while from now.
func (w *writes) count(list []errand.Write) {
	if len(list) == 0 {
		return
	}
	if w.untold+w.others == 0 {
		w.timer = time.AfterFunc(untoldEvery, w.flush)
	}
	for _, x := range list {
		if x.Revision == 0 {
			w.others++
			continue
		}
		w.untold++
		w.upto = max(w.upto, x.Revision)
	}
}

// flush keeps how many writes were only counted.
func (w *writes) flush() {
	w.mu.Lock()
	n, upto, others := w.untold, w.upto, w.others
	w.untold, w.upto, w.others = 0, 0, 0
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	var notes []string
	if n > 0 {
		notes = append(notes, fmt.Sprintf("and %d more writes up to revision %d: impctl server history shows each", n, upto))
	}
	if others > 0 {
		notes = append(notes, fmt.Sprintf("and %d more that did not change the configuration", others))
	}
	if len(notes) == 0 {
		return
	}
	note := strings.Join(notes, "; ")
	_ = w.keep(audit.Record{Event: written, User: restUser, Note: note}) // it is logged there
}

// Wrote keeps records of what requests to the REST API did.
func (e *errands) Wrote(list []errand.Write) error { return e.writes.take(list) }
