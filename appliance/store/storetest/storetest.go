// Package storetest is what every engine of package store must do, as tests.
package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Run holds an engine to the promises of package store. open returns a fresh store
// each time, and closes it when its test ends.
func Run(t *testing.T, open func(t *testing.T) *store.Store) {
	if writeUntilKilled(t) {
		return
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, func(*testing.T) *store.Store)
	}{
		{"defaults", defaults},
		{"objects", objects},
		{"names", names},
		{"references", references},
		{"revisions", revisions},
		{"accounts", accounts},
		{"changed accounts", changedAccounts},
		{"what belongs to the machine", machines},
		{"keys of gateways", gatewayKeys},
		{"untold writes", untoldWrites},
		{"jobs", jobs},
		{"events", events},
		{"search", search},
		{"aggregation", aggregation},
		{"deliveries", deliveries},
		{"taken ids", takenIDs},
		{"system events", systemEvents},
		{"snapshot isolation", isolation},
		{"snapshot of a dropped day", droppedDay},
		{"leaving kinds out", leavingOut},
		{"round trip", roundTrip},
		{"two openers", twoOpeners},
		{"killed while writing", killed},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

var change = store.Change{Author: "tester", Summary: "a test"}

func write(t *testing.T, s *store.Store, fn func(*store.Tx) error) int64 {
	t.Helper()
	number, err := s.Write(t.Context(), change, fn)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func create(t *testing.T, s *store.Store, parent, kind, name, document string) string {
	t.Helper()
	var id string
	write(t, s, func(tx *store.Tx) (err error) {
		id, err = tx.Create(t.Context(), store.Object{ParentID: parent, Kind: kind, Name: name, Document: json.RawMessage(document)})
		return err
	})
	return id
}

func check(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// sealer turns secrets around, so that tests can tell sealed from plain.
type sealer struct{}

func (sealer) Seal(id string, plaintext []byte) []byte {
	sealed := []byte(id + ":" + string(plaintext))
	slices.Reverse(sealed)
	return sealed
}

func unseal(id string, sealed []byte) ([]byte, error) {
	plain := slices.Clone(sealed)
	slices.Reverse(plain)
	text, ok := strings.CutPrefix(string(plain), id+":")
	if !ok {
		return nil, fmt.Errorf("secret %q was sealed under another id", id)
	}
	return []byte(text), nil
}

// dump reads a snapshot whole, a "table day" line before each table.
func dump(t *testing.T, s *store.Store, options store.SnapshotOptions) []byte {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	return read(t, snap)
}

func read(t *testing.T, snap *store.Snapshot) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, table := range snap.Tables() {
		fmt.Fprintf(&all, "-- %s %s\n", table.Name, table.Day)
		err := snap.Rows(t.Context(), table, func(line []byte) error {
			if !json.Valid(line) || bytes.ContainsAny(line, "\n\r") {
				return fmt.Errorf("a line of %s is not JSON on one line: %q", table.Name, line)
			}
			all.Write(line)
			all.WriteByte('\n')
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.Bytes()
}

func defaults(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	list, err := model.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	allowed := regexp.MustCompile(`^[a-zA-Z0-9 _.'\-\[\],():+#]*$`)
	for _, d := range list {
		o, err := s.Get(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		if o.Name != d.Name || o.Kind != d.Kind || o.ParentID != d.ParentID {
			t.Errorf("stored %s %q under %s, want %s %q under %s", o.Kind, o.Name, o.ParentID, d.Kind, d.Name, d.ParentID)
		}
		if !allowed.MatchString(d.Name) {
			t.Errorf("default name %q has a character that clients do not expect", d.Name)
		}
		_, err = s.Write(t.Context(), change, func(tx *store.Tx) error { return tx.Delete(t.Context(), d.ID) })
		if err == nil {
			t.Errorf("default %s %q was deleted", d.Kind, d.Name)
		}
	}
	if _, err := s.Find(t.Context(), model.RootID, model.Site, model.DefaultSite); err != nil {
		t.Error(err)
	}
	if number, err := s.Revision(t.Context()); err != nil || number != 1 {
		t.Errorf("a fresh store is at revision %d, %v; want 1", number, err)
	}
	check(t, s)
}

func objects(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	site := create(t, s, model.RootID, model.Site, "Shop", ``)
	group := create(t, s, site, model.ServerGroup, "Web servers", `{ "operationMode" : "active" }`)
	o, err := s.Get(ctx, group)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(o.Document); got != `{"operationMode":"active"}` || o.ParentID != site || o.Kind != model.ServerGroup {
		t.Errorf("got %+v with document %s", o, got)
	}
	write(t, s, func(tx *store.Tx) error {
		return tx.Update(ctx, group, json.RawMessage(`{"operationMode":"disabled"}`))
	})
	write(t, s, func(tx *store.Tx) error { return tx.Rename(ctx, group, "Web Servers") })
	found, err := s.Find(ctx, site, model.ServerGroup, "Web Servers")
	if err != nil {
		t.Fatal(err)
	}
	if found.ID != group || string(found.Document) != `{"operationMode":"disabled"}` || found.Revision <= o.Revision {
		t.Errorf("after update and rename: %+v", found)
	}
	for what, o := range map[string]store.Object{
		"an unknown kind":        {ParentID: site, Kind: "balloon", Name: "x"},
		"a wrong parent":         {ParentID: site, Kind: model.WebService, Name: "x"},
		"a missing parent":       {ParentID: store.NewID(), Kind: model.ServerGroup, Name: "x"},
		"a document with a list": {ParentID: site, Kind: model.ServerGroup, Name: "x", Document: json.RawMessage(`[]`)},
		"half a document":        {ParentID: site, Kind: model.ServerGroup, Name: "x", Document: json.RawMessage(`{"a":`)},
		"invalid UTF-8":          {ParentID: site, Kind: model.ServerGroup, Name: "x", Document: json.RawMessage("{\"a\":\"\xff\"}")},
	} {
		_, err := s.Write(ctx, change, func(tx *store.Tx) error { _, err := tx.Create(ctx, o); return err })
		if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	write(t, s, func(tx *store.Tx) error { return tx.Delete(ctx, site) })
	for _, id := range []string{site, group} {
		if _, err := s.Get(ctx, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after the site was deleted: %v", err)
		}
	}
	check(t, s)
}

func names(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	want := []string{"a", "a ", " a", "A", "ä", "a\u0308", "日本", "tab\there", "line\nbreak", "\x01\x7f", "'; DROP TABLE objects; --", "%", "\u2028", strings.Repeat("x", store.MaxName)}
	for _, name := range want {
		create(t, s, model.RootID, model.Site, name, ``)
	}
	list, err := s.List(ctx, model.RootID, model.Site)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range list {
		if o.Name != model.DefaultSite {
			got = append(got, o.Name)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names, in byte order (-want +got):\n%s", diff)
	}
	for _, name := range want {
		_, err := s.Write(ctx, change, func(tx *store.Tx) error {
			_, err := tx.Create(ctx, store.Object{ParentID: model.RootID, Kind: model.Site, Name: name})
			return err
		})
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("a second %q: %v", name, err)
		}
	}
	for _, name := range []string{"", "\xff", "nul\x00", strings.Repeat("x", store.MaxName+1)} {
		_, err := s.Write(ctx, change, func(tx *store.Tx) error {
			_, err := tx.Create(ctx, store.Object{ParentID: model.RootID, Kind: model.Site, Name: name})
			return err
		})
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	other := create(t, s, model.RootID, model.Site, "other", ``)
	_, err = s.Write(ctx, change, func(tx *store.Tx) error { return tx.Rename(ctx, other, "a ") })
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("renaming onto an existing name: %v", err)
	}
}

func references(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	group := create(t, s, model.RootID, model.IPGroup, "Office", `{"entries":[]}`)
	site := create(t, s, model.RootID, model.Site, "Shop", ``)
	server := create(t, s, site, model.ServerGroup, "Web", `{"ignoreIpGroup":"`+group+`"}`)
	policy := create(t, s, model.RootID, model.FirewallPolicy, "Strict",
		`{"applyTo":["`+server+`","`+server+`"],"followedAction":null,"rules":[{"ipGroup":"`+group+`"},{"ipGroup":""}]}`)
	uses, err := s.InUseBy(ctx, group)
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Use{
		{ID: policy, Kind: model.FirewallPolicy, Name: "Strict", Field: "rules[].ipGroup"},
		{ID: server, Kind: model.ServerGroup, Name: "Web", Field: "ignoreIpGroup"},
	}
	if diff := cmp.Diff(want, uses); diff != "" {
		t.Errorf("in use by (-want +got):\n%s", diff)
	}
	remove := func(id string) error {
		_, err := s.Write(ctx, change, func(tx *store.Tx) error { return tx.Delete(ctx, id) })
		return err
	}
	var inUse *store.InUseError
	if err := remove(group); !errors.As(err, &inUse) || len(inUse.By) != 2 || !strings.Contains(err.Error(), `"Strict"`) {
		t.Errorf("deleting what two objects use: %v", err)
	}
	service := create(t, s, server, model.WebService, "HTTP", ``)
	custom := create(t, s, model.RootID, model.ServiceCustomPolicy, "Elsewhere", `{"matchCriteria":[{"services":["`+service+`"]}]}`)
	if err := remove(site); !errors.As(err, &inUse) || inUse.Name != "HTTP" {
		t.Errorf("deleting the parent of what is used: %v", err)
	}
	if err := remove(custom); err != nil {
		t.Error(err)
	}
	write(t, s, func(tx *store.Tx) error { return tx.Rename(ctx, group, "Head office") })
	if o, err := s.Get(ctx, server); err != nil || !strings.Contains(string(o.Document), group) {
		t.Errorf("after the rename: %s, %v", o.Document, err)
	}
	// A policy does not keep what it applies to.
	if err := remove(site); err != nil {
		t.Error(err)
	}
	if o, err := s.Get(ctx, policy); err != nil || !strings.Contains(string(o.Document), `"applyTo":[]`) {
		t.Errorf("a policy of what was deleted: %s, %v", o.Document, err)
	}
	for _, id := range []string{policy, group} {
		if err := remove(id); err != nil {
			t.Error(err)
		}
	}
	for what, document := range map[string]string{
		"missing":      `{"ignoreIpGroup":"` + store.NewID() + `"}`,
		"another kind": `{"ignoreIpGroup":"` + model.DefaultID(model.Site, model.DefaultSite) + `"}`,
	} {
		_, err := s.Write(ctx, change, func(tx *store.Tx) error {
			_, err := tx.Create(ctx, store.Object{ParentID: model.DefaultID(model.Site, model.DefaultSite), Kind: model.ServerGroup, Name: what, Document: json.RawMessage(document)})
			return err
		})
		if !errors.Is(err, store.ErrDangling) {
			t.Errorf("a reference to %s: %v", what, err)
		}
	}
	check(t, s)
}

func revisions(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	before, err := s.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	number := write(t, s, func(tx *store.Tx) (err error) {
		if id, err = tx.Create(ctx, store.Object{ParentID: model.RootID, Kind: model.Site, Name: "Shop"}); err != nil {
			return err
		}
		return tx.Rename(ctx, id, "Store")
	})
	if number != before+1 {
		t.Errorf("revision %d follows %d", number, before)
	}
	list, err := s.Revisions(ctx, 0, 1)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d revisions, %v", len(list), err)
	}
	want := []store.Difference{ // what lay between is in no revision
		{Kind: model.Site, ID: id, After: &store.State{Parent: model.RootID, Name: "Store", Document: json.RawMessage(`{}`)}},
	}
	if diff := cmp.Diff(want, list[0].Difference); diff != "" || list[0].Author != change.Author || list[0].Summary != change.Summary {
		t.Errorf("revision %+v (-want +got):\n%s", list[0], diff)
	}
	if n := write(t, s, func(tx *store.Tx) error { return tx.Rename(ctx, id, "Store") }); n != 0 {
		t.Errorf("a write that changes nothing made revision %d", n)
	}
	refused := errors.New("refused")
	_, err = s.Write(ctx, change, func(tx *store.Tx) error {
		if err := tx.Delete(ctx, id); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v, want the function's error", err)
	}
	if _, err := s.Get(ctx, id); err != nil {
		t.Errorf("a refused write left a trace: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	_, err = s.Write(cancelled, change, func(tx *store.Tx) error { cancel(); return tx.Delete(ctx, id) })
	if err == nil {
		t.Error("a cancelled write was committed")
	}
	if after, err := s.Revision(ctx); err != nil || after != number {
		t.Errorf("revision %d, %v; want %d", after, err, number)
	}
}
