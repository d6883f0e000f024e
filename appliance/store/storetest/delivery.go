package storetest

import (
	"fmt"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// registered makes a gateway with a key.
func registered(t *testing.T, s *store.Store, name string) (id string) {
	t.Helper()
	write(t, s, func(tx *store.Tx) error {
		group, err := tx.Find(t.Context(), model.RootID, model.GatewayGroup, model.DefaultGroupName)
		if err != nil {
			return err
		}
		if id, err = tx.Create(t.Context(), store.Object{ParentID: group.ID, Kind: model.Gateway, Name: name}); err != nil {
			return err
		}
		return tx.PutGatewayKey(t.Context(), store.GatewayKey{GatewayID: id, Pin: "pin of " + name, Kind: "byol"})
	})
	return id
}

// deliveries sends what gateways have in pieces that overlap, again after answers
// that were lost, in the middle of which the process ends or the clock jumps: each
// violation is stored once, and alerts count what is there.
func deliveries(t *testing.T, open func(*testing.T) *store.Store) {
	s, r := open(t), Random(t)
	gateways := []string{registered(t, s, "gw-1"), registered(t, s, "gw-2")}
	const each = 1000
	now := time.Now().UnixMilli()
	list := make(map[string][]store.Delivered)
	for g, id := range gateways {
		for i, v := range attacks(r, each) {
			v.ID = fmt.Sprintf("%s-%d", id, i)
			v.Time += now - at(0) - 2*24*3600*1000
			if g == 1 && r.IntN(10) == 0 {
				v.Time += []int64{-1 << 40, 1 << 40, 1 << 60, -1 << 60}[r.IntN(4)] // tens of years, or beyond all calendars
			}
			list[id] = append(list[id], store.Delivered{Sequence: uint64(i + 1), Violation: v})
		}
	}
	var a *store.Aggregator
	acknowledged := make(map[string]int)
	off := 0
	for acknowledged[gateways[0]] < each || acknowledged[gateways[1]] < each {
		if a == nil || r.IntN(5) == 0 {
			var err error
			if a, err = s.Aggregator(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var batch []store.Delivery
		for _, id := range gateways {
			from := max(acknowledged[id]-r.IntN(30), 0)
			to := min(from+30+r.IntN(60), each)
			batch = append(batch, store.Delivery{GatewayID: id, Epoch: "e", Last: uint64(to), Violations: list[id][from:to]})
		}
		n, err := a.Deliver(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		off += n
		for _, d := range batch {
			if r.IntN(4) > 0 { // else the answer is lost
				acknowledged[d.GatewayID] = int(d.Last)
			}
		}
	}
	if off < each/20 {
		t.Errorf("%d violations had a time that is not believed", off)
	}
	looksDelivered(t, s, 2*each)
	// A gateway whose disk was set back gives numbers again, with other violations.
	set := list[gateways[0]][:10]
	for i := range set {
		set[i].Violation.ID += " again"
	}
	if _, err := a.Deliver(t.Context(), []store.Delivery{{GatewayID: gateways[0], Epoch: "e", Last: 10, Violations: set}}); err != nil {
		t.Fatal(err)
	}
	looksDelivered(t, s, 2*each+10)
	key, err := s.GatewayKey(t.Context(), "pin of gw-1")
	if err != nil || key.Epoch != "e" || key.Sequence != each {
		t.Errorf("%+v, %v", key, err)
	}
}

// takenIDs: the id of a violation is on the page that blocked a request, and violations
// that are stored are passed over by their ids. The attack: who was blocked has a gateway
// that was taken over deliver another violation with that id first. What must hold: both
// are stored, each once however often it is sent.
func takenIDs(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	a, err := s.Aggregator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	ids := map[string]string{"taken": registered(t, s, "taken"), "gw-1": registered(t, s, "gw-1")}
	for _, name := range []string{"taken", "gw-1", "gw-1", "taken"} {
		v := store.Violation{ID: "BLOCKED", Time: now, Gateway: name, Type: "of " + name}
		if _, err := a.Deliver(t.Context(), []store.Delivery{{GatewayID: ids[name], Epoch: "of " + name, Last: 1, Violations: []store.Delivered{{Sequence: 1, Violation: v}}}}); err != nil {
			t.Fatal(err)
		}
	}
	looksDelivered(t, s, 2)
	_, violations := History(t, s)
	for _, v := range violations {
		if v.Type != "of "+v.Gateway || (v.ID == "BLOCKED") != (v.Gateway == "taken") {
			t.Errorf("stored is %+v", v)
		}
	}
}

func looksDelivered(t *testing.T, s *store.Store, want int) {
	t.Helper()
	_, violations := History(t, s)
	if len(violations) != want {
		t.Errorf("%d violations were delivered, %d are stored", want, len(violations))
	}
	CheckAlerts(t, s)
	days, err := s.EventDays(t.Context())
	if err != nil || len(days) > 5 {
		t.Errorf("days %q, %v", days, err)
	}
}
