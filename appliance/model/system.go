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
	{Name: SystemDefinition},
	{
		Name: StrictMode, Title: "strict mode", Single: true, Path: "/v1/administration/strict", Methods: "PUT",
		Fields: []Field{text("mode").oneOf("true", "false", "on", "off").required(10016)},
	},
	{Name: HTTPProxy, References: []Reference{{Field: "credential", To: []string{Credential}}},
		Defaults: []Default{{Name: "httpProxy", Document: object{"useProxy": false}}}},
	{Name: SystemExport, References: []Reference{{Field: "action-set", To: []string{ActionSet}}}},
	{Name: ArchiveSettings, Defaults: []Default{{Name: "Default Archive Settings", Document: object{
		"am-archive-file-name-format": "alerts_${Date}_${Time}", "audit-archive-file-name-format": "audit_${Date}_${Time}",
	}}}},
}
