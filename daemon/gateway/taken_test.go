package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// attachable are resources, and what makes the web service use the one that is
// called X. The bodies of those that apply to it get applyTo.
var attachable = []struct {
	path, attach, with, without string // "" is nothing
	applied, deep               bool
}{
	{path: policies + "webServiceCustomPolicies/X", applied: true},
	{path: policies + "webApplicationCustomPolicies/X", applied: true, deep: true},
	{path: policies + "httpProtocolPolicies/X", applied: true},
	{path: policies + "http2ProtocolPolicies/X", applied: true},
	{path: policies + "webApplicationSignaturesPolicies/X", applied: true, deep: true},
	{path: policies + "streamSignaturesPolicies/X", applied: true},
	{path: policies + "webCorrelationPolicies/X", applied: true},
	{path: policies + "webProfilePolicies/X", applied: true, deep: true},
	{path: policies + "snippetInjectionPolicies/X", applied: true, deep: true},
	{path: globals + "URLRewriteGroups/X", attach: shop + "/URLRewrite", with: `{"urlRewriteGroups":["X"]}`, without: `{"urlRewriteGroups":[]}`},
	{path: globals + "webErrorPageGroups/policies/X", attach: shop + "/errorPage", with: `{"webErrorPagePolicies":["X"]}`, without: `{"webErrorPagePolicies":[]}`},
	{path: globals + "dataMaskingGroups/X", attach: shop + "/dataMaskingGroups", with: `{"dataMaskingGroup":"X"}`, without: `{"dataMaskingGroup":""}`},
	{path: globals + "sslSettings/X", attach: inbound + "8443", with: `{"clientSideSslSettings":"X"}`, without: `{"clientSideSslSettings":""}`},
	{path: "/v1/conf/ipGroups/X", attach: servers, with: `{"ignoreIpGroup":"X"}`, without: `{"ignoreIpGroup":""}`},
	{path: "/v1/conf/actionSets/X", attach: policies + "webServiceCustomPolicies/Follow", with: `{"followedAction":"X"}`, without: `{"followedAction":""}`},
	{path: "/v1/conf/signatures/Ours/X"},
	{path: shop + "/hostToAppMappings/Default%20Web%20Application/7"},
	{path: inbound + "8080/krpOutboundRules/7"},
}

// deleted is the path by which what was created goes.
func deleted(path string) string {
	return strings.Replace(path, "/Default%20Web%20Application/7", "/7", 1)
}

// What the API takes a gateway can use: one value that it cannot would keep every
// later change from its group.
func FuzzWhatTheAPITakesIsKept(f *testing.F) {
	type sample struct {
		kind int
		body string
	}
	var samples []sample
	for _, criterion := range []string{
		`{"type":"httpRequestUrl","match":"regex","values":["(","^/a"]}`, `{"type":"httpRequestUrl","values":["/a"],"operation":"sometimes"}`,
		`{"type":"sourceIpAddresses","userDefined":["10.0.0.9 - 10.0.0.1"]}`, `{"type":"sourceIpAddresses","userDefined":["10.0.0.1 - 10.0.0.9","::1-10.0.0.1"]}`,
		`{"type":"sourceIpAddresses","userDefined":["10.0.0.1 - 10.0.0.9","::ffff:10.0.0.0/100","fe80::1%eth0"],"ipGroups":["All Addresses"]}`,
		`{"type":"httpRequest","matchValues":[{"part":"header","operation":"notRegex","value":"("}]}`, `{"type":"httpRequest","matchValues":[{"part":"moon","operation":"equals"}]}`,
		`{"type":"httpRequest","matchValues":[{"part":"body","operation":"notContains","value":"x"}]}`, `{"type":"httpRequest","matchValues":[{"part":"host","operation":"not"}]}`,
		`{"type":"numberOfOccurrences","numTimes":3,"withinSeconds":10,"context":"moon"}`, `{"type":"numberOfOccurrences","numTimes":30000,"withinSeconds":10}`,
		`{"type":"numberOfOccurrences","numTimes":3,"withinSeconds":10,"operation":"excludeAll"}`, `{"type":"numberOfOccurrences","withinSeconds":5}`,
		`{"type":"signatures","signatures":[{"name":"teapot"}],"dictionaries":["SQL Injection"]}`, `{"type":"timeOfDay","restrictions":[{"from":"25:00","to":"1"}]}`,
		`{"type":"timeOfDay","restrictions":[{"from":"22:00","to":"24:00","dayOfWeek":"monday"}]}`, `{"type":"timeOfDay","restrictions":[{"dayOfWeek":"Doomsday","from":"00:00","to":"01:00:00"}]}`,
		`{"type":"clientType","clientTypes":["Bot","Alien"]}`, `{"type":"clientType","clientTypes":["Bot"]}`, `{"type":"authenticatedSession","value":"maybe"}`,
		`{"type":"authenticatedSession","cookieNames":[{"cookie":"(","matchType":"regex"}]}`, `{"type":"authenticatedSession","cookieNames":[{"cookie":"a","matchType":"near"}]}`,
		`{"type":"fileExtension","values":["php"]}`, `{"type":"responseCode","values":["600"]}`, `{"type":"responseCode","values":["404","500-599"]}`, `{"type":"httpMethods","values":["GET"],"operation":""}`,
	} {
		for kind, a := range attachable {
			switch {
			case strings.Contains(a.path, "CustomPolicies"), strings.Contains(a.path, "snippet"):
				samples = append(samples, sample{kind, `{"snippetContent":"x","matchCriteria":[` + criterion + `]}`})
			case strings.Contains(a.path, "httpProtocolPolicies"):
				samples = append(samples, sample{kind, `{"exceptions":[{"ruleName":"URL Too Long","predicates":[` + criterion + `]}]}`})
			case strings.Contains(a.path, "Rewrite"):
				samples = append(samples, sample{kind, `{"rules":[{"priority":1,"name":"a","matchCriteria":[` + criterion + `]}]}`})
			}
		}
	}
	for _, body := range []string{
		`{}`, `{"rules":[{"priority":1,"name":"a","redirect":"999"}]}`, `{"rules":[{"priority":1,"name":"a","redirect":true,"hostToFind":"a","hostToReplace":"$9/"}]}`,
		`{"rules":[{"name":"URL Too Long","parameters":{"n":"many"}}]}`, `{"rules":[{"name":"URL Too Long","parameters":{"n":1000000}}]}`, `{"rules":[{"name":"URL Too Long","parameters":{"n":"2000000"}}]}`,
		`{"rules":[{"name":"Excessive Streams","parameters":{"n":0}}]}`, `{"rules":[{"name":"Known Scanners"}]}`, `{"rules":[{"name":"Ours","severity":"noAlert","action":"block"}]}`,
		`{"actions":[{"name":"a","type":"syslog","host":"h"}]}`, `{"actions":[{"name":"a","type":"ipBlock"},{"name":"b","type":"email","toAddress":"x"},{"name":"c","type":"userBlock"}]}`,
		`{"pattern":"a(?P<n>b)\\b","searchIn":["urls","moon"]}`, `{"pattern":"(?i)x{1,1000}\\pL","searchIn":["body"]}`, `{"pattern":"\\C"}`, `{"pattern":"(a|b)*?\\z"}`,
		`{"host":"(","hostMatchType":"Regex"}`, `{"host":"a[bc]","hostMatchType":"Regex"}`, `{"internalIpHost":"h","serverPort":1,"externalHost":"a*"}`,
		`{"internalIpHost":"::1","serverPort":1,"externalHost":"*.a","urlPrefix":"x"}`, `{"internalIpHost":"fe80::1%eth0","serverPort":1,"urlPrefix":"/x"}`,
		`{"entries":[]}`, `{"entries":[{"type":"network","networkAddress":"::ffff:10.0.0.0","cidrMask":104}]}`, `{"entries":[{"type":"network","networkAddress":"::ffff:10.0.0.0","cidrMask":8}]}`,
		`{"entries":[{"type":"range","ipAddressFrom":"::ffff:10.0.0.1","ipAddressTo":"10.0.0.2"}]}`, `{"entries":[{"type":"single","ipAddressFrom":"fe80::1%eth0"}]}`,
		`{"sslProtocolVersions":["TLSv1.3"],"activeCiphers":[]}`, `{"sslProtocolVersions":["TLSv1.2"],"activeCiphers":["TLS_AES_128_GCM_SHA256"],"activeEllipticCurves":[]}`,
		`{"dataMaskingObjects":[{"name":"a","match":"(?i)a|b"}]}`, `{"snippetLocation":"roof","invocationFrequency":"always","snippetContent":"x"}`, `{"snippetLocation":"custom","snippetCustomLocation":"<main>","snippetContent":"x"}`,
	} {
		for kind := range attachable {
			samples = append(samples, sample{kind, body})
		}
	}
	for _, s := range samples {
		f.Add(s.kind, s.body)
	}
	w := newTraffic(f)
	w.certificate("cert", "shop.example")
	w.do("POST", inbound+"8443", `{"serverCertificate":"cert","outboundRules":{"1":`+w.toOrigin()+`}}`)
	w.do("POST", "/v1/conf/dictionaries/Ours", "")
	w.do("POST", "/v1/conf/signatures/Ours/teapot", `{"pattern":"teapot"}`)
	w.do("POST", policies+"webApplicationSignaturesPolicies/Ours", `{"rules":[{"name":"Ours"}],`+applied(true)+`}`)
	w.custom("Follow", onURL)
	f.Fuzz(func(t *testing.T, kind int, body string) {
		w.t = t
		if kind < 0 || kind >= len(attachable) {
			t.Skip()
		}
		a := attachable[kind]
		var object map[string]any
		if json.Unmarshal([]byte(body), &object) != nil || object == nil {
			t.Skip()
		}
		if a.applied {
			delete(object, "applyTo")
			text, err := json.Marshal(object)
			if err != nil {
				t.Skip()
			}
			body = strings.Replace(string(text), "{", "{"+applied(a.deep)+",", 1)
			body = strings.Replace(body, ",}", "}", 1)
		}
		if w.answer("POST", a.path, body).Code != http.StatusOK {
			return
		}
		if a.attach != "" {
			w.ask("PUT", a.attach, a.with)
		}
		if err := w.apply(); err != nil {
			t.Errorf("POST %s %s was taken, and then: %v", a.path, body, err)
		}
		if a.attach != "" {
			w.ask("PUT", a.attach, a.without)
		}
		w.ask("DELETE", deleted(a.path), "")
		if err := w.apply(); err != nil {
			t.Fatal(fmt.Errorf("without it: %w", err))
		}
	})
}
