package dump

import (
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// System events of a gateway that has another id here become that one's: what both have
// is there once, also when the gateway tells of it again.
func TestMergedSystemEventsAreOfTheGatewaysHere(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	gateway := func(s *store.Store, name string) (id string) {
		_, err := s.Write(ctx, store.Change{Author: "t"}, func(tx *store.Tx) (err error) {
			id, err = tx.Create(ctx, store.Object{ParentID: model.DefaultID(model.GatewayGroup, model.DefaultGroupName), Kind: model.Gateway, Name: name})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	tell := func(s *store.Store, gateway, source, event string) {
		t.Helper()
		e := store.SystemEvent{GatewayID: gateway, ID: event, Source: source, Time: time.Now().UnixMilli(), Severity: "low", Code: "code"}
		if err := s.AddSystemEvents(ctx, []store.SystemEvent{e}); err != nil {
			t.Fatal(err)
		}
	}
	src := fresh(t)
	there, alone := gateway(src.Store, "gw1"), gateway(src.Store, "gw2")
	for _, e := range []string{"both have", "only there"} {
		tell(src.Store, there, "gw1", e)
	}
	tell(src.Store, alone, "gw2", "both have")
	tell(src.Store, there, "mx1", "about it")
	tell(src.Store, "", "mx1", "about none")
	_, data := export(t, src, Options{})

	home := freshIn(t, t.TempDir())
	here := gateway(home.Store, "gw1")
	tell(home.Store, here, "gw1", "both have")
	if err := home.Store.Close(); err != nil {
		t.Fatal(err)
	}
	imported(t, Target{Home: home.Home, Secrets: home.Secrets, Author: "anna"}, data, ImportOptions{Merge: true})

	db, err := store.Open(ctx, string(home.Home), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tell(db, here, "gw1", "both have") // once more
	tell(db, here, "gw1", "only there")
	list, err := db.SystemEvents(ctx, store.SystemEventFilter{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	type event struct{ gateway, source, id string }
	want := map[event]bool{
		{here, "gw1", "both have"}: true, {here, "gw1", "only there"}: true, {alone, "gw2", "both have"}: true,
		{here, "mx1", "about it"}: true, {"", "mx1", "about none"}: true,
	}
	for _, e := range list {
		if at := (event{e.GatewayID, e.Source, e.ID}); !want[at] {
			t.Errorf("stored is %+v", e)
		} else {
			delete(want, at)
		}
	}
	for e := range want {
		t.Errorf("%+v is missing", e)
	}
}
