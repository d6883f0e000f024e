package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A day that is damaged twice leaves the files of both, each database with its log; the
// oldest go first, all of their files, and the days stay.
func TestWhatIsSetAsideReplacesNothingAndGoesOldestFirst(t *testing.T) {
	s := open(t)
	events := filepath.Join(s.Home(), "data/current/events")
	aside := func(pattern string) []string {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(events, pattern))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	for i, day := range []string{"2026-03-02", "2026-03-02", "2026-03-01"} {
		path := filepath.Join(events, day+".db")
		if err := errors.Join(os.WriteFile(path, []byte("no database, but long enough to be read as one"), 0o600),
			os.WriteFile(path+"-wal", []byte("committed"), 0o600)); err != nil {
			t.Fatal(err)
		}
		a, err := s.Aggregator(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if list := a.SetAside(); !slices.Equal(list, []string{day}) {
			t.Fatalf("set aside are %q", list)
		}
		if left, all := aside(day+".db*"), aside("*.damaged.*"); len(all) != 2*(i+1) || slices.Contains(left, path) || slices.Contains(left, path+"-wal") {
			t.Fatalf("after %d: %q", i+1, all)
		}
	}
	if err := os.WriteFile(filepath.Join(events, "2026-03-03.db.damaged-wal"), nil, 0o600); err != nil { // of an older release
		t.Fatal(err)
	}
	appendOne(t, s)
	days, err := s.EventDays(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"2026-03-01", "2026-03-02", "2026-03-02", "2026-03-03", ""} {
		if day, err := s.DropSetAside(t.Context()); day != want || err != nil {
			t.Errorf("%q went, want %q, %v", day, want, err)
		}
		if left := aside("*.damaged*"); len(left) != []int{5, 3, 1, 0, 0}[i] {
			t.Errorf("after %d: %q", i+1, left)
		}
	}
	if left, err := s.EventDays(t.Context()); err != nil || len(days) == 0 || !slices.Equal(left, days) {
		t.Errorf("days %v, before %v, %v", left, days, err)
	}
}

// A day that is said to stay, stays: who drops it tells of those that are gone.
func TestACancelledDropLeavesTheDay(t *testing.T) {
	s := open(t)
	appendOne(t, s)
	days, err := s.EventDays(t.Context())
	if err != nil || len(days) == 0 {
		t.Fatal(days, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.DropDay(ctx, days[0]); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, err := s.EventDays(t.Context()); err != nil || !slices.Equal(left, days) {
		t.Errorf("days %v, before %v, %v", left, days, err)
	}
	if err := s.DropDay(t.Context(), days[0]); err != nil {
		t.Error(err)
	}
}
