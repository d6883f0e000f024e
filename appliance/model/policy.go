package model

// Kinds of security policies.
const (
	FirewallPolicy       = "firewallPolicy"
	HTTP2Policy          = "http2ProtocolPolicy"
	HTTPPolicy           = "httpProtocolPolicy"
	HTTPSignaturesPolicy = "httpProtocolSignaturesPolicy"
	SnippetPolicy        = "snippetInjectionPolicy"
	StreamPolicy         = "streamSignaturesPolicy"
	AppCustomPolicy      = "webApplicationCustomPolicy"
	AppSignaturesPolicy  = "webApplicationSignaturesPolicy"
	CorrelationPolicy    = "webCorrelationPolicy"
	ProfilePolicy        = "webProfilePolicy"
	ServiceCustomPolicy  = "webServiceCustomPolicy"
)

// followed, applied and the rest are the references that policies share.
var (
	applied     = Reference{Field: "applyTo[]", To: []string{ServerGroup, WebService, WebApplication}}
	followed    = Reference{Field: "followedAction", To: []string{ActionSet}}
	ruleAction  = Reference{Field: "rules[].followedAction", To: []string{ActionSet}}
	criterionIP = Reference{Field: "matchCriteria[].ipGroups[]", To: []string{IPGroup}}
	exceptionIP = Reference{Field: "exceptions[].predicates[].ipGroups[]", To: []string{IPGroup}}
)

var policyKinds = []Kind{
	{Name: FirewallPolicy, References: []Reference{applied, followed, {Field: "rules[].ipGroup", To: []string{IPGroup}}},
		Defaults: []Default{{Name: "Default Firewall Policy", Document: object{
			"enabled": true, "severity": "medium", "action": "block", "followedAction": nil, "allowAppServicePorts": true,
			"establishedConnectionsBlock": false, "inboundOperation": "deny", "outboundOperation": "allow", "sendToCd": false,
			"applyTo": []string{}, "rules": []object{},
		}}}},
	rulePolicy(HTTP2Policy, "Default HTTP2 Protocol Policy",
		"Excessive Streams", "Rapid Reset", "Malformed HTTP/2 Frame", "Header List Too Large", "Settings Flood", "Slow Stream"),
	rulePolicy(HTTPPolicy, "Default HTTP Protocol Policy",
		"Malformed Request Line", "Malformed Header Line", "Illegal Byte in URL", "Illegal Byte in Header", "Illegal Method",
		"Double URL Encoding", "Redundant UTF-8 Encoding", "Null Character in URL", "Null Character in Parameter",
		"Header Line Too Long", "URL Too Long", "Parameter Too Long", "Too Many Headers", "Too Many Parameters", "Too Many Cookies",
		"Post Without Content Type", "Content Length Mismatch", "Unknown Transfer Encoding", "Host Header Missing", "Cookie Syntax"),
	rulePolicy(HTTPSignaturesPolicy, "Default HTTP Protocol Signatures Policy", "Path Traversal", "Known Scanners"),
	{Name: SnippetPolicy, References: []Reference{applied, criterionIP}, Defaults: []Default{{Name: "Default Snippet Injection Policy", Document: object{
		"enabled": false, "invocationFrequency": "session", "snippetLocation": "head", "snippetContent": "",
		"matchCriteria": []object{}, "applyTo": []string{},
	}}}},
	rulePolicy(StreamPolicy, "Default Stream Signatures Policy", "Command Injection", "Known Scanners"),
	customPolicy(AppCustomPolicy, "Default Web Application Custom Policy"),
	rulePolicy(AppSignaturesPolicy, "Default Web Application Signatures Policy",
		"SQL Injection", "Cross-Site Scripting", "Command Injection", "Path Traversal"),
	rulePolicy(CorrelationPolicy, "Default Web Correlation Policy",
		"SQL Injection", "Cross-Site Scripting", "Remote File Inclusion", "Session Fixation", "Directory Browsing", "Forceful Browsing"),
	rulePolicy(ProfilePolicy, "Default Web Profile Policy",
		"Unknown Parameter", "Required Parameter Missing", "Parameter Type Violation", "Parameter Value Length Violation",
		"Read-Only Parameter Changed", "Unauthorized Method", "Unauthorized Content Type", "Cookie Tampering", "Cookie Injection"),
	customPolicy(ServiceCustomPolicy, "Default Web Service Custom Policy"),
}

// rulePolicy is a kind of policy that switches rules, and its default with the
// rules that the kind knows.
func rulePolicy(kind, name string, rules ...string) Kind {
	list := make([]object, len(rules))
	for i, rule := range rules {
		list[i] = object{"name": rule, "enabled": true, "severity": "medium", "action": "block", "followedAction": nil}
	}
	return Kind{Name: kind, References: []Reference{applied, ruleAction, exceptionIP}, Defaults: []Default{{Name: name, Document: object{
		"rules": list, "exceptions": []object{}, "displayResponsePage": false, "applyTo": []string{},
	}}}}
}

// customPolicy is a kind of policy that matches criteria, and its default, which
// is off: it shows what a custom policy looks like.
func customPolicy(kind, name string) Kind {
	return Kind{Name: kind, References: []Reference{applied, followed, criterionIP}, Defaults: []Default{{Name: name, Document: object{
		"enabled": false, "oneAlertPerSession": false, "sendToCD": false, "displayResponsePage": false,
		"severity": "medium", "action": "none", "followedAction": nil, "applyTo": []string{},
		"matchCriteria": []object{{"type": "httpRequestUrl", "match": "prefix", "operation": "atLeastOne", "values": []string{"/admin/"}}},
	}}}}
}
