package model

// Kinds around gateways.
const (
	GatewayGroup = "gatewayGroup"
	Gateway      = "gateway"
	Alias        = "gatewayAlias"
)

var gatewayKinds = []Kind{
	{Name: GatewayGroup, Defaults: []Default{{Name: DefaultGroupName, Document: object{
		"gatewayPlatform": "Virtual", "gatewayMode": "Reverse Proxy", "failMode": "open", "cluster": false,
		"overloadPolicy": true, "advancedConfiguration": "",
	}}}},
	{Name: Gateway, Parent: GatewayGroup},
	{Name: Alias, Parent: Gateway},
}
