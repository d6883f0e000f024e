package model

// Kinds of the site tree.
const (
	Site           = "site"
	ServerGroup    = "serverGroup"
	ProtectedIP    = "protectedIP"
	Server         = "server"
	WebService     = "webService"
	WebApplication = "webApplication"
	WebProfile     = "webProfile"
	HostMapping    = "hostToAppMapping"
	InboundRule    = "krpInboundRule"
	OutboundRule   = "krpOutboundRule"
)

// Names of what is there from the start.
const (
	DefaultSite = "Default Site"
	DefaultApp  = "Default Web Application" // each new web service gets one
)

// Operation modes of a server group.
const (
	ModeActive     = "active"     // inspects and blocks
	ModeSimulation = "simulation" // inspects and tells
	ModeDisabled   = "disabled"   // neither inspects nor forwards
)

var siteKinds = []Kind{
	{Name: Site, Defaults: []Default{{Name: DefaultSite, Document: object{}}}},
	{Name: ServerGroup, Parent: Site, References: []Reference{
		{Field: "ignoreIpGroup", To: []string{IPGroup}},
		{Field: "limitMonitoringToIpGroup", To: []string{IPGroup}},
	}},
	{Name: ProtectedIP, Parent: ServerGroup, References: []Reference{
		{Field: "gateway-group", To: []string{GatewayGroup}},
	}},
	{Name: Server, Parent: ServerGroup, References: []Reference{
		{Field: "credential", To: []string{Credential}},
	}},
	{Name: WebService, Parent: ServerGroup, References: []Reference{
		{Field: "default-application", To: []string{WebApplication}},
		{Field: "urlRewriteGroups[]", To: []string{URLRewriteGroup}},
		{Field: "dataMaskingGroup", To: []string{DataMaskingGroup}},
		{Field: "webErrorPagePolicies[]", To: []string{ErrorPagePolicy}},
		{Field: "forwardedConnections[].proxyIpGroup", To: []string{IPGroup}},
	}},
	{Name: WebApplication, Parent: WebService},
	{Name: WebProfile, Parent: WebApplication},
	{Name: HostMapping, Parent: WebService, References: []Reference{
		{Field: "application", To: []string{WebApplication}},
	}},
	{Name: InboundRule, Parent: WebService, References: []Reference{
		{Field: "gatewayGroup", To: []string{GatewayGroup}},
		{Field: "alias", To: []string{Alias}},
		{Field: "serverCertificate", To: []string{SSLKey}},
		{Field: "clientSideSslSettings", To: []string{SSLSettings}},
	}},
	{Name: OutboundRule, Parent: InboundRule, References: []Reference{
		{Field: "clientCertificate", To: []string{SSLKey}},
		{Field: "serverSideSslSettings", To: []string{SSLSettings}},
	}},
}
