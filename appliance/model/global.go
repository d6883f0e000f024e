package model

import (
	"fmt"
	"slices"
)

// Kinds of objects that sites share.
const (
	IPGroup          = "ipGroup"
	ActionSet        = "actionSet"
	Dictionary       = "dictionary"
	Signature        = "signature"
	DataSet          = "dataSet"
	URLRewriteGroup  = "urlRewriteGroup"
	DataMaskingGroup = "dataMaskingGroup"
	ParameterType    = "parameterTypeConfiguration"
	SSLSettings      = "sslSettings"
	ErrorPage        = "webErrorPage"
	ErrorPagePolicy  = "webErrorPagePolicy"
)

// DefaultMasking is the data masking group of new web services.
const DefaultMasking = "Default Data Masking"

const globalPath = "/v1/conf/globalObjects/"

var globalKinds = []Kind{
	{
		Name: IPGroup, Title: "IP group", Bytes: maxIPEntries, Missing: 10601, Kept: 10147, Path: "/v1/conf/ipGroups/{ipGroupName}", List: "names",
		Fields: []Field{ipEntries(-10016)},
		Views:  []View{{Path: "/v1/conf/ipGroups/{ipGroupName}/data", Fields: []Field{ipEntries(10056)}}},
		Check:  checkIPEntries,
		Defaults: []Default{
			{Name: "All Addresses", Document: object{"entries": []object{
				{"type": "network", "networkAddress": "0.0.0.0", "cidrMask": 0},
				{"type": "network", "networkAddress": "::", "cidrMask": 0},
			}}},
			{Name: "Internal IP Addresses", Document: object{"entries": []object{
				{"type": "network", "networkAddress": "10.0.0.0", "cidrMask": 8},
				{"type": "network", "networkAddress": "172.16.0.0", "cidrMask": 12},
				{"type": "network", "networkAddress": "192.168.0.0", "cidrMask": 16},
				{"type": "network", "networkAddress": "fd00::", "cidrMask": 8},
			}}},
		},
	},
	{
		Name: ActionSet, Title: "action set", Missing: 10701, Exists: 10128, Path: "/v1/conf/actionSets/{actionSetName}", Methods: "GET POST DELETE", List: "actionSets",
		Fields: []Field{
			text("type").within(1, 100).code(13206).otherwise("security"),
			records("actions", actionFields...).by("name").twice(13212).within(0, 100).otherwise([]string{}),
		},
		Check:    checkActions,
		Elements: []Element{{Path: "/v1/conf/actionSets/{actionSetName}/{actionName}", Title: "action", List: "actions", Key: "name", Missing: 13203, Exists: 13212}},
		Defaults: []Default{
			{Name: "Long IP Block", Document: block("ip", 3600)},
			{Name: "Short IP Block", Document: block("ip", 300)},
			{Name: "Long Session Block", Document: block("session", 3600)},
			{Name: "Short Session Block", Document: block("session", 300)},
		},
	},
	{
		// Paths say whether a dictionary is predefined, so its operations are written by
		// hand, and those of its signatures.
		Name: Dictionary, Title: "dictionary", Missing: 10801,
		Fields: []Field{text("category").within(0, 100), text("description"), text("type").within(0, 100)},
		Defaults: []Default{
			dictionary("SQL Injection", "SQL that reaches a database through a parameter"),
			dictionary("Cross-Site Scripting", "script that reaches a browser through a page"),
			dictionary("Command Injection", "shell words in parameters and headers"),
			dictionary("Path Traversal", "paths that leave the document root"),
			dictionary("Known Scanners", "tools that look for weaknesses"),
			dictionary("Remote File Inclusion", "addresses of scripts in parameters"),
			dictionary("PHP Injection", "PHP code and what it is hidden in"),
			dictionary("Generic Injection", "code of Node.js, Ruby, Perl and templates, and requests to inner addresses"),
			dictionary("Java Injection", "Java classes, serialized objects and lookups of Log4j"),
			dictionary("Session Fixation", "sessions that a client sets for another"),
			dictionary("Protocol Attack", "split headers, smuggled requests and other abuse of HTTP"),
			dictionary("Protocol Enforcement", "requests that no usual client sends"),
			dictionary("Data Leakage", "answers that give away source code or faults of databases"),
			dictionary("Web Shells", "answers of web shells"),
			dictionary("Directory Browsing", "answers that list a folder"),
			dictionary("Forceful Browsing", "files that no page leads to"),
		},
	},
	{
		Name: Signature, Parent: Dictionary, Title: "signature", Missing: 13013, Exists: 13110,
		Fields: []Field{
			text("pattern").within(1, 4096).valid(regex).code(13103).required(13104), text("applyTo").within(0, 100), texts("protocols"), list("searchIn", text("").oneOf(signaturePlaces...).code(10032)).within(0, 8),
			text("lastUpdateDate").within(0, 100), text("status").oneOf("enabled", "disabled").otherwise("enabled"), record("attackDto", attackFields...),
		},
		Defaults: []Default{
			signature("SQL Injection", "union select", `(?i)union\s+(all\s+)?select`),
			signature("SQL Injection", "always true", `(?i)'\s*or\s+\d+\s*=\s*\d+`),
			signature("Cross-Site Scripting", "script element", `(?i)<script[\s>/]`),
			signature("Cross-Site Scripting", "event handler", `(?i)\bon(error|load|click)\s*=`),
			signature("Command Injection", "shell after separator", `(?i)[;|&]\s*(cat|id|wget|curl|sh)\b`),
			signature("Path Traversal", "dot dot slash", `\.\.[/\\]`),
			signature("Known Scanners", "scanner agents", `(?i)(sqlmap|nikto|nessus|acunetix)`),
		},
	},
	{
		// Records have columns of the client's choice, so its operations are written by
		// hand.
		Name: DataSet, Title: "data set", Missing: 10094,
		Fields: []Field{
			records("columns", text("name").within(1, 100).required(10095), flag("key").otherwise(false)).within(1, 64).code(10095).required(10095),
			flag("caseSensitive").otherwise(true), list("records", anything("")).within(0, MaxList),
		},
	},
	{
		Name: URLRewriteGroup, Title: "URL rewrite group", Missing: 10680, Unread: 10601, Path: globalPath + "URLRewriteGroups/{groupName}", List: "urlRewriteGroups",
		Fields: []Field{
			records("rules", number("priority").within(1, 1<<30).code(10149).required(10149), text("name").within(1, 250).code(10149).required(10149), headCriteria("matchCriteria").otherwise([]string{}),
				text("hostToFind").valid(regex).code(10350), text("pathToFind").valid(regex).code(10350), text("hostToReplace"), text("pathToReplace"),
				text("applyTo").valid(among("request", "response")).code(10149), text("redirect").valid(redirection).code(10149), flag("enabled").otherwise(true)).within(0, 1000).otherwise([]string{}),
		},
		Check: checkNumberedRules,
	},
	{
		Name: DataMaskingGroup, Title: "data masking group", Missing: 14002, Path: globalPath + "dataMaskingGroups/{dataMaskingGroupName}", List: "dataMaskingGroups",
		Fields: []Field{
			records("dataMaskingObjects", text("name").within(1, 250).required(14001), text("match").within(1, 4096).valid(regex).code(14003).required(14001), text("description"),
				flag("searchInHttpParameters").otherwise(false), flag("searchInHttpHeaders").otherwise(false), flag("searchInHttpCookies").otherwise(false),
				flag("enabled").otherwise(true)).within(0, 1000).otherwise([]string{}),
		},
		Check: func(_ string, document map[string]any) []Fault {
			return onlyOnce(document, "dataMaskingObjects", "name", 14004)
		},
		Defaults: []Default{{Name: DefaultMasking, Document: object{"dataMaskingObjects": []object{
			{"name": "Passwords", "match": "(?i)^(password|passwd|pwd)$", "description": "form fields that hold passwords",
				"searchInHttpParameters": true, "searchInHttpHeaders": false, "searchInHttpCookies": false, "enabled": true},
			{"name": "Payment cards", "match": `\b(?:\d[ -]?){13,16}\b`, "description": "numbers that look like payment cards",
				"searchInHttpParameters": true, "searchInHttpHeaders": false, "searchInHttpCookies": false, "enabled": true},
			{"name": "Authorization", "match": "(?i)^authorization$", "description": "credentials in a header",
				"searchInHttpParameters": false, "searchInHttpHeaders": true, "searchInHttpCookies": false, "enabled": true},
		}}}},
	},
	{
		Name: ParameterType, Title: "parameter type", Missing: 12912,
		Path: globalPath + "parameterTypeConfiguration/{parameterTypeConfigurationName}", List: "parameterTypeConfigurationName",
		Fields: []Field{text("regularExpression").within(1, 4096).valid(regex).code(12914).required(12913)},
		Defaults: []Default{
			{Name: "Numeric", Document: object{"regularExpression": `^[0-9]+$`}},
			{Name: "Latin Characters", Document: object{"regularExpression": `^[A-Za-z ]*$`}},
			{Name: "Email", Document: object{"regularExpression": `^[^@\s]+@[^@\s]+$`}},
		},
	},
	{
		Name: SSLSettings, Title: "SSL settings", Missing: 12901, Path: globalPath + "sslSettings/{sslSettingsName}", List: "sslSettingsName",
		Fields: []Field{
			list("sslProtocolVersions", text("").oneOf("TLSv1.2", "TLSv1.3").code(12902)).within(1, 2).code(12903).required(12903),
			flag("enforceRPServerSideCipherPriority").otherwise(true),
			list("activeCiphers", text("").oneOf(ciphers...).code(12904)).within(0, 32).code(12905).otherwise(ciphers),
			list("activeEllipticCurves", text("").oneOf(curves...).code(12906)).within(0, 8).code(12907).otherwise(curves),
		},
		Defaults: []Default{
			{Name: "Default SSL Settings", Document: tls("TLSv1.2", "TLSv1.3")},
			{Name: "TLS 1.3 Only", Document: tls("TLSv1.3")},
		},
	},
	{
		Name: ErrorPage, Title: "error page", Missing: 10690, Path: globalPath + "webErrorPageGroups/pages/{name}", List: "webErrorPages",
		Fields: []Field{
			text("redirectUrl").within(0, 2048).valid(redirect).code(10353), text("errorPageContent").within(0, 64<<10), text("httpResponseCode").valid(status).code(10016),
		},
		Check: onePage,
		Defaults: []Default{{Name: "Default Web Error Page", Document: object{
			"httpResponseCode": "403",
			"errorPageContent": "<html><head><title>Blocked</title></head><body><h1>This request was blocked</h1><p>Event $(EVENT_ID)</p></body></html>",
		}}},
	},
	{
		Name: ErrorPagePolicy, Title: "error page policy", Missing: 10680, Unread: 10601, Path: globalPath + "webErrorPageGroups/policies/{name}", List: "policies",
		Fields: []Field{
			records("rules", number("priority").within(1, 1<<30).required(10681), text("name").within(1, 250).required(10681), ref("errorPageName", ErrorPage).required(10690),
				flag("enabled").otherwise(true), headCriteria("matchCriteria").otherwise([]string{})).within(0, 1000).otherwise([]string{}),
		},
		Check: checkNumberedRules,
		Defaults: []Default{{Name: "Default Web Error Page Policy", Document: object{"rules": []object{{
			"priority": 1, "name": "All violations", "enabled": true, "matchCriteria": []object{},
			"errorPageName": DefaultID(ErrorPage, "Default Web Error Page"),
		}}}}},
	},
}

// ipEntries are the entries of an IP group; missing is the code of an entry without
// an operation.
func ipEntries(missing int) Field {
	return records("entries", text("type").oneOf("single", "range", "network").required(10016), text("ipAddressFrom").valid(address),
		text("ipAddressTo").valid(address), text("networkAddress").valid(address), number("cidrMask").within(0, 128).code(10016)).
		by("type", "ipAddressFrom", "ipAddressTo", "networkAddress", "cidrMask").changes(missing, 10602).within(0, 50_000).otherwise([]string{})
}

func checkIPEntries(_ string, document map[string]any) []Fault {
	list, _ := document["entries"].([]any)
	var faults []Fault
	for i, entry := range list {
		if e, ok := entry.(map[string]any); ok {
			if wrong := wrongEntry(e); wrong != "" {
				faults = append(faults, Fault{10016, fmt.Sprintf("entries[%d] %s", i, wrong)})
			}
		}
	}
	return faults
}

func wrongEntry(e map[string]any) string {
	mask, ok := wholeOf(e["cidrMask"])
	entry := IPEntry{Type: textOf(e, "type"), IPAddressFrom: textOf(e, "ipAddressFrom"), IPAddressTo: textOf(e, "ipAddressTo"),
		NetworkAddress: textOf(e, "networkAddress"), CIDRMask: int(mask)}
	if _, _, err := entry.Range(); err == nil && (ok || entry.Type != "network") {
		return ""
	}
	switch entry.Type {
	case "single":
		return "of type single needs ipAddressFrom"
	case "range":
		return "of type range needs ipAddressFrom and, of the same kind and not before it, ipAddressTo"
	default:
		return "of type network needs networkAddress and a cidrMask that fits it"
	}
}

// onlyOnce refuses entries of a list that have the same value in a field.
func onlyOnce(document map[string]any, field, key string, code int) []Fault {
	list, _ := document[field].([]any)
	seen := make(map[string]bool)
	var faults []Fault
	for i, entry := range list {
		object, ok := entry.(map[string]any)
		if !ok || object[key] == nil {
			continue
		}
		value := fmt.Sprint(object[key])
		if seen[value] {
			faults = append(faults, Fault{code, fmt.Sprintf("%s[%d].%s is %s, which another has already", field, i, key, shown(value))})
		}
		seen[value] = true
	}
	return faults
}

// checkNumberedRules wants each name and each priority once.
func checkNumberedRules(_ string, document map[string]any) []Fault {
	return slices.Concat(onlyOnce(document, "rules", "name", 10681), onlyOnce(document, "rules", "priority", 10682),
		checkRules(document["rules"], "rules", "matchCriteria"))
}

func onePage(_ string, document map[string]any) []Fault {
	if (textOf(document, "redirectUrl") == "") == (textOf(document, "errorPageContent") == "") {
		return []Fault{{10353, "exactly one of redirectUrl and errorPageContent must be there; an empty one counts as absent"}}
	}
	if textOf(document, "redirectUrl") == "" {
		return nil
	}
	return redirectsAway(document, "httpResponseCode", 10016)
}

// signaturePlaces are where signatures are looked for.
var signaturePlaces = []string{"urls", "parameters", "headers", "cookies", "body"}

func block(what string, seconds int) object {
	return object{"type": "block", "actions": []object{{"name": "block", "type": what + "Block", "seconds": seconds}}}
}

func dictionary(name, description string) Default {
	return Default{Name: name, Document: object{"category": "predefined", "type": "web", "description": description}}
}

func signature(dictionary, name, pattern string) Default {
	return Default{Under: []string{dictionary}, Name: name, Document: object{
		"pattern": pattern, "protocols": []string{"http", "https"}, "searchIn": []string{"urls", "parameters", "headers"}, "status": "enabled",
	}}
}

var (
	ciphers = []string{
		"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
		"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
		"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
	}
	curves = []string{"X25519", "P-256", "P-384", "P-521", "X25519MLKEM768"}
)

func tls(versions ...string) object {
	return object{
		"sslProtocolVersions": versions, "enforceRPServerSideCipherPriority": true,
		"activeCiphers": ciphers[:7], "activeEllipticCurves": curves[:3],
	}
}
