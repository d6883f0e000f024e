package store_test

import (
	"testing"
	"time"

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

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return open(t) })
}
