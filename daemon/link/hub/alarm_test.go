package hub_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/link"
	"sealgate/daemon/mx/openapi"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

// alarms are the types of what is wrong with a gateway or a group.
func (m *mx) alarms(of string) (types string, words string) {
	for _, a := range m.hub.Alarms() {
		if a.Gateway == of || a.Group == of {
			types, words = strings.TrimSpace(types+" "+a.Type), words+a.Words
		}
	}
	return types, words
}

// What a gateway cannot take leaves it with what it has, says why, and is over with
// the next change that it can take.
func TestARefusedConfigurationKeepsTheOneBefore(t *testing.T) {
	server := peers.Nginx(t, peers.NginxConfig{Open: true, Server: []string{`location / { return 200 "hello"; }`}})
	m := newMX(t)
	g := m.newGateway("gw1")
	port := peers.FreePort(t, "127.0.0.1")
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	var s shop
	m.write(func(tx *store.Tx) error {
		s = m.newShop(tx, m.aliasOf(tx, g.id), port, "127.0.0.1", server.Port, model.ModeActive)
		return nil
	})
	eventually(t, "the service", func() bool { status, _ := get(url); return status == 200 })
	m.write(func(tx *store.Tx) error {
		m.update(tx, s.servers, map[string]any{"operationMode": model.ModeDisabled})
		newer := m.create(tx, model.RootID, model.URLRewriteGroup, "newer", map[string]any{"rules": []any{map[string]any{"priority": 1, "name": "a", "enabled": true,
			"matchCriteria": []any{map[string]any{"type": "moonPhase"}}}}})
		m.update(tx, s.service, map[string]any{"urlRewriteGroups": []string{newer}})
		return nil
	})
	eventually(t, "the alarm", func() bool { types, _ := m.alarms("gw1"); return types == "gateway-configuration-refused" })
	if _, words := m.alarms("gw1"); !strings.Contains(words, "moonPhase") {
		t.Errorf("the alarm says %q", words)
	}
	if status, body := get(url); status != 200 || body != "hello" {
		t.Errorf("with the refused configuration: %d %q", status, body)
	}
	eventually(t, "the gateway's event", func() bool {
		list := m.happened("gw1", "configuration-refused")
		return len(list) == 1 && strings.Contains(list[0].Text, "moonPhase")
	})
	m.write(func(tx *store.Tx) error {
		m.update(tx, s.service, map[string]any{})
		return nil
	})
	eventually(t, "the next configuration", func() bool { status, _ := get(url); return status == 503 })
	eventually(t, "the alarm's end", func() bool { types, _ := m.alarms("gw1"); return types == "" })
	// A group that cannot be built is one alarm, and keeps what it had.
	m.write(func(tx *store.Tx) error {
		m.update(tx, model.DefaultID(model.GatewayGroup, model.DefaultGroupName), map[string]any{"advancedConfiguration": "no XML <"})
		return nil
	})
	eventually(t, "the group's alarm", func() bool {
		types, words := m.alarms(model.DefaultGroupName)
		return types == "configuration-not-built" && words != ""
	})
	eventually(t, "the event of the group", func() bool { return len(m.happened("mx1", "configuration-not-built")) == 1 })
	if status, _ := get(url); status != 503 {
		t.Errorf("with a group that cannot be built: %d", status)
	}
}

// The hole: a port of an inbound rule that another program had kept every later change
// from all web services of the group. The attack: a user of one site writes such a rule.
// What must hold: the rule alone waits, the alarm says so, and the rest is used.
func TestAnAddressInUseCostsItsOwnRuleAlone(t *testing.T) {
	server := peers.Nginx(t, peers.NginxConfig{Open: true, Server: []string{`location / { return 200 "hello"; }`}})
	m := newMX(t)
	g := m.newGateway("gw1")
	port := peers.FreePort(t, "127.0.0.1")
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	var s shop
	m.write(func(tx *store.Tx) error {
		s = m.newShop(tx, m.aliasOf(tx, g.id), port, "127.0.0.1", server.Port, model.ModeActive)
		second := m.create(tx, s.service, model.InboundRule, "second@front", map[string]any{
			"gatewayGroupName": model.DefaultID(model.GatewayGroup, model.DefaultGroupName), "aliasName": m.aliasOf(tx, g.id),
			"gatewayPorts": []int{taken.Addr().(*net.TCPAddr).Port}})
		m.create(tx, second, model.OutboundRule, "10", map[string]any{"internalIpHost": "127.0.0.1", "serverPort": server.Port})
		return nil
	})
	eventually(t, "the service", func() bool { status, _ := get(url); return status == 200 })
	eventually(t, "the alarm", func() bool { types, _ := m.alarms("gw1"); return types == "gateway-not-listening" })
	if _, words := m.alarms("gw1"); !strings.Contains(words, taken.Addr().String()+` of web service "Shop": address already in use`) {
		t.Errorf("the alarm says %q", words)
	}
	if status, err := link.ReadStatus(g.home); err != nil || !strings.Contains(status.NotListening, taken.Addr().String()) {
		t.Errorf("the status: %+v, %v", status, err)
	}
	m.write(func(tx *store.Tx) error {
		m.update(tx, s.servers, map[string]any{"operationMode": model.ModeDisabled})
		return nil
	})
	eventually(t, "the next change", func() bool { status, _ := get(url); return status == 503 })
	taken.Close()
	eventually(t, "the address", func() bool { status, _ := get("http://" + taken.Addr().String()); return status == 503 })
	eventually(t, "the alarm's end", func() bool { types, _ := m.alarms("gw1"); return types == "" })
}

// anybody is a user who may do everything.
type anybody struct{}

func (anybody) Caller(*http.Request) (openapi.Caller, error) {
	return openapi.Caller{Name: "admin", Address: netip.MustParseAddr("127.0.0.1")}, nil
}

// The OpenAPI tells whether a gateway runs, and deletes one that does not.
func TestTheOpenAPIKnowsWhatGatewaysSay(t *testing.T) {
	m := newMX(t)
	c := new(trial.Clock)
	m.stop()
	m.start(m.address, c)
	g := m.newGateway("gw1")
	api := openapi.New(openapi.Config{Store: m.store, Sessions: anybody{}, Sealer: m.keys, Gateways: m.hub, Log: logger(t)})
	ask := func(method, path, body string) (int, string) {
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, httptest.NewRequest(method, openapi.Base+"/v1/conf/gateways/gw1"+path, strings.NewReader(body)))
		return answer.Code, answer.Body.String()
	}
	call := func(method string) (int, string) { return ask(method, "", "") }
	eventually(t, "its polls", func() bool { _, text := call(http.MethodGet); return strings.Contains(text, `"running":true`) })
	if status, text := call(http.MethodGet); status != 200 || !strings.Contains(text, `"gatewayIP":"127.0.0.1"`) || !strings.Contains(text, `"platformType":"linux`) || strings.Contains(text, `"softwareVersion":""`) {
		t.Errorf("%d %s", status, text)
	}
	const address = "/reverseProxy/addresses/127.0.0.1"
	if status, text := ask(http.MethodPut, address, `{"networkInterface":"lo"}`); status != 200 {
		t.Errorf("an interface: %d %s", status, text)
	}
	if status, text := ask(http.MethodPut, address, `{"networkInterface":"none0"}`); status != 406 || !strings.Contains(text, "IMP-12601") {
		t.Errorf("an interface that is not there: %d %s", status, text)
	}
	if status, text := call(http.MethodDelete); status != 406 || !strings.Contains(text, "IMP-10210") {
		t.Errorf("deleting one that runs: %d %s", status, text)
	}
	g.stop()
	c.Pass(2 * time.Minute)
	if types, _ := m.alarms("gw1"); types != "gateway-silent" {
		t.Errorf("alarms of one that stopped: %q", types)
	}
	eventually(t, "the event that it is silent", func() bool { return len(m.happened("mx1", "gateway-silent")) == 1 })
	if status, text := call(http.MethodGet); !strings.Contains(text, `"running":false`) {
		t.Errorf("one that stopped: %d %s", status, text)
	}
	if status, text := call(http.MethodDelete); status != 200 {
		t.Errorf("deleting: %d %s", status, text)
	}
	if status, text := call(http.MethodDelete); status != 406 || !strings.Contains(text, "IMP-10102") {
		t.Errorf("deleting again: %d %s", status, text)
	}
	eventually(t, "the end of its alarms", func() bool { types, _ := m.alarms("gw1"); return types == "" })
	eventually(t, "the event that it is gone", func() bool { return len(m.happened("mx1", "gateway-removed")) == 1 })
}

// A gateway that has registered has a while until its first poll, however long the
// management server has run.
func TestAFreshGatewayIsNotSilent(t *testing.T) {
	m := newMX(t)
	c := new(trial.Clock)
	m.stop()
	m.start(m.address, c)
	m.register("gw1")
	eventually(t, "it is silent, for all that is known", func() bool { c.Pass(time.Minute); types, _ := m.alarms("gw1"); return types == "gateway-silent" })
	m.register("gw2")
	eventually(t, "it is listed", func() bool {
		return slices.ContainsFunc(m.happened("mx1", "gateway-registered"), func(e store.SystemEvent) bool { return strings.Contains(e.Text, "gw2") })
	})
	if types, _ := m.alarms("gw2"); types != "" {
		t.Errorf("alarms of one that has just registered: %q", types)
	}
	c.Pass(2 * time.Minute)
	if types, words := m.alarms("gw2"); types != "gateway-silent" || !strings.Contains(words, "has not been heard of since ") {
		t.Errorf("two minutes later: %q, %q", types, words)
	}
}

// A clock that is off is told of; one that jumps takes nothing with it.
func TestClocksThatAreOff(t *testing.T) {
	m := newMX(t)
	c := new(trial.Clock)
	m.stop()
	m.start(m.address, c)
	c.Pass(-time.Minute)
	m.newGateway("gw1")
	eventually(t, "the alarm", func() bool { types, _ := m.alarms("gw1"); return types == "gateway-clock-off" })
	if _, words := m.alarms("gw1"); words != "the gateway's clock is 1m0s ahead" {
		t.Errorf("it says %q", words)
	}
	eventually(t, "its event", func() bool { return len(m.happened("mx1", "gateway-clock-off")) == 1 })
}

// A poll that was under way for long is no clock that is behind.
func TestALatePollIsNoClockThatIsOff(t *testing.T) {
	m := newMX(t)
	client := m.client("gw1") // has polled in time
	for i, late := range []time.Duration{time.Minute, 0, time.Minute, time.Minute} {
		_, err := client.Poll(t.Context(), link.Poll{Version: link.Version, Now: true, Clock: time.Now().Add(-late).UnixMilli()})
		must(t, err)
		types, words := m.alarms("gw1")
		if told := strings.Contains(words, "the gateway's clock is 1m0s behind"); told != (i == 3) {
			t.Errorf("after poll %d: %s: %s", i+1, types, words)
		}
	}
}

// What a gateway says of itself is weighed, and shown without what it must not say.
func TestWhatGatewaysSayOfThemselves(t *testing.T) {
	m := newMX(t)
	c := new(trial.Clock)
	m.stop()
	m.start(m.address, c)
	id, object := m.register("gw1")
	client, err := link.NewClient(id.Server, id.Registration.Pin, id)
	must(t, err)
	defer client.Close()
	says := func(p link.Poll) {
		t.Helper()
		p.Version, p.Now, p.Clock = link.Version, true, c.Now().UnixMilli()
		_, err := client.Poll(t.Context(), p)
		must(t, err)
	}
	says(link.Poll{Software: "1.0\x1b[31m\n", Addresses: make([]string, 1000), Interfaces: make([]string, 1000), Spool: link.Spool{Bytes: 79, Max: 100, Dropped: 5}})
	if said, running := m.hub.Live(object); !running || said.Software != "1.0 [31m " || len(said.Addresses) != 64 || len(said.Interfaces) != link.MaxInterfaces {
		t.Errorf("%+v, %v", said, running)
	}
	eventually(t, "dropped events", func() bool { types, _ := m.alarms("gw1"); return types == "gateway-events-dropped" })
	c.Pass(15 * time.Second)
	says(link.Poll{Spool: link.Spool{Bytes: 81, Max: 100, Dropped: 5}})
	if types, _ := m.alarms("gw1"); types != "gateway-behind gateway-events-dropped gateway-spool-near-limit" {
		t.Errorf("alarms %q", types)
	}
	c.Pass(time.Hour)
	says(link.Poll{Spool: link.Spool{Max: 100, Dropped: 5}})
	c.Pass(15 * time.Second) // it may have been silent in between
	says(link.Poll{Spool: link.Spool{Max: 100, Dropped: 5}})
	if types, _ := m.alarms("gw1"); types != "gateway-behind" {
		t.Errorf("alarms an hour later %q", types)
	}
	if _, err := client.Poll(t.Context(), link.Poll{Version: 2}); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("another version: %v", err)
	}
}
