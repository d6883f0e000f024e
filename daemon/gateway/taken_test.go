package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// request is one of the API.
type request struct{ method, path, body string }

// attached is a resource, and what makes the web service use the one that was created,
// and no longer. The body of one that applies to it gets applyTo.
type attached struct {
	path           string
	attach, detach []request
	applied        string // what applyTo names
}

var attachable = []attached{
	{path: policies + "webServiceCustomPolicies/X", applied: applied(false)},
	{path: policies + "webApplicationCustomPolicies/X", applied: applied(true)},
	{path: policies + "httpProtocolPolicies/X", applied: applied(false)},
	{path: policies + "http2ProtocolPolicies/X", applied: applied(false)},
	{path: policies + "webApplicationSignaturesPolicies/X", applied: applied(true)},
	{path: policies + "streamSignaturesPolicies/X", applied: applied(false)},
	{path: policies + "webCorrelationPolicies/X", applied: applied(false)},
	{path: policies + "webProfilePolicies/X", applied: applied(true)},
	{path: policies + "snippetInjectionPolicies/X", applied: applied(true)},
	{path: policies + "firewallPolicies/X", applied: `"applyTo":[{"operation":"add","siteName":"Default Site","serverGroupName":"Web"}]`},
	uses(globals+"URLRewriteGroups/X", shop+"/URLRewrite", `{"urlRewriteGroups":["X"]}`, `{"urlRewriteGroups":[]}`),
	uses(globals+"webErrorPageGroups/policies/X", shop+"/errorPage", `{"webErrorPagePolicies":["X"]}`, `{"webErrorPagePolicies":[]}`),
	uses(globals+"dataMaskingGroups/X", shop+"/dataMaskingGroups", `{"dataMaskingGroup":"X"}`, `{"dataMaskingGroup":""}`),
	uses(globals+"sslSettings/X", inbound+"8443", `{"clientSideSslSettings":"X"}`, `{"clientSideSslSettings":""}`),
	uses("/v1/conf/ipGroups/X", servers, `{"ignoreIpGroup":"X"}`, `{"ignoreIpGroup":""}`),
	uses("/v1/conf/actionSets/X", policies+"webServiceCustomPolicies/Follow", `{"followedAction":"X"}`, `{"followedAction":""}`),
	{path: "/v1/conf/signatures/Ours/X"},
	{path: shop + "/hostToAppMappings/Default%20Web%20Application/7"},
	{path: inbound + "8080/krpOutboundRules/7"},
	{path: inbound + "7070,7071"},
	{path: side, attach: []request{{"PUT", sideRule, toNowhere}}, detach: []request{{"DELETE", sideRule, ""}}},
	addressed("127.0.0.2"), addressed("::ffff:127.0.0.1"), addressed("0:0:0:0:0:0:0:1"), addressed("fe80::1%25lo"),
}

const (
	side      = gw1 + "/reverseProxy/aliases/side"
	sideRule  = shop + "/krpInboundRules/Default%20Gateway%20Group/side/8080"
	toNowhere = `{"outboundRules":{"1":{"internalIpHost":"127.0.0.1","serverPort":9}}}`
)

// uses is a resource that a PUT has used, and no longer.
func uses(path, by, with, without string) attached {
	return attached{path: path, attach: []request{{"PUT", by, with}}, detach: []request{{"PUT", by, without}}}
}

// addressed is an address, at which an alias listens at the port that front does.
func addressed(ip string) attached {
	plain := strings.ReplaceAll(ip, "%25", "%")
	return attached{path: gw1 + "/reverseProxy/addresses/" + ip, attach: []request{{"POST", side, `{"internalAddress":"` + plain + `"}`}, {"PUT", sideRule, toNowhere}},
		detach: []request{{"DELETE", sideRule, ""}, {"DELETE", side, ""}}}
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
		`{"rules":[{"direction":"inbound","protocol":"tcp"}]}`, `{"rules":[{"direction":"inbound","protocol":"tcp","ipGroup":""}]}`, `{"rules":[{"direction":"outbound","protocol":"udp"}]}`,
		`{"rules":[{"direction":"inbound","protocol":"tcp","ipGroup":"All Addresses"}],"inboundOperation":"allow","severity":"noAlert"}`,
		`{"outboundRules":{"1":{"internalIpHost":"h","serverPort":1}},"clientAuthenticationRules":{"a":"("}}`, `{"outboundRules":{"1":{"internalIpHost":"h","serverPort":1,"encrypt":true,"clientCertificate":"cert"}},"serverCertificate":"cert"}`,
		`{"outboundRules":{"1":{"internalIpHost":"h","serverPort":1,"clientAuthenticationRules":"a"}},"serverCertificate":"cert","clientAuthenticationAuthorities":"cert","clientAuthenticationRules":{"a":"^CN=a"}}`,
		`{"internalAddress":"127.0.0.1"}`, `{"enabled":false}`, `{"mask":8,"nextHop":"127.9.9.9","networkInterface":"lo"}`, `{"mask":0,"vrId":1,"virtualAddress":true}`,
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
		if a.applied != "" {
			delete(object, "applyTo")
			text, err := json.Marshal(object)
			if err != nil {
				t.Skip()
			}
			body = strings.Replace(string(text), "{", "{"+a.applied+",", 1)
			body = strings.Replace(body, ",}", "}", 1)
		}
		if w.answer("POST", a.path, body).Code != http.StatusOK {
			return
		}
		for _, r := range a.attach {
			w.ask(r.method, r.path, r.body)
		}
		if err := w.apply(); err != nil {
			t.Errorf("POST %s %s was taken, and then: %v", a.path, body, err)
		}
		for _, u := range w.Unbound() {
			if strings.Contains(u.Reason, "belongs to") {
				t.Errorf("POST %s %s was taken, and then: %s", a.path, body, u)
			}
		}
		for _, r := range a.detach {
			w.ask(r.method, r.path, r.body)
		}
		w.ask("DELETE", deleted(a.path), "")
		if err := w.apply(); err != nil {
			t.Fatal(fmt.Errorf("without it: %w", err))
		}
	})
}
