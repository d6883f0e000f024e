package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/appliance/store/storetest"
)

// register makes a gateway with a key.
func register(t *testing.T, s *store.Store, name string) (id string) {
	t.Helper()
	_, err := s.Write(t.Context(), store.Change{Author: "tester", Summary: "a test"}, func(tx *store.Tx) error {
		group, err := tx.Find(t.Context(), model.RootID, model.GatewayGroup, model.DefaultGroupName)
		if err != nil {
			return err
		}
		if id, err = tx.Create(t.Context(), store.Object{ParentID: group.ID, Kind: model.Gateway, Name: name}); err != nil {
			return err
		}
		return tx.PutGatewayKey(t.Context(), store.GatewayKey{GatewayID: id, Pin: "pin of " + name, Kind: "byol"})
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// cut has deliveries cut off before they are noted, until they are mended.
func cut(t *testing.T, home string) (mend func()) {
	t.Helper()
	db := raw(t, filepath.Join(home, "data/current/config.db"))
	do := func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	do("CREATE TRIGGER cut BEFORE UPDATE OF sequence ON gateway_keys BEGIN SELECT RAISE(ABORT, 'cut off'); END")
	return func() { do("DROP TRIGGER cut") }
}

// A delivery that is cut off before it is noted, again and again over days, is there
// once in the end, also what has a time that is not believed.
func TestADeliveryThatIsCutOffIsStoredOnce(t *testing.T) {
	home := open(t).Home()
	now := time.Now()
	s, err := store.Open(t.Context(), home, store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := register(t, s, "gw-1")
	d := store.Delivery{GatewayID: id, Epoch: "e", Last: 50}
	for i := range 50 {
		at := now.UnixMilli() + []int64{0, 1 << 50, -1 << 50}[i%3]
		d.Violations = append(d.Violations, store.Delivered{Sequence: uint64(i + 1), Violation: store.Violation{ID: fmt.Sprint("v", i), Time: at, Type: "t", SourceIP: "192.0.2.1"}})
	}
	mend := cut(t, home)
	deliver := func() (int, error) {
		a, err := s.Aggregator(t.Context()) // as after a restart
		if err != nil {
			t.Fatal(err)
		}
		return a.Deliver(t.Context(), []store.Delivery{d})
	}
	for range 3 {
		if _, err := deliver(); err == nil {
			t.Fatal("it was not cut off")
		}
		now = now.Add(30 * time.Hour)
	}
	mend()
	if off, err := deliver(); off != 33 || err != nil {
		t.Errorf("%d times are not believed, %v", off, err)
	}
	if off, err := deliver(); off != 0 || err != nil {
		t.Errorf("sent again: %d times are not believed, %v", off, err)
	}
	storetest.CheckAlerts(t, s)
	counts, err := s.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if c.Kind == store.Violations && c.Rows != 50 {
			t.Errorf("%d violations of 50", c.Rows)
		}
	}
}

// The clock of the management server jumps between a delivery that is cut off and its
// repeat, as one does that a power cut leaves without its battery: a time that was believed
// is not any more, or the other way, and all is there once.
func TestTheClockJumpsBetweenADeliveryAndItsRepeat(t *testing.T) {
	for name, jump := range map[string]time.Duration{"back": -10 * 366 * 24 * time.Hour, "ahead": 10 * 366 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			home := open(t).Home()
			begin := time.Now()
			now := begin
			s, err := store.Open(t.Context(), home, store.Options{Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			id, other := register(t, s, "gw-1"), register(t, s, "gw-2")
			deliver := func(id, epoch string, from, to int) error {
				a, err := s.Aggregator(t.Context()) // as after a restart
				if err != nil {
					t.Fatal(err)
				}
				d := store.Delivery{GatewayID: id, Epoch: epoch, Last: uint64(to)}
				for i := from; i < to; i++ {
					d.Violations = append(d.Violations, store.Delivered{Sequence: uint64(i + 1), Violation: store.Violation{ID: fmt.Sprint("v", i), Time: begin.UnixMilli() + int64(i), Type: "t"}})
				}
				_, err = a.Deliver(t.Context(), []store.Delivery{d})
				return err
			}
			// Another spool has used some ids already.
			if err := deliver(other, "of gw-2", 0, 5); err != nil {
				t.Fatal(err)
			}
			mend := cut(t, home)
			for _, at := range []time.Time{begin, begin.Add(jump), begin} {
				now = at
				if err := deliver(id, "of gw-1", 0, 20); err == nil {
					t.Fatal("it was not cut off")
				}
			}
			mend()
			now = begin.Add(jump)
			for range 2 {
				if err := deliver(id, "of gw-1", 0, 20); err != nil {
					t.Fatal(err)
				}
			}
			storetest.CheckAlerts(t, s)
			if _, violations := storetest.History(t, s); len(violations) != 25 {
				t.Errorf("%d violations are stored, want 25", len(violations))
			}
		})
	}
}

// What a spool holds is stored once, whatever its gateway is called when it is sent again:
// renamed time after time between answers that were lost, set back to a disk of before all
// of that, or registered anew under another name, and also where another spool has used the
// id of a violation.
func TestARenamedGatewayDeliversOnce(t *testing.T) {
	s := open(t)
	id, other := register(t, s, "old"), register(t, s, "other")
	now := time.Now().UnixMilli()
	n := 0
	deliver := func(id, name string, from, to int) error {
		t.Helper()
		a, err := s.Aggregator(t.Context()) // as after a restart
		if err != nil {
			t.Fatal(err)
		}
		d := store.Delivery{GatewayID: id, Epoch: "e", Last: uint64(to)}
		if id == other {
			d.Epoch = "of the other"
		}
		for i := from; i < to; i++ {
			d.Violations = append(d.Violations, store.Delivered{Sequence: uint64(i + 1), Violation: store.Violation{ID: fmt.Sprint("v", i), Time: now, Gateway: name, Type: "t"}})
		}
		_, err = a.Deliver(t.Context(), []store.Delivery{d})
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	stored := func(want int) {
		t.Helper()
		storetest.CheckAlerts(t, s)
		_, violations := storetest.History(t, s)
		if len(violations) != want {
			t.Errorf("%d violations are stored, want %d", len(violations), want)
		}
	}
	must(deliver(other, "other", 5, 6))
	names := []string{"old", "new", "newer", "newest"}
	for i, name := range names[1:] {
		mend := cut(t, s.Home())
		for range 2 {
			if err := deliver(id, names[i], n, n+10); err == nil {
				t.Fatal("it was not cut off")
			}
		}
		mend()
		must(deliver(id, name, n, n+10))
		must(deliver(id, names[i], n, n+10)) // the answer was lost, and the name went back
		must(deliver(id, name, n, n+10))
		n += 10
		stored(n + 1)
	}
	must(deliver(id, "newest", 0, n)) // the disk was set back
	stored(n + 1)
	must(deliver(register(t, s, "anew"), "anew", 0, n))
	stored(n + 1)
}

// What a release stored that noted no origin is known by the gateway's name.
func TestViolationsOfEarlierReleasesAreDeliveredOnce(t *testing.T) {
	s := open(t)
	ids := map[string]string{"gw-1": register(t, s, "gw-1"), "gw-2": register(t, s, "gw-2")}
	a, err := s.Aggregator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	if err := a.Append(t.Context(), []store.Violation{{ID: "v", Time: now, Gateway: "gw-1"}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gw-1", "gw-2", "gw-1", "gw-2"} {
		d := store.Delivery{GatewayID: ids[name], Epoch: "of " + name, Last: 1, Violations: []store.Delivered{{Sequence: 1, Violation: store.Violation{ID: "v", Time: now, Gateway: name}}}}
		if _, err := a.Deliver(t.Context(), []store.Delivery{d}); err != nil {
			t.Fatal(err)
		}
	}
	if _, violations := storetest.History(t, s); len(violations) != 2 {
		t.Errorf("stored are %+v", violations)
	}
}

// A day that the disk has damaged keeps no others from being stored, nor new ones of its
// own: it is set aside, and told of once.
func TestADamagedDayIsSetAside(t *testing.T) {
	now := time.Now()
	today, yesterday := now.UTC().Format(time.DateOnly), now.Add(-24*time.Hour).UTC().Format(time.DateOnly)
	zeros := func(f *os.File) error {
		info, err := f.Stat()
		if err == nil {
			_, err = f.WriteAt(make([]byte, info.Size()-32<<10), 32<<10)
		}
		return err
	}
	for name, c := range map[string]struct {
		day    string
		damage func(*os.File) error
	}{
		"no database any more":   {yesterday, func(f *os.File) error { _, err := f.WriteAt(bytes.Repeat([]byte("x"), 200), 0); return err }},
		"pages of today":         {today, zeros},
		"the beginning of today": {today, func(f *os.File) error { _, err := f.WriteAt(bytes.Repeat([]byte("x"), 200), 0); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			home, id := s.Home(), register(t, s, "gw-1")
			deliver := func(a *store.Aggregator, from, to int) {
				t.Helper()
				d := store.Delivery{GatewayID: id, Epoch: "e", Last: uint64(to)}
				for i := from; i < to; i++ {
					at := now.Add(-time.Duration(i%2) * 24 * time.Hour)
					d.Violations = append(d.Violations, store.Delivered{Sequence: uint64(i + 1), Violation: store.Violation{ID: fmt.Sprint("v", i), Time: at.UnixMilli(), Type: "t", SourceIP: fmt.Sprint(i)}})
				}
				if _, err := a.Deliver(t.Context(), []store.Delivery{d}); err != nil {
					t.Fatal(err)
				}
			}
			a, err := s.Aggregator(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			deliver(a, 0, 2000)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(home, "data/current/events", c.day+".db")
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.damage(f), f.Close()); err != nil {
				t.Fatal(err)
			}
			if s, err = store.Open(t.Context(), home, store.Options{}); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if a, err = s.Aggregator(t.Context()); err != nil {
				t.Fatal(err)
			}
			deliver(a, 2000, 2100)
			if list := a.SetAside(); len(list) != 1 || list[0] != c.day || len(a.SetAside()) != 0 {
				t.Errorf("set aside are %q", list)
			}
			if aside, err := filepath.Glob(path + ".damaged.*"); err != nil || len(aside) == 0 {
				t.Errorf("beside the days are %q, %v", aside, err)
			}
			if _, violations := storetest.History(t, s); len(violations) != 1000+50+50 {
				t.Errorf("%d violations are stored, those of the other day and the new ones are 1100", len(violations))
			}
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
