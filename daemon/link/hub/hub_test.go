package hub_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/appliance/store/storetest"
	"sealgate/daemon/link"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

// shop is a web service in the default group.
type shop struct{ servers, service, rule string }

// newShop makes a web service that the gateways of the default group serve at their
// aliases called front; alias is one of them.
func (m *mx) newShop(tx *store.Tx, alias string, port int, server string, serverPort int, mode string) shop {
	m.t.Helper()
	var s shop
	s.servers = m.create(tx, model.DefaultID(model.Site, model.DefaultSite), model.ServerGroup, "Servers", map[string]any{"operationMode": mode})
	s.service = m.create(tx, s.servers, model.WebService, "Shop", nil)
	app := m.create(tx, s.service, model.WebApplication, model.DefaultApp, nil)
	m.update(tx, s.service, map[string]any{"default-application": app})
	s.rule = m.create(tx, s.service, model.InboundRule, fmt.Sprintf("%d@%s", port, alias), map[string]any{
		"gatewayGroupName": model.DefaultID(model.GatewayGroup, model.DefaultGroupName), "aliasName": alias, "gatewayPorts": []int{port}})
	m.create(tx, model.RootID, model.ServiceCustomPolicy, "admin", map[string]any{"enabled": true, "severity": "low", "action": "block", "applyTo": []string{s.service},
		"matchCriteria": []any{map[string]any{"type": "httpRequestUrl", "match": "prefix", "operation": "atLeastOne", "values": []string{"/admin/"}}}})
	m.create(tx, s.rule, model.OutboundRule, "10", map[string]any{"internalIpHost": server, "serverPort": serverPort})
	return s
}

func (m *mx) update(tx *store.Tx, id string, document map[string]any) {
	m.t.Helper()
	text, err := json.Marshal(document)
	must(m.t, err)
	must(m.t, tx.Update(m.t.Context(), id, text))
}

func (m *mx) aliasOf(tx *store.Tx, gateway string) string {
	m.t.Helper()
	o, err := tx.Find(m.t.Context(), gateway, model.Alias, "front")
	must(m.t, err)
	return o.ID
}

func get(url string) (int, string) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// One change reaches each gateway of the group; what one of them sees comes to the
// database, with the number of its alert.
func TestTheWholeWay(t *testing.T) {
	server := peers.Nginx(t, peers.NginxConfig{Open: true, Server: []string{`location / { return 200 "hello"; }`}})
	m := newMX(t)
	gateways := []*gw{m.newGateway("gw1"), m.newGateway("gw2"), m.newGateway("gw3")}
	port := peers.FreePort(t, "127.0.0.1")
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	var s shop
	m.write(func(tx *store.Tx) error {
		for i, g := range gateways[1:] { // each has an address of its own
			at := m.create(tx, g.id, model.Address, fmt.Sprint("127.0.0.", i+2), nil)
			m.update(tx, m.aliasOf(tx, g.id), map[string]any{"internalAddress": at})
		}
		s = m.newShop(tx, m.aliasOf(tx, gateways[0].id), port, "127.0.0.1", server.Port, model.ModeActive)
		return nil
	})
	for i := range gateways {
		at := fmt.Sprintf("http://127.0.0.%d:%d/", i+1, port)
		eventually(t, "the service of "+gateways[i].name, func() bool { status, body := get(at); return status == 200 && body == "hello" })
	}
	if status, _ := get(url + "admin/x"); status != 403 {
		t.Errorf("an attack: %d", status)
	}
	eventually(t, "its violations", func() bool { return m.stored() > 0 })
	m.write(func(tx *store.Tx) error {
		m.update(tx, s.servers, map[string]any{"operationMode": model.ModeDisabled})
		return nil
	})
	for i, g := range gateways {
		at := fmt.Sprintf("http://127.0.0.%d:%d/", i+1, port)
		eventually(t, "the change at "+g.name, func() bool { status, _ := get(at); return status == 503 })
		eventually(t, "what runs", func() bool {
			said, running := m.hub.Live(g.id)
			revision, err := m.store.Revision(t.Context())
			return err == nil && running && said.Running.Number == revision && said.Software != ""
		})
	}
	storetest.CheckAlerts(t, m.store)
	// Without its management server a gateway starts with what it was told last.
	m.stop()
	gateways[0].stop()
	gateways[0].start()
	if status, _ := get(url); status != 503 {
		t.Errorf("without the management server: %d", status)
	}
	m.start(m.address, new(trial.Clock))
	m.write(func(tx *store.Tx) error {
		m.update(tx, s.servers, map[string]any{"operationMode": model.ModeSimulation})
		return nil
	})
	eventually(t, "the change after a restart", func() bool { status, _ := get(url); return status == 200 })
	eventually(t, "the status", func() bool {
		status, err := link.ReadStatus(gateways[0].home)
		return err == nil && status.Connected && status.Error == "" && status.Running.SHA256 != ""
	})
}

// A private key comes to the gateways that need it, opened there and nowhere else.
func TestPrivateKeysTravelSealed(t *testing.T) {
	m := newMX(t)
	g := m.newGateway("gw1")
	certificate, key := keyPair(t)
	port := peers.FreePort(t, "127.0.0.1")
	m.write(func(tx *store.Tx) error {
		s := m.newShop(tx, m.aliasOf(tx, g.id), port, "127.0.0.1", 9, model.ModeActive)
		_, err := tx.AddSSLKey(t.Context(), store.SSLKey{ServiceID: s.service, Name: "cert", Certificate: certificate}, m.keys, []byte(key))
		return err
	})
	eventually(t, "the configuration with the key", func() bool {
		text, err := os.ReadFile(g.home.Snapshot())
		return err == nil && strings.Contains(string(text), "PRIVATE KEY")
	})
	info, err := os.Stat(g.home.Snapshot())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
