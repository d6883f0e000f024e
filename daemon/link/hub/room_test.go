package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/disk"
	"sealgate/appliance/store"
)

// roomy is a hub that nothing runs, on a small disk with four days of events. The last one
// is today.
func roomy(t *testing.T) *Hub {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a small disk is for root to mount")
	}
	dir := t.TempDir()
	try(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m,mode=0700"))
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	today := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return today }
	try(t, store.Create(t.Context(), dir, "admin", "no verifier", store.Options{Now: now}))
	db, err := store.Open(t.Context(), dir, store.Options{Now: now})
	try(t, err)
	t.Cleanup(func() { db.Close() })
	var list []store.Violation
	for i := range 400 {
		list = append(list, store.Violation{ID: fmt.Sprint("v", i), Time: today.AddDate(0, 0, -(i % 4)).UnixMilli(), Severity: "high", Query: strings.Repeat("x", 2000)})
	}
	h, err := New(t.Context(), Config{Home: appliance.Home(dir), Name: "mx1", Store: db, Log: slog.New(slog.DiscardHandler), Now: now})
	try(t, err)
	try(t, h.events.aggregator.Append(t.Context(), list))
	return h
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill leaves less room than events need, as a dump does.
func (h *Hub) fill(t *testing.T) {
	t.Helper()
	space, err := disk.Of(string(h.Home))
	try(t, err)
	try(t, os.WriteFile(filepath.Join(string(h.Home), "dump.tgz"), make([]byte, space.Free-space.Reserve*3/2), 0o600))
}

// refuse has an event come, which is refused.
func (h *Hub) refuse(t *testing.T) {
	t.Helper()
	d := &delivery{Delivery: store.Delivery{GatewayID: "g", Epoch: "e", Last: 1}, stored: make(chan error, 1)}
	if h.events.store(t.Context(), []*delivery{d}); <-d.stored == nil {
		t.Fatal("an event was stored")
	}
}

func (h *Hub) days(t *testing.T, want ...string) {
	t.Helper()
	if have, err := h.Store.EventDays(t.Context()); err != nil || !slices.Equal(have, want) {
		t.Errorf("days %v, want %v, %v", have, want, err)
	}
}

// The hole: whatever filled the disk cost the oldest days, one a second. What must hold: a
// day goes for an event that waits, one for each look, none while a job runs that may give room back,
// and none where nobody knows how full the disk is.
func TestDaysGoForEventsThatWait(t *testing.T) {
	h := roomy(t)
	all := []string{"2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"}
	h.fill(t)
	h.makeRoom(t.Context())
	h.days(t, all...)

	export, err := h.Store.StartJob(t.Context(), store.Job{Name: "export"})
	try(t, err)
	h.refuse(t)
	h.makeRoom(t.Context())
	h.days(t, all...)
	try(t, h.Store.FinishJob(t.Context(), export.ID, store.JobDone, "", time.Time{}))
	h.makeRoom(t.Context())
	h.days(t, all...)

	h.refuse(t)
	home := h.Home
	h.Home = appliance.Home(filepath.Join(string(home), "gone"))
	h.makeRoom(t.Context())
	h.refuse(t)
	h.Home = home
	h.makeRoom(t.Context())
	h.days(t, all...)

	_, err = h.Store.StartJob(t.Context(), store.Job{Name: upload}) // may take a day, and has no room to give back
	try(t, err)
	for i := range 2 {
		h.refuse(t)
		h.makeRoom(t.Context())
		h.days(t, all[i+1:]...)
		h.makeRoom(t.Context())
		h.days(t, all[i+1:]...)
		if len(h.toKeep) != i+1 || h.toKeep[i].Code != oldEventsDropped || !strings.Contains(h.toKeep[i].Text, all[i]+", 100 violations,") {
			t.Errorf("told %+v", h.toKeep)
		}
	}
	try(t, os.Remove(filepath.Join(string(h.Home), "dump.tgz")))
	h.events.refused.Store(true) // and there is room meanwhile
	h.makeRoom(t.Context())
	h.days(t, all[2:]...)
}

// A day that the disk has damaged makes room as well, though nobody can count it.
func TestADamagedDayMakesRoom(t *testing.T) {
	h := roomy(t)
	day := filepath.Join(string(h.Home), "data/current/events/2026-03-01.db")
	try(t, errors.Join(os.Remove(day), os.WriteFile(day, []byte(strings.Repeat("no database ", 1e5)), 0o600)))
	h.fill(t)
	h.refuse(t)
	h.makeRoom(t.Context())
	h.days(t, "2026-03-02", "2026-03-03", "2026-03-04")
	if len(h.toKeep) != 1 || !strings.Contains(h.toKeep[0].Text, "2026-03-01, an unknown number of violations,") {
		t.Errorf("told %+v", h.toKeep)
	}
}

// What was set aside of a damaged day makes room before any day does.
func TestWhatWasSetAsideGoesBeforeADay(t *testing.T) {
	h := roomy(t)
	all := []string{"2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"}
	aside := filepath.Join(string(h.Home), "data/current/events/2026-03-04.db.damaged.1")
	try(t, os.WriteFile(aside, make([]byte, 1<<20), 0o600))
	h.fill(t)
	for i, want := range []string{"2026-03-04, damaged ones that were set aside,", "2026-03-01, 100 violations,"} {
		h.refuse(t)
		h.makeRoom(t.Context())
		h.days(t, all[i:]...)
		if _, err := os.Stat(aside); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what was set aside: %v", err)
		}
		if len(h.toKeep) != i+1 || h.toKeep[i].Code != oldEventsDropped || !strings.Contains(h.toKeep[i].Text, want) {
			t.Errorf("told %+v, want %q", h.toKeep, want)
		}
	}
}

// Upload is for the test that knows what the daemon calls its jobs.
const Upload = upload

// What the last look at the disk finds while the role ends is stored as well.
func TestWhatIsToldAtTheEndIsStored(t *testing.T) {
	h := roomy(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	day := filepath.Join(string(h.Home), "data/current/events/2026-03-01.db")
	try(t, errors.Join(os.Remove(day), os.WriteFile(day, []byte(strings.Repeat("no database ", 1e3)), 0o600)))
	a, err := h.Store.Aggregator(t.Context())
	try(t, err)
	h.events.aggregator = a
	h.Run(ctx)
	list, err := h.Store.SystemEvents(t.Context(), store.SystemEventFilter{}, 10)
	if err != nil || !slices.ContainsFunc(list, func(e store.SystemEvent) bool { return e.Code == eventsDamaged }) {
		t.Errorf("stored are %+v, %v, and not %+v", list, err, h.toKeep)
	}
}
