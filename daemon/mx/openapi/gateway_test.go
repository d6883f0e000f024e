package openapi_test

import (
	"strings"
	"testing"

	"sealgate/appliance/model"
	"sealgate/daemon/link"
)

func TestGatewaysMove(t *testing.T) {
	s := newServer(t)
	s.gateway("gw1", "front")
	s.ok("POST", "/v1/conf/gatewayGroups/Far", "")
	s.ok("POST", "/v1/conf/gatewayGroups/Bridges", `{"gatewayMode":"Bridge STP"}`)
	const gw = "/v1/conf/gateways/gw1"
	s.ok("PUT", gw+"/move/Far", "")
	if body := s.ok("GET", gw, ""); !strings.Contains(body, `"gatewayGroupName":"Far"`) {
		t.Error(body)
	}
	if body := s.ok("GET", gw+"/reverseProxy/aliases", ""); body != `{"aliases":["front"]}` {
		t.Errorf("its aliases: %s", body)
	}
	s.ok("PUT", gw+"/move/Far", "") // where it is already
	s.refused("PUT", gw+"/move/Nowhere", "", "IMP-10013")
	s.refused("PUT", "/v1/conf/gateways/gw9/move/Far", "", "IMP-10102")
	s.refused("PUT", gw+"/move/Bridges", "", "IMP-12503")
	s.ok("POST", group, "")
	s.ok("POST", service, "")
	s.ok("POST", service+"/krpInboundRules/Far/front/80", `{"outboundRules":{"1":{"internalIpHost":"10.0.0.1","serverPort":80}}}`)
	if answer := s.refused("PUT", gw+"/move/Default%20Gateway%20Group", "", "IMP-10178"); !strings.Contains(answer, "front") {
		t.Errorf("it does not name the alias: %s", answer)
	}
}

// Gateways of a scaling group come and go: rules stay as long as one of them has their
// alias.
func TestGatewaysGoAndTheirRulesStay(t *testing.T) {
	s := newServer(t)
	s.gateway("gw1", "front")
	s.ok("POST", group, "")
	s.ok("POST", service, "")
	const rule = service + "/krpInboundRules/Default%20Gateway%20Group/front/80,443"
	s.ok("POST", rule, `{"outboundRules":{"1":{"internalIpHost":"10.0.0.1","serverPort":80}}}`)
	before := s.ok("GET", rule, "")
	s.refused("DELETE", "/v1/conf/gateways/gw1", "", "IMP-10178")
	s.refused("DELETE", "/v1/conf/gateways/gw1/reverseProxy/aliases/front", "", "IMP-10178")
	s.gateway("gw2", "front")
	s.gateway("gw3", "other")
	s.ok("DELETE", "/v1/conf/gateways/gw1", "")
	if after := s.ok("GET", rule, ""); after != before {
		t.Errorf("the rule was %s and is %s", before, after)
	}
	s.refused("POST", service+"/krpInboundRules/Default%20Gateway%20Group/front/443", `{"outboundRules":{"1":{"internalIpHost":"10.0.0.1","serverPort":80}}}`, "IMP-10059")
	s.refused("DELETE", "/v1/conf/gateways/gw2", "", "IMP-10178")
	s.ok("DELETE", "/v1/conf/gateways/gw3", "")
}

// An address is on an interface that the gateway has, with or without an address, as far
// as the gateway said which those are.
func TestAddressesAreOnInterfaces(t *testing.T) {
	s := newServer(t)
	s.gateway("gw", "front")
	const address = "/v1/conf/gateways/gw/reverseProxy/addresses/10.0.0.8"
	s.ok("POST", address, `{"networkInterface":"eth7"}`) // it was not heard of yet
	gw, err := s.store.Find(t.Context(), model.DefaultID(model.GatewayGroup, model.DefaultGroupName), model.Gateway, "gw")
	if err != nil {
		t.Fatal(err)
	}
	s.said[gw.ID] = link.Poll{Interfaces: []string{"lo", "eth0", "eth1"}, Addresses: []string{"eth0 10.0.0.8"}}
	if body := s.ok("GET", "/v1/conf/gateways/gw", ""); !strings.Contains(body, `"networkInterfaceList":["lo","eth0","eth1"]`) {
		t.Error(body)
	}
	for _, body := range []string{`{"networkInterface":"eth7","comment":"as it was"}`, `{"networkInterface":"eth1"}`, `{"networkInterface":""}`, `{"comment":"as it is"}`} {
		s.ok("PUT", address, body)
	}
	for _, body := range []string{`{"networkInterface":"eth7"}`, `{"networkInterface":"ETH1"}`} {
		if answer := s.refused("PUT", address, body, "IMP-12601"); !strings.Contains(answer, "lo, eth0, eth1") {
			t.Error(answer)
		}
	}
	s.refused("POST", "/v1/conf/gateways/gw/reverseProxy/addresses/10.0.0.9", `{"networkInterface":"eth7"}`, "IMP-12601")
	s.refused("POST", "/experimental/gateway/gatewayAlias", `{"gatewayName":"gw","aliasName":"a","internalIpAddress":"10.0.0.9","interfaceName":"eth7"}`, "IMP-12601")
	s.ok("POST", "/experimental/gateway/gatewayAlias", `{"gatewayName":"gw","aliasName":"a","internalIpAddress":"10.0.0.9","interfaceName":"eth0"}`)
}
