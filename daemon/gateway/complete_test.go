package gateway_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/waf"
)

// read are the types as which a gateway reads what the management server has of
// each kind.
var read = map[string]any{
	model.ServerGroup: model.SnapshotService{}, model.WebService: model.SnapshotService{}, model.HostMapping: model.SnapshotMapping{},
	model.InboundRule: model.SnapshotInbound{}, model.OutboundRule: model.SnapshotOutbound{}, model.GatewayGroup: model.SnapshotGroup{},
	model.Site: struct{}{}, model.WebApplication: model.SnapshotApplication{}, model.WebProfile: waf.Profile{}, model.Gateway: struct{}{}, model.Address: struct{}{},
	model.Alias: struct {
		Enabled         bool   `json:"enabled"`
		InternalAddress string `json:"internalAddress"`
	}{},
	model.IPGroup: struct {
		Entries []model.IPEntry `json:"entries"`
	}{},
	model.ActionSet: model.ActionSetSettings{}, model.Dictionary: struct{}{}, model.Signature: model.SignatureSettings{},
	model.URLRewriteGroup: struct {
		Rules []model.RewriteRule `json:"rules"`
	}{},
	model.DataMaskingGroup: struct {
		Masks []model.DataMask `json:"dataMaskingObjects"`
	}{},
	model.ParameterType: struct {
		Expression string `json:"regularExpression"`
	}{},
	model.SSLSettings: model.TLSSettings{}, model.ErrorPage: model.Page{},
	model.ErrorPagePolicy: struct {
		Rules []model.ErrorPageRule `json:"rules"`
	}{},
	model.HTTPPolicy: waf.RulePolicy{}, model.HTTP2Policy: waf.RulePolicy{}, model.HTTPSignaturesPolicy: waf.RulePolicy{}, model.StreamPolicy: waf.RulePolicy{},
	model.AppSignaturesPolicy: waf.RulePolicy{}, model.CorrelationPolicy: waf.RulePolicy{}, model.ProfilePolicy: waf.RulePolicy{},
	model.AppCustomPolicy: waf.CustomPolicy{}, model.ServiceCustomPolicy: waf.CustomPolicy{}, model.FirewallPolicy: model.FirewallSettings{}, model.SnippetPolicy: model.SnippetSettings{},
}

// notRead are the fields that no gateway reads, with the reason.
var notRead = map[string]string{
	model.WebService + ".ports": listens, model.WebService + ".sslPorts": listens, model.WebService + ".trpMode": proxyOnly,
	model.WebService + ".jsessionIDParamsAsRegularParams": parsing, model.WebService + ".jsessionIDParamsDelimiter": parsing,
	model.WebService + ".supportMsEncoding": parsing, model.WebService + ".combineParameterNamesWithEmptyValue": parsing,
	model.WebService + ".enableBase64Learning": learning, model.WebService + ".enableDeserialization": parsing,
	model.InboundRule + ".gatewayGroupName": "it says whose snapshot the rule is in",
	model.GatewayGroup + ".gatewayPlatform": said, model.GatewayGroup + ".gatewayMode": proxyOnly, model.GatewayGroup + ".cluster": proxyOnly, model.GatewayGroup + ".overloadPolicy": proxyOnly,
	model.WebApplication + ".learnSettings": learning, model.WebApplication + ".parseOCSPRequests": parsing,
	model.Gateway + ".gatewayModel": said, model.Gateway + ".applianceType": said, model.Gateway + ".gatewayIP": said, model.Gateway + ".networkInterfaceList": said,
	model.Gateway + ".platformType": said, model.Gateway + ".softwareVersion": said, model.Gateway + ".running": said,
	model.Address + ".networkInterface": network, model.Address + ".mask": network, model.Address + ".virtualAddress": network, model.Address + ".vrId": network,
	model.Address + ".nextHop": network, model.Address + ".comment": said, model.Alias + ".externalAddress": said, model.Alias + ".comment": said,
	model.ActionSet + ".actions.fromAddress": mail, model.ActionSet + ".actions.toAddress": mail, model.ActionSet + ".actions.ccAddress": mail, model.ActionSet + ".actions.emailSubject": mail,
	model.ActionSet + ".actions.emailBody": mail, model.ActionSet + ".actions.emailFormat": mail,
	model.ActionSet + ".type":                                "the API holds the actions to it",
	model.SSLSettings + ".enforceRPServerSideCipherPriority": "the TLS library has its own order",
	model.Signature + ".protocols":                           "all that is looked at is HTTP",
	model.HTTPPolicy + ".exceptions.comment":                 comment, model.HTTP2Policy + ".exceptions.comment": comment, model.HTTPSignaturesPolicy + ".exceptions.comment": comment,
	model.AppSignaturesPolicy + ".exceptions.comment": comment, model.CorrelationPolicy + ".exceptions.comment": comment, model.ProfilePolicy + ".exceptions.comment": comment,
	model.Dictionary + ".category": said, model.Dictionary + ".description": said, model.Dictionary + ".type": said,
	model.Signature + ".applyTo": said, model.Signature + ".lastUpdateDate": said, model.Signature + ".attackDto": said,
	model.DataMaskingGroup + ".dataMaskingObjects.description": said,
	model.WebProfile + ".appId":                                said, model.WebProfile + ".learnedHosts": learning, model.WebProfile + ".patternUrls.type": "a pattern is a regular expression",
	model.WebProfile + ".patternUrls.status": learning, model.WebProfile + ".patternUrls.allowedMethods.status": learning,
	model.WebProfile + ".patternUrls.parameters.readOnly": issued, model.WebProfile + ".patternUrls.parameters.base64Encoded": parsing,
	model.WebProfile + ".cookies": issued, model.WebProfile + ".headers": "no rule asks for them", model.WebProfile + ".susceptibleDirectories": "no rule asks for them",
	model.WebProfile + ".actionUrls": "logins are not followed", model.WebProfile + ".directories": learning, model.WebProfile + ".webProfileUrls.status": learning,
	model.WebProfile + ".webProfileUrls.locked": learning, model.WebProfile + ".webProfileUrls.allowedMethods.status": learning,
	model.WebProfile + ".webProfileUrls.parameters.readOnly": issued, model.WebProfile + ".webProfileUrls.parameters.base64Encoded": parsing,
	model.HTTPPolicy + ".bytesPerSecond": slow, model.HTTPPolicy + ".leadTime": slow, model.HTTPPolicy + ".resendTime": slow,
	model.HTTP2Policy + ".bytesPerSecond": slow, model.HTTP2Policy + ".leadTime": slow, model.HTTP2Policy + ".resendTime": slow,
	model.StreamPolicy + ".autoApply": "policies apply to what applyTo names", model.ProfilePolicy + ".apuConfig": learning, model.ProfilePolicy + ".disableLearning": learning,
	model.CorrelationPolicy + ".includeProfileInformation": said,
	model.AppCustomPolicy + ".sendToCD":                    said, model.ServiceCustomPolicy + ".sendToCD": said, model.FirewallPolicy + ".sendToCd": said,
	model.FirewallPolicy + ".allowAppServicePorts": proxyOnly, model.FirewallPolicy + ".establishedConnectionsBlock": proxyOnly, model.FirewallPolicy + ".outboundOperation": proxyOnly,
}

// Kinds of which nothing comes to a gateway.
var notReadKinds = map[string]string{
	model.ProtectedIP: "a reverse proxy goes where outbound rules say", model.Server: "it is where connectivityStatus tries", model.DataSet: "no criterion asks for its records",
	model.SystemDefinition: nobody, model.HTTPProxy: nobody, model.ArchiveSettings: nobody, model.SystemExport: nobody, model.StrictMode: "the API's",
}

// Reasons.
const (
	nobody    = "nothing of this release asks for it"
	said      = "it is kept, and told"
	listens   = "a gateway listens where inbound rules say"
	proxyOnly = "a gateway is a reverse proxy"
	parsing   = "parameters are read in one way"
	learning  = "profiles are not learned"
	network   = "the operating system has the address"
	mail      = "no e-mail is sent: there is no setting that names a mail server"
	comment   = "it is for people"
	slow      = "slow requests meet the limits slowSeconds and bodyRate of the group"
	issued    = "it needs to know what the server gave out before"
)

// Fields of criteria that no type of criterion asks for.
var unasked = []string{"name", "attribute", "searchMode", "locations", "matchNonProxied", "matchNoOrUnknownUser", "applyIfUnidentified", "signatures.isUserDefined"}

// Every declared field is read by gateways, or it is said why not, here and in
// docs/OPENAPI.md. A field is read that has a place in what a gateway decodes, from which
// code reads it.
func TestEveryFieldIsReadOrSaidWhyNot(t *testing.T) {
	missing := make(map[string]bool)
	declared, used := readFields(t)
	unused = func(f string) bool { return declared[f] && !used[f] }
	for _, k := range model.Kinds {
		as, ok := read[k.Name]
		if ok == (notReadKinds[k.Name] != "") {
			t.Errorf("%s must be among the kinds that gateways read, or among those that they do not", k.Name)
		}
		if !ok {
			continue
		}
		for _, f := range k.All() {
			if f.Name != model.AppliesTo || !strings.HasSuffix(k.Name, "Policy") {
				unread(f, reflect.TypeOf(as), k.Name, missing)
			}
		}
	}
	for path := range missing {
		if notRead[path] == "" {
			t.Errorf("no gateway reads %s", path)
		}
	}
	for path := range notRead {
		if !missing[path] {
			t.Errorf("%s is said not to be read, and is", path)
		}
	}
}

var update = flag.Bool("update", false, "write the table of docs/OPENAPI.md anew")

// docs/OPENAPI.md tells of each field that is stored only.
func TestStoredOnlyFieldsAreDocumented(t *testing.T) {
	const documentation, begin, end = "../../docs/OPENAPI.md", "| resource | fields | why they change nothing at a gateway |\n|---|---|---|\n", "\n## "
	text, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	_, tail, ends := strings.Cut(rest, end)
	if !found || !ends {
		t.Fatalf("%s has no table that begins with %q", documentation, begin)
	}
	current := head + begin + storedOnly() + end + tail
	if *update {
		if err := os.WriteFile(documentation, []byte(current), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if current != string(text) {
		t.Errorf("%s is not what this test says; go test -run StoredOnly -update writes it", documentation)
	}
}

// storedOnly are the rows of the table.
func storedOnly() string {
	var b strings.Builder
	row := func(of string, fields []string, why string) {
		slices.Sort(fields)
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", of, strings.Join(fields, "`, `"), why)
	}
	for _, k := range model.Kinds {
		byReason := make(map[string][]string)
		for path, why := range notRead {
			if field, ok := strings.CutPrefix(path, k.Name+"."); ok {
				byReason[why] = append(byReason[why], field)
			}
		}
		for _, why := range slices.Sorted(maps.Keys(byReason)) {
			row(k.Title, byReason[why], why)
		}
	}
	row("criterion", slices.Clone(unasked), "no type of criterion asks for them")
	return b.String()
}

// unread notes the fields that a value read as t has no place for.
func unread(f model.Field, t reflect.Type, at string, missing map[string]bool) {
	field, ok := named(t, f.Name)
	if !ok {
		missing[at+"."+f.Name] = true
		return
	}
	within(f, field, at+"."+f.Name, missing)
}

func within(f model.Field, t reflect.Type, at string, missing map[string]bool) {
	switch {
	case f.Type == model.List && t.Kind() == reflect.Slice, f.Type == model.Map && t.Kind() == reflect.Map:
		if t.Elem() == reflect.TypeFor[json.RawMessage]() || t.Elem() == reflect.TypeFor[waf.Criterion]() {
			criterion(*f.Of, reflect.TypeFor[waf.Criterion](), "", missing)
			return
		}
		within(*f.Of, t.Elem(), at, missing)
	case f.Type == model.Record && t.Kind() == reflect.Struct:
		for _, inner := range f.Fields {
			unread(inner, t, at, missing)
		}
	}
}

// criterion is within for criteria, which are read alike everywhere.
func criterion(f model.Field, t reflect.Type, at string, missing map[string]bool) {
	for _, inner := range f.Fields {
		field, ok := named(t, inner.Name)
		path := strings.TrimPrefix(at+"."+inner.Name, ".")
		if asked := !slices.Contains(unasked, path); ok != asked {
			missing["a criterion's "+path] = true
		}
		if ok && inner.Type == model.List && inner.Of.Type == model.Record {
			criterion(*inner.Of, field.Elem(), path, missing)
		}
	}
}

// named is the type of a field by its name in JSON.
func named(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag == name || tag == "" && strings.EqualFold(t.Field(i).Name, name) {
			return t.Field(i).Type, !unused(t.PkgPath() + "." + t.Name() + "." + t.Field(i).Name)
		}
	}
	return nil, false
}

// unused says whether code declares a field, as package.Type.Field, and never reads it.
var unused func(field string) bool
