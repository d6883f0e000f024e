package daemon

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sealgate/appliance/audit"
	"sealgate/daemon/errand"
)

// The hole: the audit log forgets its oldest records. The attack: a role that was taken
// over tells of writes without an end. What must hold: most are only counted, each is
// counted once, and who wrote by and by is told of again.
func TestWritesDoNotFloodTheAuditLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // the timer keeps records, too
		var kept []audit.Record
		keep := func(list ...audit.Record) error {
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, list...)
			return nil
		}
		told := func() []audit.Record {
			mu.Lock()
			defer mu.Unlock()
			return kept
		}
		w := &writes{now: time.Now, keep: keep}
		const each, flood = 100, 100_000
		for n := range flood / each {
			list := make([]errand.Write, each)
			for i := range list {
				list[i] = errand.Write{At: time.Now().UnixMilli(), User: "zoe", Address: "192.0.2.7", Method: "POST", Path: "/v1/conf/sites/{siteName}", Summary: "create site x", Revision: int64(n*each + i + 1)}
			}
			if err := w.take(list); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(told()); n != writesAtOnce {
			t.Errorf("%d records", n)
		}
		first := told()[0]
		if first.User != "REST API: zoe" || first.Origin != "192.0.2.7" || strings.Join(first.Words, " ") != "POST /v1/conf/sites/{siteName}" || first.Note != "create site x, revision 1" {
			t.Errorf("the first is %+v", first)
		}
		time.Sleep(untoldEvery)
		synctest.Wait()
		if kept := told(); len(kept) != writesAtOnce+1 || kept[len(kept)-1].Note != fmt.Sprintf("and %d more writes up to revision %d: impctl server history shows each", flood-writesAtOnce, flood) {
			t.Errorf("%d records, the last %+v", len(kept), kept[len(kept)-1])
		}
		const later = int(untoldEvery/time.Second) * writesASecond
		if err := w.take(make([]errand.Write, 1000)); err != nil || len(told()) != writesAtOnce+1+later {
			t.Errorf("a minute later %d are told of, %v", len(told())-writesAtOnce-1, err)
		}
		w.flush()
		w.flush()
		if kept := told(); len(kept) != writesAtOnce+2+later || kept[len(kept)-1].Note != "and 880 more that did not change the configuration" {
			t.Errorf("%d records, the last %+v", len(kept), kept[len(kept)-1])
		}
		time.Sleep(2 * untoldEvery)
		synctest.Wait()
		if kept := told(); len(kept) != writesAtOnce+2+later {
			t.Errorf("something is counted twice: %+v", kept[len(kept)-1])
		}
	})
}

// A log that cannot be written takes nothing, and who tells again later is not told of
// as many.
func TestWritesThatAreNotKeptCostNothing(t *testing.T) {
	var kept []audit.Record
	failed := errors.New("the disk is full")
	w := &writes{now: time.Now, keep: func(list ...audit.Record) error {
		if failed == nil {
			kept = append(kept, list...)
		}
		return failed
	}}
	list := make([]errand.Write, writesAtOnce)
	for range 2 {
		if err := w.take(list); !errors.Is(err, failed) {
			t.Fatal(err)
		}
	}
	failed = nil
	if err := w.take(list); err != nil || len(kept) != writesAtOnce {
		t.Errorf("%d records, %v", len(kept), err)
	}
	if w.flush(); len(kept) != writesAtOnce {
		t.Errorf("counted too: %+v", kept[len(kept)-1])
	}
}

// A write that was told of late, because somebody was killed, says when it was.
func TestLateWritesSayWhenTheyWere(t *testing.T) {
	at := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		time.Second:   "create site x, revision 7",
		6 * time.Hour: "create site x, revision 7, told late: it was at 2026-03-01 02:00:00",
		-time.Hour:    "create site x, revision 7", // a clock that was set back
	} {
		x := errand.Write{At: at.UnixMilli(), Summary: "create site x", Revision: 7}
		if got := recordOf(x, at.Add(ago)).Note; got != want {
			t.Errorf("%v later: %q", ago, got)
		}
	}
}
