package hub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/link"
	"sealgate/daemon/link/hub"
	"sealgate/internal/peers"
)

// ask has a gateway do something, and returns how that ended.
func (m *mx) ask(g *gw, kind string) store.GatewayCommand {
	m.t.Helper()
	id, err := m.store.AskGateway(m.t.Context(), store.GatewayCommand{GatewayID: g.id, Kind: kind, Author: "tester"})
	must(m.t, err)
	var c store.GatewayCommand
	eventually(m.t, kind, func() bool {
		c, err = m.store.GatewayCommand(m.t.Context(), id)
		must(m.t, err)
		return !c.Finished.IsZero()
	})
	return c
}

func TestCommands(t *testing.T) {
	server := peers.Nginx(t, peers.NginxConfig{Open: true, Server: []string{`location / { return 200 "hello"; }`}})
	m := newMX(t)
	g := m.newGateway("gw1")
	port := peers.FreePort(t, "127.0.0.1")
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	m.write(func(tx *store.Tx) error {
		m.newShop(tx, m.aliasOf(tx, g.id), port, "127.0.0.1", server.Port, model.ModeActive)
		return nil
	})
	eventually(t, "the service", func() bool { status, _ := get(url); return status == 200 })
	c := m.ask(g, link.TechInfo)
	bundle, err := os.ReadFile(hub.Result(m.home, c.ID))
	if c.State != store.CommandDone || err != nil || string(bundle) != "\x1f\x8b of gw1" {
		t.Errorf("%+v, %q, %v", c, bundle, err)
	}
	if left, err := os.ReadDir(g.home.Results()); len(left) != 0 || err != nil {
		t.Errorf("at the gateway stay %v, %v", left, err)
	}
	if c := m.ask(g, "dance"); c.State != store.CommandFailed || !strings.Contains(c.Result, "dance") {
		t.Errorf("an unknown command: %+v", c)
	}
	// A drained gateway closes its listeners, stays drained over changes, and serves
	// after a restart, which it is asked for once.
	if c := m.ask(g, link.Drain); c.State != store.CommandDone {
		t.Errorf("%+v", c)
	}
	if status, _ := get(url); status != 0 {
		t.Errorf("drained, it answers %d", status)
	}
	if c := m.ask(g, link.Restart); c.State != store.CommandDone {
		t.Errorf("%+v", c)
	}
	<-g.restarts
	g.stop()
	g.start()
	eventually(t, "the service after the restart", func() bool { status, _ := get(url); return status == 200 })
	eventually(t, "its polls", func() bool { s, err := link.ReadStatus(g.home); return err == nil && s.Connected && !s.Draining })
	if len(g.restarts) != 0 {
		t.Error("it was asked to restart again")
	}
}

// reluctant is a daemon that was asked for a restart a moment ago.
type reluctant struct{ *gw }

func (reluctant) May(_ context.Context, command string) error {
	if command == link.Restart {
		return errors.New("wait a minute")
	}
	return nil
}

// A restart that the gateway does not make does not end well, and is not made later.
func TestARestartThatIsRefused(t *testing.T) {
	m := newMX(t)
	g := m.newGateway("gw1")
	g.stop()
	g.daemon = reluctant{g}
	g.start()
	if c := m.ask(g, link.Restart); c.State != store.CommandFailed || c.Result != "wait a minute" {
		t.Errorf("%+v", c)
	}
	if c := m.ask(g, link.Drain); c.State != store.CommandDone {
		t.Errorf("%+v", c)
	}
	if len(g.restarts) != 0 {
		t.Error("it restarts all the same")
	}
}

// slow is a daemon that makes a bundle for as long as somebody waits for it.
type slow struct {
	*gw
	makes chan bool
}

func (s slow) TechInfo(ctx context.Context) (string, error) {
	s.makes <- true
	<-ctx.Done()
	return "", ctx.Err()
}

// A bundle that takes long holds up no other command; a restart breaks it off, and says so.
func TestABundleHoldsUpNoCommand(t *testing.T) {
	m := newMX(t)
	g := m.newGateway("gw1")
	makes := make(chan bool, 1)
	g.stop()
	g.daemon = slow{g, makes}
	g.start()
	bundle, err := m.store.AskGateway(t.Context(), store.GatewayCommand{GatewayID: g.id, Kind: link.TechInfo, Author: "tester"})
	must(t, err)
	<-makes
	if c := m.ask(g, link.Drain); c.State != store.CommandDone {
		t.Errorf("%+v", c)
	}
	if c := m.ask(g, link.TechInfo); c.State != store.CommandFailed || !strings.Contains(c.Result, "another bundle") {
		t.Errorf("%+v", c)
	}
	if c, err := m.store.GatewayCommand(t.Context(), bundle); err != nil || c.State != store.CommandGiven {
		t.Errorf("%+v, %v", c, err)
	}
	if c := m.ask(g, link.Restart); c.State != store.CommandDone {
		t.Errorf("%+v", c)
	}
	<-g.restarts
	if c, err := m.store.GatewayCommand(t.Context(), bundle); err != nil || c.State != store.CommandFailed || !strings.Contains(c.Result, "restarts") {
		t.Errorf("%+v, %v", c, err)
	}
}

// The attack: a gateway that was asked for one bundle begins to send it as often as there
// are places for bundles. What must hold: it takes one place.
func TestAGatewaySendsOneBundleAtATime(t *testing.T) {
	m := newMX(t)
	id, object := m.register("gw1")
	client, err := link.NewClient(id.Server, id.Registration.Pin, id)
	must(t, err)
	defer client.Close()
	var answer link.Polled
	must(t, client.Call(t.Context(), link.PathPoll, link.Poll{Version: link.Version, Now: true}, &answer))
	command, err := m.store.AskGateway(t.Context(), store.GatewayCommand{GatewayID: object, Kind: link.TechInfo, Author: "tester"})
	must(t, err)
	_, err = m.store.GiveCommands(t.Context(), object)
	must(t, err)
	body, more := io.Pipe()
	first := make(chan error, 1)
	go func() {
		resp, err := client.Do(t.Context(), http.MethodPut, link.PathResults+command, nil, body)
		if err == nil {
			resp.Body.Close()
		}
		first <- err
	}()
	_, err = more.Write([]byte("\x1f\x8b"))
	must(t, err)
	eventually(t, "the first", func() bool { left, err := os.ReadDir(m.home.Results()); return err == nil && len(left) == 1 })
	if _, err := client.Do(t.Context(), http.MethodPut, link.PathResults+command, nil, strings.NewReader("\x1f\x8b")); err == nil || !strings.Contains(err.Error(), "another bundle") {
		t.Errorf("the second: %v", err)
	}
	must(t, more.Close())
	must(t, <-first)
}

// A bundle that nobody asked for is refused, and so is one for another gateway.
func TestBundlesThatNobodyAskedFor(t *testing.T) {
	m := newMX(t)
	one, _ := m.register("gw1")
	_, two := m.register("gw2")
	client, err := link.NewClient(one.Server, one.Registration.Pin, one)
	must(t, err)
	defer client.Close()
	id, err := m.store.AskGateway(t.Context(), store.GatewayCommand{GatewayID: two, Kind: link.TechInfo, Author: "tester"})
	must(t, err)
	_, err = m.store.GiveCommands(t.Context(), two)
	must(t, err)
	for _, command := range []string{id, "x", "..%2f..%2fx"} {
		if _, err := client.Do(t.Context(), http.MethodPut, link.PathResults+command, nil, strings.NewReader("\x1f\x8b")); err == nil || !strings.Contains(err.Error(), "not asked") {
			t.Errorf("%s: %v", command, err)
		}
	}
	if left, err := os.ReadDir(m.home.Results()); len(left) != 0 || err != nil {
		t.Errorf("there is %v, %v", left, err)
	}
}
