package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/appliance/store/storetest"
)

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
	var id string
	_, err = s.Write(t.Context(), store.Change{Author: "tester", Summary: "a test"}, func(tx *store.Tx) error {
		group, err := tx.Find(t.Context(), model.RootID, model.GatewayGroup, model.DefaultGroupName)
		if err != nil {
			return err
		}
		if id, err = tx.Create(t.Context(), store.Object{ParentID: group.ID, Kind: model.Gateway, Name: "gw-1"}); err != nil {
			return err
		}
		return tx.PutGatewayKey(t.Context(), store.GatewayKey{GatewayID: id, Pin: "pin", Kind: "byol"})
	})
	if err != nil {
		t.Fatal(err)
	}
	d := store.Delivery{GatewayID: id, Epoch: "e", Last: 50}
	for i := range 50 {
		at := now.UnixMilli() + []int64{0, 1 << 50, -1 << 50}[i%3]
		d.Violations = append(d.Violations, store.Delivered{Sequence: uint64(i + 1), Violation: store.Violation{ID: fmt.Sprint("v", i), Time: at, Type: "t", SourceIP: "192.0.2.1"}})
	}
	db := raw(t, filepath.Join(home, "data/current/config.db"))
	if _, err := db.Exec("CREATE TRIGGER cut BEFORE UPDATE OF sequence ON gateway_keys BEGIN SELECT RAISE(ABORT, 'cut off'); END"); err != nil {
		t.Fatal(err)
	}
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
	if _, err := db.Exec("DROP TRIGGER cut"); err != nil {
		t.Fatal(err)
	}
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
