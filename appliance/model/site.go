package model

import "strings"

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

// Paths of the site tree, which others begin with.
const (
	sitePath    = "/v1/conf/sites/{siteName}"
	groupPath   = "/v1/conf/serverGroups/{siteName}/{serverGroupName}"
	servicePath = "/v1/conf/webServices/{siteName}/{serverGroupName}/{webServiceName}"
	appPath     = "/v1/conf/webApplications/{siteName}/{serverGroupName}/{webServiceName}/{webApplicationName}"
	profilePath = "/v1/conf/webProfile/{siteName}/{serverGroupName}/{webServiceName}/{webApplicationName}"
	inboundPath = servicePath + "/krpInboundRules/{gatewayGroupName}/{aliasName}/{gatewayPort}"
)

var siteKinds = []Kind{
	{
		Name: Site, Title: "site", Missing: 10006,
		Path: sitePath, Methods: "POST PUT DELETE", List: "sites", NameField: "name", Renames: true,
		Defaults: []Default{{Name: DefaultSite, Document: object{}}},
	},
	{
		Name: ServerGroup, Parent: Site, Title: "server group", Missing: 10008,
		Path: groupPath, List: "server-groups", NameField: "name", Renames: true,
		Fields: []Field{
			text("operationMode").oneOf(ModeActive, ModeSimulation, ModeDisabled).otherwise(ModeSimulation).later(),
			ref("ignoreIpGroup", IPGroup).code(10605).later(),
			ref("limitMonitoringToIpGroup", IPGroup).code(10605).later(),
		},
	},
	{
		// Found by address and gateway group, so its operations are written by hand.
		Name: ProtectedIP, Parent: ServerGroup, Title: "protected IP", MarkedName: true, Missing: 10011, Exists: 10012,
		Fields: []Field{
			text("ip").valid(address).code(10010),
			text("comment"),
			ref("gateway-group", GatewayGroup),
		},
	},
	{
		Name: Server, Parent: ServerGroup, Title: "server",
		Path: groupPath + "/servers/{ip}", List: "connections", Whole: true, NameField: "ip", Missing: 10016,
		Fields: []Field{
			text("domain"), secretField("password"), text("connection-mode"), text("share-name"), text("host-name"),
			text("OS-type"), text("user-name"), text("folder-path"),
		},
	},
	{
		Name: WebService, Parent: ServerGroup, Title: "web service", Missing: 10017,
		Path: servicePath, List: "web-services", NameField: "name", Renames: true,
		Fields: []Field{
			ports("ports").otherwise([]int{}), ports("sslPorts").otherwise([]int{}), flag("trpMode").otherwise(false),
			flag("http2").otherwise(false), ref("default-application", WebApplication).under(WebService).later(),
		},
		Fresh: object{"dataMaskingGroup": DefaultID(DataMaskingGroup, DefaultMasking)},
		First: []First{{Kind: WebApplication, Name: DefaultApp, Field: "default-application"}},
		Check: checkService, Apart: otherPorts, ApartBy: []string{"ports", "sslPorts"},
		Views: []View{
			{Path: servicePath + "/URLRewrite", Fields: []Field{refs("urlRewriteGroups", URLRewriteGroup).otherwise([]string{})}},
			{Path: servicePath + "/advancedHttpSettings", Fields: []Field{
				number("connectionTimeout").within(1, 86400).otherwise(60),
				flag("jsessionIDParamsAsRegularParams").otherwise(false), text("jsessionIDParamsDelimiter").within(0, 1).code(10148).otherwise(";"),
				flag("caseSensitiveUrls").otherwise(true), flag("supportMsEncoding").otherwise(false),
				flag("combineParameterNamesWithEmptyValue").otherwise(false), flag("enableBase64Learning").otherwise(false),
				flag("enableDeserialization").otherwise(false),
			}},
			{Path: servicePath + "/dataMaskingGroups", Fields: []Field{ref("dataMaskingGroup", DataMaskingGroup)}},
			{Path: servicePath + "/errorPage", Fields: []Field{
				flag("useDefaultErrorPage").otherwise(true), text("defaultErrorPageRedirectURL").valid(redirect).code(12915),
				text("defaultErrorPageBody").within(0, 64<<10).code(12916), text("defaultErrorPageResponseCode").valid(status).code(12917),
				refs("webErrorPagePolicies", ErrorPagePolicy).otherwise([]string{}),
			}},
			{Path: servicePath + "/forwardedClientIp", Fields: []Field{
				flag("forwardClientIP").otherwise(false), text("forwardHeaderName").valid(header).otherwise("X-Forwarded-For"),
			}},
			{Path: servicePath + "/forwardedConnections", Fields: []Field{
				flag("useHttpForwardingHeader").otherwise(false),
				records("forwardedConnections", text("headerName").valid(header).required(10015), ref("proxyIpGroup", IPGroup).code(10601)).
					by("headerName").changes(10015, 10603).otherwise([]string{}),
			}},
		},
	},
	{
		Name: WebApplication, Parent: WebService, Title: "web application", Missing: 10014,
		Path: appPath, List: "webApplications", NameField: "appName", Renames: true,
		Fields: []Field{
			text("learnSettings").within(0, 100).code(10032).otherwise("learn"), flag("parseOCSPRequests").otherwise(false),
			text("restrictMonitoringToUrls").valid(urlList), text("ignoreUrlsDirectories").valid(urlList),
		},
	},
	webProfile,
	{
		Name: HostMapping, Parent: WebService, Title: "host-to-application mapping", Missing: 10021, Exists: 10022,
		Path: servicePath + "/hostToAppMappings/{priority}", Methods: "GET DELETE", List: "hostToAppMappings", Whole: true,
		NameField: "priority", Numbered: true,
		Fields: []Field{
			text("host").within(1, 255).required(10015), text("hostMatchType").oneOf("Exact", "Prefix", "Suffix", "Regex").otherwise("Exact"),
			ref("application", WebApplication).under(WebService),
		},
		Check: checkMapping, Apart: otherHost, ApartBy: []string{"host", "hostMatchType"},
	},
	{
		// Found by gateway group, alias and ports, so its operations are written by hand.
		Name: InboundRule, Parent: WebService, Title: "inbound rule", MarkedName: true, Missing: 10053, Exists: 10059, Most: maxSnapshotRules,
		Fields: []Field{
			ref("aliasName", Alias).readOnly(), ports("gatewayPorts").readOnly(), ref("gatewayGroupName", GatewayGroup).readOnly(),
			ref("serverCertificate", SSLKey).under(WebService).code(10401),
			ref("clientAuthenticationAuthorities", SSLKey).under(WebService).code(10411),
			mapOf("clientAuthenticationRules", text("")).within(0, 100),
			ref("clientSideSslSettings", SSLSettings),
		},
		Check: inboundTLS,
	},
	{
		Name: OutboundRule, Parent: InboundRule, Title: "outbound rule", Missing: 10053, Exists: 10421, Most: maxSnapshotRules,
		Path: inboundPath + "/krpOutboundRules/{priority}", List: "outboundKrpRules", Whole: true, NameField: "priority", Numbered: true,
		Filters: []string{"internalIpHost", "serverPort"},
		Fields: []Field{
			text("internalIpHost").within(1, 253).valid(host).code(10058).required(10015), port("serverPort").required(10015),
			flag("encrypt").otherwise(false), text("clientAuthenticationRules"), text("externalHost").within(0, 255).valid(anyHost), text("urlPrefix").within(0, 1024).valid(prefix),
			ref("clientCertificate", SSLKey).under(WebService).code(10402), flag("validateServerCertificate").otherwise(false),
			ref("serverSideSslSettings", SSLSettings),
		},
		Check: outboundTLS, Fits: clientRule, Apart: shadowed, ApartBy: []string{"externalHost", "urlPrefix"},
	},
}

// checkService wants each port once, and one error page.
func checkService(_ string, document map[string]any) []Fault {
	return append(onePortOnce(document), oneErrorPage(document)...)
}

func oneErrorPage(document map[string]any) []Fault {
	if textOf(document, "defaultErrorPageRedirectURL") == "" {
		return nil
	}
	if textOf(document, "defaultErrorPageBody") != "" {
		return []Fault{{12916, "defaultErrorPageBody and defaultErrorPageRedirectURL exclude each other; an empty one counts as absent"}}
	}
	return redirectsAway(document, "defaultErrorPageResponseCode", 12917)
}

// redirectsAway wants the status of a redirect, or none.
func redirectsAway(document map[string]any, field string, code int) []Fault {
	if status := textOf(document, field); status != "" && redirection(status) != nil {
		return []Fault{{code, field + " of a redirect must be 301, 302, 303, 307 or 308, not " + shown(status)}}
	}
	return nil
}

// onePortOnce refuses a port that a service has twice.
func onePortOnce(document map[string]any) []Fault {
	seen := make(map[string]bool)
	for _, port := range portsOf(document) {
		if seen[port] {
			return []Fault{{10181, "port " + port + " is configured for this service already; ports and sslPorts must differ"}}
		}
		seen[port] = true
	}
	return nil
}

func otherPorts(_ string, document map[string]any, otherName string, other map[string]any) *Fault {
	taken := make(map[string]bool)
	for _, port := range portsOf(other) {
		taken[port] = true
	}
	for _, port := range portsOf(document) {
		if taken[port] {
			return &Fault{10019, "port " + port + " is used by web service " + shown(otherName) + " of the same server group"}
		}
	}
	return nil
}

func portsOf(document map[string]any) []string {
	var list []string
	for _, field := range []string{"ports", "sslPorts"} {
		entries, _ := document[field].([]any)
		for _, entry := range entries {
			list = append(list, identityOf(entry))
		}
	}
	return list
}

func checkMapping(_ string, document map[string]any) []Fault {
	if host := textOf(document, "host"); textOf(document, "hostMatchType") == "Regex" && regex(host) != nil {
		return []Fault{{10350, "host is " + shown(host) + ", " + regex(host).Error()}}
	}
	return nil
}

func otherHost(_ string, document map[string]any, otherName string, other map[string]any) *Fault {
	if sameText(document, other, "host") && sameText(document, other, "hostMatchType") {
		return &Fault{10212, "host " + shown(textOf(document, "host")) + " is mapped already, at priority " + otherName}
	}
	return nil
}

func textOf(document map[string]any, field string) string {
	s, _ := document[field].(string)
	return s
}

func sameText(a, b map[string]any, field string) bool {
	return strings.EqualFold(textOf(a, field), textOf(b, field))
}

func inboundTLS(_ string, document map[string]any) []Fault {
	var faults []Fault
	if document["serverCertificate"] == nil {
		if document["clientSideSslSettings"] != nil {
			faults = append(faults, Fault{10415, "clientSideSslSettings needs a serverCertificate"})
		}
		if document["clientAuthenticationAuthorities"] != nil {
			faults = append(faults, Fault{10412, "clientAuthenticationAuthorities needs a serverCertificate"})
		}
	}
	rules, _ := document["clientAuthenticationRules"].(map[string]any)
	if len(rules) > 0 && document["clientAuthenticationAuthorities"] == nil {
		faults = append(faults, Fault{10413, "clientAuthenticationRules needs clientAuthenticationAuthorities"})
	}
	for _, name := range sortedKeys(rules) {
		if err := regex(textOf(rules, name)); err != nil {
			faults = append(faults, Fault{10350, "clientAuthenticationRules." + name + " is " + shown(textOf(rules, name)) + ", " + err.Error()})
		}
	}
	return faults
}

// clientRule wants the rule that an outbound rule names among its inbound rule's.
func clientRule(name string, document, parent map[string]any) []Fault {
	rule := textOf(document, "clientAuthenticationRules")
	rules, _ := parent["clientAuthenticationRules"].(map[string]any)
	switch {
	case rule == "" || rules[rule] != nil:
		return nil
	case parent["clientAuthenticationAuthorities"] == nil:
		return []Fault{{10413, "clientAuthenticationRules of the outbound rule of priority " + name + " needs clientAuthenticationAuthorities and the rule " + shown(rule) + " at the inbound rule"}}
	default:
		return []Fault{{10052, "clientAuthenticationRules of the outbound rule of priority " + name + " is " + shown(rule) + ", which is no rule of the inbound rule"}}
	}
}

func outboundTLS(_ string, document map[string]any) []Fault {
	if document["encrypt"] == true {
		return nil
	}
	var faults []Fault
	if document["serverSideSslSettings"] != nil {
		faults = append(faults, Fault{10414, "serverSideSslSettings needs encrypt true"})
	}
	if document["clientCertificate"] != nil {
		faults = append(faults, Fault{10403, "clientCertificate needs encrypt true"})
	}
	return faults
}

// shadowed refuses a rule that one before it would take every request from.
func shadowed(name string, document map[string]any, otherName string, other map[string]any) *Fault {
	if externalHost(document) != externalHost(other) || urlPrefix(document) != urlPrefix(other) {
		return nil
	}
	return &Fault{10054, "externalHost " + shown(externalHost(document)) + " with urlPrefix " + shown(urlPrefix(document)) +
		" is in the outbound rule of priority " + otherName + " already, so priority " + name + " must differ in one of them"}
}

// externalHost is the host of an outbound rule; "Any" and nothing are any host.
func externalHost(document map[string]any) string {
	if s := textOf(document, "externalHost"); s != "" {
		return strings.ToLower(s)
	}
	return "any"
}

func urlPrefix(document map[string]any) string {
	if s := textOf(document, "urlPrefix"); s != "" {
		return s
	}
	return "/"
}
