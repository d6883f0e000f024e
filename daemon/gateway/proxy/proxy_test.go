package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/gateway/proxy"
	"sealgate/daemon/gateway/waf"
	"sealgate/internal/peers"
)

var account *peers.Account

func TestMain(m *testing.M) {
	if kind, server, ok := strings.Cut(os.Getenv(benchEnv), " "); ok {
		runBenchProxy(kind, server)
		return
	}
	var err error
	if account, err = peers.NewAccount(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	account.Remove()
	os.Exit(status)
}

// gate is a proxy under test, one web service at one address unless the test changes
// the snapshot.
type gate struct {
	*proxy.Proxy
	t        *testing.T
	snapshot model.Snapshot
	mu       sync.Mutex
	at       map[uint16]string // where a port of the snapshot really is
	events   chan store.Violation
	followed chan []model.Action
}

var discard = slog.New(slog.DiscardHandler)

const aliasAddress = "127.0.0.1"

// newGate makes a proxy for a web service whose requests go to server, HOST:PORT.
func newGate(t *testing.T, server string, change ...func(*gate, *proxy.Options)) *gate {
	t.Helper()
	g := &gate{t: t, at: make(map[uint16]string), events: make(chan store.Violation, 1000), followed: make(chan []model.Action, 1000)}
	g.snapshot = model.Snapshot{Format: model.SnapshotFormat, Revision: 1, Group: model.SnapshotGroup{Name: "Group"},
		Aliases: map[string]map[string]netip.Addr{"gw1": {"front": netip.MustParseAddr(aliasAddress)}},
		Services: []model.SnapshotService{{Site: "Site", ServerGroup: "Servers", Name: "shop", Mode: model.ModeActive, HTTP2: true, UseDefaultErrorPage: true,
			Inbound: []model.SnapshotInbound{{Alias: "front", Ports: []int{8080}, Outbound: []model.SnapshotOutbound{outbound(t, server)}}}}},
	}
	o := proxy.Options{Gateway: "gw1", Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	o.Event = func(v *store.Violation, followed []model.Action) {
		g.events <- *v
		g.followed <- followed
	}
	o.Listen = func(at netip.AddrPort) (net.Listener, error) {
		ln, err := net.Listen("tcp", netip.AddrPortFrom(at.Addr(), 0).String())
		if err == nil {
			g.mu.Lock()
			g.at[at.Port()] = ln.Addr().String()
			g.mu.Unlock()
		}
		return ln, err
	}
	for _, c := range change {
		c(g, &o)
	}
	g.Proxy = proxy.New(o)
	g.apply()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		g.Shutdown(ctx)
	})
	return g
}

func outbound(t *testing.T, server string) model.SnapshotOutbound {
	t.Helper()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	return model.SnapshotOutbound{Priority: 1, Host: host, Port: n}
}

// apply writes the snapshot down and reads it, as the link does.
func (g *gate) apply() {
	g.t.Helper()
	if err := g.tryApply(); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gate) tryApply() error {
	data, err := json.Marshal(g.snapshot)
	if err != nil {
		return err
	}
	s, err := model.ReadSnapshot(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return g.Apply(s)
}

func (g *gate) service() *model.SnapshotService { return &g.snapshot.Services[0] }

func (g *gate) addr(port uint16) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.at[port]
}

func (g *gate) url(path string) string { return "http://" + g.addr(8080) + path }

// get returns status and body.
func (g *gate) get(path string, header ...string) (int, string) {
	g.t.Helper()
	r, err := http.NewRequest("GET", g.url(path), nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return g.do(http.DefaultTransport, r)
}

func (g *gate) do(by http.RoundTripper, r *http.Request) (int, string) {
	g.t.Helper()
	resp, err := by.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (g *gate) event() store.Violation {
	g.t.Helper()
	select {
	case v := <-g.events:
		return v
	case <-time.After(time.Minute):
		g.t.Fatal("no event came")
		panic("unreachable")
	}
}

// origin starts nginx with locations; each answers what the directives say.
func origin(t *testing.T, directives ...string) *peers.Server {
	t.Helper()
	return peers.Nginx(t, peers.NginxConfig{Account: account, Open: true, Server: directives})
}

// echo is a location that says what it was sent.
const echo = `location / { return 200 "$request_method $request_uri $http_host xff=$http_x_forwarded_for real=$http_x_real_ip\n"; }`

func TestForwardsByRule(t *testing.T) {
	first, second := origin(t, `location / { return 200 "first $request_uri"; }`), origin(t, `location / { return 200 "second $request_uri"; }`)
	g := newGate(t, first.Addr, func(g *gate, _ *proxy.Options) {
		rules := &g.service().Inbound[0].Outbound
		add := func(priority int, host, prefix, server string) {
			rule := outbound(t, server)
			rule.Priority, rule.ExternalHost, rule.URLPrefix = priority, host, prefix
			*rules = append(*rules, rule)
		}
		*rules = nil
		add(30, "*.shop.example", "", second.Addr)
		add(10, "www.shop.example", "/api/", second.Addr)
		add(20, "www.shop.example", "", first.Addr)
		add(40, "Any", "/any", second.Addr)
	})
	for _, c := range []struct {
		host, path string
		status     int
		body       string
	}{
		{"www.shop.example", "/api/x?y=%zz&z", 200, "second /api/x?y=%zz&z"},
		{"WWW.Shop.Example:8080", "/", 200, "first /"},
		{"m.shop.example", "/", 200, "second /"},
		{"shop.example", "/", 404, "404 Not Found"},
		{"other.example", "/any/thing", 200, "second /any/thing"},
		{"www.shop.example", "//two/slashes?a=b", 200, "first //two/slashes?a=b"},
		{"www.shop.example", "/a/../b/./c%2f%2e", 200, "first /a/../b/./c%2f%2e"},
		{"ignored", "http://www.shop.example/api/y", 200, "second /api/y"},
		{"www.shop.example", `/"|^{}`, 200, `first /"|^{}`},
	} {
		raw := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", c.path, c.host)
		status, body := g.raw(raw)
		if status != c.status || !strings.HasPrefix(body, c.body) {
			t.Errorf("%s%s: %d %q; want %d %q", c.host, c.path, status, body, c.status, c.body)
		}
	}
}

// raw sends bytes and reads one answer.
func (g *gate) raw(bytes string) (int, string) {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr(8080))
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, bytes)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		g.t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func TestServersThatDoNotAnswer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	g := newGate(t, ln.Addr().String(), func(g *gate, _ *proxy.Options) { g.snapshot.Group.Limits.ServerSeconds = 1 })
	if status, body := g.get("/"); status != 504 || !strings.Contains(body, "in time") {
		t.Errorf("%d %q", status, body)
	}
	if v := g.event(); v.Type != "Server Unavailable" || v.ViolatedItem != ln.Addr().String() || v.Service != "shop" {
		t.Errorf("%+v", v)
	}
	ln.Close()
	g.snapshot.Services[0].Inbound[0].Outbound[0].Port = 1 // nobody is there
	g.apply()
	if status, _ := g.get("/"); status != 502 {
		t.Errorf("%d", status)
	}
	if v := g.event(); v.Type != "Server Unavailable" {
		t.Errorf("%+v", v)
	}
}

func TestModesSwitchWithoutDroppingAConnection(t *testing.T) {
	server := origin(t, echo)
	g := newGate(t, server.Addr, withEngine(blockAttack))
	conn, err := net.Dial("tcp", g.addr(8080))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	ask := func(path string) (int, string) {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	mode := func(m string) {
		g.service().Mode = m
		g.snapshot.Revision++
		g.apply()
	}
	status, body := ask("/?attack")
	v := g.event()
	if status != 403 || !strings.Contains(body, "Event "+v.ID) || v.Action != "block" || v.Severity != "high" || v.Policy != "test policy" {
		t.Errorf("active: %d %q, event %+v", status, body, v)
	}
	mode(model.ModeSimulation)
	status, body = ask("/?attack")
	if v := g.event(); status != 200 || !strings.HasPrefix(body, "GET /?attack") || v.Action != "none" {
		t.Errorf("simulation: %d %q, event %+v", status, body, v)
	}
	mode(model.ModeDisabled)
	if status, _ := ask("/"); status != 503 {
		t.Errorf("disabled: %d", status)
	}
	mode(model.ModeActive)
	if status, _ := ask("/"); status != 200 {
		t.Errorf("active again: %d", status)
	}
	if len(g.events) > 0 {
		t.Errorf("a further event: %+v", <-g.events)
	}
}

// The page is larger than what sockets hold: whoever has begun to read it knows of the
// block before its last byte is sent.
func TestEventsAreToldBeforeTheBlock(t *testing.T) {
	var answered atomic.Bool
	g := newGate(t, origin(t, echo).Addr, withEngine(blockAttack), func(g *gate, o *proxy.Options) {
		g.service().UseDefaultErrorPage, g.service().ErrorBody = false, strings.Repeat("x", 32<<20)
		o.Event = func(v *store.Violation, _ []model.Action) {
			if answered.Load() {
				t.Error("the client knew before")
			}
			g.events <- *v
		}
	})
	resp, err := http.Get(g.url("/?attack"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answered.Store(true)
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != 32<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	g.event()
}

func TestErrorPages(t *testing.T) {
	server := origin(t, echo)
	g := newGate(t, server.Addr, withEngine(blockAttack))
	s := g.service()
	s.UseDefaultErrorPage, s.ErrorBody, s.ErrorStatus = false, "<p>no: $(EVENT_ID)</p>", "418"
	g.apply()
	status, body := g.get("/?attack")
	if v := g.event(); status != 418 || body != "<p>no: "+v.ID+"</p>" {
		t.Errorf("own page: %d %q", status, body)
	}
	s.ErrorBody, s.ErrorRedirectURL, s.ErrorStatus = "", "https://sorry.example/?e=$(EVENT_ID)", ""
	g.apply()
	r, _ := http.NewRequest("GET", g.url("/?attack"), nil)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if v := g.event(); resp.StatusCode != 302 || resp.Header.Get("Location") != "https://sorry.example/?e="+v.ID {
		t.Errorf("redirect: %d %v", resp.StatusCode, resp.Header)
	}
	g.snapshot.ErrorPages = map[string]model.Page{"api": {Content: "{}", Status: "422"}}
	g.snapshot.ErrorPagePolicies = map[string][]model.ErrorPageRule{"by path": {
		{Priority: 2, Name: "off", Page: "api"},
		{Priority: 1, Name: "api", Page: "api", Enabled: true, Criteria: []json.RawMessage{[]byte(`{"type":"httpRequestUrl","match":"prefix","values":["/api/"]}`)}},
	}}
	s.ErrorPagePolicies = []string{"by path"}
	g.apply()
	if status, body := g.get("/api/?attack"); status != 422 || body != "{}" {
		t.Errorf("policy: %d %q", status, body)
	}
	if status, _ := g.get("/x?attack"); status != 302 {
		t.Errorf("no rule fits: %d", status)
	}
}

func TestClientAddress(t *testing.T) {
	server := origin(t, echo)
	g := newGate(t, server.Addr, withEngine(blockAttack))
	g.snapshot.IPGroups = map[string][]model.IPEntry{
		"proxies": {{Type: "network", NetworkAddress: "127.0.0.0", CIDRMask: 8}, {Type: "single", IPAddressFrom: "10.0.0.9"}},
		"others":  {{Type: "single", IPAddressFrom: "10.9.9.9"}},
	}
	s := g.service()
	s.UseForwardingHeader, s.ForwardClientIP, s.ForwardHeaderName = true, true, "X-Real-IP"
	for _, c := range []struct {
		group, header, sent, client string
	}{
		{"proxies", "X-Forwarded-For", "1.2.3.4", "1.2.3.4"},
		{"proxies", "X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.0.0.9", "1.2.3.4"},
		{"proxies", "X-Forwarded-For", "6.6.6.6, junk, 10.0.0.9", "10.0.0.9"},
		{"proxies", "Forwarded", `for=6.6.6.6, for="[2001:db8::1]:4711";proto=https`, "2001:db8::1"},
		{"proxies", "X-Forwarded-For", "::ffff:1.2.3.4", "1.2.3.4"},
		{"", "X-Forwarded-For", "6.6.6.6, 1.2.3.4", "1.2.3.4"},
		{"", "X-Forwarded-For", "6.6.6.6, 10.0.0.9", "10.0.0.9"},
		{"others", "X-Forwarded-For", "6.6.6.6", "127.0.0.1"},
	} {
		s.ForwardedConnections = []model.ForwardedConnection{{Header: c.header, IPGroup: c.group}}
		g.apply()
		g.get("/?attack", c.header, c.sent)
		if v := g.event(); v.SourceIP != c.client {
			t.Errorf("%s: %s from %q: %s; want %s", c.header, c.sent, c.group, v.SourceIP, c.client)
		}
		if _, body := g.get("/", c.header, c.sent, "X-Real-Ip", "6.6.6.6", "X_Real_Ip", "6.6.6.6"); !strings.Contains(body, "real="+c.client+"\n") {
			t.Errorf("%s: %s from %q: the server is told %q", c.header, c.sent, c.group, body)
		}
	}
	// Nobody is trusted: what says otherwise does not arrive.
	if _, body := g.get("/", "X-Forwarded-For", "6.6.6.6"); !strings.Contains(body, "xff= ") {
		t.Errorf("the server is told %q", body)
	}
}

// What says who a client is, how it came in or which URL it wants reaches the server from
// proxies that are trusted alone, and a proxy for CGI from nobody.
func TestClaimsAreDropped(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			fmt.Fprintln(w, name, values)
		}
	})
	g := newGate(t, server)
	names := []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "Forwarded", "X-Real-IP", "Client-IP", "True-Client-IP",
		"CF-Connecting-IP", "Fastly-Client-IP", "X-Originating-IP", "X-Remote-Addr", "X-Original-URL", "X-Rewrite-URL", "X-Original-Host", "Proxy"}
	ask := func(underscores bool) string {
		t.Helper()
		header := []string{"X-Shop", "spoof is no word of ours", "X_Shop", "6.6.6.6"}
		for _, name := range names {
			if underscores {
				name = strings.ReplaceAll(name, "-", "_")
			}
			header = append(header, name, "spoof")
		}
		status, body := g.get("/", header...)
		if status != 200 || !strings.Contains(body, "X-Shop [spoof is") || !strings.Contains(body, "6.6.6.6") {
			t.Errorf("%d %q", status, body)
		}
		return body
	}
	for _, underscores := range []bool{false, true} {
		if body := ask(underscores); strings.Contains(body, "[spoof]") {
			t.Errorf("underscores %v: the server is told\n%s", underscores, body)
		}
	}
	g.service().UseForwardingHeader, g.service().ForwardedConnections = true, []model.ForwardedConnection{{Header: "X-Forwarded-For"}}
	g.apply()
	if body := ask(false); strings.Count(body, "[spoof]") != len(names)-1 || strings.Contains(body, "Proxy [") {
		t.Errorf("from a trusted proxy:\n%s", body)
	}
}

func TestFirewallComesBeforeAnythingIsRead(t *testing.T) {
	server := origin(t, echo)
	g := newGate(t, server.Addr)
	g.snapshot.IPGroups = map[string][]model.IPEntry{"bad": {{Type: "range", IPAddressFrom: "127.0.0.1", IPAddressTo: "127.0.0.5"}}}
	policy := func(action, operation string) {
		g.snapshot.Policies = []model.SnapshotPolicy{{Kind: model.FirewallPolicy, Name: "fw", ApplyTo: []model.ApplyTo{{Site: "Site"}},
			Document: fmt.Appendf(nil, `{"enabled":true,"severity":"high","action":%q,"inboundOperation":%q,"rules":[{"direction":"inbound","protocol":"TCP","ipGroup":"bad"}]}`, action, operation)}}
		g.apply()
	}
	refused := func() bool {
		c, err := net.Dial("tcp", g.addr(8080))
		if err != nil {
			return true
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		// Nothing was sent that could have been read.
		_, err = c.Read(make([]byte, 1))
		netErr, ok := err.(net.Error)
		return !ok || !netErr.Timeout()
	}
	policy("block", "deny")
	if !refused() {
		t.Error("deny: the connection was taken")
	}
	if v := g.event(); v.Type != "Firewall" || v.Policy != "fw" || v.Action != "block" || v.SourceIP != "127.0.0.1" {
		t.Errorf("%+v", v)
	}
	policy("block", "allow")
	if status, _ := g.get("/"); status != 200 {
		t.Errorf("allow: %d", status)
	}
	policy("none", "deny")
	if status, _ := g.get("/x", "Connection", "close"); status != 200 {
		t.Errorf("action none: %d", status)
	}
	g.service().Mode = model.ModeSimulation
	policy("block", "deny")
	if status, _ := g.get("/", "Connection", "close"); status != 200 {
		t.Errorf("simulation: %d", status)
	}
}

func TestFollowedActionsKeepOut(t *testing.T) {
	server := origin(t, echo)
	g := newGate(t, server.Addr, withEngine(blockAttack))
	g.snapshot.ActionSets = map[string]model.ActionSetSettings{
		"block ip":      {Actions: []model.Action{{Name: "b", Type: model.ActionIPBlock, Seconds: 3600}}},
		"block session": {Actions: []model.Action{{Name: "b", Type: model.ActionSessionBlock, Seconds: 3600}}},
	}
	g.snapshot.Policies = []model.SnapshotPolicy{{Kind: model.AppSignaturesPolicy, Name: "test policy", ApplyTo: []model.ApplyTo{{Site: "Site"}},
		Document: []byte(`{"rules":[{"followedAction":"block ip"},{"followedAction":"block session"}]}`)}}
	g.service().UseForwardingHeader = true
	g.service().ForwardedConnections = []model.ForwardedConnection{{Header: "X-Forwarded-For"}}
	g.apply()
	ask := func(path, ip, cookie string) int {
		status, _ := g.get(path, "X-Forwarded-For", ip, "Cookie", cookie)
		return status
	}
	ask("/?attack&follow=block+ip", "1.1.1.1", "")
	if a, b := ask("/", "1.1.1.1", ""), ask("/", "1.1.1.2", ""); a != 403 || b != 200 {
		t.Errorf("after an address was blocked: %d, and another one %d", a, b)
	}
	ask("/?attack&follow=block+session", "1.1.1.3", "a=b; JSESSIONID=x")
	if a, b, c := ask("/", "1.1.1.4", "JSESSIONID=x"), ask("/", "1.1.1.3", "JSESSIONID=y"), ask("/", "1.1.1.3", ""); a != 403 || b != 200 || c != 200 {
		t.Errorf("after a session was blocked: %d, another one %d, none %d", a, b, c)
	}
	g.service().Mode = model.ModeSimulation
	g.apply()
	ask("/?attack&follow=block+ip", "1.1.1.5", "")
	if status := ask("/", "1.1.1.5", ""); status != 200 {
		t.Errorf("simulation: %d", status)
	}
}

// Whoever is kept out is told so, an event says it, and the configuration can lift it.
func TestBlocksAreToldAndLifted(t *testing.T) {
	g := newGate(t, origin(t, echo).Addr, withEngine(blockAttack))
	g.snapshot.ActionSets = map[string]model.ActionSetSettings{"set": {Actions: []model.Action{{Name: "b", Type: model.ActionIPBlock, Seconds: 3600}}}}
	policy := func(followed string) []model.SnapshotPolicy {
		return []model.SnapshotPolicy{{Kind: model.AppCustomPolicy, Name: "test policy", ApplyTo: []model.ApplyTo{{Site: "Site"}}, Document: fmt.Appendf(nil, `{"followedAction":%q}`, followed)}}
	}
	for name, lift := range map[string]func(){
		"the policy goes":                       func() { g.snapshot.Policies = nil },
		"another action set follows the policy": func() { g.snapshot.Policies = policy("other") },
		"the action set blocks no more": func() {
			g.snapshot.ActionSets = map[string]model.ActionSetSettings{"set": {}}
		},
	} {
		before := g.snapshot.ActionSets
		g.snapshot.Policies = policy("set")
		g.apply()
		g.get("/?attack&follow=set")
		if v := g.event(); v.Type != "test rule" {
			t.Fatalf("%+v", v)
		}
		status, body := g.get("/", "Connection", "close")
		v := g.event()
		if status != 403 || v.Type != "Blocked Client" || v.Policy != "test policy" || v.SourceIP != "127.0.0.1" || v.Action != "block" || !strings.Contains(body, "Event "+v.ID) {
			t.Errorf("%s: %d %q, event %+v", name, status, body, v)
		}
		g.apply() // nothing changes
		if status, again := g.get("/"); status != 403 || again != body {
			t.Errorf("%s: once more: %d %q", name, status, again)
		}
		lift()
		g.apply()
		if status, _ := g.get("/"); status != 200 {
			t.Errorf("%s: %d", name, status)
		}
		if len(g.events) > 0 {
			t.Errorf("%s: a further event: %+v", name, <-g.events)
		}
		g.snapshot.ActionSets = before
	}
}

// An administrator sees who is kept out, and lets him in by whatever he knows of him.
func TestBlocksAreSeenAndLifted(t *testing.T) {
	g := newGate(t, origin(t, echo).Addr, withEngine(blockAttack))
	sets, rules := map[string]model.ActionSetSettings{}, []string{}
	for _, kind := range []string{model.ActionIPBlock, model.ActionSessionBlock, model.ActionUserBlock} {
		seconds := 3600
		if kind == model.ActionUserBlock {
			seconds = 0 // as releases sent it that did not carry it out
		}
		sets[kind] = model.ActionSetSettings{Actions: []model.Action{{Name: "b", Type: kind, Seconds: seconds}}}
		rules = append(rules, fmt.Sprintf(`{"followedAction":%q}`, kind))
	}
	g.snapshot.ActionSets = sets
	g.snapshot.Policies = []model.SnapshotPolicy{{Kind: model.AppSignaturesPolicy, Name: "test policy", ApplyTo: []model.ApplyTo{{Site: "Site"}},
		Document: []byte(`{"rules":[` + strings.Join(rules, ",") + `]}`)}}
	g.service().UseForwardingHeader, g.service().ForwardedConnections = true, []model.ForwardedConnection{{Header: "X-Forwarded-For"}}
	g.apply()
	if got := g.Blocks(); got.Total != 0 || got.Blocks == nil {
		t.Errorf("at first: %+v", got)
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("eve:password"))
	const digest = `Digest realm="a, username=", username="mallory", uri="/"`
	sum := sha256.Sum256([]byte("JSESSIONID=secret"))
	session := hex.EncodeToString(sum[:8])
	for name, c := range map[string]struct {
		kind, who string
		first     []string // how the client comes,
		again     []string // and how he is kept out
		by        []string // what he is let in by, beside who and the event
	}{
		"an address":            {model.ActionIPBlock, "192.0.2.1", []string{"X-Forwarded-For", "192.0.2.1"}, []string{"X-Forwarded-For", "192.0.2.1", "Cookie", "a=b"}, []string{"::ffff:192.0.2.1"}},
		"a network of IPv6":     {model.ActionIPBlock, "2001:db8:1:2::/64", []string{"X-Forwarded-For", "2001:db8:1:2::3"}, []string{"X-Forwarded-For", "2001:db8:1:2:3:4:5:6"}, []string{"2001:db8:1:2::99"}},
		"a session":             {model.ActionSessionBlock, session, []string{"Cookie", "JSESSIONID=secret"}, []string{"Cookie", "jsessionid=secret", "X-Forwarded-For", "192.0.2.8"}, nil},
		"a user by Basic":       {model.ActionUserBlock, "eve", []string{"Authorization", basic}, []string{"Authorization", basic, "Cookie", "JSESSIONID=x"}, nil},
		"a user by Digest":      {model.ActionUserBlock, "mallory", []string{"Authorization", digest}, []string{"Authorization", digest, "Cookie", "a=b"}, nil},
		"a user without a name": {model.ActionUserBlock, session, []string{"Cookie", "JSESSIONID=secret"}, []string{"Cookie", "JSESSIONID=secret", "X-Forwarded-For", "192.0.2.8"}, nil},
	} {
		if status, _ := g.get("/", c.again...); status != 200 {
			t.Fatalf("%s: %d before", name, status)
		}
		ways := append([]string{c.who, "event", "all"}, c.by...)
		for _, way := range ways {
			g.get("/?attack&follow="+c.kind, c.first...)
			if v := g.event(); v.Type != "test rule" {
				t.Fatalf("%s: %+v", name, v)
			}
			if got := g.Blocks(); got.Total != 1 || got.Blocks[0].Who != c.who || got.Blocks[0].Type != c.kind || got.Blocks[0].Event != "" ||
				got.Blocks[0].ServerGroup != "Servers" || got.Blocks[0].Policy != "test policy" || got.Blocks[0].ActionSet != c.kind || time.Until(got.Blocks[0].Until) < time.Minute {
				t.Errorf("%s: %+v", name, got)
			}
			if status, _ := g.get("/", c.again...); status != 403 {
				t.Errorf("%s: %d", name, status)
			}
			event := g.event().ID
			if got := g.Blocks(); got.Total != 1 || got.Blocks[0].Event != event {
				t.Errorf("%s: %+v", name, got)
			}
			for _, other := range []string{"192.0.2.77", "JSESSIONID=secret", "secret"} {
				if done := g.Unblock(model.Unblock{Who: other}); done.Lifted != 0 {
					t.Errorf("%s: %s lifts %+v", name, other, done)
				}
			}
			u := model.Unblock{Who: way}
			switch way {
			case "event":
				u.Who = event
			case "all":
				u = model.Unblock{All: true}
			}
			if done := g.Unblock(u); done.Lifted != 1 || g.Blocks().Total != 0 {
				t.Errorf("%s, by %s: %+v", name, way, done)
			}
			if status, _ := g.get("/", c.again...); status != 200 {
				t.Errorf("%s, by %s: %d afterwards", name, way, status)
			}
		}
	}
}

// The hole: whoever knew a user's name could lock him out by one attack in his name. What
// must hold: a name that nobody has checked counts for the network that it came from.
func TestNobodyIsLockedOutByHisNameAlone(t *testing.T) {
	g := newGate(t, origin(t, echo).Addr, withEngine(blockAttack))
	g.snapshot.ActionSets = map[string]model.ActionSetSettings{"set": {Actions: []model.Action{{Name: "b", Type: model.ActionUserBlock, Seconds: 3600}}}}
	g.snapshot.Policies = []model.SnapshotPolicy{{Kind: model.AppSignaturesPolicy, Name: "test policy", ApplyTo: []model.ApplyTo{{Site: "Site"}},
		Document: []byte(`{"rules":[{"followedAction":"set"}]}`)}}
	g.service().UseForwardingHeader, g.service().ForwardedConnections = true, []model.ForwardedConnection{{Header: "X-Forwarded-For"}}
	g.apply()
	const wrong, right, adam = "Basic ZXZlOndyb25n", "Basic ZXZlOnJpZ2h0", "Basic YWRhbTpyaWdodA=="
	attackers := []string{"2001:db8:1:2::3", "192.0.2.1"}
	for _, from := range attackers {
		g.get("/?attack&follow=set", "Authorization", wrong, "X-Forwarded-For", from)
	}
	for _, c := range []struct {
		user, from string
		status     int
	}{
		{right, "2001:db8:1:2::4", 403}, {right, "192.0.2.1", 403},
		{right, "2001:db8:1:3::3", 200}, {right, "192.0.2.2", 200}, {adam, "192.0.2.1", 200},
	} {
		if status, _ := g.get("/", "Authorization", c.user, "X-Forwarded-For", c.from); status != c.status {
			t.Errorf("%s from %s: %d", c.user, c.from, status)
		}
	}
	if done := g.Unblock(model.Unblock{Who: "eve"}); done.Lifted != len(attackers) {
		t.Errorf("by his name: %+v", done)
	}
}

// The action set of a firewall policy that only tells is carried out, too.
func TestFirewallPoliciesAreFollowed(t *testing.T) {
	g := newGate(t, origin(t, echo).Addr)
	g.snapshot.IPGroups = map[string][]model.IPEntry{"bad": {{Type: "single", IPAddressFrom: "127.0.0.1"}}}
	g.snapshot.ActionSets = map[string]model.ActionSetSettings{"set": {Actions: []model.Action{{Name: "b", Type: model.ActionIPBlock, Seconds: 3600}}}}
	g.snapshot.Policies = []model.SnapshotPolicy{{Kind: model.FirewallPolicy, Name: "fw", ApplyTo: []model.ApplyTo{{Site: "Site"}},
		Document: []byte(`{"enabled":true,"severity":"high","action":"none","followedAction":"set","inboundOperation":"deny","rules":[{"ipGroup":"bad"}]}`)}}
	g.apply()
	if status, _ := g.get("/", "Connection", "close"); status != 403 {
		t.Errorf("%d", status)
	}
	if got := g.Blocks(); got.Total != 1 || got.Blocks[0].Policy != "fw" {
		t.Errorf("%+v", got)
	}
}

func TestRewrites(t *testing.T) {
	server := origin(t, `location /moved { return 302 http://inner.example/new/place?x=1; }`, echo)
	g := newGate(t, server.Addr)
	g.snapshot.URLRewriteGroups = map[string][]model.RewriteRule{"group": {
		{Priority: 3, Name: "later", Enabled: true, PathToFind: "^/old/b$", PathToReplace: "/never"},
		{Priority: 1, Name: "path", Enabled: true, PathToFind: "^/old/(.*)$", PathToReplace: "/new/$1", HostToReplace: "inner.example"},
		{Priority: 2, Name: "away", Enabled: true, PathToFind: "^/away$", PathToReplace: "/gone", HostToReplace: "www.example", Redirect: "301"},
		{Priority: 4, Name: "answer", Enabled: true, ApplyTo: "response", HostToFind: "^inner[.]example$", HostToReplace: "www.example", PathToFind: "^/new/", PathToReplace: "/old/"},
		{Priority: 5, Name: "split", Enabled: true, PathToFind: "^/split/", PathToReplace: "/ HTTP/1.1\r\nX: y"},
	}}
	g.service().URLRewriteGroups = []string{"group"}
	g.apply()
	if _, body := g.get("/old/b?c=%20d"); !strings.HasPrefix(body, "GET /new/b?c=%20d inner.example ") {
		t.Errorf("rewritten: %q", body)
	}
	if _, body := g.get("/split/x"); !strings.HasPrefix(body, "GET /split/x ") {
		t.Errorf("a rule that would split the request: %q", body)
	}
	for path, want := range map[string]string{"/away?q": "http://www.example/gone?q", "/moved": "http://www.example/old/place?x=1"} {
		r, _ := http.NewRequest("GET", g.url(path), nil)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("%s leads to %q; want %q", path, got, want)
		}
	}
}

func TestTLSByName(t *testing.T) {
	server := origin(t, echo)
	g := newGate(t, server.Addr, func(g *gate, _ *proxy.Options) {
		for _, name := range []string{"one.example", "*.two.example"} {
			certificate, key := selfSigned(t, name)
			g.service().Keys = append(g.service().Keys, model.SnapshotKey{Name: name, Certificate: certificate, PrivateKey: key})
		}
		g.snapshot.SSLSettings = map[string]model.TLSSettings{"only 1.3": {Versions: []string{"TLSv1.3"}}}
		g.service().Inbound[0].Certificate, g.service().Inbound[0].SSLSettings = "one.example", "only 1.3"
	})
	dial := func(name string, protocols ...string) *tls.Conn {
		t.Helper()
		c, err := tls.Dial("tcp", g.addr(8080), &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protocols})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for name, want := range map[string]string{"one.example": "one.example", "a.two.example": "*.two.example", "other.example": "one.example", "": "one.example"} {
		if got := dial(name).ConnectionState().PeerCertificates[0].DNSNames; !slices.Equal(got, []string{want}) {
			t.Errorf("%q: %v; want %s", name, got, want)
		}
	}
	if got := dial("one.example", "h2", "http/1.1").ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("protocol %q", got)
	}
	if _, err := tls.Dial("tcp", g.addr(8080), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 was taken")
	}
	// Another certificate takes over for connections that come, none is dropped.
	old := dial("one.example")
	g.service().Inbound[0].Certificate = "*.two.example"
	g.apply()
	if got := dial("").ConnectionState().PeerCertificates[0].DNSNames; !slices.Equal(got, []string{"*.two.example"}) {
		t.Errorf("after the change: %v", got)
	}
	io.WriteString(old, "GET / HTTP/1.1\r\nHost: one.example\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(old), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("over the old connection: %v, %v", resp, err)
	}
}

func TestTLSToTheServer(t *testing.T) {
	certificate, key := selfSigned(t, "gateway.example")
	file := filepath.Join(t.TempDir(), "client.pem")
	if err := os.WriteFile(file, []byte(certificate), 0o644); err != nil {
		t.Fatal(err)
	}
	os.Chmod(filepath.Dir(file), 0o755)
	os.Chmod(filepath.Dir(filepath.Dir(file)), 0o755)
	data, _ := os.ReadFile(file)
	ca := filepath.Join(os.TempDir(), fmt.Sprintf("%s-%d-ca.pem", peers.AccountPrefix, os.Getpid()))
	os.WriteFile(ca, data, 0o644)
	defer os.Remove(ca)
	server := peers.Nginx(t, peers.NginxConfig{Account: account, TLS: true, Open: true, Server: []string{"ssl_verify_client optional;", "ssl_client_certificate " + ca + ";",
		`location / { return 200 "$ssl_protocol $ssl_client_verify"; }`}})
	g := newGate(t, server.Addr, func(g *gate, _ *proxy.Options) { g.service().Inbound[0].Outbound[0].Encrypt = true })
	rule := &g.service().Inbound[0].Outbound[0]
	if status, body := g.get("/"); status != 200 || !strings.HasSuffix(body, " NONE") {
		t.Errorf("without verification: %d %q", status, body)
	}
	rule.Validate = true
	g.apply()
	if status, _ := g.get("/"); status != 502 {
		t.Errorf("a certificate of nobody's was taken: %d", status)
	}
	authority, err := os.ReadFile(server.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	g.snapshot.Authorities = []string{string(authority)}
	g.service().Keys = []model.SnapshotKey{{Name: "client", Certificate: certificate, PrivateKey: key}}
	rule.ClientCertificate = "client"
	g.apply()
	if status, body := g.get("/"); status != 200 || !strings.HasSuffix(body, " SUCCESS") {
		t.Errorf("with both certificates: %d %q", status, body)
	}
	g.snapshot.SSLSettings = map[string]model.TLSSettings{"1.2": {Versions: []string{"TLSv1.2"}, Ciphers: []string{"ECDHE-ECDSA-AES128-GCM-SHA256"}}}
	rule.SSLSettings = "1.2"
	g.apply()
	if status, body := g.get("/"); status != 200 || body != "TLSv1.2 SUCCESS" {
		t.Errorf("TLS 1.2: %d %q", status, body)
	}
}

func TestAConfigurationIsTakenWholeOrNotAtAll(t *testing.T) {
	server := origin(t, echo)
	g := newGate(t, server.Addr)
	for name, change := range map[string]func(*model.Snapshot){
		"a mode that there is not":    func(s *model.Snapshot) { s.Services[0].Mode = "passive" },
		"an IP group that is missing": func(s *model.Snapshot) { s.Services[0].IgnoreIPGroup = "gone" },
		"a key that fits not": func(s *model.Snapshot) {
			certificate, _ := selfSigned(t, "a")
			_, key := selfSigned(t, "b")
			s.Services[0].Keys = []model.SnapshotKey{{Name: "k", Certificate: certificate, PrivateKey: key}}
		},
		"a port twice": func(s *model.Snapshot) {
			s.Services[0].Inbound = append(s.Services[0].Inbound, s.Services[0].Inbound[0])
		},
		"another format": func(s *model.Snapshot) { s.Format = 99 },
		"a sealed key": func(s *model.Snapshot) {
			s.Services[0].Keys = []model.SnapshotKey{{Name: "k", Certificate: "x", Secret: "s"}}
		},
		"a criterion that it has not": func(s *model.Snapshot) {
			s.URLRewriteGroups = map[string][]model.RewriteRule{"g": {{Name: "r", Enabled: true, Criteria: []json.RawMessage{[]byte(`{"type":"moonPhase"}`)}}}}
			s.Services[0].URLRewriteGroups = []string{"g"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := g.snapshot
			g.snapshot.Services = slices.Clone(before.Services)
			g.snapshot.Revision = 99
			change(&g.snapshot)
			err := g.tryApply()
			g.snapshot = before
			if err == nil {
				t.Fatal("it was taken")
			}
			t.Log(err)
			if status, _ := g.get("/"); status != 200 || g.Revision() != 1 {
				t.Errorf("afterwards: %d, revision %d", status, g.Revision())
			}
		})
	}
}

// withEngine has requests judged by a fake: what the engine does is package waf's to
// show, what the proxy makes of it is shown here.
func withEngine(judge func(*fakeTransaction)) func(*gate, *proxy.Options) {
	return func(_ *gate, o *proxy.Options) {
		o.Engine = func(*model.Snapshot, *model.SnapshotService) (waf.Engine, error) { return fakeEngine{judge}, nil }
	}
}

type fakeEngine struct{ judge func(*fakeTransaction) }

func (e fakeEngine) Begin(_ context.Context, r waf.Request) waf.Transaction {
	t := &fakeTransaction{Request: r}
	e.judge(t)
	return t
}

type fakeTransaction struct {
	waf.Request
	headers, endBody func() waf.Verdict
	body             func([]byte) waf.Verdict
	response         func(int, http.Header) waf.Verdict
	responseBody     func([]byte) waf.Verdict
	matches          []waf.Match
}

func call[F func() waf.Verdict](f F) waf.Verdict {
	if f == nil {
		return waf.Verdict{}
	}
	return f()
}

func (t *fakeTransaction) Headers() waf.Verdict { return call(t.headers) }
func (t *fakeTransaction) EndBody() waf.Verdict { return call(t.endBody) }
func (t *fakeTransaction) Body(p []byte) waf.Verdict {
	if t.body == nil {
		return waf.Verdict{}
	}
	return t.body(p)
}
func (t *fakeTransaction) Response(status int, h http.Header) waf.Verdict {
	if t.response == nil {
		return waf.Verdict{}
	}
	return t.response(status, h)
}
func (t *fakeTransaction) ResponseBody(p []byte) waf.Verdict {
	if t.responseBody == nil {
		return waf.Verdict{}
	}
	return t.responseBody(p)
}
func (t *fakeTransaction) Close() []waf.Match { return t.matches }

// match is a rule that blocks.
func (t *fakeTransaction) match(target, item, value string) waf.Verdict {
	m := waf.Match{Policy: "test policy", Rule: "test rule", ID: "1", Severity: "high", Message: "an attack", Target: target, Item: item, Value: value, Block: true}
	if _, follow, ok := strings.Cut(t.URI, "follow="); ok {
		m.FollowedAction = strings.ReplaceAll(follow, "+", " ")
	}
	t.matches = append(t.matches, m)
	return waf.Verdict{Block: true, Status: 403, Rule: &t.matches[0]}
}

// blockAttack blocks what has attack in its URL or body.
func blockAttack(t *fakeTransaction) {
	t.headers = func() waf.Verdict {
		if strings.Contains(t.URI, "attack") {
			return t.match("ARGS", "q", "attack")
		}
		return waf.Verdict{}
	}
	var body []byte
	t.body = func(p []byte) waf.Verdict { body = append(body, p...); return waf.Verdict{} }
	t.endBody = func() waf.Verdict {
		if bytes.Contains(body, []byte("attack")) {
			return t.match("REQUEST_BODY", "", "attack")
		}
		return waf.Verdict{}
	}
}
