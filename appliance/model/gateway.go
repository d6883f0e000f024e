package model

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// Kinds around gateways.
const (
	GatewayGroup = "gatewayGroup"
	Gateway      = "gateway"
	Address      = "reverseProxyAddress"
	Alias        = "gatewayAlias"
)

// DefaultGroupName is the gateway group that is there from the start.
const DefaultGroupName = "Default Gateway Group"

const (
	gatewayGroupPath = "/v1/conf/gatewayGroups/{gatewayGroupName}"
	gatewayPath      = "/v1/conf/gateways/{gatewayName}"
)

var gatewayKinds = []Kind{
	{
		Name: GatewayGroup, Title: "gateway group", Missing: 10013, Exists: 12501, LongName: 10145,
		Path: gatewayGroupPath, Methods: "GET POST DELETE", List: "gateway-groups", NameField: "gatewayGroupName",
		ValidName: noAngle, NameCode: 10182,
		Fields: []Field{
			text("gatewayPlatform").within(0, 100).otherwise("Virtual"), text("gatewayMode").within(0, 100).otherwise("Reverse Proxy"),
			text("failMode").valid(failMode).otherwise("open"), flag("cluster").otherwise(false), flag("overloadPolicy").otherwise(true),
		},
		Views: []View{{Path: gatewayGroupPath + "/advancedConfiguration", Fields: []Field{text("advancedConfiguration").within(0, 64<<10).otherwise("")}}},
		Check: checkAdvanced,
		Defaults: []Default{{Name: DefaultGroupName, Document: object{
			"gatewayPlatform": "Virtual", "gatewayMode": "Reverse Proxy", "failMode": "open", "cluster": false,
			"overloadPolicy": true, "advancedConfiguration": "",
		}}},
	},
	{
		// Gateways come by registration, so there is no POST.
		Name: Gateway, Parent: GatewayGroup, Title: "gateway", Missing: 10102, Anywhere: true,
		Path: gatewayPath, Methods: "GET DELETE", ParentField: "gatewayGroupName",
		Fields: []Field{
			text("gatewayModel"), text("applianceType"), text("gatewayIP"), texts("networkInterfaceList").otherwise([]string{}),
			text("platformType"), text("softwareVersion"), flag("running").otherwise(false),
		},
	},
	{
		Name: Address, Parent: Gateway, Title: "address", Missing: 10179, Exists: 10604,
		Path: gatewayPath + "/reverseProxy/addresses/{ip}", List: "ips", Whole: true, Brief: []string{"mask"}, NameField: "ip",
		ValidName: address, NameCode: 10152,
		Fields: []Field{
			text("networkInterface").within(0, 64).code(12601), number("mask").within(0, 128).code(12602).otherwise(32), flag("virtualAddress").otherwise(false),
			number("vrId").within(1, 255).code(12801), text("nextHop").valid(address).code(10152), text("comment"),
		},
		Check: reachable, Stays: managed, Apart: sameAddress,
	},
	{
		Name: Alias, Parent: Gateway, Title: "alias", Missing: 10051, Exists: 10131, MaxName: 100, LongName: 10132,
		Path: gatewayPath + "/reverseProxy/aliases/{aliasName}", List: "aliases",
		Fields: []Field{
			flag("enabled").otherwise(true), text("externalAddress").valid(address).code(10152),
			ref("internalAddress", Address).under(Gateway), text("comment"),
		},
		Apart: otherAddress, ApartBy: []string{"internalAddress"},
	},
}

func noAngle(s string) error {
	if strings.ContainsAny(s, "<>") {
		return errAllowed("must not contain < or >")
	}
	return nil
}

// reachable wants the next hop of an address inside of its network.
func reachable(name string, document map[string]any) []Fault {
	ip, err := netip.ParseAddr(name)
	if err != nil {
		return nil // the name's own fault
	}
	bits, ok := wholeOf(document["mask"])
	if !ok {
		bits = int64(ip.BitLen())
	}
	network, err := ip.Prefix(int(bits))
	if err != nil {
		return []Fault{{12602, fmt.Sprintf("mask is %d, for %s it must be 0 to %d", bits, ip, ip.BitLen())}}
	}
	hop, err := netip.ParseAddr(textOf(document, "nextHop"))
	if err == nil && !network.Contains(hop) {
		return []Fault{{10183, fmt.Sprintf("nextHop is %s, must be in %s", hop, network)}}
	}
	return nil
}

// managed keeps the address by which the management server knows a gateway.
func managed(gateway map[string]any, name string) *Fault {
	ip, _ := netip.ParseAddr(name)
	known, err := netip.ParseAddr(textOf(gateway, "gatewayIP"))
	if err != nil || ip.Unmap() != known.Unmap() {
		return nil
	}
	return &Fault{10184, shown(name) + " is the management address of the gateway, so it cannot be deleted"}
}

// sameAddress refuses an address that is there in another spelling.
func sameAddress(name string, _ map[string]any, otherName string, _ map[string]any) *Fault {
	ip, err := netip.ParseAddr(name)
	other, errOther := netip.ParseAddr(otherName)
	if err != nil || errOther != nil || ip.Unmap() != other.Unmap() {
		return nil
	}
	return &Fault{10604, "address " + shown(name) + " exists already, as " + shown(otherName)}
}

// wholeOf reads a number of a document, which is read from JSON or new.
func wholeOf(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case json.Number:
		i, err := n.Int64()
		return i, err == nil
	default:
		return 0, false
	}
}

func otherAddress(_ string, document map[string]any, otherName string, other map[string]any) *Fault {
	if a := textOf(document, "internalAddress"); a != "" && a == textOf(other, "internalAddress") {
		return &Fault{10180, "internalAddress is the address of alias " + shown(otherName) + " already"}
	}
	return nil
}
