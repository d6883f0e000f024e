package hub_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"sealgate/appliance/spool"
	"sealgate/appliance/store"
	"sealgate/daemon/link"
)

// A gateway that is asked to has new keys, and the old ones are worth nothing; it goes
// on with its events and its configuration. Where the answer is lost, it finds out.
func TestKeysAreRenewed(t *testing.T) {
	m := newMX(t)
	g := m.newGateway("gw1")
	old, err := link.ReadIdentity(g.home)
	must(t, err)
	eventually(t, "the gateway", func() bool { _, running := m.hub.Live(g.id); return running })
	asked, err := m.store.AskGateway(t.Context(), store.GatewayCommand{GatewayID: g.id, Kind: link.Renew, Author: "anna"})
	must(t, err)
	eventually(t, "the command's end", func() bool {
		c, err := m.store.GatewayCommand(t.Context(), asked)
		return err == nil && c.State == store.CommandDone
	})
	now, err := link.ReadIdentity(g.home)
	must(t, err)
	if now.Pin() == old.Pin() || string(now.Sealing) == string(old.Sealing) || now.Registration != old.Registration {
		t.Errorf("the registration was %+v, and is %+v", old.Registration, now.Registration)
	}
	refused := func(id *link.Identity) link.Code {
		t.Helper()
		client, err := link.NewClient(m.address, id.Registration.Pin, id)
		must(t, err)
		defer client.Close()
		var answer link.Polled
		err = client.Call(t.Context(), link.PathPoll, link.Poll{Version: link.Version, Now: true}, &answer)
		p, _ := errors.AsType[*link.Problem](err)
		if p == nil {
			return ""
		}
		return p.Code
	}
	if code := refused(old); code != link.DeletedKey {
		t.Errorf("with the old key: %q", code)
	}
	g.stop()
	kept, err := spool.Open(filepath.Join(g.home.Spool(), "events"), spool.Options{})
	must(t, err)
	put(t, kept, violation(1))
	must(t, kept.Close())
	// The server has renewed, and the gateway did not hear of it.
	client, err := link.NewClient(m.address, now.Registration.Pin, now)
	must(t, err)
	defer client.Close()
	must(t, now.Renew(t.Context(), g.home, client))
	next, err := link.ReadIdentity(g.home)
	must(t, err)
	// As it lies there until the answer comes.
	text, err := os.ReadFile(filepath.Join(g.home.Link(), "identity.json"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(g.home.Link(), "identity.next.json"), text, 0o600))
	must(t, now.Write(g.home))
	g.start()
	eventually(t, "the events", func() bool { return m.stored() == 1 })
	if found, err := link.ReadIdentity(g.home); err != nil || found.Pin() != next.Pin() {
		t.Errorf("the key is not the one that the server knows: %v", err)
	}
}

// Nobody gets a key by a gateway's word that does not have it.
func TestRenewalsAreChecked(t *testing.T) {
	m := newMX(t)
	id, _ := m.register("gw1")
	client, err := link.NewClient(m.address, id.Registration.Pin, id)
	must(t, err)
	defer client.Close()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	for name, body := range map[string]map[string]any{
		"nothing": {}, "short": {"key": []byte("short"), "sealing": make([]byte, 32), "signature": make([]byte, 64)},
		"unsigned": {"key": []byte(public), "sealing": make([]byte, 32), "signature": make([]byte, 64)},
	} {
		err := client.Call(t.Context(), link.PathRenew, body, new(struct{}))
		if p, ok := errors.AsType[*link.Problem](err); !ok || p.Code != link.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	stranger, err := link.NewIdentity()
	must(t, err)
	other, err := link.NewClient(m.address, id.Registration.Pin, stranger)
	must(t, err)
	defer other.Close()
	_, err = other.Do(t.Context(), http.MethodPost, link.PathRenew, nil, nil)
	if p, ok := errors.AsType[*link.Problem](err); !ok || p.Code != link.UnknownKey {
		t.Errorf("a stranger: %v", err)
	}
}
