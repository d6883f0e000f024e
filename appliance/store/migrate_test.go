package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/appliance/store/storetest"
)

// older takes a database back to a schema, as an older release left it.
func older(t *testing.T, path, migrations string, schema int64) {
	t.Helper()
	provider, err := goose.NewProvider(goose.DialectSQLite3, raw(t, path), os.DirFS("migrations/"+migrations), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.DownTo(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	if err := provider.Close(); err != nil {
		t.Fatal(err)
	}
}

func version(t *testing.T, path string) (version int) {
	t.Helper()
	if err := raw(t, path).QueryRow("SELECT MAX(version_id) FROM goose_db_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}

// Days of older schemas are searched as they are, some before and some after they have
// been migrated, and take events.
func TestOldDaysAreSearchedAndMigrated(t *testing.T) {
	for schema := int64(1); schema <= 2; schema++ {
		t.Run(fmt.Sprint(schema), func(t *testing.T) { searchedAndMigrated(t, schema) })
	}
}

func searchedAndMigrated(t *testing.T, schema int64) {
	s := open(t)
	r := storetest.Random(t)
	list := storetest.Violations(r, 3, 4000)
	if err := s.Append(t.Context(), store.Batch{Violations: list}); err != nil {
		t.Fatal(err)
	}
	home := s.Home()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	days, err := filepath.Glob(filepath.Join(home, "data", "current", "events", "*.db"))
	if err != nil || len(days) < 3 {
		t.Fatalf("%q, %v", days, err)
	}
	for _, day := range days {
		older(t, day, "events", schema)
	}
	reader, err := store.Open(t.Context(), home, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	storetest.Search(t, reader, list, r)
	if s, err = store.Open(t.Context(), home, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	late := store.Violation{ID: "late", EventNumber: 1e6, AlertNumber: 1, Time: list[0].Time, Severity: "high", Service: "Service of tomorrow"}
	if err := s.Append(t.Context(), store.Batch{Violations: []store.Violation{late}}); err != nil {
		t.Fatal(err)
	}
	list = append(list, late)
	storetest.Search(t, s, list, r)
	if err := s.MigrateDays(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, day := range days {
		if v := version(t, day); v != 3 {
			t.Errorf("%s has schema %d after the migration", day, v)
		}
	}
	storetest.Search(t, reader, list, r)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// What an older release left is read as it is, until the role has brought it to this
// release's schema; a dump of that time brings no rows of tables that came later.
func TestOlderConfigurationsAreReadAsTheyAre(t *testing.T) {
	s := open(t)
	home := s.Home()
	if err := s.AddSystemEvents(t.Context(), []store.SystemEvent{{ID: "1", Source: "mx1"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	older(t, filepath.Join(home, "data/current/config.db"), "config", 5)
	reader, err := store.Open(t.Context(), home, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, without := range [][]store.Kind{nil, {store.SystemEvents}} {
		snap, err := reader.Snapshot(t.Context(), store.SnapshotOptions{Without: without})
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range snap.Tables() {
			if err := snap.Rows(t.Context(), table, func([]byte) error { return nil }); err != nil || table.Kind == store.SystemEvents {
				t.Errorf("%s: %v", table.Name, err)
			}
		}
		if err := snap.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := reader.SystemEvents(t.Context(), store.SystemEventFilter{}, 10); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := reader.Counts(t.Context()); err != nil {
		t.Error(err)
	}
	staging, err := store.Stage(t.Context(), home, store.Schema{Config: 5, Events: 2}, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := staging.Load(t.Context(), store.Table{Name: "system_events"}, nil, nil); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("rows of a later table: %v", err)
	}
	if err := staging.Discard(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(t.Context(), home, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.AddSystemEvents(t.Context(), []store.SystemEvent{{ID: "2", Source: "mx1"}}); err != nil {
		t.Error(err)
	}
}

// A registered gateway stays registered through an upgrade from each schema that knew
// gateways, and through a full import after it: also where the database is still as the
// older release left it.
func TestGatewaysOutliveAnUpgradeAndAnImport(t *testing.T) {
	key := store.GatewayKey{Pin: "pin", Sealing: "key", Kind: "byol"}
	for schema := int64(4); schema <= 9; schema++ {
		for _, upgraded := range []bool{true, false} {
			t.Run(fmt.Sprint(schema, upgraded), func(t *testing.T) {
				s := open(t)
				home := s.Home()
				key := key
				_, err := s.Write(t.Context(), store.Change{Author: "tester", Summary: "a test"}, func(tx *store.Tx) (err error) {
					key.GatewayID, err = tx.Create(t.Context(), store.Object{ParentID: model.DefaultID(model.GatewayGroup, model.DefaultGroupName), Kind: model.Gateway, Name: "gw1"})
					return errors.Join(err, tx.PutGatewayKey(t.Context(), key))
				})
				if err := errors.Join(err, s.Close()); err != nil {
					t.Fatal(err)
				}
				config := filepath.Join(home, "data/current/config.db")
				older(t, config, "config", schema)
				if upgraded {
					if s, err = store.Open(t.Context(), home, store.Options{}); err != nil {
						t.Fatal(err)
					}
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
				from, err := store.Open(t.Context(), home, store.Options{ReadOnly: true})
				if err != nil {
					t.Fatal(err)
				}
				defer from.Close()
				to := open(t)
				_, err = to.Write(t.Context(), store.Change{Author: "tester", Summary: "a test"}, func(tx *store.Tx) error {
					_, err := tx.Create(t.Context(), store.Object{ID: key.GatewayID, ParentID: model.DefaultID(model.GatewayGroup, model.DefaultGroupName), Kind: model.Gateway, Name: "gw1"})
					return err
				})
				if err := errors.Join(err, to.KeepOwn(t.Context(), from)); err != nil {
					t.Fatal(err)
				}
				if list, err := to.GatewayKeys(t.Context()); err != nil || len(list) != 1 || list[0].Pin != key.Pin || list[0].GatewayID != key.GatewayID {
					t.Errorf("%+v, %v", list, err)
				}
			})
		}
	}
}
