package model

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

var globalKinds = []Kind{
	{Name: IPGroup, Defaults: []Default{
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
	}},
	{Name: ActionSet, Defaults: []Default{
		{Name: "Long IP Block", Document: block("ip", 3600)},
		{Name: "Short IP Block", Document: block("ip", 300)},
		{Name: "Long Session Block", Document: block("session", 3600)},
		{Name: "Short Session Block", Document: block("session", 300)},
	}},
	{Name: Dictionary, Defaults: []Default{
		dictionary("SQL Injection", "SQL that reaches a database through a parameter"),
		dictionary("Cross-Site Scripting", "script that reaches a browser through a page"),
		dictionary("Command Injection", "shell words in parameters and headers"),
		dictionary("Path Traversal", "paths that leave the document root"),
		dictionary("Known Scanners", "tools that look for weaknesses"),
	}},
	{Name: Signature, Parent: Dictionary, Defaults: []Default{
		signature("SQL Injection", "union select", `(?i)union\s+(all\s+)?select`),
		signature("SQL Injection", "always true", `(?i)'\s*or\s+\d+\s*=\s*\d+`),
		signature("Cross-Site Scripting", "script element", `(?i)<script[\s>/]`),
		signature("Cross-Site Scripting", "event handler", `(?i)\bon(error|load|click)\s*=`),
		signature("Command Injection", "shell after separator", `(?i)[;|&]\s*(cat|id|wget|curl|sh)\b`),
		signature("Path Traversal", "dot dot slash", `\.\.[/\\]`),
		signature("Known Scanners", "scanner agents", `(?i)(sqlmap|nikto|nessus|acunetix)`),
	}},
	{Name: DataSet},
	{Name: URLRewriteGroup},
	{Name: DataMaskingGroup, Defaults: []Default{{Name: "Default Data Masking", Document: object{"dataMaskingObjects": []object{
		{"name": "Passwords", "match": "(?i)^(password|passwd|pwd)$", "description": "form fields that hold passwords",
			"searchInHttpParameters": true, "searchInHttpHeaders": false, "searchInHttpCookies": false, "enabled": true},
		{"name": "Payment cards", "match": `\b(?:\d[ -]?){13,16}\b`, "description": "numbers that look like payment cards",
			"searchInHttpParameters": true, "searchInHttpHeaders": false, "searchInHttpCookies": false, "enabled": true},
		{"name": "Authorization", "match": "(?i)^authorization$", "description": "credentials in a header",
			"searchInHttpParameters": false, "searchInHttpHeaders": true, "searchInHttpCookies": false, "enabled": true},
	}}}}},
	{Name: ParameterType, Defaults: []Default{
		{Name: "Numeric", Document: object{"regularExpression": `^[0-9]+$`}},
		{Name: "Latin Characters", Document: object{"regularExpression": `^[A-Za-z ]*$`}},
		{Name: "Email", Document: object{"regularExpression": `^[^@\s]+@[^@\s]+$`}},
	}},
	{Name: SSLSettings, Defaults: []Default{
		{Name: "Default SSL Settings", Document: tls("TLSv1.2", "TLSv1.3")},
		{Name: "TLS 1.3 Only", Document: tls("TLSv1.3")},
	}},
	{Name: ErrorPage, Defaults: []Default{{Name: "Default Web Error Page", Document: object{
		"httpResponseCode": "403",
		"errorPageContent": "<html><head><title>Blocked</title></head><body><h1>This request was blocked</h1><p>Event $(EVENT_ID)</p></body></html>",
	}}}},
	{Name: ErrorPagePolicy, References: []Reference{{Field: "rules[].errorPage", To: []string{ErrorPage}}},
		Defaults: []Default{{Name: "Default Web Error Page Policy", Document: object{"rules": []object{{
			"priority": 1, "name": "All violations", "enabled": true, "matchCriteria": []object{},
			"errorPage": DefaultID(ErrorPage, "Default Web Error Page"),
		}}}}}},
}

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

func tls(versions ...string) object {
	return object{
		"sslProtocolVersions": versions, "enforceRPServerSideCipherPriority": true,
		"activeCiphers": []string{
			"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
			"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
		},
		"activeEllipticCurves": []string{"X25519", "P-256", "P-384"},
	}
}
