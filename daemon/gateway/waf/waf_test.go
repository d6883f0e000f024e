package waf_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sealgate/daemon/gateway/waf"
)

// request is a request of the tests: what is empty is usual.
type request struct {
	method, uri, body, kind, from, app string
	header                             []string // name, value, …
	host, proto                        string
	status                             int // of the answer; 0 is none
	answer                             string
}

func (q request) through(e waf.Engine) (waf.Verdict, []waf.Match) {
	r := waf.Request{ID: "1", ClientIP: netip.MustParseAddr(or(q.from, "192.0.2.7")), ClientPort: 40000, ServerIP: netip.MustParseAddr("192.0.2.1"),
		ServerPort: 443, Method: or(q.method, "GET"), URI: or(q.uri, "/"), Proto: or(q.proto, "HTTP/1.1"), Host: or(q.host, "www.example.com"), Header: http.Header{
			"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64)"}, "Accept": {"*/*"}}, Site: "s", ServerGroup: "g", Service: "w", Application: q.app}
	for i := 0; i < len(q.header); i += 2 {
		if q.header[i+1] == "" {
			r.Header.Del(q.header[i])
		} else {
			r.Header.Set(q.header[i], q.header[i+1])
		}
	}
	if q.body != "" {
		r.Method = or(q.method, "POST")
		r.Header.Set("Content-Type", or(q.kind, "application/x-www-form-urlencoded"))
		if r.Header.Get("Content-Length") == "" {
			r.Header.Set("Content-Length", fmt.Sprint(len(q.body)))
		}
	}
	tx := e.Begin(context.Background(), r)
	tx.Headers()
	for piece := range slices.Chunk([]byte(q.body), 4096) {
		tx.Body(piece)
	}
	v := tx.EndBody()
	if q.status != 0 {
		tx.Response(q.status, http.Header{"Content-Type": {or(q.kind, "text/html")}})
		tx.ResponseBody([]byte(q.answer))
		v = tx.ResponseBody(nil)
	}
	tx.Close()
	return v, tx.Close()
}

func or(s, usual string) string {
	if s == "" {
		return usual
	}
	return s
}

func engine(t testing.TB, p waf.Policies, m ...*waf.Memory) waf.Engine {
	t.Helper()
	e, err := waf.New(p, append(m, waf.NewMemory())[0])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func rules(action string, names ...string) []waf.PolicyRule {
	var out []waf.PolicyRule
	for _, name := range names {
		out = append(out, waf.PolicyRule{Name: name, Enabled: true, Severity: "medium", Action: action})
	}
	return out
}

func signatures(action string, names ...string) waf.RulePolicy {
	return waf.RulePolicy{Kind: waf.ApplicationSignatures, Name: "p", Rules: rules(action, names...)}
}

func custom(criteria ...waf.Criterion) waf.CustomPolicy {
	return waf.CustomPolicy{Name: "c", Enabled: true, Severity: "high", Action: "block", MatchCriteria: criteria}
}

const injection = "/?id=1'+union+select+password+from+users--"

func TestCriteria(t *testing.T) {
	monday := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	form := func(operation, part, name, value string) waf.Criterion {
		return waf.Criterion{Type: "httpRequest", MatchValues: []waf.MatchValue{{Part: part, Name: name, Operation: operation, Value: value}}}
	}
	link := func(match, value string) waf.Criterion {
		return waf.Criterion{Type: "httpRequestUrl", Match: match, Values: []string{"/none", value}}
	}
	times := func(day, from, to string) waf.Criterion {
		return waf.Criterion{Type: "timeOfDay", Restrictions: []waf.Restriction{{DayOfWeek: day, From: from, To: to}}}
	}
	signs := []waf.SignatureOf{{Name: "probe"}}
	for _, c := range []struct {
		criterion waf.Criterion
		fits, not request
	}{
		{link("exact", "/a"), request{uri: "/a?x=1"}, request{uri: "/a/"}},
		{link("", "/a"), request{uri: "/%61"}, request{uri: "/A"}},
		{link("prefix", "/admin/"), request{uri: "/admin/x"}, request{uri: "/x/admin/"}},
		{link("suffix", ".php"), request{uri: "/a.php"}, request{uri: "/a.php5"}},
		{link("regex", `^/\d+$`), request{uri: "/42"}, request{uri: "/4x"}},
		{waf.Criterion{Type: "httpMethods", Values: []string{"PUT", "DELETE"}}, request{method: "PUT"}, request{}},
		{waf.Criterion{Type: "sourceIpAddresses", UserDefined: []string{"192.0.2.0/28"}}, request{}, request{from: "192.0.2.16"}},
		{waf.Criterion{Type: "sourceIpAddresses", UserDefined: []string{"192.0.2.5-192.0.2.9"}}, request{}, request{from: "192.0.2.10"}},
		{waf.Criterion{Type: "sourceIpAddresses", UserDefined: []string{"192.0.2.7"}}, request{from: "::ffff:192.0.2.7"}, request{from: "192.0.2.8"}},
		{waf.Criterion{Type: "sourceIpAddresses", IPGroups: []string{"group"}}, request{from: "2001:db8::5"}, request{from: "2001:db9::"}},
		{waf.Criterion{Type: "sourceIpAddresses", IPGroups: []string{"group"}}, request{from: "10.1.1.5"}, request{from: "10.1.1.6"}},
		{form("equals", "parameter", "a", "1"), request{uri: "/?a=1"}, request{uri: "/?a=2"}},
		{form("equals", "parameter", "a", "1"), request{body: "b=2&a=1"}, request{body: "b=1"}},
		{form("contains", "parameter", "", "ell"), request{uri: "/?x=hello"}, request{uri: "/?x=help"}},
		{form("contains", "header", "x-one", "b"), request{header: []string{"X-One", "abc"}}, request{header: []string{"X-Two", "abc"}}},
		{form("exists", "header", "X-One", ""), request{header: []string{"X-One", "a"}}, request{}},
		{form("notExists", "header", "X-One", ""), request{}, request{header: []string{"X-One", "a"}}},
		{form("prefix", "cookie", "c", "ab"), request{header: []string{"Cookie", "c=abc"}}, request{header: []string{"Cookie", "d=abc"}}},
		{form("suffix", "host", "", ".example.com"), request{}, request{host: "other.net"}},
		{form("regex", "url", "", "^/[ab]$"), request{uri: "/b"}, request{uri: "/c"}},
		{form("equals", "method", "", "POST"), request{method: "POST"}, request{}},
		{form("notEquals", "method", "", "POST"), request{}, request{method: "POST"}},
		{form("contains", "queryString", "", "a=%31"), request{uri: "/?a=%31"}, request{uri: "/?a=1"}},
		{form("equals", "protocol", "", "HTTP/1.1"), request{}, request{proto: "HTTP/1.0"}},
		{form("contains", "body", "", "b=2"), request{body: "b=2"}, request{body: "b=3"}},
		{form("contains", "body", "", "content"), request{kind: "multipart/form-data; boundary=x",
			body: "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f\"\r\n\r\ncontent\r\n--x--\r\n"}, request{body: "b=3"}},
		{form("contains", "body", "", `"a" `), request{body: `{"a" :1}`, kind: "application/json"}, request{body: `{"a":1}`, kind: "application/json"}},
		{form("equals", "parameter", "a.b.c", "2"), request{body: `<x:a><b><c>1</c><c>2</c></b></x:a>`, kind: "text/xml"}, request{body: `<a><c>2</c><b><c>1</c></b></a>`, kind: "text/xml"}},
		{form("equals", "parameter", "a.b", "2"), request{body: `<a b="2"/>`, kind: "text/xml"}, request{body: `<b a="2"/>`, kind: "text/xml"}},
		{waf.Criterion{Type: "fileExtension", Values: []string{"bak", ".old"}}, request{uri: "/x/a.BAK?y"}, request{uri: "/x.bak/a"}},
		{waf.Criterion{Type: "clientType", ClientTypes: []string{"Tool", "Bot"}}, request{header: []string{"User-Agent", "curl/8.0"}}, request{}},
		{waf.Criterion{Type: "clientType", ClientTypes: []string{"Search Engine"}},
			request{header: []string{"User-Agent", "Mozilla/5.0 (compatible; Googlebot/2.1)"}}, request{header: []string{"User-Agent", "x"}}},
		{waf.Criterion{Type: "authenticatedSession"}, request{header: []string{"Authorization", "Basic eA=="}}, request{}},
		{waf.Criterion{Type: "authenticatedSession"}, request{header: []string{"Cookie", "JSESSIONID=1"}}, request{header: []string{"Cookie", "theme=1"}}},
		{waf.Criterion{Type: "authenticatedSession", Value: "false"}, request{}, request{header: []string{"Cookie", "JSESSIONID=1"}}},
		{waf.Criterion{Type: "authenticatedSession", CookieNames: []waf.CookieName{{Cookie: "sess", MatchType: "prefix"}}},
			request{header: []string{"Cookie", "session9=1"}}, request{header: []string{"Cookie", "JSESSIONID=1"}}},
		{waf.Criterion{Type: "signatures", Signatures: signs}, request{uri: "/?a=PROBE-7"}, request{uri: "/?a=probe"}},
		{waf.Criterion{Type: "signatures", Dictionaries: []string{"own"}}, request{body: "a=probe-7"}, request{}},
		{waf.Criterion{Type: "signatures", Dictionaries: []string{"SQL Injection"}}, request{uri: injection}, request{}},
		{waf.Criterion{Type: "responseCode", Values: []string{"404", "500-599"}}, request{status: 503}, request{status: 200}},
		{waf.Criterion{Type: "numberOfOccurrences", NumTimes: 1, WithinSeconds: 5}, request{}, request{uri: "/?never"}.skipped()},
		{times("Monday", "09:00", "10:00"), request{}, request{}.skipped()},
		{times("", "22:00", "09:31"), request{}, request{}.skipped()},
		{times("Sunday", "22:00", "10:00"), request{}, request{}.skipped()},
	} {
		memory := waf.NewMemory()
		memory.SetClock(func() time.Time { return monday })
		for _, operation := range []string{"", "excludeAll"} {
			c.criterion.Operation = operation
			if operation != "" && c.criterion.Type == "numberOfOccurrences" {
				continue
			}
			e := engine(t, waf.Policies{Custom: []waf.CustomPolicy{custom(c.criterion)}, IPGroups: map[string][]waf.IPEntry{"group": {
				{Type: "network", NetworkAddress: "2001:db8::", CIDRMask: 32}, {Type: "range", IPAddressFrom: "10.1.1.1", IPAddressTo: "10.1.1.4"},
				{Type: "single", IPAddressFrom: "10.1.1.5"}}},
				Dictionaries: map[string][]waf.Signature{"own": {{Name: "probe", Pattern: `(?i)probe-\d`, SearchIn: []string{"parameters"}}}}}, memory)
			if v, m := c.fits.through(e); v.Block != (operation == "") {
				t.Errorf("%+v on %+v: block %v, %+v", c.criterion, c.fits, v.Block, m)
			}
			if c.not.app == skip {
				continue
			}
			if v, m := c.not.through(e); v.Block != (operation != "") {
				t.Errorf("%+v on %+v: block %v, %+v", c.criterion, c.not, v.Block, m)
			}
		}
	}
}

const skip = "skipped"

func (q request) skipped() request { q.app = skip; return q }

// What a criterion cannot be is an error, never a silent pass.
func TestCriteriaAreRefused(t *testing.T) {
	for _, c := range []struct {
		criterion   waf.Criterion
		unsupported bool
		says        string
	}{
		{waf.Criterion{Type: "geoLocation"}, true, `criterion type "geoLocation"`},
		{waf.Criterion{Type: "httpMethods", Values: []string{"GET"}, Operation: "excludeAtLeastOne"}, true, "excludeAtLeastOne"},
		{waf.Criterion{Type: "httpRequestUrl"}, false, "no values"},
		{waf.Criterion{Type: "httpRequestUrl", Match: "regex", Values: []string{"("}}, false, "no regular expression"},
		{waf.Criterion{Type: "httpRequestUrl", Match: "sounds", Values: []string{"a"}}, true, "sounds"},
		{waf.Criterion{Type: "sourceIpAddresses", IPGroups: []string{"gone"}}, false, `no IP group "gone"`},
		{waf.Criterion{Type: "sourceIpAddresses", UserDefined: []string{"10.0.0.0/40"}}, false, "10.0.0.0/40"},
		{waf.Criterion{Type: "httpRequest", MatchValues: []waf.MatchValue{{Part: "soul"}}}, true, "soul"},
		{waf.Criterion{Type: "httpRequest", MatchValues: []waf.MatchValue{{Part: "url", Operation: "near"}}}, true, "near"},
		{waf.Criterion{Type: "numberOfOccurrences", NumTimes: 3, WithinSeconds: 7}, false, "multiple of 5"},
		{waf.Criterion{Type: "numberOfOccurrences", NumTimes: 0, WithinSeconds: 5}, false, "numTimes"},
		{waf.Criterion{Type: "numberOfOccurrences", NumTimes: 1, WithinSeconds: 5, Context: "user"}, true, "user"},
		{waf.Criterion{Type: "signatures", Dictionaries: []string{"gone"}}, false, "gone"},
		{waf.Criterion{Type: "timeOfDay", Restrictions: []waf.Restriction{{From: "25:00", To: "1"}}}, false, "25:00"},
		{waf.Criterion{Type: "timeOfDay", Restrictions: []waf.Restriction{{DayOfWeek: "Someday", From: "08:00", To: "09:00"}}}, false, "Someday"},
		{waf.Criterion{Type: "clientType", ClientTypes: []string{"Ghost"}}, false, "Ghost"},
		{waf.Criterion{Type: "authenticatedSession", Value: "perhaps"}, false, "perhaps"},
		{waf.Criterion{Type: "responseCode", Values: []string{"600"}}, false, "600"},
	} {
		_, err := waf.New(waf.Policies{Custom: []waf.CustomPolicy{custom(c.criterion)}}, waf.NewMemory())
		if err == nil || errors.Is(err, waf.ErrUnsupported) != c.unsupported || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.criterion, err)
		}
	}
}

func TestOccurrences(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	memory := waf.NewMemory()
	memory.SetClock(func() time.Time { return now })
	p := waf.Policies{Custom: []waf.CustomPolicy{custom(
		waf.Criterion{Type: "numberOfOccurrences", NumTimes: 3, WithinSeconds: 10},
		waf.Criterion{Type: "httpRequestUrl", Match: "exact", Values: []string{"/login"}})}}
	e := engine(t, p, memory)
	hits := func(q request) bool { v, _ := q.through(e); return v.Block }
	var got []bool
	for range 3 {
		got = append(got, hits(request{uri: "/login"}), hits(request{uri: "/other"}), hits(request{uri: "/login", from: "192.0.2.8"}))
		now = now.Add(time.Second)
	}
	if want := []bool{false, false, false, false, false, false, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("blocked %v, want %v", got, want)
	}
	e = engine(t, p, memory)
	if !hits(request{uri: "/login"}) {
		t.Error("a change of the configuration has forgotten the count")
	}
	now = now.Add(10 * time.Second)
	if hits(request{uri: "/login"}) {
		t.Error("what was long ago still counts")
	}
}

// The hole: criteria of one policy that count shared a counter, so that the shorter of two
// windows forgot what the longer one needed. What must hold: each counts by itself.
func TestCountersAreApart(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	memory := waf.NewMemory()
	memory.SetClock(func() time.Time { return now })
	e := engine(t, waf.Policies{Custom: []waf.CustomPolicy{custom(
		waf.Criterion{Type: "numberOfOccurrences", NumTimes: 1, WithinSeconds: 5},
		waf.Criterion{Type: "numberOfOccurrences", NumTimes: 3, WithinSeconds: 60})}}, memory)
	for i, want := range []bool{false, false, true} {
		if v, _ := (request{}).through(e); v.Block != want {
			t.Errorf("request %d: block %v", i, v.Block)
		}
		now = now.Add(10 * time.Second)
	}
	except := func(path string) waf.PolicyException {
		return waf.PolicyException{Predicates: []waf.Criterion{{Type: "httpRequestUrl", Match: "exact", Values: []string{path}},
			{Type: "numberOfOccurrences", NumTimes: 2, WithinSeconds: 60}}}
	}
	taken := signatures("block", "SQL Injection")
	taken.Exceptions = []waf.PolicyException{except("/a"), except("/b")}
	e = engine(t, waf.Policies{Rules: []waf.RulePolicy{taken}})
	for _, path := range []string{"/a", "/b"} {
		if v, _ := (request{uri: path + injection[1:]}).through(e); !v.Block {
			t.Errorf("%s: what was counted for the other exception takes the rule back", path)
		}
	}
}

// A client of IPv6 has more addresses than anybody can count.
func TestNetworksOfIPv6CountAsOne(t *testing.T) {
	e := engine(t, waf.Policies{Custom: []waf.CustomPolicy{custom(waf.Criterion{Type: "numberOfOccurrences", NumTimes: 2, WithinSeconds: 60, Context: "ip"})}})
	for i, from := range []string{"2001:db8:1:2::3", "2001:db8:1:3::3", "2001:db8:1:2:ffff::3", "192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"} {
		if v, _ := (request{from: from}).through(e); v.Block != (i == 2 || i == 4) {
			t.Errorf("%s: block %v", from, v.Block)
		}
	}
}

// A request counts once, however many readings its path has and whatever matches in it.
func TestRequestsCountOnce(t *testing.T) {
	counted := waf.Criterion{Type: "numberOfOccurrences", NumTimes: 2, WithinSeconds: 10}
	p := custom(counted, waf.Criterion{Type: "httpRequestUrl", Match: "prefix", Values: []string{"/login"}})
	e := engine(t, waf.Policies{Custom: []waf.CustomPolicy{p}})
	except := signatures("block", "SQL Injection")
	except.Exceptions = []waf.PolicyException{{Predicates: []waf.Criterion{{Type: "numberOfOccurrences", NumTimes: 3, WithinSeconds: 10}}}}
	taken := engine(t, waf.Policies{Rules: []waf.RulePolicy{except}})
	for i, want := range []bool{false, true} {
		if v, m := (request{uri: "/login;jsessionid=1"}).through(e); v.Block != want {
			t.Errorf("request %d: block %v, %+v", i, v.Block, m)
		}
	}
	for i, want := range []bool{true, true, false} {
		if v, m := (request{uri: "/a;jsessionid=1" + injection[1:]}).through(taken); v.Block != want {
			t.Errorf("request %d with an exception: block %v, %+v", i, v.Block, m)
		}
	}
}

// A request that matches everywhere is told of in bounded space.
func TestMatchesAreBounded(t *testing.T) {
	e := engine(t, waf.Policies{Dictionaries: map[string][]waf.Signature{"Ours": {{Name: "x", Pattern: "x", SearchIn: []string{"parameters"}}}},
		Rules: []waf.RulePolicy{signatures("block", "Ours")}})
	v, m := request{body: strings.Repeat("a="+strings.Repeat("x", 3000)+"&", 300)}.through(e)
	if !v.Block || len(m) != 200 || len(m[0].Value) != 1024 {
		t.Errorf("block %v, %d matches of %d bytes", v.Block, len(m), len(m[0].Value))
	}
}

// Clients who come and go, each of them often, fill no memory.
func TestMemoryIsBounded(t *testing.T) {
	m := waf.NewMemory()
	for i := range 120_000 {
		m.Count(fmt.Sprint(i), time.Minute, 1000)
	}
	for i := range 1500 {
		for range 1000 {
			m.Count(fmt.Sprint("often ", i), time.Minute, 1000)
		}
	}
	if clients, held := m.Held(); clients > 50_000 || held > 1_000_000 {
		t.Errorf("%d clients, %d occurrences", clients, held)
	}
	if n := m.Count("often 1499", time.Minute, 1000); n != 1000 {
		t.Errorf("the last client was here %d times", n)
	}
	if n := m.Count("often 0", time.Minute, 1000); n != 1 {
		t.Errorf("the client who was away longest was here %d times", n)
	}
}

func TestOneAlertPerSession(t *testing.T) {
	p := custom(waf.Criterion{Type: "httpRequestUrl", Match: "prefix", Values: []string{"/admin"}})
	p.OneAlertPerSession = true
	e := engine(t, waf.Policies{Custom: []waf.CustomPolicy{p}})
	for i, want := range []int{1, 0, 0} {
		v, m := request{uri: fmt.Sprintf("/admin/%d", i), header: []string{"Cookie", "JSESSIONID=a"}}.through(e)
		if !v.Block || len(m) != want {
			t.Errorf("request %d: block %v, %d alerts", i, v.Block, len(m))
		}
	}
	if _, m := (request{uri: "/admin", header: []string{"Cookie", "JSESSIONID=b"}}).through(e); len(m) != 1 {
		t.Error("another session has no alert")
	}
}

// A dictionary's core rules decide by the policy that has it: none, one that alerts, one that blocks.
func TestDictionariesStandForCoreRules(t *testing.T) {
	attacks := map[string]request{
		"SQL Injection":         {uri: injection},
		"Cross-Site Scripting":  {uri: "/?q=" + url.QueryEscape("<script>alert(1)</script>")},
		"Command Injection":     {uri: "/?c=" + url.QueryEscape("; cat /etc/passwd")},
		"Path Traversal":        {uri: "/?f=../../../../etc/passwd"},
		"Known Scanners":        {header: []string{"User-Agent", "sqlmap/1.7"}},
		"Remote File Inclusion": {uri: "/?f=http://192.0.2.9/shell.txt?"},
		"Java Injection":        {body: `{"a":"${jndi:ldap://x/a}"}`, kind: "application/json"},
		"Unreadable Body":       {body: "{", kind: "application/json"},
	}
	for name, attack := range attacks {
		kind := waf.ApplicationSignatures
		if name == "Unreadable Body" {
			kind = waf.Protocol
		}
		for _, action := range []string{"none", "block"} {
			e := engine(t, waf.Policies{Rules: []waf.RulePolicy{{Kind: kind, Name: "p", Rules: rules(action, name), DisplayPage: true}}})
			v, matches := attack.through(e)
			if v.Block != (action == "block") || len(matches) == 0 || matches[0].Policy != "p" || matches[0].Rule != name || !matches[0].DisplayPage {
				t.Errorf("%s, %s: block %v, %+v", name, action, v.Block, matches)
			}
			if v, m := (request{uri: "/shop?page=2&sort=price"}).through(e); v.Block || len(m) > 0 {
				t.Errorf("%s: a plain request: %v", name, m)
			}
		}
		if v, m := attack.through(engine(t, waf.Policies{})); v.Block || len(m) > 0 {
			t.Errorf("%s without a policy: %v", name, m)
		}
	}
}

func TestRuleIsNotSupported(t *testing.T) {
	for _, p := range []waf.RulePolicy{signatures("none", "Nonsense"), {Kind: waf.Protocol, Name: "p", Rules: rules("none", "Nonsense")},
		{Kind: waf.WebProfile, Name: "p", Rules: rules("none", "Nonsense")}, {Kind: "other", Name: "p", Rules: rules("none", "x")}} {
		if _, err := waf.New(waf.Policies{Rules: []waf.RulePolicy{p}}, waf.NewMemory()); !errors.Is(err, waf.ErrUnsupported) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	bad := signatures("none", "SQL Injection")
	bad.Rules[0].Severity = "dire"
	if _, err := waf.New(waf.Policies{Rules: []waf.RulePolicy{bad}}, waf.NewMemory()); err == nil || !strings.Contains(err.Error(), "dire") {
		t.Error(err)
	}
}

func TestExceptionsTakeBack(t *testing.T) {
	p := signatures("block", "SQL Injection")
	p.Exceptions = []waf.PolicyException{{RuleName: "SQL Injection", Predicates: []waf.Criterion{
		{Type: "httpRequestUrl", Match: "prefix", Values: []string{"/editor"}}, {Type: "sourceIpAddresses", UserDefined: []string{"192.0.2.7"}}}}}
	e := engine(t, waf.Policies{Rules: []waf.RulePolicy{p}})
	for q, want := range map[*request]bool{
		{uri: "/editor" + injection[1:]}:                     false,
		{uri: "/editor" + injection[1:], from: "192.0.2.99"}: true,
		{uri: injection}: true,
	} {
		if v, m := q.through(e); v.Block != want || len(m) > 0 != want {
			t.Errorf("%+v: %v %v", q, v.Block, m)
		}
	}
}

// An exception that asks for the body holds for what matched before it was read.
func TestExceptionsWaitForTheBody(t *testing.T) {
	in := func(kind string, names ...string) waf.RulePolicy {
		return waf.RulePolicy{Kind: kind, Name: "p", Rules: rules("block", names...), Exceptions: []waf.PolicyException{{Predicates: []waf.Criterion{
			{Type: "httpRequest", MatchValues: []waf.MatchValue{{Part: "parameter", Name: "token", Operation: "equals", Value: "1"}}}}}}}
	}
	e := engine(t, waf.Policies{Work: 2 << 20, Rules: []waf.RulePolicy{in(waf.Protocol, "Double URL Encoding"), in(waf.ApplicationSignatures, "Known Scanners")}})
	for name, q := range map[string]request{"a check": {uri: "/%252e"}, "a scanner": {header: []string{"User-Agent", "sqlmap/1.7"}}} {
		for body, want := range map[string]bool{"token=1": false, "token=2": true, "": true, "token=2&a=" + strings.Repeat("b", 1<<20): true} {
			q.body = body
			if v, m := q.through(e); v.Block != want || len(m) > 0 != want || want && m[0].Policy != "p" {
				t.Errorf("%s, %.20q: block %v, %+v", name, body, v.Block, m)
			}
		}
	}
	// Who does not wait for the body still tells.
	tx := e.Begin(context.Background(), waf.Request{ClientIP: netip.MustParseAddr("192.0.2.7"), Method: "GET", URI: "/%252e", Proto: "HTTP/1.1", Host: "a"})
	if v := tx.Headers(); v.Block {
		t.Error("it does not wait")
	}
	if m := tx.Close(); len(m) != 1 {
		t.Errorf("%+v", m)
	}
}

func TestApplicationsAndNoAlert(t *testing.T) {
	p := signatures("block", "SQL Injection")
	p.Applications = []string{"shop"}
	p.Rules[0].Severity = "noAlert"
	e := engine(t, waf.Policies{Rules: []waf.RulePolicy{p}})
	if v, m := (request{uri: injection, app: "shop"}).through(e); !v.Block || len(m) > 0 {
		t.Errorf("noAlert: %v %v", v.Block, m)
	}
	if v, _ := (request{uri: injection, app: "blog"}).through(e); v.Block {
		t.Error("a policy of one application judges another")
	}
}

// bodies are bodies of every kind that is read, with a value in them.
func bodies(value string) map[string]string {
	return map[string]string{
		"application/x-www-form-urlencoded": "a=" + value,
		"application/json":                  `{"a":["b","` + value + `"]}`,
		"text/xml":                          "<a><b>1</b><c>" + value + "</c></a>",
		"application/soap+xml":              `<a><b c="` + value + `"/></a>`,
		"multipart/form-data; boundary=x":   "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + value + "\r\n--x--\r\n",
		"text/plain":                        "a=" + value,
	}
}

func TestOwnSignatures(t *testing.T) {
	dictionaries := map[string][]waf.Signature{"Ours": {
		{Name: "in a header", Pattern: `^forbidden$`, SearchIn: []string{"headers"}},
		{Name: "in a url", Pattern: `/secret/`, SearchIn: []string{"urls"}},
		{Name: "anywhere", Pattern: `xyzzy`}}}
	e := engine(t, waf.Policies{Dictionaries: dictionaries, Rules: []waf.RulePolicy{signatures("block", "Ours")}})
	for want, q := range map[string]request{"in a header": {header: []string{"X-A", "forbidden"}}, "in a url": {uri: "/secret/x"},
		"anywhere": {header: []string{"Cookie", "a=xyzzy"}}} {
		v, m := q.through(e)
		if !v.Block || m[0].Signature != want || m[0].Rule != "Ours" {
			t.Errorf("%s: %v %+v", want, v.Block, m)
		}
	}
	for kind, body := range bodies("xyzzy") {
		for _, place := range []string{"body", "parameters"} {
			e := engine(t, waf.Policies{Dictionaries: map[string][]waf.Signature{"Ours": {{Name: "s", Pattern: "xyzzy", SearchIn: []string{place}}}},
				Rules: []waf.RulePolicy{signatures("block", "Ours")}})
			if v, m := (request{body: body, kind: kind}).through(e); !v.Block {
				t.Errorf("%s in %s: %+v", place, kind, m)
			}
		}
	}
	entity := engine(t, waf.Policies{Dictionaries: map[string][]waf.Signature{"Ours": {{Name: "s", Pattern: "<!ENTITY", SearchIn: []string{"body"}}}},
		Rules: []waf.RulePolicy{signatures("block", "Ours")}})
	if v, _ := (request{body: `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>`, kind: "text/xml"}).through(entity); !v.Block {
		t.Error("a signature is not found in a body that is not read")
	}
	if v, _ := (request{uri: "/?a=forbidden"}).through(e); v.Block {
		t.Error("a signature is found where it does not look")
	}
	dictionaries["Ours"][0].Pattern = "("
	if _, err := waf.New(waf.Policies{Dictionaries: dictionaries, Rules: []waf.RulePolicy{signatures("block", "Ours")}}, waf.NewMemory()); err == nil {
		t.Error("a broken pattern compiles")
	}
}

// What a head is told for does not hide the body that comes after it.
func TestAlertsOfTheHeadLeaveTheBody(t *testing.T) {
	e := engine(t, waf.Policies{Dictionaries: map[string][]waf.Signature{"Ours": {{Name: "s", Pattern: "hush", SearchIn: []string{"body"}}}},
		Masking: []waf.Mask{{Name: "passwords", Match: "^password$", Parameters: true, Enabled: true}},
		Rules:   []waf.RulePolicy{signatures("block", "Ours"), signatures("none", "SQL Injection"), {Kind: waf.Protocol, Name: "http", Rules: rules("none", "Double URL Encoding")}},
		Custom:  []waf.CustomPolicy{custom(waf.Criterion{Type: "httpRequest", MatchValues: []waf.MatchValue{{Part: "body", Operation: "contains", Value: "hush"}}})}})
	for _, q := range []request{{uri: "/%252e", body: "a=hush"}, {uri: "/%252e", body: `{"password":"hush' union select 1 from x--"}`}} {
		_, m := q.through(e)
		for _, rule := range []string{"Double URL Encoding", "Ours", "c"} {
			if !slices.ContainsFunc(m, func(m waf.Match) bool { return m.Rule == rule }) {
				t.Errorf("%+v: no %s in %+v", q, rule, m)
			}
		}
		if strings.Contains(q.body, "password") && strings.Contains(fmt.Sprint(m), "hush") {
			t.Errorf("a secret is told: %+v", m)
		}
	}
}

// distinct are n attributes and the end of a tag.
func distinct(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " b%d='1'", i)
	}
	return b.String() + ">"
}

func TestProtocolChecks(t *testing.T) {
	long := strings.Repeat("a", 200)
	const latin1 = `<?xml version="1.0" encoding="latin1"?>`
	small := func(name string) []waf.PolicyRule {
		r := rules("block", name)
		r[0].Parameters = map[string]any{"limit": 100.0}
		return r
	}
	for _, c := range []struct {
		rules     []waf.PolicyRule
		fits, not request
	}{
		{rules("block", "Malformed Header Line"), request{header: []string{"X(", "y"}}, request{header: []string{"X-Y", "("}}},
		{rules("block", "Illegal Method"), request{method: "TRACE"}, request{method: "PUT", body: "a=1"}},
		{rules("block", "Illegal Method"), request{method: "PROPFIND"}, request{method: "DELETE"}},
		{rules("block", "Illegal Method"), request{method: "get"}, request{method: "PATCH", body: "{}", kind: "application/merge-patch+json"}},
		{rules("block", "Illegal Byte in URL"), request{uri: "/\xff"}, request{uri: "/%ff"}},
		{rules("block", "Illegal Byte in Header"), request{header: []string{"X-A", "\x01"}}, request{header: []string{"X-A", "\té"}}},
		{rules("block", "Double URL Encoding"), request{uri: "/%252e%252e"}, request{uri: "/100%25"}},
		{rules("block", "Redundant UTF-8 Encoding"), request{uri: "/%c0%ae"}, request{uri: "/%c3%a9"}},
		{rules("block", "Null Character in URL"), request{uri: "/a%00b"}, request{uri: "/a?b=%00"}},
		{rules("block", "Null Character in Parameter"), request{body: "a=%00"}, request{uri: "/?a=0"}},
		{small("Header Line Too Long"), request{header: []string{"X-A", long}}, request{}},
		{small("URL Too Long"), request{uri: "/" + long}, request{}},
		{small("Parameter Too Long"), request{body: "a=" + long}, request{body: "a=1"}},
		{small("Request Body Too Long"), request{body: "a=" + long}, request{body: "a=1"}},
		{small("Parameter Too Long"), request{body: "{\"a\":\"" + long + "\"}", kind: "application/json"}, request{body: "a=" + long, kind: "text/csv"}},
		{small("Too Many Parameters"), request{body: "b=1" + strings.Repeat("&a=1", 101)}, request{body: "b=1" + strings.Repeat("&a=1", 101), kind: "text/html"}},
		{rules("block", "Null Character in Parameter"), request{uri: "/?a=%00", body: "b", kind: "text/plain"}, request{body: "a=\x00", kind: "image/png"}},
		{small("Too Many Parameters"), request{uri: "/?" + strings.Repeat("a=1&", 101)}, request{uri: "/?a=1"}},
		{small("Too Many Cookies"), request{header: []string{"Cookie", strings.Repeat("a=1; ", 101) + "b=1"}}, request{}},
		{rules("block", "Post Without Content Type"), request{method: "POST", header: []string{"Content-Length", "3"}}, request{body: "a=1"}},
		{rules("block", "Content Length Mismatch"), request{body: "a=1", header: []string{"Content-Length", "9"}}, request{body: "a=1"}},
		{rules("block", "Unknown Transfer Encoding"), request{header: []string{"Transfer-Encoding", "xchunked"}}, request{header: []string{"Transfer-Encoding", "chunked"}}},
		{rules("block", "Cookie Syntax"), request{header: []string{"Cookie", "a=\"b"}}, request{header: []string{"Cookie", "a=b"}}},
		{rules("block", "Unreadable Body"), request{body: "{", kind: "application/json"}, request{body: "{}", kind: "application/json"}},
		{rules("block", "Unreadable Body"), request{body: strings.Repeat("<a>", 600) + "b", kind: "text/xml"}, request{body: strings.Repeat("<a>", 500) + "b", kind: "text/xml"}},
		{rules("block", "Unreadable Body"), request{body: latin1 + latin1 + "<a>\xe9</a>", kind: "text/xml"}, request{body: latin1 + "<a>\xe9</a>", kind: "text/xml"}},
		{rules("block", "Unreadable Body"), request{body: "<a>" + latin1 + "\xe9</a>", kind: "text/xml"}, request{body: latin1 + "<a/>", kind: "text/xml"}},
		{rules("block", "Unreadable Body"), request{body: `<!DOCTYPE a SYSTEM "http://192.0.2.9/x.dtd"><a>&x;</a>`, kind: "text/xml"}, request{body: "<!DOCTYPE a><a/>", kind: "text/xml"}},
		{rules("block", "Unreadable Body"), request{body: `<!DOCTYPE a PUBLIC "x" "http://192.0.2.9/x.dtd"><a>&x;</a>`, kind: "text/xml"},
			request{body: "<!DOCTYPE a [<!ELEMENT a ANY>]><a>SYSTEM</a>", kind: "text/xml"}},
		{rules("block", "Unreadable Body"), request{body: "<" + strings.Repeat("a", 1000) + distinct(1100), kind: "text/xml"}, request{body: "<a" + distinct(1100), kind: "text/xml"}},
	} {
		e := engine(t, waf.Policies{Rules: []waf.RulePolicy{{Kind: waf.Protocol, Name: "p", Rules: c.rules}}})
		if v, m := c.fits.through(e); !v.Block || len(m) != 1 || m[0].Rule != c.rules[0].Name {
			t.Errorf("%s: block %v, %+v", c.rules[0].Name, v.Block, m)
		}
		if v, m := c.not.through(e); v.Block || len(m) > 0 {
			t.Errorf("%s: %+v", c.rules[0].Name, m)
		}
	}
}

func TestProfile(t *testing.T) {
	names := []string{"Unknown Parameter", "Required Parameter Missing", "Parameter Type Violation",
		"Parameter Value Length Violation", "Unauthorized Method", "Unauthorized Content Type"}
	e := engine(t, waf.Policies{
		Rules: []waf.RulePolicy{{Kind: waf.WebProfile, Name: "p", Rules: rules("none", names...)}},
		Types: map[string]string{"Numeric": `^[0-9]+$`},
		Profiles: map[string]*waf.Profile{"shop": {URLs: []waf.ProfileURL{{Path: "/buy", ContentTypes: []string{"application/x-www-form-urlencoded"},
			Methods: []waf.ProfileMethod{{Method: "POST"}}, Parameters: []waf.ProfileParameter{
				{Name: "n", Type: "Numeric", MaxLength: 3, Required: true, AdditionalAllowedChars: []string{"-"}}, {Name: "opt_", Prefix: true, Nullable: true}}}},
			Patterns: []waf.ProfileURL{{Pattern: "^/(buy|item)/[0-9]+$", Methods: []waf.ProfileMethod{{Method: "GET"}}, Parameters: []waf.ProfileParameter{{Name: "n", Type: "Numeric"}}},
				{Pattern: "^/(?:item|buy)", Methods: []waf.ProfileMethod{{Method: "PUT"}}}}}}})
	for _, c := range []struct {
		q    request
		want []string
	}{
		{request{uri: "/buy", body: "n=1-2&opt_a=", app: "shop"}, nil},
		{request{uri: "/buy", body: "n=12&x=1", app: "shop"}, names[:1]},
		{request{uri: "/buy", body: "opt_a=1", app: "shop"}, names[1:2]},
		{request{uri: "/buy", body: "n=ab", app: "shop"}, names[2:3]},
		{request{uri: "/buy", body: "n=1234", app: "shop"}, names[3:4]},
		{request{uri: "/buy?n=1", app: "shop"}, names[4:5]},
		{request{uri: "/buy", body: `{"n":1}`, kind: "application/json", app: "shop"}, names[5:]},
		{request{uri: "/else?x=1", app: "shop"}, nil},
		{request{uri: "/buy?x=1", app: "blog"}, nil},
		{request{uri: "/item/7?n=1", app: "shop"}, nil},
		{request{uri: "/x/../item//%37?n=a", app: "shop"}, names[2:3]},
		{request{uri: "/item/7?x=1", app: "shop"}, names[:1]},
		{request{uri: "/item/all", app: "shop"}, names[4:5]},
		{request{method: "GET", uri: "/item/7?n=1", body: "a long text = with\n{&x=1", kind: "text/plain", app: "shop"}, nil},
		{request{method: "GET", uri: "/item/7", body: "x=1&n=a", kind: "text/plain", app: "shop"}, names[2:3]},
		{request{method: "GET", uri: "/item/7", body: `{"x":"1"}`, kind: "text/plain", app: "shop"}, nil},
		{request{method: "GET", uri: "/item/7", body: "--y\r\nContent-Disposition: form-data; name=\"x\"; filename*=utf-8''z\r\n\r\nfile\r\n--y--", kind: "multipart/form-data; boundary=y", app: "shop"}, nil},
	} {
		_, matches := c.q.through(e)
		var got []string
		for _, m := range matches {
			got = append(got, m.Rule)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.q, got, c.want)
		}
	}
}

func TestValuesAreMasked(t *testing.T) {
	masks := []waf.Mask{
		{Name: "passwords", Match: "(?i)^(password|pwd)$", Parameters: true, Enabled: true},
		{Name: "cards", Match: `\b(?:\d[ -]?){13,16}\b`, Parameters: true, Enabled: true},
		{Name: "authorization", Match: "(?i)^authorization$", Headers: true, Enabled: true},
		{Name: "sessions", Match: "^SID$", Cookies: true, Enabled: true},
		{Name: "off", Match: ".", Parameters: true, Headers: true, Cookies: true},
	}
	m, err := waf.NewMasker(masks)
	if err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		m.Parameter("Password", "s3cret"):                    "***",
		m.Parameter("note", "card 4111 1111 1111 1111 here"): "card ***here",
		m.Header("Authorization", "Basic eHk="):              "***",
		m.Header("Cookie", "a=1; SID=abc; b=2"):              "a=1; SID=***; b=2",
		m.URI("/login?user=a&pass%77ord=x%20y&q=1"):          "/login?user=a&pass%77ord=***&q=1",
		m.Cookie("SID", "abc"):                               "***",
		m.Parameter("user", "ann"):                           "ann",
		m.Parameter("user.password.0", "s3cret"):             "***",
		m.Parameter("user[password]", "s3cret"):              "***",
		m.Parameter("passwords", "ann"):                      "ann",
		m.Header("Referer", "https://a/b?c=d&password=x"):    "https://a/b?c=d&password=***",
		m.URI("/pay?n=4111111111111111"):                     "/pay?n=***",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	e := engine(t, waf.Policies{Masking: masks, BodyLimit: 10_000, Rules: []waf.RulePolicy{signatures("block", "SQL Injection", "Ours"), signatures("block", "Protocol Attack")},
		Dictionaries: map[string][]waf.Signature{"Ours": {{Name: "s", Pattern: "hush"}}},
		Custom:       []waf.CustomPolicy{custom(waf.Criterion{Type: "httpMethods", Values: []string{"GET", "POST"}})}})
	const secret = "hush' union select 1 from x--"
	for _, q := range []request{{uri: "/?password=" + url.QueryEscape(secret)}, {uri: "/?user[password]=" + url.QueryEscape(secret)},
		{header: []string{"Referer", "https://www.example.com/?password=" + secret}},
		{body: `{"user":{"password":"` + secret + `"}}`, kind: "application/json"},
		{body: `{"password":["a","` + secret + `"]}`, kind: "application/json"},
		{body: `{"password":{"new":"` + secret + `"}}`, kind: "application/json"},
		{body: `{"password":"` + secret + `"}`, kind: "text/plain"},
		{body: `{"password":"` + secret + `"}`},
		{body: `{"password":"a&b=` + secret + `"}`},
		{body: `{"password":"` + secret + strings.Repeat("x", 20_000), kind: "application/json"},
		{body: "<l:login><l:password>" + secret + "</l:password></l:login>", kind: "text/xml"},
		{body: "<password><new>" + secret + "</new></password>", kind: "text/xml"},
		{body: `<login password="` + secret + `"/>`, kind: "text/xml"},
		{body: "<password>" + secret + strings.Repeat("x", 20_000), kind: "text/xml"},
		{body: "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n" + secret + "\r\n--x--\r\n", kind: "multipart/form-data; boundary=x"},
	} {
		_, matches := q.through(e)
		if len(matches) < 2 {
			t.Errorf("%+v: %+v", q, matches)
		}
		if all := fmt.Sprintf("%+v", matches); strings.Contains(all, "hush") {
			t.Errorf("%+v: %s", q, all)
		}
	}
	// What is no secret is told.
	for _, q := range []request{{uri: "/?a=" + url.QueryEscape(secret) + "&password=x"}, {body: `{"password":"x","a":"` + secret + `"}`, kind: "application/json"},
		{body: "<l><a>" + secret + "</a><password>x</password></l>", kind: "text/xml"}, {body: `{"a":"` + secret + `"}`, kind: "text/plain"}} {
		if _, matches := q.through(e); !strings.Contains(fmt.Sprintf("%+v", matches), "hush") {
			t.Errorf("%+v: %+v", q, matches)
		}
	}
}

// What cannot be inspected within the budget passes or not by the fail mode, and is told.
func TestBudget(t *testing.T) {
	for _, open := range []bool{false, true} {
		e := engine(t, waf.Policies{Work: 2000, FailOpen: open, Rules: []waf.RulePolicy{signatures("none", "SQL Injection")}})
		v, m := request{body: "a=" + strings.Repeat("b", 9000)}.through(e)
		if v.Block == open || len(m) != 1 || m[0].Rule != "Inspection Not Completed" {
			t.Errorf("open %v: block %v, %+v", open, v.Block, m)
		}
		policy := waf.RulePolicy{Kind: waf.Protocol, Name: "http", Rules: rules("block", "Inspection Not Completed")}
		policy.Rules[0].FollowedAction = "tell"
		e = engine(t, waf.Policies{Work: 2000, FailOpen: open, Rules: []waf.RulePolicy{policy}})
		v, m = request{body: "a=" + strings.Repeat("b", 9000)}.through(e)
		if v.Block == open || len(m) != 1 || m[0].Policy != "http" || m[0].Severity != "medium" || m[0].FollowedAction != "tell" {
			t.Errorf("open %v, by a policy: block %v, %+v", open, v.Block, m)
		}
	}
	p := everything()
	p.FailOpen = true
	v, m := hostile()["attacks in one field"].through(engine(t, p))
	if !v.Block || m[len(m)-1].Rule != "Inspection Not Completed" {
		t.Errorf("what matched before the budget ended is forgotten: %+v", m)
	}
}

// The hole: a form of a MiB of quotes took minutes of processor time, which the budget knew
// nothing of; and once it knew of quotes, texts that have many ended it. What must hold: each
// is inspected to its end, in time that grows with its length alone, which this test could not await
// otherwise.
func TestQuotesFitTheBudget(t *testing.T) {
	e := engine(t, everything())
	form := func(text string) request { return request{body: "f=" + text} }
	plain := func(line string) request {
		return request{body: strings.Repeat(line, 1<<20/len(line)), kind: "text/plain"}
	}
	for name, r := range map[string]request{
		"quotes":               form(strings.Repeat("%27", 349_525)),
		"doubled quotes":       form(strings.Repeat("a%27%27", 149_796)),
		"escaped quotes":       form(strings.Repeat(`\"`, 524_287)),
		"a string of escaped":  form(`"` + strings.Repeat(`\"`, 524_286)),
		"quotes, far apart":    form("y" + strings.Repeat(`\"`+strings.Repeat("x", 80), 12_700) + "z"),
		"quotes before a text": form("y" + strings.Repeat(`\"`, 12_700) + strings.Repeat("x", 1_000_000)),
		"English":              form(strings.Repeat("It's what people's letters \"say\". ", 25_000)),
		"a script in JSON":     form(url.QueryEscape(`{"a":"` + strings.Repeat(`print(\"hello\", 'it''s', 1);`, 2000) + `"}`)),
		"CSV":                  plain("\"a\",\"\",\"b\"\n"),
		"NDJSON":               plain(`{"a":"","b":"c","d":""}` + "\n"),
		"JSON in NDJSON":       plain(`{"a":"{\"b\":\"\"}"}` + "\n"),
	} {
		_, m := r.through(e)
		if slices.ContainsFunc(m, func(m waf.Match) bool { return m.Rule == "Inspection Not Completed" }) {
			t.Errorf("%s: ended", name)
		}
	}
}

// The first BodyLimit bytes are looked at, however long the body is.
func TestBodyLimit(t *testing.T) {
	e := engine(t, waf.Policies{BodyLimit: 10_000, Rules: []waf.RulePolicy{signatures("block", "SQL Injection"),
		{Kind: waf.Protocol, Name: "http", Rules: rules("none", "Unreadable Body", "Request Body Too Long")}}})
	attack := "a=" + url.QueryEscape("1' union select password from users--")
	if v, m := (request{body: attack + "&b=" + strings.Repeat("x", 20_000)}).through(e); !v.Block || m[len(m)-1].Rule != "Request Body Too Long" {
		t.Errorf("an attack in front: %+v", m)
	}
	for kind, front := range map[string]string{"application/json": `{"a":"1' union select password from users--","b":"`, "text/xml": "<a>1' union select password from users--",
		"multipart/form-data; boundary=x": "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1' union select password from users--\r\n"} {
		v, m := request{kind: kind, body: front + strings.Repeat("x", 20_000)}.through(e)
		if !v.Block || m[len(m)-1].Rule != "Request Body Too Long" {
			t.Errorf("an attack in front, %s: %+v", kind, m)
		}
	}
	v, m := request{body: "b=" + strings.Repeat("x", 20_000) + "&" + attack}.through(e)
	if v.Block || len(m) != 1 || m[0].Rule != "Request Body Too Long" {
		t.Errorf("an attack behind the limit: %+v", m)
	}
}

// A compressed body is judged by what it holds, and holds no more than is looked at.
func TestCompressedBodies(t *testing.T) {
	e := engine(t, waf.Policies{BodyLimit: 10_000, Rules: []waf.RulePolicy{signatures("block", "SQL Injection"),
		{Kind: waf.Protocol, Name: "http", Rules: rules("block", "Unreadable Body", "Request Body Too Long", "Content Length Mismatch")}}})
	pack := func(make func(io.Writer) io.WriteCloser, text string) string {
		var b bytes.Buffer
		w := make(&b)
		io.WriteString(w, text)
		w.Close()
		return b.String()
	}
	zip := func(text string) string {
		return pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, text)
	}
	zlibbed := func(text string) string {
		return pack(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, text)
	}
	named := func(h gzip.Header, text string) string {
		return pack(func(w io.Writer) io.WriteCloser { z := gzip.NewWriter(w); z.Header = h; return z }, text)
	}
	attack := "a=" + url.QueryEscape("1' union select password from users--")
	padding := strings.Repeat("x", 20_000)
	noise := make([]byte, 20_000)
	rand.NewChaCha8([32]byte{}).Read(noise)
	for name, c := range map[string]struct{ coding, body, want string }{
		"an attack":          {"gzip", zip(attack), "SQL Injection"},
		"another spelling":   {"X-GZIP", zip(attack), "SQL Injection"},
		"zlib":               {"deflate", zlibbed(attack), "SQL Injection"},
		"bare deflate":       {"deflate", pack(func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 1); return f }, attack), "SQL Injection"},
		"a plain form":       {"gzip", zip("a=1&b=2"), ""},
		"none":               {"identity", "a=1", ""},
		"a bomb":             {"gzip", zip("a=" + strings.Repeat("x", 10<<20)), "Request Body Too Long"},
		"a long one":         {"gzip", zip("a=" + string(noise)), "Request Body Too Long"},
		"nothing of gzip":    {"gzip", attack, "Unreadable Body"},
		"without its end":    {"gzip", zip(attack + "&b=" + strings.Repeat("x", 100))[:60], "Unreadable Body"},
		"another coding":     {"br", attack, "Unreadable Body"},
		"packed twice":       {"gzip, gzip", zip(zip(attack)), "Unreadable Body"},
		"bytes after it all": {"gzip", zip("a=1") + "a=1", "Unreadable Body"},
		"an empty deflate":   {"deflate", "\x03\x00&" + attack, "Unreadable Body"},
		"a zlib and more":    {"deflate", zlibbed("a=1") + "&" + attack, "Unreadable Body"},
		"two members":        {"gzip", zip("a=1&") + zip(attack), "Unreadable Body"},
		"a name":             {"gzip", named(gzip.Header{Name: "&" + attack + "&"}, "a=1"), "Unreadable Body"},
		"a comment":          {"gzip", named(gzip.Header{Comment: "&" + attack + "&"}, "a=1"), "Unreadable Body"},
		"an extra field":     {"gzip", named(gzip.Header{Extra: []byte("&" + attack + "&")}, "a=1"), "Unreadable Body"},
		"behind a name":      {"gzip", named(gzip.Header{Name: "a.txt"}, attack), "Unreadable Body"},
		"long, no coding":    {"br", attack + "&b=" + padding, "Unreadable Body"},
		"long, no gzip":      {"gzip", attack + "&b=" + padding, "Unreadable Body"},
		"long, damaged":      {"gzip", zip("a=1")[:10] + "\xff&" + attack + "&b=" + padding, "Unreadable Body"},
		"long after it all":  {"gzip", zip("a=1") + "&" + attack + "&b=" + padding, "Unreadable Body"},
		"long after a bomb":  {"gzip", zip("a="+strings.Repeat("x", 10<<20)) + padding, "Request Body Too Long"},
	} {
		v, m := request{body: c.body, header: []string{"Content-Encoding", c.coding}}.through(e)
		found := slices.ContainsFunc(m, func(m waf.Match) bool { return m.Rule == "SQL Injection" })
		if strings.Contains(c.body, attack) && !found {
			t.Errorf("%s: a server that does not know of codings is not thought of: %+v", name, m)
		}
		if (name == "two members" || name == "behind a name") && !found {
			t.Errorf("%s: what is odd is not read: %+v", name, m)
		}
		if v.Block != (c.want != "") || v.Block && v.Rule.Rule != c.want {
			t.Errorf("%s: block %v, %+v", name, v.Block, m)
		}
	}
}

func TestResponses(t *testing.T) {
	e := engine(t, waf.Policies{Responses: true, Rules: []waf.RulePolicy{signatures("block", "Data Leakage", "Web Shells")}})
	if v, m := (request{status: 200, answer: "You have an error in your SQL syntax; check the manual"}).through(e); !v.Block {
		t.Errorf("%+v", m)
	}
	if v, m := (request{status: 200, answer: "Hello"}).through(e); v.Block {
		t.Errorf("%+v", m)
	}
	// The hole: only three types were looked at, and those in small letters alone.
	for _, kind := range []string{"Text/HTML;charset=utf-8", "text/html ; charset=utf-8", "application/json", "application/problem+json", "application/xml", "text/css", "multipart/byteranges; boundary=x"} {
		q := request{status: 500, kind: kind, answer: `{"error":"You have an error in your SQL syntax; check the manual"}`}
		if v, m := q.through(e); !v.Block {
			t.Errorf("%s: %+v", kind, m)
		}
	}
}

// What is merely odd blocks when enough of it comes together, and a rule that
// only alerts adds nothing.
func TestScore(t *testing.T) {
	odd := request{host: "192.0.2.1"} // a warning
	odder := request{host: "192.0.2.1", header: []string{"Connection", "keep-alive, close"}}
	policy := func(action string) waf.Engine {
		return engine(t, waf.Policies{Rules: []waf.RulePolicy{{Kind: waf.Protocol, Name: "p", Rules: rules(action, "Protocol Enforcement")}}})
	}
	e := policy("block")
	if v, m := odd.through(e); v.Block || len(m) != 1 || m[0].Block {
		t.Errorf("one warning: block %v, %+v", v.Block, m)
	}
	if v, m := odder.through(e); !v.Block || len(m) != 2 || !m[1].Block || v.Rule.ID != m[1].ID {
		t.Errorf("two warnings: block %v, %+v", v.Block, m)
	}
	if v, m := odder.through(policy("none")); v.Block || len(m) != 2 {
		t.Errorf("two warnings that alert: block %v, %+v", v.Block, m)
	}
}
