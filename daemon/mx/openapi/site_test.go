package openapi_test

import (
	"strings"
	"testing"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

const (
	group   = "/v1/conf/serverGroups/Default%20Site/Web"
	service = "/v1/conf/webServices/Default%20Site/Web/Shop"
)

// The steps of the manual's sample scripts.
func TestSampleScript(t *testing.T) {
	s := newServer(t)
	s.gateway("gw", "Alias 1")
	s.ok("POST", group, "")
	s.ok("POST", service, `{"ports":[80],"sslPorts":[443]}`)
	rule := service + "/krpInboundRules/Default%20Gateway%20Group/Alias%201/8443"
	s.ok("PUT", rule, `{"outboundRules":{"1":{"internalIpHost":"10.0.0.1","serverPort":"8080","externalHost":"Any"}}}`)
	want := `{"aliasName":"Alias 1","gatewayPorts":[8443],"gatewayGroupName":"Default Gateway Group"}`
	if got := s.ok("GET", rule, ""); got != want {
		t.Errorf("rule %s, want %s", got, want)
	}
	want = `{"inboundKrpRules":[` + want + `]}`
	if got := s.ok("GET", service+"/krpInboundRules", ""); got != want {
		t.Errorf("rules %s, want %s", got, want)
	}
	want = `{"priority":1,"internalIpHost":"10.0.0.1","serverPort":8080,"encrypt":false,"externalHost":"Any","validateServerCertificate":false}`
	if got := s.ok("GET", rule+"/krpOutboundRules/1", ""); got != want {
		t.Errorf("outbound %s, want %s", got, want)
	}
	if got := s.ok("GET", rule+"/krpOutboundRules?serverPort=8081", ""); got != `{"outboundKrpRules":[]}` {
		t.Errorf("filtered %s", got)
	}
	s.ok("DELETE", group, "")
	s.refused("GET", service, "", "IMP-10008")
}

func TestNamesAreKept(t *testing.T) {
	s := newServer(t)
	for _, name := range []string{"ends in a space ", " begins", "Ü 漢字", "a/b", "50%", "quote\"'<&>", "..", "."} {
		p := "/v1/conf/sites" + path(name)
		s.ok("POST", p, "")
		s.refused("POST", p, "", "IMP-10005")
	}
	list := s.ok("GET", "/v1/conf/sites", "")
	for _, want := range []string{`"ends in a space "`, `"a/b"`, `"quote\"'<&>"`, `".."`} {
		if !strings.Contains(list, want) {
			t.Errorf("%s is not in %s", want, list)
		}
	}
	s.refused("POST", "/v1/conf/sites/x%00y", "", "IMP-10016")
	s.refused("POST", "/v1/conf/sites/x%ffy", "", "IMP-10016")
	s.refused("POST", "/v1/conf/sites/x%0ay", "", "IMP-10016")
	s.refused("POST", "/v1/conf/sites/"+strings.Repeat("x", 251), "", "IMP-10086")
}

func TestWhoMay(t *testing.T) {
	s := newServer(t)
	s.ok("POST", "/v1/conf/sites/Shop", "")
	for _, c := range []struct {
		user, method, path string
		status             int
		codes              string
	}{
		{"", "GET", "/v1/conf/sites", 401, "401"},
		{"stranger", "GET", "/v1/conf/sites", 401, "401"},
		{"stranger", "GET", "/v1/conf/balloons", 404, "404"},
		{"reader", "GET", "/v1/conf/sites", 200, ""},
		{"reader", "POST", "/v1/conf/sites/x", 406, "IMP-10151"},
		{"shopkeeper", "POST", "/v1/conf/sites/x", 406, "IMP-10151"},
		{"shopkeeper", "GET", "/v1/conf/serverGroups/Default%20Site", 406, "IMP-10006"},
		{"shopkeeper", "POST", "/v1/conf/serverGroups/Default%20Site/g", 406, "IMP-10006"},
		{"shopkeeper", "POST", "/v1/conf/serverGroups/Shop/g", 200, ""},
		{"admin", "PATCH", "/v1/conf/sites", 406, "IMP-10016"},
	} {
		s.user = c.user
		a := s.do(c.method, c.path, "")
		if a.status != c.status || c.codes != "" && a.codes() != c.codes {
			t.Errorf("%s %s by %q: %d %s, want %d %s", c.method, c.path, c.user, a.status, a.body, c.status, c.codes)
		}
	}
	s.user = "shopkeeper"
	if got := s.ok("GET", "/v1/conf/sites", ""); got != `{"sites":["Shop"]}` {
		t.Errorf("the shopkeeper sees %s", got)
	}
}

func TestScalarsAreLiberal(t *testing.T) {
	s := newServer(t)
	s.ok("POST", group, "junk that nobody reads"[:0])
	s.ok("POST", service, `{"ports":["80", 81.0],"sslPorts":null,"trpMode":"false","colour":"red"}`)
	want := `{"name":"Shop","ports":[80,81],"sslPorts":[],"trpMode":false,"http2":false,"default-application":"Default Web Application"}`
	if got := s.ok("GET", service, "junk"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.ok("PUT", service, `{"http2":"true"}`)
	if got := s.ok("GET", service, ""); got != strings.Replace(want, `"http2":false`, `"http2":true`, 1) {
		t.Error("PUT does not merge:", got)
	}
	s.ok("PUT", "/v1/administration/strict", `{"mode":"true"}`)
	s.refused("PUT", service, `{"http2":false,"colour":"red","size":1}`, "IMP-10062,IMP-10062")
	s.ok("PUT", "/v1/administration/strict", `{"mode":false}`)
	s.ok("PUT", service, `{"colour":"red"}`)
}

func TestFaultsAreCollected(t *testing.T) {
	s := newServer(t)
	s.ok("POST", group, "")
	s.ok("POST", service, `{"ports":[80]}`)
	s.refused("POST", "/v1/conf/webServices/Default%20Site/Web/Other", `{"ports":[0,70000,"x"],"sslPorts":[80],"http2":7}`, "IMP-10020,IMP-10020,IMP-10002,IMP-10002,IMP-10019")
	s.refused("POST", "/v1/conf/webServices/Default%20Site/Web/Other", `{"ports":[81],"sslPorts":[81]}`, "IMP-10181")
	s.refused("PUT", service, `{"name":""}`, "IMP-10071")
	s.refused("PUT", service, `{"default-application":"nobody"}`, "IMP-10014")
	s.refused("PUT", group, `{"operationMode":"asleep","ignoreIpGroup":"nowhere"}`, "IMP-10016,IMP-10605")
	for body, code := range map[string]string{
		`[]`: "IMP-10002", `{`: "IMP-10002", `{"a":1,"a":2}`: "IMP-10002", "{\"a\":\"\xff\"}": "IMP-10002", `{} {}`: "IMP-10002",
		strings.Repeat("[", 100000): "IMP-10002", `{"a":` + strings.Repeat(`{"a":`, 100): "IMP-10002",
	} {
		s.refused("PUT", group, body, code)
	}
}

func TestReferencesFollow(t *testing.T) {
	s := newServer(t)
	s.ok("POST", group, "")
	s.ok("PUT", group, `{"ignoreIpGroup":"Internal IP Addresses"}`)
	want := `{"name":"Web","operationMode":"simulation","ignoreIpGroup":"Internal IP Addresses"}`
	if got := s.ok("GET", group, ""); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.ok("PUT", group, `{"ignoreIpGroup":""}`)
	if got := s.ok("GET", group, ""); strings.Contains(got, "ignoreIpGroup") {
		t.Errorf("not unset: %s", got)
	}
	s.ok("POST", service, "")
	s.ok("POST", "/v1/conf/webApplications/Default%20Site/Web/Shop/Basket", "")
	s.ok("PUT", service, `{"default-application":"Basket"}`)
	s.ok("PUT", "/v1/conf/webApplications/Default%20Site/Web/Shop/Basket", `{"appName":"Trolley"}`)
	if got := s.ok("GET", service, ""); !strings.Contains(got, `"default-application":"Trolley"`) {
		t.Errorf("the reference did not follow: %s", got)
	}
	body := s.refused("DELETE", "/v1/conf/webApplications/Default%20Site/Web/Shop/Trolley", "", "IMP-10178")
	if !strings.Contains(body, `web service \"Shop\"`) {
		t.Errorf("the user is not named: %s", body)
	}
	mapping := service + "/hostToAppMappings/Trolley/2"
	s.ok("POST", mapping, `{"host":"shop.example.com","hostMatchType":"exact"}`)
	s.refused("POST", service+"/hostToAppMappings/Trolley/3", `{"host":"shop.example.com","hostMatchType":"Exact"}`, "IMP-10212")
	s.refused("POST", service+"/hostToAppMappings/Trolley/02", `{"host":"x"}`, "IMP-10022")
	s.refused("POST", service+"/hostToAppMappings/Nobody/4", `{"host":"x"}`, "IMP-10014")
	s.refused("POST", service+"/hostToAppMappings/Trolley/5", `{}`, "IMP-10015")
	want = `{"hostToAppMappings":[{"priority":2,"host":"shop.example.com","hostMatchType":"Exact","application":"Trolley"}]}`
	if got := s.ok("GET", service+"/hostToAppMappings", ""); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestProtectedIPs(t *testing.T) {
	s := newServer(t)
	s.ok("POST", group, "")
	p := group + "/protectedIPs/10.0.0.1"
	s.refused("POST", p, "", "IMP-10072")
	s.refused("POST", p+"?gatewayGroup=x", "", "IMP-10013")
	s.refused("POST", group+"/protectedIPs/ten?gatewayGroup=Default%20Gateway%20Group", "", "IMP-10010")
	p += "?gatewayGroup=Default%20Gateway%20Group"
	s.ok("POST", p, `{"comment":"web"}`)
	s.refused("POST", p, "", "IMP-10012")
	s.ok("PUT", p, `{"ip":"10.0.0.2"}`)
	want := `{"protected-ips":[{"ip":"10.0.0.2","comment":"web","gateway-group":"Default Gateway Group"}]}`
	if got := s.ok("GET", group+"/protectedIPs", ""); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.refused("DELETE", p, "", "IMP-10011")
	s.ok("DELETE", group+"/protectedIPs/10.0.0.2?gatewayGroup=Default%20Gateway%20Group", "")
}

// The address by which a gateway is known is not deleted under it.
func TestManagementAddressStays(t *testing.T) {
	s := newServer(t)
	s.gateway("gw", "Alias 1")
	gateway := "/v1/conf/gateways/gw/reverseProxy/addresses/"
	s.ok("POST", gateway+"::ffff:10.0.0.7", `{"mask":24}`)
	s.ok("POST", gateway+"10.0.0.8", `{"mask":24}`)
	_, err := s.store.Write(t.Context(), store.Change{Author: "test", Summary: "it registers again"}, func(tx *store.Tx) error {
		o, err := tx.Find(t.Context(), model.DefaultID(model.GatewayGroup, model.DefaultGroupName), model.Gateway, "gw")
		if err != nil {
			return err
		}
		return tx.Update(t.Context(), o.ID, []byte(`{"gatewayIP":"10.0.0.7"}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.refused("DELETE", gateway+"::ffff:10.0.0.7", "", "IMP-10184")
	s.ok("DELETE", gateway+"10.0.0.8", "")
	s.refused("DELETE", gateway+"10.0.0.8", "", "IMP-10179")
}

// The rules about clients and the outbound rules that name them are replaced by one
// body; what names a rule that is gone is refused, and nothing of it is done.
func TestClientRulesAreReplacedWithTheirNames(t *testing.T) {
	s := newServer(t)
	s.gateway("gw", "Alias 1")
	s.ok("POST", group, "")
	s.ok("POST", service, "")
	s.ok("POST", service+"/sslCertificates/key", pkcs12Body(t, pkcs12File(t, "x"), "x"))
	rule := service + "/krpInboundRules/Default%20Gateway%20Group/Alias%201/8443"
	outbound := func(names string) string {
		return `{"internalIpHost":"10.0.0.1","serverPort":8080,"clientAuthenticationRules":"` + names + `"}`
	}
	s.ok("POST", rule, `{"serverCertificate":"key","clientAuthenticationAuthorities":"key","clientAuthenticationRules":{"old":"^a$"},"outboundRules":{"1":`+outbound("old")+`}}`)
	s.ok("PUT", rule, `{"clientAuthenticationRules":{"new":"^b$"},"outboundRules":{"1":`+outbound("new")+`}}`)
	was := s.ok("GET", rule, "") + s.ok("GET", rule+"/krpOutboundRules/1", "")
	if !strings.Contains(was, `"clientAuthenticationRules":{"new":"^b$"}`) || !strings.Contains(was, `"clientAuthenticationRules":"new"`) {
		t.Errorf("%s", was)
	}
	s.refused("PUT", rule, `{"clientAuthenticationRules":{"newer":"^c$"}}`, "IMP-10052")
	s.refused("PUT", rule, `{"clientAuthenticationRules":{"newer":"^c$"},"outboundRules":{"2":{"internalIpHost":"10.0.0.1","serverPort":8080,"urlPrefix":"/x","clientAuthenticationRules":"newer"}}}`, "IMP-10052")
	s.refused("PUT", rule, `{"clientAuthenticationRules":{"newer":"^c$"},"outboundRules":{"1":`+outbound("new")+`}}`, "IMP-10052")
	s.refused("PUT", rule+"/krpOutboundRules/1", `{"clientAuthenticationRules":"old"}`, "IMP-10052")
	if now := s.ok("GET", rule, "") + s.ok("GET", rule+"/krpOutboundRules/1", ""); now != was {
		t.Errorf("%s became %s", was, now)
	}
}
