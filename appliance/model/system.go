package model

// Kinds of the server's own settings.
const (
	SystemDefinition = "systemDefinition"
	HTTPProxy        = "httpProxy"
	ArchiveSettings  = "archiveSettings"
	SystemExport     = "systemExport"
	StrictMode       = "strictMode"
)

var systemKinds = []Kind{
	{
		// What is set is there, so PUT creates.
		Name: SystemDefinition, Title: "system definition", Missing: 10016, Path: "/v1/conf/systemDefinitions/{paramName}", Methods: "GET PUT", Upsert: true,
		Fields: []Field{anything("value").required(10032)},
	},
	{
		Name: HTTPProxy, Title: "HTTP proxy", Single: true, Path: "/v1/conf/systemDefinitions/httpProxy", Methods: "GET PUT",
		Fields: []Field{
			flag("useProxy").otherwise(false), text("host").valid(hostOrNone), port("port"), text("user").within(0, 250), secretField("password").within(0, 1024),
			text("authPolicy").within(0, 100), text("domain").within(0, 250),
		},
		Check: checkProxy, Settle: settleProxy,
		Defaults: []Default{{Name: HTTPProxy, Document: object{"useProxy": false}}},
	},
	{Name: ArchiveSettings, Defaults: []Default{{Name: "Default Archive Settings", Document: object{
		"am-archive-file-name-format": "alerts_${Date}_${Time}", "audit-archive-file-name-format": "audit_${Date}_${Time}",
	}}}},
	{Name: SystemExport, Title: "settings of the system export", References: []Reference{{Field: "action-set", To: []string{ActionSet}}}},
	{
		Name: StrictMode, Title: "strict mode", Single: true, Path: "/v1/administration/strict", Methods: "PUT",
		Fields: []Field{text("mode").oneOf("true", "false", "on", "off").required(10016)},
	},
}

// proxyFields are what a proxy has that is used.
var proxyFields = []string{"host", "port", "user", "password", "authPolicy", "domain"}

// settleProxy refuses fields that come with useProxy false, which takes away what
// was there.
func settleProxy(document, sent map[string]any) []Fault {
	if document["useProxy"] == true {
		return nil
	}
	var faults []Fault
	for _, field := range proxyFields {
		if v := sent[field]; v != nil && v != "" {
			faults = append(faults, Fault{15002, field + " is given, which needs useProxy true"})
		}
		delete(document, field)
	}
	return faults
}

func checkProxy(_ string, document map[string]any) []Fault {
	if document["useProxy"] == true && (textOf(document, "host") == "" || document["port"] == nil) {
		return []Fault{{10056, "useProxy true needs host and port"}}
	}
	return nil
}
