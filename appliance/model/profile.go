package model

import "strings"

// The parts of a web profile, which is what was learned, or said, of a web
// application: URLs, parameters, cookies.
var (
	profileMethods    = records("allowedMethods", text("status"), text("method").within(1, 32).required(10015)).by("method").within(0, 64)
	profileParameters = records("parameters",
		text("name").within(1, 256).required(10015), number("maxLength").within(0, 1<<20), number("minLength").within(0, 1<<20), text("type").calls(ParameterType).code(10138),
		flag("nullable"), flag("required"), flag("readOnly"), flag("prefix"), texts("additionalAllowedChars"), flag("base64Encoded"), ref("customValueType", ParameterType).code(10138),
	).by("name").within(0, 1000)

	// ProfileHeader and ProfileDirectory have paths of their own.
	profileURL = []Field{
		text("urlFullPath").within(1, 2048).valid(absolute).required(10015), text("status"), texts("contentTypes"), profileMethods, profileParameters, flag("locked"),
	}
	ProfileHeader    = []Field{text("headerName").within(1, 256).valid(header).required(10015), flag("base64Encoded").otherwise(false)}
	ProfileDirectory = []Field{text("fullPath").within(1, 2048).valid(absolute).required(10135), flag("locked").otherwise(false)}
)

var webProfile = Kind{
	Name: WebProfile, Parent: WebApplication, Title: "web profile", Missing: 10014, Single: true,
	Path: profilePath, Methods: "GET PUT",
	Elements: []Element{
		{Path: profilePath + "/url/{urlName}", Methods: "GET PUT DELETE", Title: "URL", List: "webProfileUrls", Key: "urlFullPath", Missing: 10133, Exists: 10134, Upsert: true, Rooted: true},
		{Path: profilePath + "/headers/{headerName}", Methods: "GET DELETE", Title: "header", List: "headers", Key: "headerName", Missing: 10144, Exists: CodeExists},
	},
	Fields: []Field{
		text("appId"), texts("learnedHosts"),
		records("patternUrls", text("pattern").within(1, 2048).valid(regex).code(10351).required(10015), text("type"), profileMethods, texts("contentTypes"), profileParameters, text("status")).
			by("pattern").within(0, 1000),
		records("cookies", text("name").within(1, 256).required(10015), flag("injection"), flag("prefix"), text("status")).by("name").within(0, 1000),
		list("headers", record("", ProfileHeader...)).by("headerName").within(0, 1000),
		records("susceptibleDirectories", text("name").within(1, 2048).required(10015), text("status")).by("name"),
		list("webProfileUrls", record("", profileURL...)).by("urlFullPath").within(0, MaxProfileURLs).code(10136),
		records("actionUrls", text("status"), text("url").within(1, 2048).required(10015), text("userField1"), text("userField2"),
			list("decisionRules", anything("")).within(0, 100), text("defaultDecision")).by("url").within(0, 1000),
		list("directories", record("", ProfileDirectory...)).by("fullPath"),
	},
}

// MaxProfileURLs is how many URLs a profile has at most.
const MaxProfileURLs = 10_000

// absolute wants a path.
func absolute(s string) error {
	if !strings.HasPrefix(s, "/") {
		return errAllowed("must begin with /")
	}
	return nil
}
