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
