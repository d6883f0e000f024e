package gateway_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sealgate/appliance/store"
	"sealgate/daemon/gateway/waf"
)

// post sends a body to the shop.
func (w *traffic) post(path, kind, body string, header ...string) (status int) {
	w.t.Helper()
	r, err := http.NewRequest("POST", "http://shop.example"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	status, _ = w.send(w.client(8080, nil), r)
	return status
}

const protocol = policies + "httpProtocolPolicies/Default%20HTTP%20Protocol%20Policy"

// The hole: a body that its parser refuses, but a server may read, went on unseen, as did
// what was longer than what is looked at, and no policy could have the rules for them.
// What must hold: the default policy blocks the one and tells of the other.
func TestBodiesThatAreNotReadMeetTheDefaultPolicy(t *testing.T) {
	w := newTraffic(t)
	const sqli = "1' union select password from users--"
	part := "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + sqli + "\r\n--x--\r\n"
	unreadable := []struct{ name, kind, body string }{
		{"JSON without an end", "application/json", `{"a":"` + sqli},
		{"XML of UTF-16", "application/atom+xml", "<?xml version='1.0' encoding='utf-16'?><a>" + sqli + "</a>"},
		{"XML with a comment that is none", "text/xml", "<a><!-- a -- b -->" + sqli + "</a>"},
		{"XML with entities", "application/xml", `<!DOCTYPE a [<!ENTITY b "` + sqli + `">]><a>&b;</a>`},
		{"no boundary", "multipart/form-data", part},
		{"a list of boundaries", "multipart/form-data; boundary=x,y", part},
		{"two boundaries", "multipart/form-data; boundary=x; boundary=y", part},
		{"a parameter without value", "multipart/form-data; foo; boundary=x", part},
		{"a header of a part", "multipart/form-data; boundary=x", strings.Replace(part, "\r\n\r\n", "\r\nnonsense\r\n\r\n", 1)},
	}
	readable := []struct{ name, kind, body string }{
		{"XML of ISO 8859-1", "text/xml", "<?xml version='1.0' encoding='ISO-8859-1'?><a>caf\xe9</a>"},
		{"XML", "text/xml", "<?xml version='1.0' encoding='utf-8'?><!DOCTYPE a><a b='c'><!-- d -->é</a>"},
		{"a form of parts", "multipart/form-data; boundary=x", strings.Replace(part, sqli, "1", 1)},
	}
	for _, c := range unreadable {
		if status := w.post("/", c.kind, c.body); status != 200 {
			t.Errorf("%s, without a policy: %d", c.name, status)
		}
	}
	w.do("PUT", protocol, "{"+applied(false)+"}")
	for _, c := range unreadable {
		if status := w.post("/", c.kind, c.body); status != 403 {
			t.Errorf("%s: %d", c.name, status)
		}
		w.toldOf(func(v store.Violation) bool { return v.Type == "Unreadable Body" && v.Action == "block" })
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE"} { // of APIs
		r, err := http.NewRequest(method, "http://shop.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := w.send(w.client(8080, nil), r); status != 200 {
			t.Errorf("%s: %d", method, status)
		}
	}
	for _, c := range readable {
		if status := w.post("/", c.kind, c.body); status != 200 {
			t.Errorf("%s: %d", c.name, status)
		}
	}
	if status := w.post("/long", "application/octet-stream", strings.Repeat("x", 1<<20+1)); status != 200 {
		t.Errorf("a long body: %d", status)
	}
	w.toldOf(func(v store.Violation) bool { return v.Type == "Request Body Too Long" && v.Action == "none" })
	w.do("PUT", protocol, `{"rules":[{"name":"Request Body Too Long","action":"block"}]}`)
	if status := w.post("/long", "application/octet-stream", strings.Repeat("x", 1<<20+1)); status != 403 {
		t.Errorf("a long body that is to be blocked: %d", status)
	}
	w.guard()
	for name, body := range map[string]string{
		"XML of ISO 8859-1": "<?xml version='1.0' encoding='ISO-8859-1'?><a>" + sqli + "</a>",
		"around a comment":  "<a>1' union sel<!-- -->ect password from users--</a>",
	} {
		if status := w.post("/", "text/xml", body); status != 403 {
			t.Errorf("%s: %d", name, status)
		}
	}
}

// The hole: most groups of the core rules could not be switched on. What must hold: each
// is a predefined dictionary or a rule of HTTP protocol policies, and the default
// signatures policy has those about requests.
func TestCoreRulesAreSwitchedOnByTheirNames(t *testing.T) {
	w := newTraffic(t)
	for _, name := range waf.CoreDictionaries() {
		policy, body := strings.ReplaceAll(name, " ", "%20"), `{"rules":[{"name":"`+name+`"}],`+applied(false)+`}`
		if w.answer("POST", policies+"webApplicationSignaturesPolicies/"+policy, body).Code != http.StatusOK {
			w.ask("POST", policies+"httpProtocolPolicies/"+policy, body)
		}
	}
	if err := w.apply(); err != nil {
		t.Fatal(err)
	}
	w = newTraffic(t)
	form := func(value string) string { return "a=" + url.QueryEscape(value) }
	const kind = "application/x-www-form-urlencoded"
	attacks := map[string]string{
		"SQL Injection": form("1' union select password from users--"), "Cross-Site Scripting": form("<script>alert(1)</script>"), "Command Injection": form("; cat /etc/passwd"),
		"Path Traversal": form("../../../etc/passwd"), "Remote File Inclusion": form("http://192.0.2.9/shell.txt?"), "PHP Injection": form("<?php system('id');"),
		"Generic Injection": form("require('child_process').exec('id')"), "Java Injection": form("${jndi:ldap://x/a}"),
		"Session Fixation": form("document.cookie='jsessionid=1;domain=.example.com'"), "Protocol Attack": form("x\r\nSet-Cookie: a=b"),
	}
	for name, body := range attacks {
		if status := w.post("/", kind, body); status != 200 {
			t.Errorf("%s without a policy: %d", name, status)
		}
	}
	w.guard()
	for name, body := range attacks {
		if status := w.post("/", kind, body); status != 403 {
			t.Errorf("%s: %d", name, status)
		}
		w.toldOf(func(v store.Violation) bool { return v.Type == name && v.Action == "block" })
	}
	w.wants(403, "/", "User-Agent", "sqlmap/1.7")
	w.wants(200, "/", "Lock-Token", "x") // Protocol Enforcement is off
	if body := w.wants(200, "/listing"); body == "" {
		t.Error("an answer is held back")
	}
	if status := w.post("/", kind, form("plain words, and 1 + 1")); status != 200 {
		t.Errorf("a plain form: %d", status)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	io.WriteString(zip, attacks["SQL Injection"])
	zip.Close()
	if status := w.post("/", kind, packed.String(), "Content-Encoding", "gzip"); status != 403 {
		t.Errorf("a compressed attack: %d", status)
	}
	w.toldOf(func(v store.Violation) bool { return v.Type == "SQL Injection" && v.ViolatedItem == "ARGS:a" })
	w.do("PUT", policies+"webApplicationSignaturesPolicies/Default%20Web%20Application%20Signatures%20Policy", `{"rules":[{"name":"Protocol Enforcement","enabled":true}]}`)
	w.wants(403, "/", "Lock-Token", "x")
}

// The hole: signatures and criteria that look in the body found nothing in JSON, XML and
// multipart forms.
func TestSignaturesLookIntoEveryBody(t *testing.T) {
	w := newTraffic(t)
	w.do("POST", "/v1/conf/dictionaries/Ours", "")
	w.do("POST", "/v1/conf/signatures/Ours/teapot", `{"pattern":"tea.?pot","searchIn":["body"]}`)
	w.do("POST", policies+"webApplicationSignaturesPolicies/Ours", `{"rules":[{"name":"Ours","action":"block"}],`+applied(true)+`}`)
	w.custom("Asks", `{"type":"httpRequest","matchValues":[{"part":"body","operation":"contains","value":"coffee"}]}`)
	for kind, body := range map[string]string{
		"application/json": `{"a":"_"}`, "text/xml": `<a b="c"><!-- d -->_</a>`, "text/plain": "_",
		"multipart/form-data; boundary=x": "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f\"\r\n\r\n_\r\n--x--\r\n",
	} {
		for word, want := range map[string]int{"tea-pot": 403, "coffee": 403, "milk": 200} {
			if status := w.post("/", kind, strings.ReplaceAll(body, "_", word)); status != want {
				t.Errorf("%s in %s: %d, want %d", word, kind, status, want)
			}
		}
	}
}

// The hole: nothing was masked in what a new web service had told, and where masks were,
// lists of JSON, XML and addresses of pages before went past them.
func TestPasswordsOfNewWebServicesAreMasked(t *testing.T) {
	w := newTraffic(t)
	w.guard()
	const secret = "hush' union select password from users--"
	for kind, body := range map[string]string{
		"application/x-www-form-urlencoded": "password=" + url.QueryEscape(secret), "application/json": `{"password":["` + secret + `"]}`, "text/xml": "<a><password>" + secret + "</password></a>",
	} {
		if status := w.post("/?password=hush", kind, body, "Referer", "https://shop.example/?password="+secret); status != 403 {
			t.Errorf("%s: %d", kind, status)
		}
		for _, v := range w.told(1) {
			if all := fmt.Sprintf("%+v", v); strings.Contains(all, "hush") {
				t.Errorf("%s: %s", kind, all)
			}
		}
	}
	w.do("PUT", shop+"/dataMaskingGroups", `{"dataMaskingGroup":""}`)
	w.wants(403, "/bare?password=hush"+injection[1:])
	if v := w.toldOf(func(v store.Violation) bool { return v.Path == "/bare" }); !strings.Contains(v.Query, "hush") {
		t.Errorf("without a group: %q", v.Query)
	}
}

// The hole: /admin/ was blocked, and //admin/, /./admin/, /ADMIN/ of a server to which
// case means nothing and /admin;a=b/ were not. What must hold: a policy asks for the path
// that servers read, an exception for one that no server reads otherwise.
func TestPathsAreComparedAsServersReadThem(t *testing.T) {
	w := newTraffic(t)
	w.custom("Admin", `{"type":"httpRequestUrl","match":"prefix","values":["/admin/"]}`)
	w.custom("Public", `{"type":"httpRequestUrl","match":"regex","values":["^/(public|order|prof|editor|admin|ADMIN|%61dmin)"],"operation":"excludeAll"}`)
	spellings := []string{"/admin/x", "//admin/x", "/./admin/x", "/admin;jsessionid=1/x", "/%61dmin/x", "/public/../admin/x", "/public/%2e%2e/admin/x", "/admin/..%2fpublic", "/public/..%2fadmin/x"}
	for _, path := range spellings {
		w.wants(403, path)
	}
	w.wants(403, "/public/..%2fsecret")
	w.wants(200, "/public/admin/")
	w.wants(200, "/ADMIN/x")
	w.do("PUT", shop+"/advancedHttpSettings", `{"caseSensitiveUrls":false}`)
	for _, path := range append(spellings, "/ADMIN/x", "//Admin;a=b/x") {
		w.wants(403, path)
	}
	w.do("PUT", policies+"webServiceCustomPolicies/Public", `{"enabled":false}`)
	w.do("PUT", policies+"webProfilePolicies/Default%20Web%20Profile%20Policy", "{"+applied(true)+"}")
	w.do("PUT", profile+"/url/order", `{"urlFullPath":"/Order","allowedMethods":[{"method":"GET"}],"parameters":[{"name":"id"}]}`)
	for _, path := range []string{"/Order", "//Order", "/order;a=b", "/ORDER", "/x/../Order"} {
		w.wants(200, path+"?id=1")
		w.wants(403, path+"?more=1")
	}
	w.do("PUT", shop+"/advancedHttpSettings", `{"caseSensitiveUrls":true}`)
	w.wants(200, "/order?more=1")
	w.do("PUT", policies+"webApplicationSignaturesPolicies/Default%20Web%20Application%20Signatures%20Policy", `{"exceptions":[{"ruleName":"SQL Injection",
		"predicates":[{"type":"httpRequestUrl","match":"prefix","values":["/editor/"]}]}],`+applied(true)+`}`)
	attack := injection[1:]
	w.wants(200, "/editor/"+attack)
	w.wants(200, "/editor/%78"+attack)
	for _, path := range []string{"/", "/editor/..%2fx", "/x/..%2feditor/y", "/x/%2e./editor/..%2f..%2fy"} {
		w.wants(403, path+attack)
	}
}

// The hole: an exception that asks for a parameter of the body never held for rules about
// the head.
func TestExceptionsAskForTheBody(t *testing.T) {
	w := newTraffic(t)
	w.do("PUT", protocol, `{"rules":[{"name":"URL Too Long","parameters":{"length":40}}],"exceptions":[{"ruleName":"URL Too Long","predicates":[
		{"type":"httpRequest","matchValues":[{"part":"parameter","name":"token","operation":"equals","value":"1"}]}]}],`+applied(false)+`}`)
	long := "/" + strings.Repeat("x", 50)
	w.wants(200, long+"?token=1")
	w.wants(403, long)
	for body, want := range map[string]int{"token=1": 200, "token=2": 403, "": 403} {
		if status := w.post(long, "application/x-www-form-urlencoded", body); status != want {
			t.Errorf("%s: %d, want %d", body, status, want)
		}
	}
}

// docs/ADMIN.md says it: nothing protects a new web service but the policies that apply to
// it, and one that applies to its server group does so from its first request on.
func TestPoliciesOfAServerGroupProtectNewWebServices(t *testing.T) {
	w := newTraffic(t)
	w.wants(200, injection)
	const group = `{"applyTo":[{"operation":"add","siteName":"Default Site","serverGroupName":"Web"}]}`
	w.do("PUT", policies+"webApplicationSignaturesPolicies/Default%20Web%20Application%20Signatures%20Policy", group)
	w.do("PUT", protocol, group)
	w.wants(403, injection)
	const later = "/v1/conf/webServices/Default%20Site/Web/Later"
	w.do("POST", later, "")
	w.do("POST", later+"/krpInboundRules/Default%20Gateway%20Group/front/9090", `{"outboundRules":{"1":`+w.toOrigin()+`}}`)
	for path, want := range map[string]int{"/": 200, injection: 403, "/%00": 403} {
		r, err := http.NewRequest("GET", "http://later.example"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := w.send(w.client(9090, nil), r); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if answer := w.answer("GET", later+"/securityPolicies", ""); !strings.Contains(answer.Body.String(), "Default HTTP Protocol Policy") {
		t.Errorf("it has %s", answer.Body)
	}
}
