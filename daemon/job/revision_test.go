package job

import (
	"encoding/json"
	"strings"
	"testing"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/commands"
	"sealgate/control"
)

// A revision whose documents do not fit into an answer is told of without them.
func TestHistoryOfLargeDocuments(t *testing.T) {
	home := t.TempDir()
	if err := store.Create(t.Context(), home, "admin", "", store.Options{}); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	large := json.RawMessage(`{"comment":"` + strings.Repeat("<", control.MaxEvent/4) + `"}`)
	number, err := db.Write(t.Context(), store.Change{Author: "anna"}, func(tx *store.Tx) error {
		for name, document := range map[string]json.RawMessage{"large": large, "small": nil} {
			if _, err := tx.Create(t.Context(), store.Object{ParentID: model.RootID, Kind: model.GatewayGroup, Name: name, Document: document}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := history(t.Context(), appliance.Home(home), commands.History{Number: number})
	if err != nil || len(list) != 1 || len(list[0].Difference) != 2 {
		t.Fatalf("%d revisions, %v", len(list), err)
	}
	if text, err := json.Marshal(list); err != nil || len(text) > control.MaxEvent/2+1<<10 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	for _, d := range list[0].Difference {
		if large := d.Name == "large"; d.LeftOut != large || d.What != "created" || large != (d.After == "") {
			t.Errorf("%s: %.80v", d.Name, d)
		}
	}
}
