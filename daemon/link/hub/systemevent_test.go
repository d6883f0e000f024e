package hub_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/gateway/event"
	"sealgate/daemon/link"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

// What happens to a gateway comes to the management server, also what happened while
// that was away, each once.
func TestSystemEventsComeOnce(t *testing.T) {
	m := newMX(t)
	g := m.newGateway("gw1")
	port, serverPort := peers.FreePort(t, "127.0.0.1"), peers.FreePort(t, "127.0.0.1")
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	m.write(func(tx *store.Tx) error {
		m.newShop(tx, m.aliasOf(tx, g.id), port, "127.0.0.1", serverPort, model.ModeActive)
		return nil
	})
	comes := func(source, code string, want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s of %s, %d times", code, source, want), func() bool { return len(m.happened(source, code)) == want })
	}
	eventually(t, "the service without its server", func() bool { status, _ := get(url); return status == 502 })
	comes("gw1", "server-down", 1)
	get(url)
	get(url)
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", serverPort))
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })}
	go server.Serve(ln)
	defer server.Close()
	eventually(t, "its server", func() bool { status, _ := get(url); return status == 200 })
	get(url)
	comes("gw1", "server-up", 1)
	for code, n := range map[string]int{"gateway-started": 1, "management-server-connected": 1, "server-down": 1} {
		comes("gw1", code, n)
	}
	comes("mx1", "gateway-registered", 1)
	comes("mx1", "gateway-connected", 1)
	if len(m.happened("gw1", "configuration-taken")) == 0 {
		t.Error("no configuration was taken")
	}

	m.stop()
	g.stop()
	g.start()
	g.stop()
	m.start(m.address, new(trial.Clock))
	g.start()
	comes("gw1", "gateway-stopped", 2)
	comes("gw1", "gateway-started", 3)
	comes("mx1", "gateway-connected", 2)
	comes("mx1", "gateway-registered", 1)
	for _, e := range m.happened("gw1", "gateway-started") {
		if e.GatewayID != g.id || e.Severity != "informative" || time.Since(time.UnixMilli(e.Time)) > time.Hour || e.Text == "" {
			t.Errorf("%+v", e)
		}
	}
}

// The attack: a gateway that was taken over tells of system events in the name of others,
// with texts that act on terminals, in forms that are none, and without end. What must
// hold: they are its own and plain, and push out neither violations nor what others tell.
func TestAGatewaysSystemEventsAreWeighed(t *testing.T) {
	m := newMX(t)
	id, object := m.register("gw1")
	client, err := link.NewClient(id.Server, id.Registration.Pin, id)
	must(t, err)
	t.Cleanup(client.Close)
	_, err = client.Poll(t.Context(), link.Poll{Version: link.Version, Now: true, Clock: time.Now().UnixMilli()})
	must(t, err)
	s := m.delivering(client)
	tell := func(e store.SystemEvent) {
		t.Helper()
		body, err := json.Marshal(event.Record{Kind: event.System, System: &e})
		must(t, err)
		_, err = s.Append(body)
		must(t, err)
	}
	now := time.Now().UnixMilli()
	good := store.SystemEvent{ID: "A", Time: now, Severity: "high", Code: "server-down", Text: "a\x1b[2J\nb\u202e"}
	tell(good)
	for i, bad := range []store.SystemEvent{{Severity: "red"}, {Code: "Server Down"}, {Code: strings.Repeat("a-", 100)}, {ID: "B\x1b[2J"}} {
		e := store.SystemEvent{ID: fmt.Sprint("bad", i), Time: now, Severity: "low", Code: "server-down", Text: "bad"}
		for _, f := range []struct{ to, from *string }{{&e.ID, &bad.ID}, {&e.Severity, &bad.Severity}, {&e.Code, &bad.Code}} {
			if *f.from != "" {
				*f.to = *f.from
			}
		}
		tell(e)
	}
	put(t, s, violation(1))
	delivered := func() bool { return s.Stats().Records == 0 }
	eventually(t, "the delivery", delivered)
	if list := m.happened("gw1", "server-down"); len(list) != 1 || list[0].Text != "a [2J b " {
		t.Errorf("kept are %+v", list)
	}
	for i := range 3000 {
		tell(store.SystemEvent{ID: fmt.Sprint("F", i), Time: now + 1, Severity: "low", Code: "server-up", Text: strings.Repeat("long ", 1000)})
	}
	eventually(t, "all of them", delivered)
	if list := m.happened("gw1", "server-up"); len(list) != 1000 || list[0].GatewayID != object || len(list[0].Text) != 500 {
		t.Errorf("%d system events of a flood are kept", len(list))
	}
	eventually(t, "the management server's own", func() bool { return len(m.happened("mx1", "gateway-connected")) == 1 })
	if m.stored() != 1 {
		t.Errorf("beside a flood there are %d violations", m.stored())
	}
}
