package model

// Kinds of the server's own settings.
const (
	SystemDefinition = "systemDefinition"
	HTTPProxy        = "httpProxy"
	ArchiveSettings  = "archiveSettings"
)

var systemKinds = []Kind{
	{Name: SystemDefinition},
	{Name: HTTPProxy, References: []Reference{{Field: "credential", To: []string{Credential}}},
		Defaults: []Default{{Name: "httpProxy", Document: object{"useProxy": false}}}},
	{Name: ArchiveSettings, Defaults: []Default{{Name: "Default Archive Settings", Document: object{
		"am-archive-file-name-format": "alerts_${Date}_${Time}", "audit-archive-file-name-format": "audit_${Date}_${Time}",
	}}}},
}
