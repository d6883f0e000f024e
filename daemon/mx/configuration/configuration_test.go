package configuration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/seed"
	"sealgate/appliance/store"
	"sealgate/daemon/mx/configuration"
)

// plain seals nothing: a test wants to see where secrets go.
type plain struct{}

func (plain) Seal(_ string, plaintext []byte) []byte { return plaintext }

func open(t testing.TB) *store.Store {
	t.Helper()
	home := t.TempDir()
	if err := store.Create(t.Context(), home, "admin", "verifier", store.Options{}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// doc is a document.
type doc = map[string]any

// change writes objects down as fn says.
type change struct {
	t  testing.TB
	tx *store.Tx
}

func write(t testing.TB, s *store.Store, fn func(change)) {
	t.Helper()
	_, err := s.Write(t.Context(), store.Change{Author: "test", Summary: "test"}, func(tx *store.Tx) error {
		fn(change{t, tx})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (c change) create(parent, kind, name string, d doc) string {
	c.t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		c.t.Fatal(err)
	}
	id, err := c.tx.Create(context.Background(), store.Object{ParentID: parent, Kind: kind, Name: name, Document: text})
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c change) update(id string, d doc) {
	c.t.Helper()
	text, err := json.Marshal(d)
	if err == nil {
		err = c.tx.Update(context.Background(), id, text)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

var (
	site  = model.DefaultID(model.Site, model.DefaultSite)
	usual = model.DefaultID(model.GatewayGroup, model.DefaultGroupName)
)

// gateway is a gateway with an alias "front", whose id it returns.
func (c change) gateway(group, name, address string) string {
	id := c.create(group, model.Gateway, name, doc{})
	at := c.create(id, model.Address, address, doc{})
	return c.create(id, model.Alias, "front", doc{"internalAddress": at})
}

// service is a web service with one application, the id of which it returns too.
func (c change) service(servers, name, group, alias string, port int) (id, app string) {
	id = c.create(servers, model.WebService, name, doc{})
	app = c.create(id, model.WebApplication, model.DefaultApp, doc{})
	c.update(id, doc{"default-application": app})
	in := c.create(id, model.InboundRule, fmt.Sprintf("%d@%s", port, alias), doc{"gatewayGroupName": group, "aliasName": alias, "gatewayPorts": []int{port}})
	c.create(in, model.OutboundRule, "10", doc{"internalIpHost": "192.0.2.2", "serverPort": 80})
	c.create(in, model.OutboundRule, "9", doc{"internalIpHost": "192.0.2.1", "serverPort": 80, "urlPrefix": "/shop"})
	return id, app
}

func reading(t testing.TB, s *store.Store) *configuration.Reading {
	t.Helper()
	r, err := configuration.Read(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func build(t testing.TB, s *store.Store, group string) *configuration.Built {
	t.Helper()
	b, err := reading(t, s).Build(group)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Of two groups each is told its own web services, and what those need.
func TestASnapshotHoldsWhatItsGroupNeeds(t *testing.T) {
	s := open(t)
	var other string
	write(t, s, func(c change) {
		other = c.create(model.RootID, model.GatewayGroup, "Other", doc{"failMode": "Fail Closed",
			"advancedConfiguration": "<a><gateway-limits><streams>9</streams></gateway-limits></a>"})
		front, elsewhere := c.gateway(usual, "gw1", "192.0.2.10"), c.gateway(other, "gw2", "192.0.2.20")
		c.gateway(usual, "gw3", "192.0.2.30")
		servers := c.create(site, model.ServerGroup, "Servers", doc{"operationMode": "active"})
		shop, app := c.service(servers, "Shop", usual, front, 8080)
		bank, _ := c.service(servers, "Bank", other, elsewhere, 8080)
		c.create(shop, model.HostMapping, "1", doc{"host": "shop.example.com", "application": app})
		c.create(app, model.WebProfile, model.WebProfile, doc{"webProfileUrls": []doc{{"urlFullPath": "/a", "parameters": []doc{{"name": "n", "type": "Numeric"}}}}})
		mine := c.create(model.RootID, model.IPGroup, "Mine", doc{"entries": []doc{{"type": "single", "ipAddressFrom": "192.0.2.9"}}})
		c.create(model.RootID, model.IPGroup, "Nobody's", doc{})
		c.create(model.RootID, model.ServiceCustomPolicy, "Both", doc{"enabled": true, "severity": "high", "action": "block", "applyTo": []string{shop, bank},
			"followedAction": model.DefaultID(model.ActionSet, "Short IP Block"),
			"matchCriteria":  []doc{{"type": "sourceIpAddresses", "ipGroups": []string{mine}}, {"type": "signatures", "signatures": []doc{{"name": "union select"}}}}})
		c.create(model.RootID, model.AppCustomPolicy, "The bank's", doc{"applyTo": []string{bank}})
		c.create(model.RootID, model.ProfilePolicy, "The application's", doc{"applyTo": []string{app}})
		if _, err := c.tx.AddSSLKey(t.Context(), store.SSLKey{ServiceID: shop, Name: "cert", Certificate: "PEM", SecretID: "the secret's id"}, plain{}, []byte("private")); err != nil {
			t.Fatal(err)
		}
	})
	b := build(t, s, usual)
	if diff := cmp.Diff([]string{"the secret's id"}, b.Secrets); diff != "" {
		t.Errorf("secrets (-want +got)\n%s", diff)
	}
	text, err := json.Marshal(b.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	read, err := model.ReadSnapshot(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	shop := read.Services[0]
	if len(read.Services) != 1 || shop.Name != "Shop" || shop.Site != model.DefaultSite || shop.ServerGroup != "Servers" || shop.Mode != "active" ||
		shop.DefaultApplication != model.DefaultApp || shop.HostMappings[0].Application != model.DefaultApp || shop.Keys[0].Secret != "the secret's id" {
		t.Errorf("the service: %+v", read.Services)
	}
	if in := shop.Inbound[0]; in.Alias != "front" || in.Outbound[0].Priority != 9 || in.Outbound[1].Priority != 10 {
		t.Errorf("the inbound rule: %+v", in)
	}
	aliases, err := json.Marshal(read.Aliases)
	if err != nil || string(aliases) != `{"gw1":{"front":"192.0.2.10"},"gw3":{"front":"192.0.2.30"}}` {
		t.Errorf("aliases: %s, %v", aliases, err)
	}
	var policies []string
	for _, p := range read.Policies {
		policies = append(policies, fmt.Sprint(p.Kind, " ", p.Name, " ", p.ApplyTo))
	}
	want := []string{"webProfilePolicy The application's [{Default Site Servers Shop Default Web Application}]", "webServiceCustomPolicy Both [{Default Site Servers Shop }]"}
	if diff := cmp.Diff(want, policies); diff != "" {
		t.Errorf("policies (-want +got)\n%s", diff)
	}
	if !strings.Contains(string(text), `"ipGroups":["Mine"]`) || len(read.IPGroups) != 1 || len(read.Dictionaries["SQL Injection"]) != 2 || len(read.Dictionaries) != 1 ||
		len(read.ParameterTypes) != 1 || read.ActionSets["Short IP Block"].Actions[0].Seconds != 300 {
		t.Errorf("objects: %s", text)
	}
	second := build(t, s, other).Snapshot
	if second.Services[0].Name != "Bank" || len(second.Policies) != 2 || second.Group.FailMode != model.FailClosed || second.Group.Limits.Streams != 9 {
		t.Errorf("the other group's: %+v", second)
	}
}

// What changes elsewhere does not wake a group, and the same rows make the same bytes.
func TestTheSumFollowsWhatGatewaysAreTold(t *testing.T) {
	s := open(t)
	var servers, shop string
	write(t, s, func(c change) {
		servers = c.create(site, model.ServerGroup, "Servers", doc{})
		shop, _ = c.service(servers, "Shop", usual, c.gateway(usual, "gw1", "192.0.2.10"), 8080)
	})
	first := build(t, s, usual)
	if again := build(t, s, usual); again.Sum != first.Sum || again.Snapshot.Revision != first.Snapshot.Revision {
		t.Error("the same revision has two sums")
	}
	write(t, s, func(c change) { c.create(model.RootID, model.IPGroup, "Unused", doc{}) })
	if again := build(t, s, usual); again.Sum != first.Sum || again.Snapshot.Revision == first.Snapshot.Revision {
		t.Error("an object that nobody of the group needs changed the sum")
	}
	write(t, s, func(c change) { c.gateway(usual, "gw2", "192.0.2.11") })
	if again := build(t, s, usual); again.SumFor("gw1") != first.SumFor("gw1") || again.SumFor("gw2") == first.SumFor("gw2") {
		t.Error("a gateway that came changed the sum of the others, or not its own")
	}
	write(t, s, func(c change) { c.update(servers, doc{"operationMode": "active"}) })
	active := build(t, s, usual)
	if active.Sum == first.Sum {
		t.Error("the operation mode did not change the sum")
	}
	for _, id := range []string{"one", "two"} {
		write(t, s, func(c change) {
			if _, err := c.tx.AddSSLKey(t.Context(), store.SSLKey{ServiceID: shop, Name: id, Certificate: "PEM", SecretID: id}, plain{}, []byte("private")); err != nil {
				t.Fatal(err)
			}
		})
		if again := build(t, s, usual); again.Sum == active.Sum {
			t.Error("a key did not change the sum")
		} else {
			active = again
		}
	}
}

// A group that cannot be told says which object is why; the other is told.
func TestAFaultNamesItsObject(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"a signature that is gone", `web service custom policy "Lost": a criterion names the signature "gone", which no dictionary has; create it, or change the criterion`},
		{"a parameter type that is not there", `web application "Default Web Application": its profile says of the parameter "q" of /x that it has the type "Weird", which is not there`},
		{"an advanced configuration", `the advanced configuration is no XML; change its advanced configuration`},
		{"two services at one port", `port 8080 belongs to the web service "Shop" already`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			var other string
			write(t, s, func(c change) {
				other = c.create(model.RootID, model.GatewayGroup, "Other", doc{})
				front, elsewhere := c.gateway(usual, "gw1", "192.0.2.10"), c.gateway(other, "gw2", "192.0.2.20")
				servers := c.create(site, model.ServerGroup, "Servers", doc{})
				shop, app := c.service(servers, "Shop", usual, front, 8080)
				c.service(servers, "Bank", other, elsewhere, 8080)
				switch {
				case strings.Contains(test.name, "signature"):
					c.create(model.RootID, model.ServiceCustomPolicy, "Lost", doc{"applyTo": []string{shop}, "matchCriteria": []doc{{"type": "signatures", "signatures": []doc{{"name": "gone"}}}}})
				case strings.Contains(test.name, "parameter"):
					c.create(app, model.WebProfile, model.WebProfile, doc{"webProfileUrls": []doc{{"urlFullPath": "/x", "parameters": []doc{{"name": "q", "type": "Weird"}}}}})
				case strings.Contains(test.name, "advanced"):
					c.update(usual, doc{"advancedConfiguration": "<a>"})
				default:
					c.service(servers, "Twin", usual, front, 8080)
				}
			})
			r := reading(t, s)
			_, err := r.Build(usual)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), `gateway group "Default Gateway Group": `) {
				t.Errorf("%v, want %s", err, test.want)
			}
			if b, err := r.Build(other); err != nil || len(b.Snapshot.Services) != 1 {
				t.Errorf("the other group: %v", err)
			}
		})
	}
}

func seeded(t testing.TB, scale float64) *store.Store {
	t.Helper()
	home := t.TempDir()
	if err := secret.Create(home, "system", "secure"); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), home, "admin", "verifier", store.Options{}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	keys, err := secret.Open(home)
	if err == nil {
		_, err = seed.Fill(t.Context(), s, keys, seed.Options{Seed: 1, Scale: scale})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASeededServerIsTold(t *testing.T) {
	s := seeded(t, 0.001)
	b := build(t, s, usual)
	if len(b.Snapshot.Services) == 0 || len(b.Snapshot.Policies) == 0 || len(b.Secrets) == 0 {
		t.Errorf("%d services, %d policies, %d keys", len(b.Snapshot.Services), len(b.Snapshot.Policies), len(b.Secrets))
	}
}

// BenchmarkBuild reads and builds a group of many web services, each with an
// application, three rules, and a policy of its own.
func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{50, 1000} {
		b.Run(fmt.Sprint("services=", n), func(b *testing.B) {
			s := open(b)
			write(b, s, func(c change) {
				front := c.gateway(usual, "gw1", "192.0.2.10")
				servers := c.create(site, model.ServerGroup, "Servers", doc{})
				for i := range n {
					shop, _ := c.service(servers, fmt.Sprint("Shop ", i), usual, front, 1000+i)
					c.create(model.RootID, model.ServiceCustomPolicy, fmt.Sprint("Policy ", i), doc{"applyTo": []string{shop},
						"matchCriteria": []doc{{"type": "httpRequestUrl", "match": "prefix", "values": []string{"/admin"}}}})
				}
			})
			var reads time.Duration
			for b.Loop() {
				begin := time.Now()
				r := reading(b, s)
				reads += time.Since(begin)
				if _, err := r.Build(usual); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(reads.Milliseconds())/float64(b.N), "ms-reading/op")
		})
	}
}
