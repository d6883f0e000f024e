package openapi_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/OPENAPI.md anew")

const documentation = "../../../docs/OPENAPI.md"

// effects say, by the beginnings of paths, in which test of the gateway what is there
// changes a verdict or a forwarding, or why in none. The longest beginning counts.
var effects = map[string]string{
	"/experimental/gateway/gatewayAlias":     "TestAliasesAndAddressesSayWhereItListens",
	"/v1/administration/strict":              "of the API alone: `TestScalarsAreLiberal`",
	"/v1/openapi.json":                       "about the API itself",
	"/v1/conf/actionSets":                    "TestActionSetsFollow",
	"/v1/conf/dataSets":                      storedOnly("no criterion asks for its records"),
	"/v1/conf/dbServices":                    "always empty",
	"/v1/conf/dictionaries":                  "TestDictionariesHoldSignatures",
	"/v1/conf/firewallPolicies":              "TestFirewallPoliciesRefuseConnections",
	"/v1/conf/gatewayGroups":                 "TestGatewayGroupsSayHowTheirGatewaysWork",
	"/v1/conf/gateways/":                     "TestGatewayGroupsSayHowTheirGatewaysWork",
	gateway + "/reverseProxy/":               "TestAliasesAndAddressesSayWhereItListens",
	globals + "URLRewriteGroups":             "TestURLRewriteGroupsChangeTargets",
	globals + "dataMaskingGroups":            "TestDataMaskingGroupsHideValues",
	globals + "parameterTypeConfiguration":   "TestProfilesHoldRequestsToThem",
	globals + "sslSettings":                  "TestCertificatesAndSSLSettingsMakeTLS",
	globals + "webErrorPageGroups":           "TestErrorPagesAnswerBlockedRequests",
	"/v1/conf/ipGroups":                      "TestIPGroupsAreAsked",
	security + "firewallPolicies":            "TestFirewallPoliciesRefuseConnections",
	security + "http2ProtocolPolicies":       "TestHTTP2ProtocolPoliciesCheckConnections",
	security + "httpProtocolPolicies":        "TestHTTPProtocolPoliciesCheckRequests",
	security + "httpProtocolSignatures":      "TestSignaturePoliciesSwitchDictionaries",
	security + "snippetInjectionPolicies":    "TestSnippetsGoIntoPages",
	security + "streamSignaturesPolicies":    "TestSignaturePoliciesSwitchDictionaries",
	security + "webApplicationCustom":        "TestCustomPoliciesAskForCriteria",
	security + "webApplicationSignatures":    "TestSignaturePoliciesSwitchDictionaries",
	security + "webCorrelationPolicies":      "TestAnswersAreInspectedForDirectoryListings",
	security + "webProfilePolicies":          "TestProfilesHoldRequestsToThem",
	security + "webServiceCustomPolicies":    "TestCustomPoliciesAskForCriteria",
	"/v1/conf/serverGroups":                  "TestServerGroupsDecideWhatIsInspected",
	serverGroup + "/protectedIPs":            storedOnly("a reverse proxy goes where outbound rules say"),
	serverGroup + "/securityPolicies":        "of the API alone: `TestSecurityPolicies`",
	serverGroup + "/servers":                 storedOnly("it is where connectivityStatus tries"),
	"/v1/conf/signatures":                    "TestDictionariesHoldSignatures",
	"/v1/conf/sites":                         "TestSitesCarryTheirServices",
	"/v1/conf/systemDefinitions":             storedOnly("nothing of this release asks for it"),
	"/v1/conf/webApplicationCustomPolicies":  "TestCustomPoliciesAskForCriteria",
	"/v1/conf/webApplications":               "TestWebApplicationsSayWhatIsMonitored",
	webApplication + "/securityPolicies":     "of the API alone: `TestSecurityPolicies`",
	webApplication + "/webApplicationCustom": "TestCustomPoliciesAskForCriteria",
	"/v1/conf/webProfile":                    "TestProfilesHoldRequestsToThem",
	webProfile + "/directories":              storedOnly("whether what is learned may change is the learner's"),
	webProfile + "/headers":                  storedOnly("no rule asks for them"),
	"/v1/conf/webServiceCustomPolicies":      "TestCustomPoliciesAskForCriteria",
	"/v1/conf/webServices":                   "TestWebServicesSpeakHTTP2",
	webService + "/URLRewrite":               "TestURLRewriteGroupsChangeTargets",
	webService + "/advancedHttpSettings":     "TestConnectionTimeoutEndsIdleConnections",
	webService + "/dataMaskingGroups":        "TestDataMaskingGroupsHideValues",
	webService + "/errorPage":                "TestErrorPagesAnswerBlockedRequests",
	webService + "/forwarded":                "TestForwardedHeadersTellTheClient",
	webService + "/hostToAppMappings":        "TestHostMappingsChooseTheApplication",
	webService + "/krpInboundRules":          "TestInboundAndOutboundRulesForward",
	webService + "/securityPolicies":         "of the API alone: `TestSecurityPolicies`",
	webService + "/sslCertificates":          "TestCertificatesAndSSLSettingsMakeTLS",
	webService + "/webServiceCustomPolicies": "TestCustomPoliciesAskForCriteria",
}

const (
	gateway        = "/v1/conf/gateways/{gatewayName}"
	globals        = "/v1/conf/globalObjects/"
	security       = "/v1/conf/policies/security/"
	serverGroup    = "/v1/conf/serverGroups/{siteName}/{serverGroupName}"
	webService     = "/v1/conf/webServices/{siteName}/{serverGroupName}/{webServiceName}"
	webApplication = "/v1/conf/webApplications/{siteName}/{serverGroupName}/{webServiceName}/{webApplicationName}"
	webProfile     = "/v1/conf/webProfile/{siteName}/{serverGroupName}/{webServiceName}/{webApplicationName}"
)

func storedOnly(why string) string { return "*stored only*: " + why }

// effect is what the documentation says of a path. A test that it names is there.
func effect(t *testing.T, tests, path string) string {
	t.Helper()
	longest, found := "", ""
	for beginning, what := range effects {
		if strings.HasPrefix(path, beginning) && len(beginning) > len(longest) {
			longest, found = beginning, what
		}
	}
	if strings.HasPrefix(found, "Test") {
		if !strings.Contains(tests, "func "+found+"(") {
			t.Errorf("%s: there is no %s", path, found)
		}
		return "`" + found + "`"
	}
	if found == "" {
		t.Errorf("nothing says what %s changes", path)
	}
	return found
}

// docs/OPENAPI.md lists what there is, because it is made of it.
func TestDocumentationIsCurrent(t *testing.T) {
	text, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "| path | methods | test in which it changes a verdict or a forwarding |\n"
	head, _, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no line %q", documentation, mark)
	}
	var b strings.Builder
	b.WriteString(head + mark + "|---|---|---|\n")
	tests, err := os.ReadFile("../../gateway/effect_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var path string
	var methods []string
	row := func() {
		if path != "" {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", path, strings.Join(methods, " "), effect(t, string(tests), path))
		}
	}
	for _, op := range newServer(t).api.Operations() {
		if op.Path != path {
			row()
			path, methods = op.Path, nil
		}
		methods = append(methods, op.Method)
	}
	row()
	if *update {
		if err := os.WriteFile(documentation, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if b.String() != string(text) {
		t.Errorf("%s is not what the declarations say; go test -run Documentation -update writes it", documentation)
	}
}
