package openapi_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// write puts objects into the store as they are.
func (s *server) write(fn func(create func(parent, kind, name, document string) string)) {
	s.t.Helper()
	ctx := context.Background()
	_, err := s.store.Write(ctx, store.Change{Author: "test", Summary: "test"}, func(tx *store.Tx) (err error) {
		fn(func(parent, kind, name, document string) string {
			id, failed := tx.Create(ctx, store.Object{ParentID: parent, Kind: kind, Name: name, Document: []byte(document)})
			if failed != nil {
				err = failed
			}
			return id
		})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// The hole: a gateway does not take more than so much, and one object too many kept every
// later change from its group. What must hold: that one is refused where it is written.
func TestNoMoreIsTakenThanGatewaysTake(t *testing.T) {
	s := newServer(t)
	s.gateway("gw1", "front")
	s.ok("POST", group, "")
	s.ok("POST", service, "")
	const rule, outbound = service + "/krpInboundRules/Default%20Gateway%20Group/front/", `{"outboundRules":{"1":{"internalIpHost":"10.0.0.1","serverPort":80}}}`
	s.ok("POST", rule+"80", outbound)
	s.ok("POST", "/v1/conf/gatewayGroups/Far", "")
	many := model.MaxSnapshotServices
	s.write(func(create func(parent, kind, name, document string) string) {
		usual := model.DefaultID(model.GatewayGroup, model.DefaultGroupName)
		servers := create(model.DefaultID(model.Site, model.DefaultSite), model.ServerGroup, "Many", "{}")
		for n := range many - 2 {
			id := create(servers, model.WebService, fmt.Sprint(n), "{}")
			create(id, model.InboundRule, fmt.Sprint(n, "@", model.RootID), `{"gatewayGroupName":"`+usual+`"}`)
		}
		for n := range many - 1 {
			create(model.RootID, model.SnippetPolicy, fmt.Sprint(n), "{}")
		}
	})
	const other, another = "/v1/conf/webServices/Default%20Site/Web/Other", "/v1/conf/webServices/Default%20Site/Web/Another"
	s.ok("POST", other, "")
	s.ok("POST", another, "")
	s.ok("POST", other+strings.TrimPrefix(rule, service)+"81", outbound)
	s.refused("POST", another+strings.TrimPrefix(rule, service)+"82", outbound, "IMP-10086")
	s.ok("POST", rule+"83", outbound) // of a web service that the group serves already
	s.refused("POST", "/v1/conf/policies/security/snippetInjectionPolicies/One%20more", "", "IMP-10086")
	s.ok("DELETE", "/v1/conf/policies/security/snippetInjectionPolicies/0", "")
	s.ok("POST", "/v1/conf/policies/security/snippetInjectionPolicies/One%20more", "")
}

// All IP groups together fit into what a gateway takes.
func TestIPGroupsFitTogether(t *testing.T) {
	s := newServer(t)
	s.write(func(create func(parent, kind, name, document string) string) {
		for n := range 4 {
			create(model.RootID, model.IPGroup, fmt.Sprint(n), `{"entries":[],"comment":"`+strings.Repeat("x", model.MaxSnapshot/8-1000)+`"}`)
		}
	})
	var entries []string
	for n := range 100 {
		entries = append(entries, fmt.Sprintf(`{"type":"single","ipAddressFrom":"10.0.0.%d"}`, n))
	}
	body := `{"entries":[` + strings.Join(entries, ",") + `]}`
	s.refused("POST", "/v1/conf/ipGroups/More", body, "IMP-10086")
	s.ok("POST", "/v1/conf/ipGroups/More", `{"entries":[`+entries[0]+`]}`)
	s.refused("PUT", "/v1/conf/ipGroups/More", body, "IMP-10086")
	s.ok("DELETE", "/v1/conf/ipGroups/0", "")
	s.ok("PUT", "/v1/conf/ipGroups/More", body)
}

// A text of a closed set is one of it: another one would mean the usual value, and nobody
// would know.
func TestClosedSetsAreClosed(t *testing.T) {
	s := newServer(t)
	s.gateway("gw1", "front")
	s.ok("POST", group, "")
	s.ok("POST", service, "")
	s.ok("POST", "/v1/conf/dictionaries/Ours", "")
	const signature, gatewayGroups, set = "/v1/conf/signatures/Ours/", "/v1/conf/gatewayGroups/", "/v1/conf/actionSets/"
	for _, status := range []string{"off", "Disable", ""} {
		s.refused("POST", signature+"x", `{"pattern":"x","status":"`+status+`"}`, "IMP-10016")
	}
	s.ok("POST", signature+"x", `{"pattern":"x","status":"Disabled"}`)
	if got := s.ok("GET", "/v1/conf/signatures/userDefined/Ours/x", ""); !strings.Contains(got, `"status":"disabled"`) {
		t.Errorf("the signature: %s", got)
	}
	for _, mode := range []string{"shut", "open or closed"} {
		s.refused("POST", gatewayGroups+"x", `{"failMode":"`+mode+`"}`, "IMP-10016")
	}
	for i, mode := range []string{"open", "CLOSED", "Fail Close", "Fail Open"} {
		s.ok("POST", gatewayGroups+fmt.Sprint(i), `{"failMode":"`+mode+`"}`)
	}
	const advanced = gatewayGroups + "0/advancedConfiguration"
	answer := s.refused("PUT", advanced, `{"advancedConfiguration":"<a><gateway-limits><urlByte>9</urlByte></gateway-limits></a>"}`, "IMP-10016")
	if !strings.Contains(answer, "gateway-limits.urlByte") {
		t.Errorf("it does not name the element: %s", answer)
	}
	s.refused("PUT", advanced, `{"advancedConfiguration":"<http-health-check-monitoring><intervall>9</intervall></http-health-check-monitoring>"}`, "IMP-10016")
	s.ok("PUT", advanced, `{"advancedConfiguration":"<a><others><x/></others><gateway-limits><urlBytes>9</urlBytes></gateway-limits></a>"}`)
	rule := service + "/krpInboundRules/Default%20Gateway%20Group/front/80"
	to := func(host string) string {
		return `{"outboundRules":{"1":{"internalIpHost":"10.0.0.1","serverPort":80,"externalHost":"` + host + `"}}}`
	}
	for _, host := range []string{"http://www.example.com:8080/", "www.example.com:8080", "www.example.com/a", "*.*.example.com", "a b"} {
		s.refused("POST", rule, to(host), "IMP-10016")
	}
	for _, host := range []string{"www.example.com", "*.example.com", "*", "Any", "", "192.0.2.1", "::1"} {
		s.ok("PUT", rule, to(host))
	}
	criterion := `{"matchCriteria":[{"type":"httpMethods","values":["GET /"]}]}`
	s.refused("POST", "/v1/conf/policies/security/webServiceCustomPolicies/x", criterion, "IMP-10032")
	s.refused("POST", "/v1/conf/globalObjects/URLRewriteGroups/x", `{"rules":[{"priority":1,"name":"a","applyTo":"answers"}]}`, "IMP-10149")
	s.refused("POST", "/v1/conf/globalObjects/URLRewriteGroups/x", `{"rules":[{"priority":0,"name":"a"}]}`, "IMP-10149")
	s.ok("POST", "/v1/conf/globalObjects/URLRewriteGroups/x", `{"rules":[{"priority":1,"name":"a","applyTo":"Response"}]}`)
	s.refused("POST", set+"x", `{"actions":[{"name":"a","type":"syslog","host":"h","syslogFacility":"local8"}]}`, "IMP-10016")
	s.ok("POST", set+"x", `{"actions":[{"name":"a","type":"syslog","host":"h","syslogFacility":"local7","syslogLogLevel":"info"},{"name":"b","type":"ipBlock","syslogFacility":""}]}`)
}

// What is not there has the code that the contract has for it.
func TestCodesOfWhatIsNotThere(t *testing.T) {
	s := newServer(t)
	const security = "/v1/conf/policies/security/"
	s.refused("PUT", security+"httpProtocolPolicies/Default%20HTTP%20Protocol%20Policy", `{"exceptions":[{"ruleName":"Nope"}]}`, "IMP-10811")
	s.refused("PUT", security+"httpProtocolPolicies/Default%20HTTP%20Protocol%20Policy", `{"rules":[{"name":"Nope"}]}`, "IMP-10906")
	s.refused("GET", "/v1/conf/dictionaries/bogus/Nope", "", "IMP-10016")
	s.refused("GET", "/v1/conf/signatures/bogus/Nope/nope", "", "IMP-10016")
	s.refused("GET", "/v1/conf/dictionaries/userDefined/Nope", "", "IMP-10801")
	s.refused("GET", "/v1/conf/dictionaries/userDefined/SQL%20Injection", "", "IMP-10801")
	for _, p := range []string{"URLRewriteGroups/Nope", "webErrorPageGroups/policies/Nope"} {
		s.refused("GET", "/v1/conf/globalObjects/"+p, "", "IMP-10601")
		s.refused("PUT", "/v1/conf/globalObjects/"+p, `{"rules":[]}`, "IMP-10680")
		s.refused("DELETE", "/v1/conf/globalObjects/"+p, "", "IMP-10680")
	}
}

// Faults speak of what the client sent, in words that the client knows.
func TestFaultsAreInTheClientsWords(t *testing.T) {
	s := newServer(t)
	s.ok("POST", group, "")
	s.ok("POST", "/v1/conf/actionSets/Mine", "")
	const security = "/v1/conf/policies/security/"
	protected := group + "/protectedIPs/10.0.0.1?gatewayGroup=Default%20Gateway%20Group"
	s.ok("POST", protected, "")
	s.write(func(create func(parent, kind, name, document string) string) {
		set := create(model.RootID, model.ActionSet, "Told", "{}")
		create(model.RootID, model.SystemExport, model.SystemExport, `{"action-set":"`+set+`"}`)
	})
	for _, c := range []struct{ method, path, body, codes, want string }{
		{"PUT", security + "firewallPolicies/Default%20Firewall%20Policy", `{"applyTo":[{"operation":"add","siteName":"Default Site","serverGroupName":"Web","webServiceName":"Shop"}]}`, "IMP-10015",
			"applyTo[0] must name a server group by siteName, serverGroupName, and nothing below"},
		{"PUT", security + "httpProtocolPolicies/Default%20HTTP%20Protocol%20Policy", `{"rules":[{"name":"URL Too Long","severity":"noAlert","followedAction":"Mine"}]}`, "IMP-10904",
			`rule \"URL Too Long\": severity noAlert takes no followedAction`},
		{"PUT", security + "webApplicationSignaturesPolicies/Default%20Web%20Application%20Signatures%20Policy", `{"rules":[{"name":"Path Traversal","severity":"noAlert","followedAction":"Mine"}]}`, "IMP-10904",
			`"a rule: severity noAlert`},
		{"PUT", security + "httpProtocolPolicies/Default%20HTTP%20Protocol%20Policy", `{"rules":[{"name":"URL Too Long","parameters":{"n":0}}]}`, "IMP-10911",
			`rule \"URL Too Long\": parameters.n must be`},
		{"POST", protected, "", "IMP-10012", `protected IP \"10.0.0.1\" exists already`},
		{"DELETE", "/v1/conf/actionSets/Told", "", "IMP-10178", `used by settings of the system export`},
	} {
		if answer := s.refused(c.method, c.path, c.body, c.codes); !strings.Contains(answer, c.want) || strings.Contains(answer, "@") {
			t.Errorf("%s, want %s", answer, c.want)
		}
	}
	for _, op := range s.api.Operations() {
		for _, wrong := range []string{" a alias", " a action", " a IP", " a error", " a inbound", " a address", " a HTTP"} {
			if strings.Contains(" "+op.Summary, wrong) {
				t.Errorf("%s %s: %s", op.Method, op.Path, op.Summary)
			}
		}
	}
}

// A rule of a firewall policy says whom it is about, and an address is there once,
// however it is written.
func TestFirewallRulesAndAddressesAreWhole(t *testing.T) {
	s := newServer(t)
	s.gateway("gw1", "front")
	const policy, address = "/v1/conf/policies/security/firewallPolicies/", "/v1/conf/gateways/gw1/reverseProxy/addresses/"
	for _, rule := range []string{`{"direction":"inbound","protocol":"tcp"}`, `{"direction":"inbound","protocol":"tcp","ipGroup":""}`} {
		s.refused("POST", policy+"Mine", `{"rules":[`+rule+`]}`, "IMP-10015")
		s.refused("PUT", policy+"Default%20Firewall%20Policy", `{"rules":[`+strings.Replace(rule, "{", `{"operation":"add",`, 1)+`]}`, "IMP-10015")
	}
	s.ok("POST", policy+"Mine", `{"rules":[{"direction":"inbound","protocol":"tcp","ipGroup":"All Addresses"}]}`)
	s.ok("POST", address+"127.0.0.2", "")
	s.ok("POST", address+"2001:DB8::1", "")
	for _, same := range []string{"127.0.0.2", "::ffff:127.0.0.2", "2001:db8:0::1"} {
		s.refused("POST", address+same, "", "IMP-10604")
	}
	s.refused("POST", "/experimental/gateway/gatewayAlias", `{"gatewayName":"gw1","aliasName":"side","internalIpAddress":"::ffff:127.0.0.2"}`, "IMP-10604")
}
