package model

import (
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
)

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

// Policies are the kinds of security policies, and what lists of them call each.
var Policies = map[string]string{
	FirewallPolicy: "Firewall", HTTP2Policy: "HTTP/2 Protocol", HTTPPolicy: "HTTP Protocol", HTTPSignaturesPolicy: "HTTP Protocol Signatures",
	SnippetPolicy: "Snippet Injection", StreamPolicy: "Stream Signatures", AppCustomPolicy: "Web Application Custom",
	AppSignaturesPolicy: "Web Application Signatures", CorrelationPolicy: "Web Correlation", ProfilePolicy: "Web Profile",
	ServiceCustomPolicy: "Web Service Custom",
}

// AppliesTo is the field of a policy that names what it applies to.
const AppliesTo = "applyTo"

const (
	policyBase    = "/v1/conf/policies/security/"
	maxApplied    = 100_000
	policySegment = "/{policyName}"
)

var (
	severity = text("severity").oneOf("high", "medium", "low", "informative", "noAlert").code(10032).otherwise("medium")
	action   = text("action").oneOf("none", "block").code(10032).otherwise("none")
	followed = ref("followedAction", ActionSet).nullable()
)

// applyTo is the list of what a policy applies to: places in the site tree down to
// the deepest that the kind of policy knows. What is deleted leaves it.
func applyTo(deepest string) Field {
	levels := slices.Index(placeKinds, deepest)
	f := list(AppliesTo, place(placeKinds[1:levels+1], "siteName", "serverGroupName", "webServiceName", "webApplicationName")).
		changes(10015, 10016).within(0, maxApplied).otherwise([]string{})
	f.Weak = true
	return f
}

// exceptions are what rules, which are named as in rules, let pass.
func exceptions(name Field) Field {
	name.Name = "ruleName"
	return records("exceptions", name, text("comment"), criteria("predicates", "responseCode")).within(0, 1000).otherwise([]string{})
}

// rules are what a policy switches.
func rules(name Field, more ...Field) Field {
	fields := append([]Field{name, flag("enabled").otherwise(true), severity, action, followed}, more...)
	return records("rules", fields...).by("name").twice(10909).leaves(10811).within(0, 1000).code(10032).otherwise([]string{})
}

var (
	parameters = mapOf("parameters", anything("")).within(0, 100)
	page       = flag("displayResponsePage").otherwise(false)

	dictionaryRule = ref("name", Dictionary).required(10801)
)

var policyKinds = []Kind{
	{
		Name: FirewallPolicy, Title: "firewall policy", Missing: 10033,
		Path: policyBase + "firewallPolicies" + policySegment, Aliases: []string{"/v1/conf/firewallPolicies" + policySegment}, List: "policies", Joined: true,
		Fields: []Field{
			flag("enabled").otherwise(true), severity, action, followed, flag("allowAppServicePorts").otherwise(true),
			flag("establishedConnectionsBlock").otherwise(false), operationField("inboundOperation", "deny"), operationField("outboundOperation", "allow"),
			flag("sendToCd").otherwise(false), applyTo(ServerGroup),
			records("rules", text("direction").oneOf("inbound", "outbound").code(10911).required(10015), text("protocol").within(1, 100).required(10015), ref("ipGroup", IPGroup).required(10015)).
				by("direction", "protocol", "ipGroup").changes(10015, 10811).within(0, 1000).otherwise([]string{}),
		},
		Check: checkSeverity,
		Defaults: []Default{{Name: "Default Firewall Policy", Document: object{
			"enabled": true, "severity": "medium", "action": "block", "allowAppServicePorts": true,
			"establishedConnectionsBlock": false, "inboundOperation": "deny", "outboundOperation": "allow", "sendToCd": false,
			"applyTo": []string{}, "rules": []object{},
		}}},
	},
	rulePolicy(HTTP2Policy, "HTTP/2 protocol policy", "http2ProtocolPolicies", "Default HTTP2 Protocol Policy", WebService, 10030,
		[]Field{parameters}, []Field{number("bytesPerSecond"), number("leadTime"), number("resendTime")},
		"Excessive Streams", "Rapid Reset", "Malformed HTTP/2 Frame", "Header List Too Large", "Settings Flood", "Slow Stream"),
	rulePolicy(HTTPPolicy, "HTTP protocol policy", "httpProtocolPolicies", "Default HTTP Protocol Policy", WebService, 10030,
		[]Field{parameters}, []Field{number("bytesPerSecond"), number("leadTime"), number("resendTime")},
		"Malformed Request Line", "Malformed Header Line", "Illegal Byte in URL", "Illegal Byte in Header", "Illegal Method",
		"Double URL Encoding", "Redundant UTF-8 Encoding", "Null Character in URL", "Null Character in Parameter",
		"Header Line Too Long", "URL Too Long", "Parameter Too Long", "Too Many Headers", "Too Many Parameters", "Too Many Cookies",
		"Post Without Content Type", "Content Length Mismatch", "Unknown Transfer Encoding", "Host Header Missing", "Cookie Syntax",
		"Request Body Too Long", "Unreadable Body", "Inspection Not Completed"),
	signaturePolicy(HTTPSignaturesPolicy, "HTTP protocol signatures policy", "httpProtocolSignaturesPolicies", "Default HTTP Protocol Signatures Policy", WebService,
		[]Field{exceptions(dictionaryRule), page}, "Path Traversal", "Known Scanners"),
	{
		Name: SnippetPolicy, Title: "snippet injection policy", Missing: 10033, Path: policyBase + "snippetInjectionPolicies" + policySegment, List: "policies",
		Fields: []Field{
			flag("enabled").otherwise(true), text("invocationFrequency").oneOf(SnippetAlways, SnippetSession).otherwise(SnippetSession), number("invocationFrequencyInSec").within(1, 86400*30),
			text("snippetLocation").oneOf(SnippetInHead, SnippetInBody, SnippetCustom).otherwise(SnippetInHead), text("snippetCustomLocation").within(0, 1024), text("snippetContent").within(0, 64<<10).code(15050),
			headCriteria("matchCriteria").otherwise([]string{}), applyTo(WebApplication),
		},
		Check: checkSnippet,
		Defaults: []Default{{Name: "Default Snippet Injection Policy", Document: object{
			"enabled": false, "invocationFrequency": "session", "snippetLocation": "head", "snippetContent": "",
			"matchCriteria": []object{}, "applyTo": []string{},
		}}},
	},
	signaturePolicy(StreamPolicy, "stream signatures policy", "streamSignaturesPolicies", "Default Stream Signatures Policy", WebService,
		[]Field{flag("autoApply").otherwise(false)}, "Command Injection", "Known Scanners"),
	customPolicy(AppCustomPolicy, "web application custom policy", "webApplicationCustomPolicies", "Default Web Application Custom Policy", WebApplication),
	signaturePolicy(AppSignaturesPolicy, "web application signatures policy", "webApplicationSignaturesPolicies", "Default Web Application Signatures Policy", WebApplication,
		[]Field{exceptions(dictionaryRule), page}, "SQL Injection", "Cross-Site Scripting", "Command Injection", "Path Traversal", "Known Scanners", "Remote File Inclusion",
		"PHP Injection", "Generic Injection", "Java Injection", "Session Fixation", "Protocol Attack", "Protocol Enforcement", "Data Leakage", "Web Shells"),
	correlationPolicy(),
	rulePolicy(ProfilePolicy, "web profile policy", "webProfilePolicies", "Default Web Profile Policy", WebApplication, 10147,
		[]Field{parameters}, []Field{
			mapOf("apuConfig", record("", flag("enabled"), number("sources"), number("occurrences"), number("hours"))).within(0, 100), flag("disableLearning").otherwise(false),
		},
		"Unknown Parameter", "Required Parameter Missing", "Parameter Type Violation", "Parameter Value Length Violation",
		"Read-Only Parameter Changed", "Unauthorized Method", "Unauthorized Content Type", "Cookie Tampering", "Cookie Injection"),
	customPolicy(ServiceCustomPolicy, "web service custom policy", "webServiceCustomPolicies", "Default Web Service Custom Policy", WebService),
}

func operationField(name, usual string) Field {
	return text(name).oneOf("allow", "deny").code(10911).otherwise(usual)
}

// unusual are the rules of new policies that are not like others: uploads are long, and
// whoever could not be inspected may be anybody.
var unusual = map[string]object{"Request Body Too Long": {"action": "none"}, "Inspection Not Completed": {"severity": "high"}}

// rulePolicy is a kind of policy that switches rules which it knows by name. A new
// one has them all, as the default one.
func rulePolicy(kind, title, path, name, deepest string, kept int, ofRule, more []Field, known ...string) Kind {
	list := make([]object, len(known))
	for i, rule := range known {
		list[i] = object{"name": rule, "enabled": true, "severity": "medium", "action": "block"}
		maps.Copy(list[i], unusual[rule])
	}
	ruleName := text("name").oneOf(known...).code(10906).required(10906)
	check := checkRulePolicy
	if kind == HTTPPolicy || kind == HTTP2Policy {
		check = checkLimits
	}
	fields := []Field{rules(ruleName, ofRule...), exceptions(ruleName.code(10811)), page}
	return Kind{
		Name: kind, Title: title, Missing: 10033, Kept: kept, Path: policyBase + path + policySegment, List: "policies",
		Fields: append(append(fields, more...), applyTo(deepest)),
		Fresh:  object{"rules": list},
		Check:  check,
		Defaults: []Default{{Name: name, Document: object{
			"rules": list, "exceptions": []object{}, "displayResponsePage": false, "applyTo": []string{},
		}}},
	}
}

// checkLimits wants the parameters of rules to be limits.
func checkLimits(name string, document map[string]any) []Fault {
	faults := checkRulePolicy(name, document)
	list, _ := document["rules"].([]any)
	for _, entry := range list {
		rule, _ := entry.(map[string]any)
		parameters, _ := rule["parameters"].(map[string]any)
		for _, name := range sortedKeys(parameters) {
			text, _ := scalar(parameters[name])
			if n, ok := wholeNumber(text); !ok || !n.IsInt64() || n.Int64() < 1 || n.Int64() > 1<<31 {
				faults = append(faults, Fault{10911, fmt.Sprintf("%s: parameters.%s must be a whole number above 0", ruleCalled(rule), name)})
			}
		}
	}
	return faults
}

func correlationPolicy() Kind {
	k := rulePolicy(CorrelationPolicy, "web correlation policy", "webCorrelationPolicies", "Default Web Correlation Policy", WebService, 10030,
		[]Field{parameters}, []Field{flag("displayResponsePageInAlerts").otherwise(false), flag("includeProfileInformation").otherwise(false)},
		"SQL Injection", "Cross-Site Scripting", "Remote File Inclusion", "Session Fixation", "Directory Browsing", "Forceful Browsing")
	k.Fields = slices.DeleteFunc(k.Fields, func(f Field) bool { return f.Name == page.Name })
	return k
}

// AboutAnswers are the rules that need the bodies of answers.
var AboutAnswers = []string{"Data Leakage", "Web Shells", "Directory Browsing"}

// signaturePolicy is a kind of policy whose rules are dictionaries of signatures. Those
// that need the bodies of answers, which are held then, are off, and so is the one that
// refuses what interfaces of programs do every day: other methods, types and encodings.
func signaturePolicy(kind, title, path, name, deepest string, more []Field, dictionaries ...string) Kind {
	list := make([]object, len(dictionaries))
	for i, d := range dictionaries {
		list[i] = object{"name": DefaultID(Dictionary, d), "enabled": d != "Protocol Enforcement" && !slices.Contains(AboutAnswers, d), "severity": "medium", "action": "block"}
	}
	return Kind{
		Name: kind, Title: title, Missing: 10033, Kept: 10147, Path: policyBase + path + policySegment, List: "policies",
		Fields: append(append([]Field{rules(dictionaryRule)}, more...), applyTo(deepest)),
		Check:  checkRulePolicy,
		Defaults: []Default{{Name: name, Document: object{
			"rules": list, "applyTo": []string{},
		}}},
	}
}

// customPolicy is a kind of policy that matches criteria, and its default, which
// is off: it shows what a custom policy looks like.
func customPolicy(kind, title, path, name, deepest string) Kind {
	return Kind{
		Name: kind, Title: title, Missing: 10033, List: "customWebPolicies",
		Path: policyBase + path + policySegment, Aliases: []string{"/v1/conf/" + path + policySegment},
		Fields: []Field{
			flag("enabled").otherwise(true), flag("oneAlertPerSession").otherwise(false), flag("sendToCD").otherwise(false), page,
			severity, action, followed, criteria("matchCriteria").otherwise([]string{}), applyTo(deepest),
		},
		Check: checkCustom,
		Defaults: []Default{{Name: name, Document: object{
			"enabled": false, "oneAlertPerSession": false, "sendToCD": false, "displayResponsePage": false,
			"severity": "medium", "action": "none", "applyTo": []string{},
			"matchCriteria": []object{{"type": "httpRequestUrl", "match": "prefix", "operation": "atLeastOne", "values": []string{"/admin/"}}},
		}}},
	}
}

// checkSeverity refuses a followed action where nothing is told.
func checkSeverity(_ string, document map[string]any) []Fault {
	if textOf(document, "severity") == "noAlert" && document["followedAction"] != nil {
		return []Fault{{10904, "severity noAlert takes no followedAction"}}
	}
	return nil
}

func checkCustom(name string, document map[string]any) []Fault {
	return append(checkSeverity(name, document), checkCriteria(document["matchCriteria"], "matchCriteria")...)
}

func checkSnippet(name string, document map[string]any) []Fault {
	faults := checkCustom(name, document)
	if textOf(document, "snippetLocation") == SnippetCustom && textOf(document, "snippetCustomLocation") == "" {
		faults = append(faults, Fault{CodeMandatory, "snippetCustomLocation is missing; snippetLocation custom needs the text behind which the snippet goes"})
	}
	return faults
}

// ruleCalled names a rule in a description. The number of its place means nothing to a
// client, whose list is merged into what was there; documents call dictionaries by ids.
func ruleCalled(rule map[string]any) string {
	name := textOf(rule, "name")
	if uuid.Validate(name) == nil {
		return "a rule"
	}
	return "rule " + shown(name)
}

func checkRulePolicy(name string, document map[string]any) []Fault {
	var faults []Fault
	list, _ := document["rules"].([]any)
	known := make(map[string]bool)
	for _, entry := range list {
		rule, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		known[textOf(rule, "name")] = true
		for _, f := range checkSeverity(name, rule) {
			faults = append(faults, Fault{f.Code, ruleCalled(rule) + ": " + f.Description})
		}
	}
	entries, _ := document["exceptions"].([]any)
	for i, entry := range entries {
		exception, _ := entry.(map[string]any)
		if rule := textOf(exception, "ruleName"); rule != "" && !known[rule] {
			faults = append(faults, Fault{10811, fmt.Sprintf("exceptions[%d].ruleName is no rule of the policy", i)})
		}
	}
	return append(faults, checkRules(document["exceptions"], "exceptions", "predicates")...)
}
