package storetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

func changedAccounts(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	u := store.User{Name: "Zoë", Role: store.ReadOnlyRole, Verifier: "first verifier", Document: []byte(`{"n":1}`)}
	write(t, s, func(tx *store.Tx) (err error) { u.ID, err = tx.AddUser(ctx, u); return err })
	u.Name, u.Role, u.Verifier, u.Document = "Zoe", store.SiteRole, "second verifier", []byte(`{"n":2}`)
	write(t, s, func(tx *store.Tx) error { return tx.UpdateUser(ctx, u) })
	got, err := s.User(ctx, "Zoe")
	if err != nil || got.ID != u.ID || got.Role != u.Role || got.Verifier != u.Verifier || string(got.Document) != `{"n":2}` {
		t.Errorf("got %+v, %v", got, err)
	}
	u.Name = "admin"
	if _, err := s.Write(ctx, change, func(tx *store.Tx) error { return tx.UpdateUser(ctx, u) }); !errors.Is(err, store.ErrExists) {
		t.Errorf("another's name: %v", err)
	}
	write(t, s, func(tx *store.Tx) error { return tx.DeleteUser(ctx, u.ID) })
	for what, fn := range map[string]func(*store.Tx) error{
		"update": func(tx *store.Tx) error { return tx.UpdateUser(ctx, u) },
		"delete": func(tx *store.Tx) error { return tx.DeleteUser(ctx, u.ID) },
	} {
		if _, err := s.Write(ctx, change, fn); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of one that is gone: %v", what, err)
		}
	}
	revisions, err := s.Revisions(ctx, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	deleted, updated := revisions[0].Difference[0], revisions[1].Difference[0]
	if deleted.Before.Name != "Zoe" || deleted.After != nil || updated.Before.Name != "Zoë" || updated.After.Name != "Zoe" {
		t.Errorf("history says %+v, %+v", updated, deleted)
	}
	if history, _ := json.Marshal(revisions); bytes.Contains(history, []byte("verifier")) {
		t.Error("history has a verifier")
	}
}

// newGateway makes a gateway, and registers it.
func newGateway(t *testing.T, s *store.Store, name, pin string) (k store.GatewayKey) {
	t.Helper()
	write(t, s, func(tx *store.Tx) error {
		id, err := tx.Create(t.Context(), store.Object{ParentID: model.DefaultID(model.GatewayGroup, model.DefaultGroupName), Kind: model.Gateway, Name: name})
		k = store.GatewayKey{GatewayID: id, Pin: pin, Sealing: "marker-sealing", Kind: "byol", Epoch: "e", Sequence: 1 << 40}
		return errors.Join(err, tx.PutGatewayKey(t.Context(), k))
	})
	return k
}

func gatewayKeys(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	a, b := newGateway(t, s, "gw1", "marker-pin-1"), newGateway(t, s, "gw2", "marker-pin-2")
	got, err := s.GatewayKey(ctx, "marker-pin-1")
	got.Registered = a.Registered
	if err != nil || got != a {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.GatewayKey(ctx, "marker-pin-3"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a stranger's key: %v", err)
	}
	other := a
	other.Pin = b.Pin
	if _, err := s.Write(ctx, change, func(tx *store.Tx) error { return tx.PutGatewayKey(ctx, other) }); !errors.Is(err, store.ErrExists) {
		t.Errorf("another gateway's key: %v", err)
	}
	a.Pin = "marker-pin-4" // a new key takes the place of the old
	write(t, s, func(tx *store.Tx) error { return tx.PutGatewayKey(ctx, a) })
	if list, err := s.GatewayKeys(ctx); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := s.GatewayKey(ctx, "marker-pin-1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a key that was replaced: %v", err)
	}
	if strings.Contains(taken(t, s, store.SnapshotOptions{Unseal: unseal}), "marker-") {
		t.Error("a snapshot has a gateway's key")
	}

	// A gateway that is deleted takes its key along, and is remembered.
	write(t, s, func(tx *store.Tx) error { return tx.Delete(ctx, a.GatewayID) })
	if _, err := s.GatewayKey(ctx, a.Pin); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the key of a gateway that was deleted: %v", err)
	}
	for pin, want := range map[string]string{a.Pin: "gw1", b.Pin: "", "marker-pin-9": ""} {
		if name, err := s.DeletedGatewayKey(ctx, pin); err != nil || name != want {
			t.Errorf("%s was of %q, %v; want %q", pin, name, err, want)
		}
	}
	again := newGateway(t, s, "gw3", a.Pin)
	if name, err := s.DeletedGatewayKey(ctx, again.Pin); err != nil || name != "" {
		t.Errorf("a key that is back: %q, %v", name, err)
	}
}

// What belongs to the machine is in no snapshot, history included.
func machines(t *testing.T, open func(*testing.T) *store.Store) {
	s := open(t)
	ctx := t.Context()
	add := func(tx *store.Tx) error {
		return tx.AddLicence(ctx, store.Licence{ID: "L1", Key: "marker-licence"}, []byte(`{"id":"L1"}`))
	}
	write(t, s, add)
	if _, err := s.Write(ctx, change, add); !errors.Is(err, store.ErrExists) {
		t.Errorf("the same again: %v", err)
	}
	if got, err := s.Licences(ctx); err != nil || len(got) != 1 || got[0].Key != "marker-licence" {
		t.Errorf("%+v, %v", got, err)
	}
	now := time.Now()
	grants := func(token string, at time.Time) (ok bool) {
		write(t, s, func(tx *store.Tx) (err error) { ok, err = tx.RegistrationToken(ctx, token, at); return err })
		return ok
	}
	for i := range 70 {
		write(t, s, func(tx *store.Tx) error {
			return tx.AddRegistrationToken(ctx, "tester", fmt.Sprintf("marker-token-%d", i), now.Add(time.Duration(100+i)*time.Minute))
		})
	}
	if !grants("marker-token-69", now) || !grants("marker-token-6", now) || grants("marker-token-5", now) {
		t.Error("the tokens that end last are kept, 64 of them")
	}
	if grants("marker-token-69", now.Add(169*time.Minute)) || grants("marker-token-x", now) {
		t.Error("a token that ended, or never was, grants")
	}
	if strings.Contains(taken(t, s, store.SnapshotOptions{Unseal: unseal}), "marker-") {
		t.Error("a snapshot has what belongs to the machine")
	}
	if latest, err := s.Latest(ctx); err != nil || time.Since(latest) > time.Hour {
		t.Errorf("latest %v, %v", latest, err)
	}
}
