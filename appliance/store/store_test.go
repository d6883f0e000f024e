package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/appliance/store/storetest"
)

// clock is a clock that moves a second with each look.
func clock() func() time.Time {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return func() time.Time { now = now.Add(time.Second); return now }
}

func open(t testing.TB) *store.Store {
	t.Helper()
	home := t.TempDir()
	if err := store.Create(t.Context(), home, "admin", "verifier", store.Options{Now: clock()}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Data of an older release gets the predefined objects that it lacks, once, and an
// administrator's object keeps its name.
func TestDefaultsOfANewerReleaseAreAdded(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	lost := model.DefaultID(model.Dictionary, "Web Shells")
	taken := model.DefaultID(model.Dictionary, "Data Leakage")
	db := raw(t, filepath.Join(s.Home(), "data", "current", "config.db"))
	for _, statement := range []string{
		"DELETE FROM refs WHERE to_id IN ('" + lost + "', '" + taken + "')", "DELETE FROM objects WHERE id = '" + lost + "'", "UPDATE objects SET id = 'ours' WHERE id = '" + taken + "'",
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	before, err := s.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.AddDefaults(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := s.Revision(ctx); err != nil || after != before+1 {
		t.Errorf("revision %d after %d, %v", after, before, err)
	}
	if o, err := s.Get(ctx, lost); err != nil || o.Name != "Web Shells" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := s.Find(ctx, model.RootID, model.Dictionary, "Data Leakage"); err != nil || o.ID != "ours" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return open(t) })
}
