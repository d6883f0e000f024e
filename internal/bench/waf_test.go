package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/daemon/gateway"
	"sealgate/internal/peers"
)

// Environment under which the test binary is a bare proxy: what to listen on, and what
// is behind. Or a gateway's role, in a home.
const (
	proxyListen = "SEALGATE_BENCH_PROXY"
	proxyOrigin = "SEALGATE_BENCH_ORIGIN"
	gatewayHome = "SEALGATE_BENCH_GATEWAY"
)

func serveProxy() error {
	origin, err := url.Parse("http://" + os.Getenv(proxyOrigin))
	if err != nil {
		return err
	}
	return http.ListenAndServe(os.Getenv(proxyListen), &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(origin) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 64}})
}

func serveGateway() error {
	management, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return gateway.Run(context.Background(), appliance.Home(os.Getenv(gatewayHome)), management, func() error { return nil }, nil,
		slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
}

// gatewayFor is the home of a gateway with a web service at addr, in active mode, to
// which the default signatures policy applies.
func gatewayFor(b *testing.B, addr, origin netip.AddrPort) string {
	b.Helper()
	home := appliance.Home(b.TempDir())
	at := []model.ApplyTo{{Site: "s", ServerGroup: "g", Service: "w"}}
	policy, dictionaries := defaultSignatures(b)
	snapshot := model.Snapshot{Format: model.SnapshotFormat, Revision: 1, Group: model.SnapshotGroup{Name: "g"},
		Aliases:      map[string]map[string]netip.Addr{"gw1": {"a": addr.Addr()}},
		Dictionaries: dictionaries,
		Policies:     []model.SnapshotPolicy{{Kind: model.AppSignaturesPolicy, Name: "p", ApplyTo: at, Document: policy}},
		Services: []model.SnapshotService{{Site: "s", ServerGroup: "g", Name: "w", Mode: model.ModeActive, Inbound: []model.SnapshotInbound{{Alias: "a", Ports: []int{int(addr.Port())},
			Outbound: []model.SnapshotOutbound{{Priority: 1, Host: origin.Addr().String(), Port: int(origin.Port())}}}}}}}
	if err := os.Mkdir(home.Spool(), 0o700); err != nil {
		b.Fatal(err)
	}
	config := appliance.NewConfig("5ea19a7e-0000-4000-8000-000000000001", appliance.Gateway, "gw1", time.Now())
	config.Listen = "127.0.0.1:0"
	for path, v := range map[string]any{home.Config(): config, home.Snapshot(): snapshot} {
		text, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return string(home)
}

// defaultSignatures are the default web application signatures policy, as a gateway is
// told it, with names for ids, and the predefined dictionaries.
func defaultSignatures(b *testing.B) (policy []byte, dictionaries map[string][]model.SignatureSettings) {
	b.Helper()
	defaults, err := model.Defaults()
	if err != nil {
		b.Fatal(err)
	}
	names := make(map[string]string)
	dictionaries = make(map[string][]model.SignatureSettings)
	for _, d := range defaults {
		switch d.Kind {
		case model.Dictionary:
			names[d.ID], dictionaries[d.Name] = d.Name, nil
		case model.Signature:
			s := model.SignatureSettings{}
			if err := json.Unmarshal(d.Document, &s); err != nil {
				b.Fatal(err)
			}
			s.Name = d.Name
			dictionaries[names[d.ParentID]] = append(dictionaries[names[d.ParentID]], s)
		case model.AppSignaturesPolicy:
			policy = d.Document
		}
	}
	for id, name := range names {
		policy = bytes.ReplaceAll(policy, []byte(id), []byte(name))
	}
	return policy, dictionaries
}

// web is what the proxies have behind them, and what proxies of nginx begin with.
const web = `daemon off; master_process off; pid %[1]s/pid; error_log stderr crit;
%[2]s
events { worker_connections 512; }
http { access_log off; keepalive_requests 1000000; client_max_body_size 0; client_body_buffer_size 2m;
client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
upstream origin { server %[4]s; keepalive 64; }
server { listen %[3]s; %[5]s } }
`

const security = `SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 1310720
SecAuditEngine Off
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
Include /etc/modsecurity/crs/crs-setup.conf
Include /usr/share/modsecurity-crs/rules/*.conf
`

const forward = `location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; %s }`

// rivalProxy is a proxy of the comparison.
type rivalProxy struct {
	name string
	addr string
	pid  int
}

// core is the processor that the proxy under measurement has for itself; the
// origin and the load have the others.
const core = "0"

func startOn(b *testing.B, addr string, cmd *exec.Cmd) int {
	b.Helper()
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 200 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return cmd.Process.Pid
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatalf("nothing listens on %s", addr)
	return 0
}

func startWeb(b *testing.B, pin, top, addr, origin, server string) int {
	dir := b.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, web, dir, top, addr, origin, server), 0o644); err != nil {
		b.Fatal(err)
	}
	return startOn(b, addr, exec.Command("taskset", "-c", pin, "nginx", "-p", dir, "-e", "stderr", "-c", config))
}

// startGo starts the test binary as what its environment says.
func startGo(b *testing.B, addr string, env ...string) int {
	cmd := exec.Command("taskset", "-c", core, os.Args[0])
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1"), env...)
	return startOn(b, addr, cmd)
}

// wafLoads are the five loads, as wrk's script sets them.
func wafLoads() map[string]string {
	post := func(kind, body string) string {
		return fmt.Sprintf("wrk.method='POST' wrk.path='/form' wrk.headers['Content-Type']='%s' wrk.body=[[%s]]", kind, body)
	}
	var query, object, form strings.Builder
	for i := range 10 {
		fmt.Fprintf(&query, "&p%d=value+number+%d", i, i*7919)
	}
	for i := 0; object.Len() < 1990; i++ {
		fmt.Fprintf(&object, `,{"id":%d,"name":"item number %d","price":%d.5,"tags":["red","large"]}`, i, i, i*3)
	}
	for i := 0; form.Len() < 20<<10; i++ {
		fmt.Fprintf(&form, "&field%d=some+text+that+people+write+%d", i, i*31)
	}
	const urlencoded = "application/x-www-form-urlencoded"
	return map[string]string{
		"1 small GET":      "wrk.path='/index.html'",
		"2 ten parameters": "wrk.path='/search?" + query.String()[1:] + "'",
		"3 2 KiB JSON":     post("application/json", `{"items":[`+object.String()[1:]+`]}`),
		"4 2 KiB form":     post(urlencoded, form.String()[1:2048]),
		"5 20 KiB form":    post(urlencoded, form.String()[1:]),
	}
}

// BenchmarkInspection compares a gateway with nginx and ModSecurity, both with the core
// rules at paranoia level 1, and with what nginx and a bare proxy of Go cost without
// inspection. The cost is processor time of the proxy, which other work on the machine
// does not change much.
func BenchmarkInspection(b *testing.B) {
	origin := net.JoinHostPort("127.0.0.1", strconv.Itoa(peers.FreePort(b, "127.0.0.1")))
	startWeb(b, "1", "", origin, origin, "location / { client_max_body_size 0; return 200 hello; }")
	rules := filepath.Join(b.TempDir(), "rules.conf")
	if err := os.WriteFile(rules, []byte(security), 0o644); err != nil {
		b.Fatal(err)
	}
	var proxies []rivalProxy
	add := func(name string, start func(addr string) int) {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(peers.FreePort(b, "127.0.0.1")))
		proxies = append(proxies, rivalProxy{name, addr, start(addr)})
	}
	add("nginx", func(addr string) int { return startWeb(b, core, "", addr, origin, fmt.Sprintf(forward, "")) })
	add("modsecurity", func(addr string) int {
		return startWeb(b, core, "load_module /usr/lib/nginx/modules/ngx_http_modsecurity_module.so;", addr, origin,
			fmt.Sprintf(forward, "modsecurity on; modsecurity_rules_file "+rules+";"))
	})
	add("bare", func(addr string) int { return startGo(b, addr, proxyListen+"="+addr, proxyOrigin+"="+origin) })
	add("sealgate", func(addr string) int {
		return startGo(b, addr, gatewayHome+"="+gatewayFor(b, netip.MustParseAddrPort(addr), netip.MustParseAddrPort(origin)))
	})
	for _, p := range proxies {
		blocks := p.name == "modsecurity" || p.name == "sealgate"
		if status := attack(b, p); (status == http.StatusForbidden) != blocks {
			b.Fatalf("%s answers an attack with %d", p.name, status)
		}
	}
	loads := wafLoads()
	for _, name := range slices.Sorted(maps.Keys(loads)) {
		script := loads[name]
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			lua := filepath.Join(b.TempDir(), "load.lua")
			script = "wrk.headers['User-Agent']='Mozilla/5.0 (X11; Linux x86_64)' wrk.headers['Accept']='*/*' wrk.headers['Host']='www.example.com' " + script
			if err := os.WriteFile(lua, []byte(script), 0o644); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				for _, p := range proxies {
					drive(b, p, lua, "2s") // what is built once is built
					before := processorTime(b, p.pid)
					requests, rate := drive(b, p, lua, "5s")
					spent := processorTime(b, p.pid) - before
					b.ReportMetric(rate, p.name+"-req/s")
					b.ReportMetric(float64(spent.Microseconds())/float64(requests), p.name+"-cpu-µs/req")
				}
			}
		})
	}
	for _, p := range proxies {
		b.Logf("%s: %d MiB at most", p.name, statusOf(p.pid, "VmHWM")>>20)
	}
}

func attack(b *testing.B, p rivalProxy) (status int) {
	b.Helper()
	resp, err := http.Get("http://" + p.addr + "/?id=1'+union+select+password+from+users--")
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// drive sends a load for a time and says how many answers came, all of them good.
func drive(b *testing.B, p rivalProxy, lua, time string) (requests int, rate float64) {
	b.Helper()
	out, err := exec.Command("taskset", "-c", "1", "wrk", "-t1", "-c4", "--timeout", "30s", "-d"+time, "-s", lua, "http://"+p.addr).CombinedOutput()
	if err != nil {
		b.Fatalf("wrk: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		switch {
		case strings.Contains(line, "requests in"):
			requests, _ = strconv.Atoi(fields[0])
		case strings.Contains(line, "Requests/sec"):
			rate, _ = strconv.ParseFloat(fields[1], 64)
		case strings.Contains(line, "Non-2xx"):
			b.Fatalf("%s refuses the load: %s", p.name, line)
		}
	}
	if requests == 0 {
		b.Fatalf("%s answers nothing:\n%s", p.name, out)
	}
	return requests, rate
}
