package openapi_test

import (
	stdcmp "cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/model"
)

// target is an object that references of the tests name.
const target = "a target 目"

// vars are what names in braces stand for in the tests.
var vars = map[string]string{
	"siteName": model.DefaultSite, "serverGroupName": "Web", "webServiceName": "Shop", "webApplicationName": model.DefaultApp,
	"gatewayGroupName": model.DefaultGroupName, "gatewayName": "gw", "aliasName": "Alias 1", "gatewayPort": "8443", "targetGatewayGroupName": model.DefaultGroupName,
}

// targets are the paths of what can be named, in the order in which they can be made.
var targets = []struct{ kind, path, body string }{
	{model.GatewayGroup, "/v1/conf/gatewayGroups", `{}`},
	{model.IPGroup, "/v1/conf/ipGroups", `{"entries":[{"type":"single","ipAddressFrom":"10.1.1.1"}]}`},
	{model.ActionSet, "/v1/conf/actionSets", `{"type":"block","actions":[{"name":"b","type":"ipBlock","seconds":60}]}`},
	{model.Dictionary, "/v1/conf/dictionaries", `{"description":"x"}`},
	{model.Signature, "/v1/conf/signatures" + path(target), `{"pattern":"x"}`},
	{model.URLRewriteGroup, "/v1/conf/globalObjects/URLRewriteGroups", `{}`},
	{model.DataMaskingGroup, "/v1/conf/globalObjects/dataMaskingGroups", `{}`},
	{model.ParameterType, "/v1/conf/globalObjects/parameterTypeConfiguration", `{"regularExpression":"^x$"}`},
	{model.SSLSettings, "/v1/conf/globalObjects/sslSettings", `{"sslProtocolVersions":["TLSv1.3"]}`},
	{model.ErrorPage, "/v1/conf/globalObjects/webErrorPageGroups/pages", `{"errorPageContent":"x"}`},
	{model.ErrorPagePolicy, "/v1/conf/globalObjects/webErrorPageGroups/policies", `{"rules":[]}`},
	{model.WebApplication, "/v1/conf/webApplications/Default%20Site/Web/Shop", `{}`},
	{model.SSLKey, "/v1/conf/webServices/Default%20Site/Web/Shop/sslCertificates", ""},
	{model.Address, "/v1/conf/gateways/gw/reverseProxy/addresses", `{"networkInterface":"eth1","mask":24}`},
}

func targetName(kind string) string {
	switch kind {
	case model.Address:
		return "10.9.9.9"
	case model.Signature:
		return "a signature 目" // a dictionary's name stands for its signatures
	}
	return target
}

func targetPath(kind string) string {
	for _, t := range targets {
		if t.kind == kind {
			return t.path + path(targetName(kind))
		}
	}
	return ""
}

// pemBody is a certificate with its key as clients send them.
func pemBody(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.example.com"}, NotBefore: time.Now(), NotAfter: time.Now().AddDate(1, 0, 0)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{
		"format":      "pem",
		"private":     base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		"certificate": base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// furnished is a server with a service, a gateway, and a target of each kind.
func furnished(t testing.TB) *server {
	t.Helper()
	s := newServer(t)
	s.gateway("gw", "Alias 1")
	s.ok("POST", group, "")
	s.ok("POST", service, `{"ports":[80]}`)
	for _, o := range targets {
		body := o.body
		if o.kind == model.SSLKey {
			body = pemBody(t)
		}
		s.ok("POST", o.path+path(targetName(o.kind)), body)
	}
	s.ok("POST", service+"/krpInboundRules/Default%20Gateway%20Group/Alias%201/8443", `{"outboundRules":{"7":{"internalIpHost":"10.0.0.1","serverPort":80}}}`)
	return s
}

// examples are values of fields for which a generated one would not do, by kind.
var examples = map[string]map[string]any{
	model.IPGroup:          {"entries": []any{map[string]any{"operation": "add", "type": "range", "ipAddressFrom": "10.0.0.1", "ipAddressTo": "10.0.0.9"}}},
	model.ErrorPage:        {"redirectUrl": "https://example.com/sorry", "errorPageContent": nil, "httpResponseCode": "303"},
	model.OutboundRule:     {"encrypt": true, "clientAuthenticationRules": nil}, // TestCertificatesOfClientsAreAskedFor has them
	model.WebService:       {"sslPorts": []any{443}, "default-application": model.DefaultApp, "defaultErrorPageRedirectURL": nil},
	model.HTTPProxy:        {"useProxy": true},
	model.Address:          {"mask": 8, "nextHop": "10.0.0.1"},
	model.Alias:            {"externalAddress": "203.0.113.9"},
	model.SystemDefinition: {"value": map[string]any{"deep": []any{"x", true}}},
}

// words are texts, of which each field takes one.
var words = []string{"10.0.0.1", "text", "/path/", "^x+$", "403", "https://example.com/x", "X-Header", "1", "atLeastOne", "none"}

// value is a valid value of a field.
func value(k model.Kind, f model.Field) any {
	if v, ok := examples[k.Name][f.Name]; ok {
		return v
	}
	switch f.Type {
	case model.Int:
		// A multiple of five, for what counts in steps.
		return max(f.Min, min(f.Max, 10))
	case model.Bool:
		return true
	case model.List:
		entry := value(k, *f.Of)
		if f.Changes != 0 {
			entry.(map[string]any)["operation"] = "add"
		}
		return []any{entry}
	case model.Record:
		return values(k, f.Fields)
	case model.Map:
		return map[string]any{"a key": value(k, *f.Of)}
	case model.Any:
		return 10
	case model.Named:
		return targetName(f.To[0])
	case model.Place:
		names := []string{model.DefaultSite, "Web", "Shop", model.DefaultApp}
		place := make(map[string]any)
		for i, level := range f.Fields {
			if i <= len(f.To) || len(f.Fields) == 3 { // a criterion's service has no more levels
				place[level.Name] = names[i]
			}
		}
		return place
	default:
		if f.To != nil {
			return targetName(f.To[0])
		}
		if len(f.OneOf) > 0 {
			return f.OneOf[0]
		}
		for _, word := range words {
			if n := int64(len(word)); (f.Valid == nil || f.Valid(word) == nil) && n >= f.Min && (f.Max == 0 || n <= f.Max) {
				return word
			}
		}
		return ""
	}
}

func values(k model.Kind, fields []model.Field) map[string]any {
	body := make(map[string]any)
	for _, f := range fields {
		if f.ReadOnly {
			continue
		}
		if v := value(k, f); v != nil {
			body[f.Name] = v
		}
	}
	return body
}

// address fills the names in a declared path; the last is a new object's, unless
// the path has one for each.
func fill(k model.Kind, p string) string {
	segments := strings.Split(strings.TrimPrefix(p, "/"), "/")
	for i, segment := range segments {
		name := strings.Trim(segment, "{}")
		if name == segment {
			continue
		}
		segments[i] = vars[name]
		if p == k.Path && i == len(segments)-1 && !k.Single {
			segments[i] = newName(k)
		}
	}
	return path(segments...)
}

func newName(k model.Kind) string {
	switch {
	case k.Numbered:
		return "42"
	case k.Name == model.Address:
		return "10.0.0.77"
	case k.Name == model.Server:
		return "10.0.0.78"
	default:
		return "Neu ü/ 目 "
	}
}

func has(methods, method, usual string) bool {
	if methods == "" {
		methods = usual
	}
	return slices.Contains(strings.Fields(methods), method)
}

// POST, GET, PUT, GET, DELETE of every declared resource with all of its fields, and
// every reference both ways: what names nothing is refused, and what is named
// cannot be deleted.
func TestEveryResource(t *testing.T) {
	s := furnished(t)
	for _, k := range model.Kinds {
		if k.Path == "" || !has(k.Methods, "POST", "GET POST PUT DELETE") || !has(k.Methods, "GET", "GET POST PUT DELETE") {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			s.t = t
			p := fill(k, k.Path)
			created := slices.DeleteFunc(slices.Clone(k.Fields), func(f model.Field) bool { return f.Later })
			body := values(k, created)
			s.namesNothing(k, "POST", p, created)
			s.ok("POST", p, encode(body))
			s.reads(k, p, created, body)
			s.keeps(k.Fields, body)
			if has(k.Methods, "PUT", "GET POST PUT DELETE") {
				body = values(k, k.Fields)
				s.ok("PUT", p, encode(body))
				s.reads(k, p, k.Fields, body)
				s.keeps(k.Fields, body)
				s.namesNothing(k, "PUT", p, k.Fields)
			}
			if has(k.Methods, "DELETE", "GET POST PUT DELETE") {
				s.ok("DELETE", p, "junk")
				s.refused("GET", p, "", "IMP-"+itoa(stdcmp.Or(k.Unread, k.Missing)))
				s.refused("DELETE", p, "", "IMP-"+itoa(k.Missing))
			}
		})
	}
	s.t = t
	s.ok("DELETE", service, "")
	for _, o := range slices.Backward(targets) {
		if !strings.HasPrefix(targetPath(o.kind), "/v1/conf/web") {
			s.ok("DELETE", targetPath(o.kind), "") // nobody names it any more
		}
	}
}

// Every view, read and written.
func TestEveryView(t *testing.T) {
	s := furnished(t)
	for _, k := range model.Kinds {
		for _, v := range k.Views {
			t.Run(v.Path, func(t *testing.T) {
				s.t = t
				p := fill(k, v.Path)
				if k.Name == model.IPGroup {
					p = targetPath(model.IPGroup) + "/data"
					s.ok("DELETE", targetPath(model.IPGroup)+"/clear", "")
				}
				s.ok("GET", p, "")
				s.namesNothing(k, "PUT", p, v.Fields)
				body := values(k, v.Fields)
				s.ok("PUT", p, encode(body))
				s.reads(k, p, v.Fields, body)
				s.keeps(v.Fields, body)
			})
		}
	}
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// reads wants GET to give what was sent, but for secrets.
func (s *server) reads(k model.Kind, p string, fields []model.Field, sent map[string]any) {
	s.t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(s.ok("GET", p, "")), &got); err != nil {
		s.t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal([]byte(encode(sent)), &want); err != nil {
		s.t.Fatal(err)
	}
	for _, f := range fields {
		if f.Type == model.Secret {
			if _, shown := got[f.Name]; shown {
				s.t.Errorf("%s shows the secret %s", p, f.Name)
			}
			delete(want, f.Name)
		}
	}
	for _, f := range fields {
		if f.Changes != 0 {
			for _, entry := range want[f.Name].([]any) {
				delete(entry.(map[string]any), "operation")
			}
		}
	}
	for name, v := range want {
		g := got[name]
		// Rules of a kind that knows its rules come with those that were not sent.
		if list, ok := g.([]any); ok && k.Fresh != nil && name == "rules" {
			g = slices.DeleteFunc(slices.Clone(list), func(e any) bool {
				return e.(map[string]any)["name"] != v.([]any)[0].(map[string]any)["name"]
			})
		}
		if diff := cmp.Diff(v, g); diff != "" {
			s.t.Errorf("%s: %s (-sent +read)\n%s", p, name, diff)
		}
	}
}

// named are the kinds that fields name, and where in a body.
func named(fields []model.Field, at []string) map[string][]string {
	found := make(map[string][]string)
	for _, f := range fields {
		where := append(slices.Clone(at), f.Name)
		inner := f
		for inner.Type == model.List || inner.Type == model.Map {
			inner = *inner.Of
		}
		switch {
		case f.ReadOnly:
		case inner.Type == model.Named || inner.Type == model.Text && inner.To != nil:
			found[strings.Join(where, "\x00")] = inner.To
		case inner.Type == model.Record:
			maps.Copy(found, named(inner.Fields, where))
		}
	}
	return found
}

// replace puts v at a place of a body, in every entry of a list.
func replace(body any, at []string, v any) any {
	switch b := body.(type) {
	case []any:
		list := make([]any, len(b))
		for i, e := range b {
			list[i] = replace(e, at, v)
		}
		return list
	case map[string]any:
		m := maps.Clone(b)
		if len(at) > 0 {
			if _, ok := m[at[0]]; ok {
				m[at[0]] = replace(m[at[0]], at[1:], v)
			}
		}
		return m
	default:
		return v
	}
}

// namesNothing sends each reference with a name that nothing has.
func (s *server) namesNothing(k model.Kind, method, p string, fields []model.Field) {
	s.t.Helper()
	for where, to := range named(fields, nil) {
		at := strings.Split(where, "\x00")
		a := s.do(method, p, encode(replace(values(k, fields), at, "no such thing")))
		if a.status != http.StatusNotAcceptable || !strings.Contains(a.body, "no such thing") || !strings.Contains(a.body, at[len(at)-1]) {
			s.t.Errorf("%s %s with %v naming nothing of %v: %d %s", method, p, at, to, a.status, a.body)
		}
	}
}

// keeps wants what a body names not to be deleted, with the user named.
func (s *server) keeps(fields []model.Field, body map[string]any) {
	s.t.Helper()
	for where, to := range named(fields, nil) {
		p := targetPath(to[0])
		if p == "" {
			s.t.Errorf("the tests have no %s", to[0])
			continue
		}
		if !strings.Contains(encode(body), encode(targetName(to[0]))) {
			continue
		}
		a := s.do("DELETE", p, "")
		if a.codes() != "IMP-10178" || !strings.Contains(a.body, "is used by") {
			s.t.Errorf("deleting the %s that %q names: %d %s", to[0], where, a.status, a.body)
		}
	}
}

func itoa(n int) string { return encode(n) }
