package storetest

import (
	"fmt"
	"testing"
	"time"

	"sealgate/appliance/store"
)

// told lists the system events that are stored, the newest first.
func told(t *testing.T, s *store.Store, f store.SystemEventFilter) []store.SystemEvent {
	t.Helper()
	list, err := s.SystemEvents(t.Context(), f, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// systemEvents of gateways are stored once however often they are sent, whatever numbers
// they have, beside those of others with the same ids; who tells of too many pushes out
// none of the others.
func systemEvents(t *testing.T, open func(*testing.T) *store.Store) {
	s, r := open(t), Random(t)
	ids := map[string]string{"gw-1": registered(t, s, "gw-1"), "gw-2": registered(t, s, "gw-2")}
	a, err := s.Aggregator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	begin := now - time.Hour.Milliseconds()
	deliver := func(name string, from, to int) {
		t.Helper()
		d := store.Delivery{GatewayID: ids[name], Epoch: "e", Last: uint64(to)}
		for i := from; i < to; i++ {
			e := store.SystemEvent{ID: fmt.Sprint("e", i), Source: name, Time: begin + int64(i)*1000, Severity: store.Severities[i%4], Code: "code", Text: fmt.Sprint("of ", name)}
			if i < 100 && i%10 == 3 { // stored with the time of now
				e.Time = []int64{-1 << 40, 1 << 60}[r.IntN(2)]
			}
			d.Events = append(d.Events, e)
		}
		if _, err := a.Deliver(t.Context(), []store.Delivery{d}); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 100; i += 10 {
		deliver("gw-1", max(i-r.IntN(30), 0), i+10)
		deliver("gw-2", max(i-r.IntN(30), 0), i+10)
	}
	own := []store.SystemEvent{{ID: "own", Source: "mx1", Time: now, Severity: "high", Code: "started"}, {GatewayID: ids["gw-1"], ID: "about", Source: "mx1", Time: now, Severity: "low"}}
	for range 2 {
		if err := s.AddSystemEvents(t.Context(), own); err != nil {
			t.Fatal(err)
		}
	}
	if list := told(t, s, store.SystemEventFilter{}); len(list) != 202 {
		t.Errorf("%d system events are stored, want 202", len(list))
	}
	for f, want := range map[store.SystemEventFilter]int{
		{Source: "gw-2"}: 100, {Source: "mx1"}: 2, {Severity: "high"}: 51, {Severity: "low", Source: "gw-1"}: 75, {Since: begin + 90_000}: 9 + 9 + 20 + 2, {Source: "nobody"}: 0,
	} {
		list := told(t, s, f)
		if len(list) != want {
			t.Errorf("%+v finds %d, want %d", f, len(list), want)
		}
		for i, e := range list {
			if i > 0 && e.Time > list[i-1].Time || e.Source != "mx1" && e.Text != "of "+e.Source {
				t.Errorf("%+v: %+v", f, e)
			}
		}
	}
	deliver("gw-2", 100, 1500)
	for source, want := range map[string]int{"gw-1": 100, "gw-2": 1000, "mx1": 2} {
		if list := told(t, s, store.SystemEventFilter{Source: source}); len(list) != want {
			t.Errorf("of %s there are %d, want %d", source, len(list), want)
		}
	}
	if list := told(t, s, store.SystemEventFilter{Source: "gw-2"}); list[10].ID != "e1499" {
		t.Errorf("the newest, but for those of now, is %+v", list[10])
	}
	odd := []store.SystemEvent{{ID: "old", Source: "mx1", Time: now - 367*24*3600*1000}, {ID: "to come", Source: "mx1", Time: 1 << 60}}
	if err := s.AddSystemEvents(t.Context(), odd); err != nil {
		t.Fatal(err)
	}
	if list := told(t, s, store.SystemEventFilter{Source: "mx1"}); len(list) != 3 {
		t.Errorf("with an old one and one of a time to come: %+v", list)
	}
	if err := s.PruneSystemEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := told(t, s, store.SystemEventFilter{Source: "mx1"}); len(list) != 2 {
		t.Errorf("an old one is kept: %+v", list)
	}
}
