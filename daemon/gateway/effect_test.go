package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/appliance/store"
)

// Each test here shows that what a path of the OpenAPI changes changes a verdict, an
// answer, or where a request goes. docs/OPENAPI.md names it at its path.

func TestSitesCarryTheirServices(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", "/v1/conf/sites/Second", "")
	w.do("POST", "/v1/conf/serverGroups/Second/Web", "")
	w.do("POST", "/v1/conf/webServices/Second/Web/Bank", "")
	w.do("POST", "/v1/conf/webServices/Second/Web/Bank/krpInboundRules/Default%20Gateway%20Group/front/9090", `{"outboundRules":{"1":`+w.toOrigin()+`}}`)
	r := func() *http.Request { return httptest.NewRequest("GET", "http://bank.example/", nil) }
	bank := func() int {
		request := r()
		request.RequestURI = ""
		status, _ := w.send(w.client(9090, nil), request)
		return status
	}
	if status := bank(); status != 200 {
		t.Errorf("with the site: %d", status)
	}
	w.do("DELETE", "/v1/conf/sites/Second", "")
	if status := bank(); status != 0 {
		t.Errorf("without the site: %d", status)
	}
	w.guard()
	w.do("PUT", "/v1/conf/sites/Default%20Site", `{"name":"Renamed"}`)
	w.wants(403, injection)
	if v := w.told(1)[0]; v.Site != "Renamed" {
		t.Errorf("the event names the site %q", v.Site)
	}
}

func TestServerGroupsDecideWhatIsInspected(t *testing.T) {
	w := newTraffic(t)
	w.guard()
	w.wants(403, injection)
	w.do("PUT", servers, `{"operationMode":"simulation"}`)
	w.wants(200, injection)
	w.do("PUT", servers, `{"operationMode":"disabled"}`)
	w.wants(503, "/")
	w.do("PUT", servers, `{"operationMode":"active"}`)
	w.do("POST", "/v1/conf/ipGroups/Loopback", `{"entries":[{"type":"network","networkAddress":"127.0.0.0","cidrMask":8}]}`)
	w.do("PUT", servers, `{"ignoreIpGroup":"Loopback"}`)
	w.wants(200, injection)
	w.do("PUT", servers, `{"ignoreIpGroup":"","limitMonitoringToIpGroup":"Internal IP Addresses"}`)
	w.wants(200, injection)
	w.do("PUT", servers, `{"limitMonitoringToIpGroup":"Loopback"}`)
	w.wants(403, injection)
}

func TestWebServicesSpeakHTTP2(t *testing.T) {
	w := newTraffic(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := w.client(8080, nil)
	client.Transport.(*http.Transport).Protocols = protocols
	ask := func() int {
		r, err := http.NewRequest("GET", "http://shop.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		status, _ := w.send(client, r)
		return status
	}
	if status := ask(); status != 0 {
		t.Errorf("without http2: %d", status)
	}
	w.do("PUT", shop, `{"http2":true}`)
	if status := ask(); status != 200 {
		t.Errorf("with http2: %d", status)
	}
	w.do("DELETE", shop, "")
	if status := ask(); status != 0 {
		t.Errorf("without the service: %d", status)
	}
}

func TestURLRewriteGroupsChangeTargets(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", globals+"URLRewriteGroups/Old%20paths", `{"rules":[
		{"priority":1,"name":"old","pathToFind":"^/old/(.*)","pathToReplace":"/new/$1"},
		{"priority":2,"name":"away","pathToFind":"^/away$","pathToReplace":"/here","redirect":"302","matchCriteria":[{"type":"httpMethods","values":["GET"]}]},
		{"priority":3,"name":"out","applyTo":"response","hostToFind":"^inside\\.example$","hostToReplace":"shop.example"}]}`)
	if body := w.wants(200, "/old/x"); !strings.HasPrefix(body, "GET /old/x ") {
		t.Errorf("not applied: %s", body)
	}
	w.do("PUT", shop+"/URLRewrite", `{"urlRewriteGroups":["Old paths"]}`)
	if body := w.wants(200, "/old/x?y"); !strings.HasPrefix(body, "GET /new/x?y ") {
		t.Errorf("a path: %s", body)
	}
	if body := w.wants(302, "/away"); body != "http://shop.example/here" {
		t.Errorf("a redirect: %s", body)
	}
	if body := w.wants(302, "/moved"); body != "http://shop.example/deep/path" {
		t.Errorf("an answer: %s", body)
	}
}

func TestConnectionTimeoutEndsIdleConnections(t *testing.T) {
	w := newTraffic(t)
	w.do("PUT", shop+"/advancedHttpSettings", `{"connectionTimeout":1}`)
	c, err := net.Dial("tcp", w.address("127.0.0.1:8080"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute)) // the usual timeout is longer
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if _, err := in.Discard(1 << 20); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the idle connection: %v", err)
	}
}

func TestDataMaskingGroupsHideValues(t *testing.T) {
	w := newTraffic(t)
	w.guard()
	secret := injection + "&pin=4711"
	w.wants(403, secret)
	if v := w.told(1)[0]; !strings.Contains(v.Query, "pin=4711") {
		t.Errorf("unmasked: %q", v.Query)
	}
	w.do("POST", globals+"dataMaskingGroups/Pins", `{"dataMaskingObjects":[{"name":"pins","match":"^pin$","searchInHttpParameters":true}]}`)
	w.do("PUT", shop+"/dataMaskingGroups", `{"dataMaskingGroup":"Pins"}`)
	w.wants(403, "/masked"+secret)
	v := w.toldOf(func(v store.Violation) bool { return v.Path == "/masked/" })
	if strings.Contains(v.Query, "4711") || !strings.Contains(v.Query, "pin=***") {
		t.Errorf("masked: %q", v.Query)
	}
}

func TestErrorPagesAnswerBlockedRequests(t *testing.T) {
	w := newTraffic(t)
	w.guard()
	w.do("PUT", shop+"/errorPage", `{"useDefaultErrorPage":false,"defaultErrorPageResponseCode":"429"}`)
	if body := w.wants(429, injection); !strings.Contains(body, "This request was blocked") {
		t.Errorf("a status alone: %s", body)
	}
	w.do("PUT", shop+"/errorPage", `{"useDefaultErrorPage":false,"defaultErrorPageBody":"<p>own $(EVENT_ID)</p>","defaultErrorPageResponseCode":"418"}`)
	if body := w.wants(418, injection); !strings.HasPrefix(body, "<p>own ") {
		t.Errorf("the service's own: %s", body)
	}
	w.do("POST", globals+"webErrorPageGroups/pages/Sorry", `{"redirectUrl":"https://sorry.example/"}`)
	w.do("POST", globals+"webErrorPageGroups/policies/By%20path", `{"rules":[
		{"priority":1,"name":"api","errorPageName":"Sorry","matchCriteria":[{"type":"httpRequestUrl","match":"prefix","values":["/api"]}]}]}`)
	w.do("PUT", shop+"/errorPage", `{"webErrorPagePolicies":["By path"]}`)
	if body := w.wants(302, "/api"+injection); body != "https://sorry.example/" {
		t.Errorf("a policy's page: %s", body)
	}
	w.wants(418, injection)
	w.do("PUT", globals+"webErrorPageGroups/pages/Sorry", `{"redirectUrl":"","errorPageContent":"<p>sorry</p>","httpResponseCode":"451"}`)
	if body := w.wants(451, "/api"+injection); body != "<p>sorry</p>" {
		t.Errorf("another content: %s", body)
	}
	for _, c := range []struct{ path, body, code string }{
		{shop + "/errorPage", `{"defaultErrorPageRedirectURL":"https://sorry.example/"}`, "IMP-12916"},
		{shop + "/errorPage", `{"defaultErrorPageRedirectURL":"https://sorry.example/","defaultErrorPageBody":"","defaultErrorPageResponseCode":"403"}`, "IMP-12917"},
		{globals + "webErrorPageGroups/pages/Sorry", `{"redirectUrl":"https://sorry.example/","errorPageContent":"","httpResponseCode":"403"}`, "IMP-10016"},
	} {
		if answer := w.answer("PUT", c.path, c.body); answer.Code != 406 || !strings.Contains(answer.Body.String(), c.code) {
			t.Errorf("%s: %d %s", c.body, answer.Code, answer.Body)
		}
	}
	w.do("PUT", shop+"/errorPage", `{"defaultErrorPageRedirectURL":"https://sorry.example/","defaultErrorPageBody":"","defaultErrorPageResponseCode":"307"}`)
	if body := w.wants(307, injection); body != "https://sorry.example/" {
		t.Errorf("a redirect: %s", body)
	}
}

func TestForwardedHeadersTellTheClient(t *testing.T) {
	w := newTraffic(t)
	w.do("PUT", shop+"/forwardedClientIp", `{"forwardClientIP":true}`)
	if body := w.wants(200, "/"); !strings.HasSuffix(body, " xff=127.0.0.1") {
		t.Errorf("the server is told %s", body)
	}
	w.custom("Far", `{"type":"sourceIpAddresses","userDefined":["203.0.113.9"]}`)
	w.wants(200, "/", "X-Forwarded-For", "203.0.113.9")
	w.do("PUT", shop+"/forwardedConnections", `{"useHttpForwardingHeader":true,"forwardedConnections":[{"operation":"add","headerName":"X-Forwarded-For","proxyIpGroup":""}]}`)
	w.wants(403, "/", "X-Forwarded-For", "203.0.113.9")
	if v := w.told(1)[0]; v.SourceIP != "203.0.113.9" {
		t.Errorf("the event names %q", v.SourceIP)
	}
}

func TestHostMappingsChooseTheApplication(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", "/v1/conf/webApplications/Default%20Site/Web/Shop/Open", "")
	w.guard()
	w.wants(403, injection, "Host", "open.example")
	w.do("POST", shop+"/hostToAppMappings/Open/1", `{"host":"open.example"}`)
	w.wants(200, injection, "Host", "open.example")
	w.wants(403, injection, "Host", "shop.example")
	w.do("PUT", shop, `{"default-application":"Open"}`)
	w.wants(200, injection, "Host", "shop.example")
}

func TestInboundAndOutboundRulesForward(t *testing.T) {
	w := newTraffic(t)
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "second") }))
	defer second.Close()
	to := fmt.Sprintf(`{"internalIpHost":"127.0.0.1","serverPort":%d,"urlPrefix":"/api"}`, portOf(second.Listener.Addr().String()))
	w.do("POST", inbound+"8080/krpOutboundRules/5", to)
	if body := w.wants(200, "/api/x"); body != "second" {
		t.Errorf("an outbound rule: %s", body)
	}
	w.do("DELETE", inbound+"8080/krpOutboundRules/5", "")
	if body := w.wants(200, "/api/x"); !strings.HasPrefix(body, "GET /api/x ") {
		t.Errorf("without it: %s", body)
	}
	if w.address("127.0.0.1:8081") != "" {
		t.Error("somebody listens at 8081")
	}
	w.do("PUT", inbound+"8080", `{"gatewayPorts":[8081]}`)
	if status, _ := w.get("/"); w.address("127.0.0.1:8081") == "" || status != 0 {
		t.Errorf("the rule did not move: %d", status)
	}
}

func TestAliasesAndAddressesSayWhereItListens(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", gw1+"/reverseProxy/addresses/127.0.0.2", "")
	w.do("PUT", gw1+"/reverseProxy/aliases/front", `{"internalAddress":"127.0.0.2"}`)
	if status, _ := w.get("/"); status != 0 || w.address("127.0.0.2:8080") == "" {
		t.Errorf("the alias did not move: %d", status)
	}
	w.do("PUT", gw1+"/reverseProxy/aliases/front", `{"enabled":false}`)
	if len(w.Addresses()) != 0 {
		t.Errorf("an alias that is off listens at %v", w.Addresses())
	}
	w.do("POST", "/experimental/gateway/gatewayAlias", `{"gatewayName":"gw1","aliasName":"side","internalIpAddress":"127.0.0.3"}`)
	w.do("POST", shop+"/krpInboundRules/Default%20Gateway%20Group/side/80", `{"outboundRules":{"1":`+w.toOrigin()+`}}`)
	if w.address("127.0.0.3:80") == "" {
		t.Errorf("a new alias listens at %v", w.Addresses())
	}
}

func TestGatewayGroupsSayHowTheirGatewaysWork(t *testing.T) {
	w := newTraffic(t)
	w.do("PUT", group+"/advancedConfiguration", `{"advancedConfiguration":"<a><gateway-limits><urlBytes>100</urlBytes></gateway-limits></a>"}`)
	w.wants(414, "/"+strings.Repeat("x", 200))
	// A group of its own serves its own rules.
	w.do("POST", "/v1/conf/gatewayGroups/Far", `{"failMode":"closed"}`)
	w.register("gw2", "127.0.0.9")
	w.ask("DELETE", shop, "")
	w.do("PUT", gw1+"/move/Far", "")
	w.do("POST", shop, "")
	if len(w.Addresses()) != 0 {
		t.Errorf("it listens at %v", w.Addresses())
	}
	w.do("POST", shop+"/krpInboundRules/Far/front/8080", `{"outboundRules":{"1":`+w.toOrigin()+`}}`)
	w.wants(200, "/"+strings.Repeat("x", 200))
}

// certificate adds one for a host to the shop.
func (w *traffic) certificate(name, host string) {
	w.t.Helper()
	w.addKey(name, issue(w.t, host, nil))
}

func (w *traffic) addKey(name string, p pair) {
	w.t.Helper()
	body, err := json.Marshal(map[string]string{"format": "pem", "private": base64.StdEncoding.EncodeToString(p.private), "certificate": base64.StdEncoding.EncodeToString(p.certificate)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.do("POST", shop+"/sslCertificates/"+name, string(body))
}

// handshake says what certificate comes for a name.
func (w *traffic) handshake(port int, config *tls.Config) (tls.ConnectionState, error) {
	w.t.Helper()
	config.InsecureSkipVerify = true
	dialer := tls.Dialer{Config: config}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := dialer.DialContext(ctx, "tcp", w.address(fmt.Sprint("127.0.0.1:", port)))
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState(), nil
}

func TestCertificatesAndSSLSettingsMakeTLS(t *testing.T) {
	w := newTraffic(t)
	w.certificate("one", "one.example")
	w.certificate("two", "two.example")
	w.do("POST", inbound+"8443", `{"serverCertificate":"one","outboundRules":{"1":`+w.toOrigin()+`}}`)
	for ask, want := range map[string]string{"one.example": "one.example", "two.example": "two.example", "other.example": "one.example"} {
		state, err := w.handshake(8443, &tls.Config{ServerName: ask})
		if err != nil || state.PeerCertificates[0].DNSNames[0] != want {
			t.Errorf("%s: %v", ask, err)
		}
	}
	if _, err := w.handshake(8443, &tls.Config{MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	w.do("POST", globals+"sslSettings/New", `{"sslProtocolVersions":["TLSv1.3"]}`)
	w.do("PUT", inbound+"8443", `{"clientSideSslSettings":"New"}`)
	if _, err := w.handshake(8443, &tls.Config{MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 was taken")
	}
	w.do("PUT", globals+"sslSettings/New", `{"sslProtocolVersions":["TLSv1.2"],"activeCiphers":["ECDHE-ECDSA-AES256-GCM-SHA384"]}`)
	if state, err := w.handshake(8443, new(tls.Config)); err != nil || state.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {
		t.Errorf("%x, %v", state.CipherSuite, err)
	}
}

func TestCertificatesOfClientsAreAskedFor(t *testing.T) {
	w := newTraffic(t)
	w.certificate("cert", "shop.example")
	authority := issue(t, "Our Authority", nil)
	w.addKey("authority", authority)
	w.do("POST", inbound+"8443", `{"serverCertificate":"cert","clientAuthenticationAuthorities":"authority","outboundRules":{"1":`+w.toOrigin()+`}}`)
	ask := func(path string, p *pair) int {
		config := &tls.Config{InsecureSkipVerify: true}
		if p != nil {
			certificate, err := tls.X509KeyPair(p.certificate, p.private)
			if err != nil {
				t.Fatal(err)
			}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
		}
		r, err := http.NewRequest("GET", "https://shop.example"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		status, _ := w.send(w.client(8443, config), r)
		return status
	}
	alice, bob, mallory := issue(t, "alice", &authority), issue(t, "bob", &authority), issue(t, "alice", nil)
	for name, c := range map[string]struct {
		who  *pair
		want int
	}{"nobody": {nil, 0}, "alice": {&alice, 200}, "bob": {&bob, 200}, "mallory": {&mallory, 0}} {
		if status := ask("/", c.who); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
	// With rules at outbound rules, each request's way says whom it is for.
	w.do("PUT", inbound+"8443", `{"clientAuthenticationRules":{"alice":"^CN=alice$"}}`)
	w.do("POST", inbound+"8443/krpOutboundRules/2", w.toOrigin(`,"urlPrefix":"/inner"`))
	w.do("PUT", inbound+"8443/krpOutboundRules/1", `{"urlPrefix":"/alice","clientAuthenticationRules":"alice"}`)
	w.do("POST", inbound+"8443/krpOutboundRules/3", w.toOrigin())
	for _, c := range []struct {
		path string
		who  *pair
		want int
	}{{"/alice", nil, 403}, {"/alice", &bob, 403}, {"/alice", &alice, 200}, {"/alice", &mallory, 0}, {"/", nil, 200}} {
		if status := ask(c.path, c.who); status != c.want {
			t.Errorf("%s: %d, want %d", c.path, status, c.want)
		}
	}
	if v := w.told(2)[1]; v.Type != "Client Certificate" || v.ViolatedItem != "CN=bob" {
		t.Errorf("%+v", v)
	}
	for body, code := range map[string]string{`{"clientAuthenticationRules":{}}`: "IMP-10052", `{"clientAuthenticationRules":{"alice":"("}}`: "IMP-10350"} {
		if answer := w.answer("PUT", inbound+"8443", body); answer.Code != 406 || !strings.Contains(answer.Body.String(), code) {
			t.Errorf("%s: %d %s", body, answer.Code, answer.Body)
		}
	}
}

func TestFirewallPoliciesRefuseConnections(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", "/v1/conf/ipGroups/Loopback", `{"entries":[{"type":"single","ipAddressFrom":"127.0.0.1"}]}`)
	w.do("POST", policies+"firewallPolicies/Nobody", `{"action":"block","applyTo":[{"siteName":"Default Site","serverGroupName":"Web"}],"rules":[{"direction":"inbound","protocol":"TCP","ipGroup":"Loopback"}]}`)
	if status, _ := w.get("/"); status != 0 {
		t.Errorf("who is in the rules: %d", status)
	}
	w.do("PUT", policies+"firewallPolicies/Nobody", `{"inboundOperation":"allow"}`)
	w.wants(200, "/")
	w.do("PUT", policies+"firewallPolicies/Nobody", `{"rules":[{"operation":"remove","direction":"inbound","protocol":"TCP","ipGroup":"Loopback"},{"operation":"add","direction":"inbound","protocol":"TCP","ipGroup":"Internal IP Addresses"}]}`)
	if status, _ := w.get("/"); status != 0 {
		t.Errorf("who is not: %d", status)
	}
}

func TestHTTPProtocolPoliciesCheckRequests(t *testing.T) {
	w := newTraffic(t)
	w.wants(200, "/"+strings.Repeat("x", 50))
	w.do("POST", policies+"httpProtocolPolicies/Strict", `{"rules":[{"name":"URL Too Long","enabled":true,"severity":"low","action":"block","parameters":{"length":40}}],`+applied(false)+`}`)
	w.wants(403, "/"+strings.Repeat("x", 50))
	w.wants(200, "/")
	w.do("PUT", policies+"httpProtocolPolicies/Strict", `{"exceptions":[{"ruleName":"URL Too Long","predicates":[{"type":"httpRequestUrl","match":"prefix","values":["/xx"]}]}]}`)
	w.wants(200, "/"+strings.Repeat("x", 50))
}

func TestHTTP2ProtocolPoliciesCheckConnections(t *testing.T) {
	w := newTraffic(t)
	w.do("PUT", shop, `{"http2":true}`)
	const strict = policies + "http2ProtocolPolicies/Strict"
	w.do("POST", strict, `{"rules":[{"name":"Header List Too Large","action":"block","parameters":{"bytes":500}},
		{"name":"Excessive Streams","action":"block","parameters":{"streams":2}},{"name":"Rapid Reset","action":"block","parameters":{"resets":1}},
		{"name":"Malformed HTTP/2 Frame"}],`+applied(false)+`}`)
	client := w.client(8080, nil)
	transport := client.Transport.(*http.Transport)
	transport.DisableKeepAlives, transport.Protocols = false, new(http.Protocols)
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	ask := func(ctx context.Context, path string, header ...string) int {
		r, err := http.NewRequestWithContext(ctx, "GET", "http://shop.example"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		status, _ := w.send(client, r)
		return status
	}
	background := context.Background()
	if status := ask(background, "/"); status != 200 {
		t.Fatalf("a request: %d", status)
	}
	if status := ask(background, "/", "X-Long", strings.Repeat("x", 500)); status != 403 {
		t.Errorf("large headers: %d", status)
	}
	w.wants(200, "/", "X-Long", strings.Repeat("x", 500)) // of HTTP/1.1
	// Two streams that wait, and a third.
	ctx, cancel := context.WithCancel(background)
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() { ask(ctx, "/wait") })
	}
	w.arrived(2)
	if status := ask(background, "/"); status != 403 {
		t.Errorf("a third stream: %d", status)
	}
	cancel()
	waiting.Wait()
	eventually(t, "that the resets are seen", func() bool {
		ask(background, "/")
		return slices.ContainsFunc(w.told(0), func(v store.Violation) bool { return v.Type == "Rapid Reset" && v.Action == "block" })
	})
}

func TestSignaturePoliciesSwitchDictionaries(t *testing.T) {
	const traversal = "/?file=../../../../etc/passwd"
	for kind, attack := range map[string]string{
		"webApplicationSignaturesPolicies/Default%20Web%20Application%20Signatures%20Policy": injection,
		"httpProtocolSignaturesPolicies/Default%20HTTP%20Protocol%20Signatures%20Policy":     traversal,
		"streamSignaturesPolicies/Default%20Stream%20Signatures%20Policy":                    "/?c=;cat+/etc/passwd",
		"webCorrelationPolicies/Default%20Web%20Correlation%20Policy":                        injection,
	} {
		t.Run(strings.Split(kind, "/")[0], func(t *testing.T) {
			w := newTraffic(t)
			w.wants(200, attack)
			w.do("PUT", policies+kind, "{"+applied(strings.HasPrefix(kind, "webApplication"))+"}")
			w.wants(403, attack)
			w.do("PUT", servers, `{"operationMode":"simulation"}`)
			w.wants(200, attack)
			w.toldOf(func(v store.Violation) bool { return v.Action == "none" })
		})
	}
}

func TestAnswersAreInspectedForDirectoryListings(t *testing.T) {
	w := newTraffic(t)
	w.wants(200, "/listing")
	w.do("PUT", policies+"webCorrelationPolicies/Default%20Web%20Correlation%20Policy", `{"displayResponsePageInAlerts":true,`+applied(false)+"}")
	w.wants(403, "/listing")
	if v := w.told(1)[0]; v.Comment != "the client got status 403" {
		t.Errorf("the event says %q", v.Comment)
	}
	w.wants(200, "/page")
}

func TestSnippetsGoIntoPages(t *testing.T) {
	w := newTraffic(t)
	const snippets = policies + "snippetInjectionPolicies/Banner"
	const page = "<html><head><title>Shop</title></head><body>welcome</body></html>"
	w.do("POST", snippets, `{"invocationFrequency":"always","snippetContent":"<script>1</script>",`+applied(true)+`,"matchCriteria":[{"type":"httpRequestUrl","operation":"excludeAll","values":["/listing"]}]}`)
	if body := w.wants(200, "/page", "Accept-Encoding", "gzip"); body != strings.Replace(page, "<head>", "<head><script>1</script>", 1) {
		t.Errorf("in the head: %s", body)
	}
	if body := w.wants(200, "/page", "Range", "bytes=0-"); body != page {
		t.Errorf("a part: %s", body)
	}
	for _, path := range []string{"/listing", "/text"} {
		if body := w.wants(200, path); strings.Contains(body, "<script>") {
			t.Errorf("%s: %s", path, body)
		}
	}
	w.do("PUT", snippets, `{"snippetLocation":"body"}`)
	if body := w.wants(200, "/page"); body != strings.Replace(page, "<body>", "<body><script>1</script>", 1) {
		t.Errorf("in the body: %s", body)
	}
	w.do("PUT", snippets, `{"snippetLocation":"custom","snippetCustomLocation":"wel"}`)
	if body := w.wants(200, "/page"); body != strings.Replace(page, "wel", "wel<script>1</script>", 1) {
		t.Errorf("behind a text: %s", body)
	}
	w.do("PUT", snippets, `{"snippetCustomLocation":"nowhere"}`)
	if body := w.wants(200, "/page"); body != page {
		t.Errorf("without the place: %s", body)
	}
	w.do("PUT", snippets, `{"snippetLocation":"head","invocationFrequency":"session"}`)
	for _, c := range []struct {
		session string
		comes   bool
	}{{"sid=1", true}, {"sid=1", false}, {"sid=2", true}} {
		if body := w.wants(200, "/page", "Cookie", c.session); strings.Contains(body, "<script>") != c.comes {
			t.Errorf("%s: %s", c.session, body)
		}
	}
	if answer := w.answer("PUT", snippets, `{"snippetLocation":"custom","snippetCustomLocation":""}`); answer.Code != 406 {
		t.Errorf("custom without a place: %d", answer.Code)
	}
}

func TestDictionariesHoldSignatures(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", "/v1/conf/dictionaries/Ours", `{"description":"our own"}`)
	w.do("POST", "/v1/conf/signatures/Ours/teapot", `{"pattern":"tea.?pot","searchIn":["urls"]}`)
	w.do("POST", policies+"webApplicationSignaturesPolicies/Ours", `{"rules":[{"name":"Ours","severity":"high","action":"block"}],`+applied(true)+`}`)
	w.wants(403, "/tea-pot")
	w.do("PUT", "/v1/conf/signatures/userDefined/Ours/teapot", `{"pattern":"coffee"}`)
	w.wants(200, "/tea-pot")
	w.wants(403, "/coffee")
	w.custom("Asks", `{"type":"signatures","signatures":[{"name":"teapot","isUserDefined":true}]}`)
	w.do("PUT", "/v1/conf/signatures/userDefined/Ours/teapot", `{"status":"disabled"}`)
	w.wants(200, "/coffee")
}

func TestCustomPoliciesAskForCriteria(t *testing.T) {
	w := newTraffic(t)
	w.custom("Admin", onURL)
	w.wants(403, "/admin/x")
	w.wants(200, "/x")
	w.do("PUT", policies+"webServiceCustomPolicies/Admin", `{"enabled":false}`)
	w.wants(200, "/admin/x")
	w.do("POST", policies+"webApplicationCustomPolicies/Tools", `{"action":"block","matchCriteria":[{"type":"clientType","clientTypes":["Tool"]}]}`)
	w.wants(200, "/", "User-Agent", "curl/8")
	w.do("POST", app+"/webApplicationCustomPolicies/Tools", "")
	w.wants(403, "/", "User-Agent", "curl/8")
	w.do("POST", shop+"/webServiceCustomPolicies/Admin", "")
	w.do("PUT", policies+"webServiceCustomPolicies/Admin", `{"enabled":true,"matchCriteria":[]}`)
	w.wants(200, "/", "User-Agent", "Mozilla/5.0") // without criteria it is about nothing
}

func TestIPGroupsAreAsked(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", "/v1/conf/ipGroups/Bad", `{"entries":[{"type":"range","ipAddressFrom":"192.0.2.1","ipAddressTo":"192.0.2.9"}]}`)
	w.custom("Bad", `{"type":"sourceIpAddresses","ipGroups":["Bad"]}`)
	w.wants(200, "/")
	w.do("PUT", "/v1/conf/ipGroups/Bad/data", `{"entries":[{"operation":"add","type":"single","ipAddressFrom":"127.0.0.1"}]}`)
	w.wants(403, "/")
	w.do("DELETE", "/v1/conf/ipGroups/Bad/clear", "")
	w.wants(200, "/")
}

func TestActionSetsFollow(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", "/v1/conf/actionSets/Out", `{"type":"block","actions":[{"name":"out","type":"sessionBlock"}]}`)
	w.custom("Admin", onURL, `,"followedAction":"Out"`)
	w.wants(403, "/admin", "Cookie", "JSESSIONID=1")
	eventually(t, "the session's block", func() bool { status, _ := w.get("/", "Cookie", "JSESSIONID=1"); return status == 403 })
	w.wants(200, "/", "Cookie", "JSESSIONID=2")
	w.do("POST", "/v1/conf/actionSets/User", `{"type":"block","actions":[{"name":"out","type":"userBlock"}]}`)
	w.do("PUT", policies+"webServiceCustomPolicies/Admin", `{"followedAction":"User"}`)
	const eve, adam = "Basic ZXZlOng=", "Basic YWRhbTp4"
	w.wants(403, "/admin", "Authorization", eve)
	eventually(t, "the user's block", func() bool { status, _ := w.get("/", "Authorization", eve); return status == 403 })
	w.wants(200, "/", "Authorization", adam)
	w.do("POST", "/v1/conf/actionSets/Tell", `{"actions":[{"name":"tell","type":"syslog","host":"192.0.2.1","message":"${Alert.severity} at ${Event.destInfo.serverIp}","runOnEveryEvent":"false"}]}`)
	w.do("PUT", policies+"webServiceCustomPolicies/Admin", `{"followedAction":"Tell"}`)
	w.told(4)
	w.wants(403, "/admin")
	w.told(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.followed[len(w.followed)-1]; last.Host != "192.0.2.1" || last.Port != 514 || !strings.Contains(last.Message, "${Alert.severity}") || last.RunOnEveryEvent == nil || *last.RunOnEveryEvent {
		t.Errorf("the event goes to %+v", last)
	}
}

func TestWebApplicationsSayWhatIsMonitored(t *testing.T) {
	w := newTraffic(t)
	w.guard()
	w.wants(403, "/static"+injection)
	w.do("PUT", app, `{"ignoreUrlsDirectories":"/static/, /favicon.ico"}`)
	for path, status := range map[string]int{"/static": 200, "/static/a": 200, "/%73tatic/a": 200, "/favicon.ico": 200, "/": 403, "/statics": 403, "/Static": 403,
		"/static/../": 403, "/static/%2e%2e/": 403, "/static/..;a": 403, "/static%2fa": 403, "/static/..%5ca": 403, "/static%00": 403} {
		w.wants(status, path+strings.TrimPrefix(injection, "/"))
	}
	w.do("PUT", app, `{"restrictMonitoringToUrls":"/api;/static"}`)
	for path, status := range map[string]int{"/": 200, "/static/a": 200, "/api": 403, "/API/a": 403, "/apis": 200, "/x/../api": 403} {
		w.wants(status, path+strings.TrimPrefix(injection, "/"))
	}
	if answer := w.answer("PUT", app, `{"ignoreUrlsDirectories":"static"}`); answer.Code != 406 || !strings.Contains(answer.Body.String(), "IMP-10016") {
		t.Errorf("a path that is none: %d %s", answer.Code, answer.Body)
	}
}

// A criterion that names web services holds at those alone.
func TestCriteriaNameServices(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", "/v1/conf/webServices/Default%20Site/Web/Bank", "")
	const at = `{"type":"httpRequestUrl","match":"prefix","values":["/admin"],"services":[{"siteName":"Default Site","serverGroupName":"Web","serviceName":"`
	w.custom("Bank", at+`Bank"}]}`)
	w.wants(200, "/admin")
	w.custom("Shop", strings.Replace(at, `"/admin"`, `"/shop"`, 1)+`Shop"}]}`)
	w.wants(403, "/shop")
	elsewhere := strings.Replace(at, `"match"`, `"operation":"excludeAll","match"`, 1) + `Bank"}]}`
	w.do("PUT", policies+"webServiceCustomPolicies/Shop", `{"matchCriteria":[`+elsewhere+`]}`)
	w.wants(200, "/")
}

// displayResponsePage has the event say what the client got.
func TestEventsTellTheAnswer(t *testing.T) {
	w := newTraffic(t)
	w.custom("Mine", onURL, `,"displayResponsePage":true`)
	w.wants(403, "/admin")
	if v := w.told(1)[0]; v.Comment != "the client got status 403" {
		t.Errorf("blocked: %q", v.Comment)
	}
	w.do("PUT", servers, `{"operationMode":"simulation"}`)
	w.wants(200, "/admin")
	if v := w.told(1)[0]; v.Comment != "the client got status 200" {
		t.Errorf("passed: %q", v.Comment)
	}
	w.do("PUT", policies+"webServiceCustomPolicies/Mine", `{"displayResponsePage":false}`)
	w.wants(200, "/admin")
	if v := w.told(1)[0]; v.Comment != "" {
		t.Errorf("without it: %q", v.Comment)
	}
}

// Methods and states are told apart whatever their case is.
func TestMethodsAndStatesHaveNoCase(t *testing.T) {
	w := newTraffic(t)
	w.custom("Gets", `{"type":"httpMethods","values":["get"]}`)
	w.wants(403, "/")
	w.do("DELETE", policies+"webServiceCustomPolicies/Gets", "")
	w.do("POST", "/v1/conf/dictionaries/Ours", "")
	w.do("POST", "/v1/conf/signatures/Ours/teapot", `{"pattern":"teapot"}`)
	w.do("POST", policies+"webApplicationSignaturesPolicies/Ours", `{"rules":[{"name":"Ours","action":"block"}],`+applied(true)+`}`)
	w.wants(403, "/?a=teapot")
	w.do("PUT", "/v1/conf/signatures/userDefined/Ours/teapot", `{"status":"DISABLED"}`)
	w.wants(200, "/?a=teapot")
}

// What no event fills is refused, not sent.
func TestMessagesHaveKnownPlaceholders(t *testing.T) {
	w := newTraffic(t)
	for _, message := range []string{"${Alert.color}", "${Alert.severity", "a ${} b"} {
		answer := w.answer("POST", "/v1/conf/actionSets/Tell", `{"actions":[{"name":"tell","type":"syslog","host":"h","message":"`+message+`"}]}`)
		if answer.Code != 406 || !strings.Contains(answer.Body.String(), "IMP-13207") || !strings.Contains(answer.Body.String(), "Alert.serviceName") {
			t.Errorf("%s: %d %s", message, answer.Code, answer.Body)
		}
	}
}

func TestProfilesHoldRequestsToThem(t *testing.T) {
	w := newTraffic(t)
	w.do("PUT", policies+"webProfilePolicies/Default%20Web%20Profile%20Policy", "{"+applied(true)+"}")
	w.wants(200, "/order?id=x&more=1")
	w.do("POST", globals+"parameterTypeConfiguration/Ours", `{"regularExpression":"^[a-f]+$"}`)
	w.do("PUT", profile+"/url/order", `{"urlFullPath":"/order","allowedMethods":[{"method":"GET"}],"parameters":[{"name":"id","type":"Ours"}]}`)
	w.wants(403, "/order?id=abc&more=1")
	w.wants(403, "/order?id=x")
	w.wants(200, "/order?id=abc")
	w.do("PUT", globals+"parameterTypeConfiguration/Ours", `{"regularExpression":"^x$"}`)
	w.wants(200, "/order?id=x")
	w.do("PUT", profile, `{"webProfileUrls":[{"urlFullPath":"/order","allowedMethods":[{"method":"POST"}]}]}`)
	w.wants(403, "/order?id=x")
	w.wants(200, "/items/7?id=a")
	w.do("PUT", profile, `{"patternUrls":[{"pattern":"^/items/[0-9]+$","parameters":[{"name":"id","type":"Ours"}]}]}`)
	w.wants(403, "/items/7?id=a")
	w.wants(200, "/items/7?id=x")
	w.wants(200, "/items/all?id=a")
	w.do("DELETE", profile+"/url/order", "")
	w.wants(200, "/order?id=anything&more=1")
}

// What would block keeps nothing else from being found where nothing is blocked.
func TestSimulationFindsAllThatMatches(t *testing.T) {
	w := newTraffic(t)
	w.guard()
	w.custom("Admin", onURL)
	w.custom("Found", `{"type":"responseCode","values":["200"]}`)
	w.do("PUT", servers, `{"operationMode":"simulation"}`)
	r, err := http.NewRequest("POST", "http://shop.example/admin/x", strings.NewReader("a=1'+union+select+password+from+users--&b=<script>alert(1)</script>"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if status, body := w.send(w.client(8080, nil), r); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	missing := map[string]bool{"Admin": true, "SQL Injection": true, "Cross-Site Scripting": true, "Found": true}
	for len(missing) > 0 {
		for _, v := range w.told(1) {
			delete(missing, v.Policy)
			delete(missing, v.Type)
			if v.Action != "none" {
				t.Errorf("%+v", v)
			}
		}
	}
}

// Blocks and alerts know the same sessions.
func TestOneListOfSessionCookies(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", "/v1/conf/actionSets/Out", `{"type":"block","actions":[{"name":"block","type":"sessionBlock","seconds":600}]}`)
	w.custom("Admin", onURL, `,"oneAlertPerSession":true,"followedAction":"Out"`)
	for i, cookie := range []string{"sid", "SID", "jsessionid", "PHPSESSID", "ASP.NET_SessionId", "sessionid", "session", "connect.sid"} {
		for _, session := range []string{fmt.Sprint(cookie, "=a", i), fmt.Sprint("theme=dark; ", cookie, "=b", i)} {
			w.wants(403, "/admin", "Cookie", session)
			if v := w.told(1)[0]; v.Policy != "Admin" {
				t.Errorf("%s: %+v", session, v)
			}
			w.wants(403, "/", "Cookie", session)
			if v := w.told(1)[0]; v.Type != "Blocked Client" {
				t.Errorf("%s: %+v", session, v)
			}
		}
	}
	w.wants(200, "/", "Cookie", "sid=3")
}
