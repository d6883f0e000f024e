package daemon

import (
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
				list[i] = errand.Write{User: "zoe", Address: "192.0.2.7", Method: "POST", Path: "/v1/conf/sites/{siteName}", Summary: "create site x", Revision: int64(n*each + i + 1)}
			}
			keep(w.take(list, 1)...)
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
		if kept := told(); len(kept) != writesAtOnce+1 || kept[len(kept)-1].Note != fmt.Sprintf("and %d more writes: impctl server history shows each, up to revision %d", flood-writesAtOnce+flood/each, flood) {
			t.Errorf("%d records, the last %+v", len(kept), kept[len(kept)-1])
		}
		if again := w.take(make([]errand.Write, 1000), 0); len(again) != int(untoldEvery.Seconds())*writesASecond {
			t.Errorf("a minute later %d are told of", len(again))
		}
		w.flush()
		w.flush()
		if kept := told(); len(kept) != writesAtOnce+2 || !strings.HasPrefix(kept[len(kept)-1].Note, "and 880 more writes") {
			t.Errorf("%d records, the last %+v", len(kept), kept[len(kept)-1])
		}
		time.Sleep(2 * untoldEvery)
		synctest.Wait()
		if kept := told(); len(kept) != writesAtOnce+2 {
			t.Errorf("something is counted twice: %+v", kept[len(kept)-1])
		}
	})
}
