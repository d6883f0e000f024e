package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sealgate/appliance/audit"
	"sealgate/commands"
	"sealgate/control"
)

// Strangers are told of ten times in a minute, and counted beyond that.
func TestRefusals(t *testing.T) {
	var r refusals
	now := time.Unix(1000, 0)
	for i := range 25 {
		if more, tell := r.tell(now, 10, time.Minute); tell != (i < 10) || more != 0 {
			t.Errorf("%d: %d, %v", i, more, tell)
		}
	}
	if more, tell := r.tell(now.Add(time.Minute), 10, time.Minute); !tell || more != 15 {
		t.Errorf("a minute later: %d, %v", more, tell)
	}
	if more, tell := r.tell(now.Add(time.Minute), 10, time.Minute); !tell || more != 0 {
		t.Errorf("told twice: %d, %v", more, tell)
	}
}

// A line that a record cannot hold is cut, and the cut shows.
func TestBounded(t *testing.T) {
	for _, c := range []struct {
		words []string
		kept  int
		whole bool
	}{
		{nil, 0, true},
		{[]string{"files", "delete", strings.Repeat("x", maxAudited-100)}, 3, true},
		{[]string{"files", "delete", strings.Repeat("x", maxAudited)}, 3, false},
		{[]string{"files", "delete", strings.Repeat("\x01", maxAudited/5)}, 3, false},
		{make([]string, maxAudited), maxAudited/3 + 1, false},
	} {
		kept, whole := bounded(c.words)
		if len(kept) != c.kept || whole != c.whole || !whole && kept[len(kept)-1] != "…" {
			t.Errorf("%.20q: %d words, %v", c.words, len(kept), whole)
		}
	}
}

// A command that crashes the request has a result in the log.
func TestCrashIsAudited(t *testing.T) {
	dir := t.TempDir()
	d := &Daemon{audit: audit.New(dir), log: slog.New(slog.DiscardHandler)}
	defer d.audit.Close()
	e := &commands.Env{Caller: commands.Caller{Name: "anna", Rights: commands.Administrator}} // no host
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no crash")
			}
		}()
		d.run(t.Context(), e, control.Request{Words: []string{"status", "secret"}})
	}()
	for r, err := range audit.Newest(dir) {
		if err != nil || r.Error != "the command crashed" || *r.Exit != control.ExitFailed || !slices.Equal(r.Words, []string{"status", "…"}) {
			t.Errorf("%+v, %v", r, err)
		}
		return
	}
	t.Error("no record")
}

// note is a witness that fails at times.
type note struct {
	fails atomic.Bool
	kept  []uint64
}

func (n *note) Keep(_ context.Context, appliance string, h audit.Head) error {
	if n.fails.Load() {
		return errors.New("no syslog")
	}
	n.kept = append(n.kept, h.Seq)
	return nil
}

// A witness is told at the start, and at each interval when the chain moved or
// the last time failed.
func TestHeads(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &Daemon{audit: audit.New(dir), log: slog.New(slog.DiscardHandler)}
		defer d.audit.Close()
		n := &note{}
		ctx, cancel := context.WithCancel(t.Context())
		d.keep(audit.Record{Event: audit.Start})
		go d.newHeads(n).keepSending(ctx, headEvery)
		synctest.Wait()
		after := func(want ...uint64) {
			t.Helper()
			time.Sleep(headEvery)
			synctest.Wait()
			if !slices.Equal(n.kept, want) {
				t.Errorf("kept %v, want %v", n.kept, want)
			}
		}
		after(1)
		d.keep(audit.Record{Event: audit.Stop})
		d.keep(audit.Record{Event: audit.Stop})
		after(1, 3)
		n.fails.Store(true)
		d.keep(audit.Record{Event: audit.Stop})
		after(1, 3)
		n.fails.Store(false)
		after(1, 3, 4)
		cancel()
	})
}
