package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/atomicfile"
	"sealgate/appliance/healthlog"
	"sealgate/appliance/model"
	"sealgate/appliance/spool"
	"sealgate/daemon/gateway"
	"sealgate/daemon/gateway/event"
	"sealgate/internal/peers"
)

// role is a gateway's role in a home of its own.
type role struct {
	t    *testing.T
	home appliance.Home
	stop func()

	lose func() // the daemon
}

func start(t *testing.T, home appliance.Home) *role {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	ready, ended := make(chan bool, 1), make(chan error, 1)
	go func() {
		ended <- gateway.Run(ctx, home, ln, func() error { ready <- true; return nil }, nil, slog.New(slog.NewTextHandler(t.Output(), nil)))
	}()
	stop := sync.OnceFunc(func() {
		cancel(nil)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return &role{t, home, stop, func() { cancel(gateway.ErrDaemonGone) }}
}

func newHome(t testing.TB) appliance.Home {
	t.Helper()
	home := appliance.Home(t.TempDir())
	config := appliance.NewConfig("5ea19a7e-0000-4000-8000-000000000001", appliance.Gateway, "gw1", time.Now())
	config.Listen = "127.0.0.1:0"
	data, _ := json.Marshal(config)
	if err := os.WriteFile(home.Config(), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

func deliver(t testing.TB, home appliance.Home, s model.Snapshot) {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(home.Spool(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(home.Snapshot(), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(url string) (int, string) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// eventually waits for what takes a moment.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 1500 {
		if is() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s: it did not come", what)
}

func TestTheRoleFollowsItsConfiguration(t *testing.T) {
	server := peers.Nginx(t, peers.NginxConfig{Open: true, Server: []string{`location / { return 200 "hello"; }`}})
	home, port, metrics := newHome(t), peers.FreePort(t, "127.0.0.1"), peers.FreePort(t, "127.0.0.1")
	s := model.Snapshot{Format: 1, Revision: 1, Group: model.SnapshotGroup{Name: "g", Metrics: fmt.Sprint("127.0.0.1:", metrics),
		AdvancedConfiguration: `<advanced><http-health-check-monitoring><interval>5</interval><url>/health</url></http-health-check-monitoring></advanced>`},
		Aliases: map[string]map[string]netip.Addr{"gw1": {"a": netip.MustParseAddr("127.0.0.1")}},
		Services: []model.SnapshotService{{Site: "s", ServerGroup: "g", Name: "shop", Mode: model.ModeActive, Inbound: []model.SnapshotInbound{{Alias: "a", Ports: []int{port},
			Outbound: []model.SnapshotOutbound{{Priority: 1, Host: "127.0.0.1", Port: server.Port}}}}}},
	}
	deliver(t, home, s)
	r := start(t, home)
	url := fmt.Sprint("http://127.0.0.1:", port)
	if status, body := get(url); status != 200 || body != "hello" {
		t.Fatalf("%d %q", status, body)
	}
	s.Revision, s.Services[0].Mode = 2, model.ModeDisabled
	deliver(t, home, s)
	eventually(t, "the second configuration", func() bool { status, _ := get(url); return status == 503 })
	s.Revision, s.Services[0].Mode = 3, "wrong"
	deliver(t, home, s)
	revision := func() string {
		_, text := get(fmt.Sprintf("http://127.0.0.1:%d/metrics", metrics))
		return text
	}
	s.Revision, s.Services[0].Mode = 4, model.ModeActive
	deliver(t, home, s)
	eventually(t, "the fourth configuration", func() bool { return strings.Contains(revision(), "\nsealgate_configuration_revision 4\n") })
	if status, _ := get(url); status != 200 {
		t.Errorf("the fourth: %d", status)
	}
	if text := revision(); !strings.Contains(text, "\nsealgate_requests_total{class=\"2xx\"} ") || !strings.Contains(text, "\nsealgate_upstream_seconds_bucket{le=\"+Inf\"} ") {
		t.Errorf("metrics:\n%s", text)
	}
	// Health checks: one that passes through, one of the gateway's own, which comes by itself.
	get(url + "/health?from=balancer")
	eventually(t, "both health checks", func() bool {
		list, err := healthlog.Read(home.HealthLog(), 100)
		if err != nil {
			t.Fatal(err)
		}
		passed, own := false, false
		for _, e := range list {
			ok := e.Status == 200 && e.URL == "/health" && e.Server.String() == server.Addr && int(e.Gateway.Port()) == port
			passed, own = passed || ok && !e.Probe, own || ok && e.Probe
		}
		return passed && own
	})
	// An event survives the role.
	c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
	if answer, _ := io.ReadAll(c); !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("%q", answer)
	}
	r.stop()
	list, codes := spooled(t, home)
	if len(list) != 1 {
		t.Fatalf("%d violations", len(list))
	}
	if len(codes) < 3 || codes[0] != event.Started || codes[1] != event.Taken || codes[len(codes)-1] != event.Stopped {
		t.Errorf("system events %q", codes)
	}
	var record event.Record
	if err := json.Unmarshal(list[0].Body, &record); err != nil || record.Violation.Type != "Content Length Mismatch" || record.Violation.Gateway != "gw1" || record.Violation.Service != "shop" {
		t.Errorf("%s, %v", list[0].Body, err)
	}
	// It starts with what it was told last, without anybody to ask.
	start(t, home)
	if status, _ := get(url); status != 200 {
		t.Errorf("after a restart: %d", status)
	}
}

// A role ends when what is under way is answered, or when that takes too long: where its
// daemon is gone sooner, since nobody serves until it has ended.
func TestARoleWithoutADaemonEndsSooner(t *testing.T) {
	asked, answer := make(chan bool, 2), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- true
		<-answer
	}))
	defer server.Close()
	at := netip.MustParseAddrPort(server.Listener.Addr().String())
	var roles []*role
	for range 2 {
		home, port := newHome(t), peers.FreePort(t, "127.0.0.1")
		deliver(t, home, model.Snapshot{Format: 1, Revision: 1, Group: model.SnapshotGroup{Name: "g"},
			Aliases: map[string]map[string]netip.Addr{"gw1": {"a": netip.MustParseAddr("127.0.0.1")}},
			Services: []model.SnapshotService{{Site: "s", ServerGroup: "g", Name: "shop", Mode: model.ModeActive, Inbound: []model.SnapshotInbound{{Alias: "a", Ports: []int{port},
				Outbound: []model.SnapshotOutbound{{Priority: 1, Host: at.Addr().String(), Port: int(at.Port())}}}}}}})
		roles = append(roles, start(t, home))
		go get(fmt.Sprint("http://127.0.0.1:", port))
		<-asked
	}
	lost, stopped := make(chan bool), make(chan bool)
	roles[0].lose()
	go func() { roles[0].stop(); close(lost) }()
	go func() { roles[1].stop(); close(stopped) }()
	select {
	case <-lost:
	case <-stopped:
		t.Error("a role whose daemon is gone keeps its successor waiting for as long as one that is stopped in order")
	}
	close(answer)
	<-lost
	<-stopped
}

func TestARoleThatWasToldNothingWaits(t *testing.T) {
	home := newHome(t)
	start(t, home)
	deliver(t, home, model.Snapshot{Format: 99})
}

// What policies say is carried out, told with what they mask, and kept from the next
// configuration on.
func TestPoliciesBlock(t *testing.T) {
	server := peers.Nginx(t, peers.NginxConfig{Open: true, Server: []string{`location / { return 200 "hello"; }`}})
	home, port := newHome(t), peers.FreePort(t, "127.0.0.1")
	signatures := json.RawMessage(`{"displayResponsePage":false,"exceptions":[],"rules":[
		{"name":"SQL Injection","enabled":true,"severity":"medium","action":"block","followedAction":null},
		{"name":"Cross-Site Scripting","enabled":true,"severity":"medium","action":"block","followedAction":null}]}`)
	s := model.Snapshot{Format: 1, Revision: 1, Group: model.SnapshotGroup{Name: "g", FailMode: "open"},
		Aliases: map[string]map[string]netip.Addr{"gw1": {"a": netip.MustParseAddr("127.0.0.1")}},
		Policies: []model.SnapshotPolicy{{Kind: model.AppSignaturesPolicy, Name: "signatures", Document: signatures, ApplyTo: []model.ApplyTo{{Site: "s"}}},
			{Kind: model.ServiceCustomPolicy, Name: "admin", ApplyTo: []model.ApplyTo{{Site: "s", ServerGroup: "g", Service: "shop"}},
				Document: json.RawMessage(`{"enabled":true,"severity":"low","action":"block","followedAction":null,"matchCriteria":[{"type":"httpRequestUrl","match":"prefix","operation":"atLeastOne","values":["/admin/"]}]}`)}},
		DataMaskingGroups: map[string][]model.DataMask{"m": {{Name: "passwords", Match: "^password$", InParameters: true, Enabled: true}}},
		Services: []model.SnapshotService{{Site: "s", ServerGroup: "g", Name: "shop", Mode: model.ModeActive, DataMaskingGroup: "m", UseDefaultErrorPage: true,
			Inbound: []model.SnapshotInbound{{Alias: "a", Ports: []int{port}, Outbound: []model.SnapshotOutbound{{Priority: 1, Host: "127.0.0.1", Port: server.Port}}}}}},
	}
	deliver(t, home, s)
	r := start(t, home)
	url := fmt.Sprint("http://127.0.0.1:", port)
	if status, body := get(url + "/?q=harmless"); status != 200 || body != "hello" {
		t.Errorf("harmless: %d %q", status, body)
	}
	status, page := get(url + "/?password=secret&q=1%27+union+select+name+from+users--")
	if status != 403 || !strings.Contains(page, "Event ") {
		t.Errorf("in the URL: %d %q", status, page)
	}
	if status, _ := get(url + "/admin/x"); status != 403 {
		t.Errorf("a custom policy: %d", status)
	}
	resp, err := http.PostForm(url, map[string][]string{"q": {"<script>alert(1)</script>"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("in a form: %d", resp.StatusCode)
	}
	conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "no request\r\n\r\n")
	io.Copy(io.Discard, conn)
	conn.Close()
	r.stop()
	requests, err := os.ReadFile(filepath.Join(home.Spool(), "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`"GET /?... HTTP/1.1" 200 5 `, `"GET /?... HTTP/1.1" 403 `, `"GET /admin/x HTTP/1.1" 403 `, `"POST / HTTP/1.1" 403 `, `"-" 400 - `} {
		if !strings.Contains(string(requests), line) {
			t.Errorf("%s is not in the access log:\n%s", line, requests)
		}
	}
	if strings.Contains(string(requests), "secret") {
		t.Errorf("the access log tells what is masked:\n%s", requests)
	}
	list, _ := spooled(t, home)
	if len(list) < 3 {
		t.Fatalf("%d violations", len(list))
	}
	policies := map[string]bool{}
	for _, record := range list {
		var e event.Record
		if err := json.Unmarshal(record.Body, &e); err != nil {
			t.Fatal(err)
		}
		policies[e.Violation.Policy+" "+e.Violation.Type+" "+e.Violation.Severity] = true
		if strings.Contains(string(record.Body), "secret") {
			t.Errorf("it tells what is masked: %s", record.Body)
		}
		if e.Violation.Policy == "HTTP Protocol" { // of what was no request
			continue
		}
		if e.Violation.Action != "block" || e.Violation.Service != "shop" || e.Violation.DestPort != port || e.Violation.SourceIP != "127.0.0.1" {
			t.Errorf("%s", record.Body)
		}
	}
	for _, want := range []string{"signatures SQL Injection medium", "signatures Cross-Site Scripting medium", "admin admin low"} {
		if !policies[want] {
			t.Errorf("nothing tells of %q: %v", want, policies)
		}
	}
	if !strings.Contains(page, "Event "+first(t, list[0])) {
		t.Errorf("the page %q does not name the event", page)
	}
}

// spooled are the violations, and the codes of system events, that a role left.
func spooled(t *testing.T, home appliance.Home) (violations []spool.Record, codes []string) {
	t.Helper()
	kept, err := spool.Open(filepath.Join(home.Spool(), "events"), spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	list, err := kept.Read(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		var e event.Record
		if err := json.Unmarshal(r.Body, &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == event.System {
			codes = append(codes, e.System.Code)
		} else {
			violations = append(violations, r)
		}
	}
	return violations, codes
}

func first(t *testing.T, r spool.Record) string {
	t.Helper()
	var e event.Record
	if err := json.Unmarshal(r.Body, &e); err != nil {
		t.Fatal(err)
	}
	return e.Violation.ID
}
