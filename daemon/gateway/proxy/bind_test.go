package proxy_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/proxy"
)

// What cannot be listened at waits alone, and what two rules name is the first one's.
func TestAnAddressThatIsTakenWaits(t *testing.T) {
	taken := true
	g := newGate(t, origin(t, echo).Addr, func(g *gate, o *proxy.Options) {
		listen := o.Listen
		o.Listen = func(at netip.AddrPort) (net.Listener, error) {
			if taken && at.Port() == 8081 {
				return nil, errors.New("somebody has it")
			}
			return listen(at)
		}
		in := g.snapshot.Services[0].Inbound[0]
		in.Ports = []int{8081}
		g.snapshot.Services[0].Inbound = append(g.snapshot.Services[0].Inbound, in)
		g.snapshot.Aliases["gw1"]["twin"] = netip.MustParseAddr("::ffff:" + aliasAddress)
		in.Alias, in.Ports = "twin", []int{8080}
		g.snapshot.Services = append(g.snapshot.Services, model.SnapshotService{Site: "Site", ServerGroup: "Servers", Name: "bank", Mode: model.ModeDisabled, Inbound: []model.SnapshotInbound{in}})
	})
	unbound := func() string {
		var words []string
		for _, u := range g.Unbound() {
			words = append(words, u.String())
		}
		return strings.Join(words, "; ")
	}
	const doubled = `127.0.0.1:8080 of web service "bank": the address belongs to web service "shop" already`
	if status, _ := g.get("/"); status != 200 {
		t.Errorf("the rule that listens: %d", status)
	}
	if got := unbound(); got != doubled+`; 127.0.0.1:8081 of web service "shop": somebody has it` {
		t.Errorf("unbound: %s", got)
	}
	if g.ListenAgain() {
		t.Error("nothing has changed")
	}
	g.snapshot.Revision = 2
	g.apply()
	taken = false
	if !g.ListenAgain() || unbound() != doubled || len(g.Addresses()) != 2 || g.ListenAgain() {
		t.Errorf("listening again: %s, %v", unbound(), g.Addresses())
	}
	g.snapshot.Services = g.snapshot.Services[:1]
	if g.apply(); unbound() != "" {
		t.Errorf("without the second service: %s", unbound())
	}
}
