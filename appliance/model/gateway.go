package model

// Kinds around gateways.
const (
	GatewayGroup = "gatewayGroup"
	Gateway      = "gateway"
	Alias        = "gatewayAlias"
)

// DefaultGroupName is the gateway group that is there from the start.
const DefaultGroupName = "Default Gateway Group"

var gatewayKinds = []Kind{
	{Name: GatewayGroup, Defaults: []Default{{Name: DefaultGroupName, Document: object{
		"gatewayPlatform": "Virtual", "gatewayMode": "Reverse Proxy", "failMode": "open", "cluster": false,
		"overloadPolicy": true, "advancedConfiguration": "",
	}}}},
	{Name: Gateway, Parent: GatewayGroup},
	{Name: Alias, Parent: Gateway},
}
