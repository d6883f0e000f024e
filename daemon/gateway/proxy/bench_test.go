package proxy_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/daemon/access"
	"sealgate/daemon/gateway/proxy"
	"sealgate/internal/peers"
)

// benchEnv makes the test binary one of the proxies that are measured: its kind, and
// the server behind it.
const benchEnv = "SEALGATE_BENCH_PROXY"

// runBenchProxy is such a process. It says where it listens, and ends with its input.
func runBenchProxy(kind, server string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	switch kind {
	case "reverse-proxy":
		target, _ := url.Parse("http://" + server)
		p := httputil.NewSingleHostReverseProxy(target)
		p.Transport = &http.Transport{MaxIdleConnsPerHost: 512}
		p.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		go http.Serve(ln, p)
	case "sealgate":
		host, port, _ := net.SplitHostPort(server)
		n, _ := strconv.Atoi(port)
		home, err := os.MkdirTemp("", peers.AccountPrefix+"-*")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(home)
		requests := access.Open(appliance.Home(home), slog.Default())
		defer requests.Close()
		p := proxy.New(proxy.Options{Gateway: "gw", Log: slog.New(slog.DiscardHandler), Access: requests, Listen: func(netip.AddrPort) (net.Listener, error) { return ln, nil }})
		err = p.Apply(&model.Snapshot{Format: 1, Aliases: map[string]map[string]netip.Addr{"gw": {"a": netip.MustParseAddr("127.0.0.1")}},
			Services: []model.SnapshotService{{Site: "s", ServerGroup: "g", Name: "w", Mode: model.ModeActive, Inbound: []model.SnapshotInbound{{Alias: "a", Ports: []int{80},
				Outbound: []model.SnapshotOutbound{{Host: host, Port: n}}}}}}})
		if err != nil {
			panic(err)
		}
	}
	fmt.Println(ln.Addr())
	io.Copy(io.Discard, os.Stdin)
}

// measured is a proxy on the first core.
type measured struct {
	addr string
	pid  int
}

func startMeasured(b *testing.B, kind, server string) measured {
	b.Helper()
	if kind == "nginx" {
		n := peers.Nginx(b, peers.NginxConfig{Account: account, Open: true,
			HTTP:   []string{"upstream behind { server " + server + "; keepalive 512; keepalive_requests 1000000; }"},
			Server: []string{"keepalive_requests 1000000;", "location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ''; }"}})
		pid := n.PID()
		if out, err := exec.Command("taskset", "-p", "1", strconv.Itoa(pid)).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return measured{n.Addr, pid}
	}
	cmd := exec.Command("taskset", "-c", "0", os.Args[0])
	cmd.Env = append(os.Environ(), benchEnv+"="+kind+" "+server, "GOMAXPROCS=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	m := measured{pid: cmd.Process.Pid}
	if _, err := fmt.Fscanln(out, &m.addr); err != nil {
		b.Fatal(err)
	}
	return m
}

// cpu is the time that a process has used.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

var wrkRequests = regexp.MustCompile(`(\d+) requests in`)
var wrkRate = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)

// BenchmarkForward measures requests a second, and CPU time a request, of proxies on
// one core that inspect nothing: nginx, a bare httputil.ReverseProxy and ours, in turns
// against the same nginx. wrk and the server have the other core.
func BenchmarkForward(b *testing.B) {
	server := peers.Nginx(b, peers.NginxConfig{Account: account, Open: true, Server: []string{"keepalive_requests 1000000;", `location / { return 200 "0123456789"; }`,
		"location /k { alias " + bigFile(b) + "; }"}})
	scripts := map[string]string{"small GET": "", "2 KiB POST": "wrk.method='POST' wrk.body=string.rep('x',2048)", "64 KiB answer": "wrk.path='/k'"}
	for _, load := range []string{"small GET", "2 KiB POST", "64 KiB answer"} {
		script := filepath.Join(b.TempDir(), "load.lua")
		os.WriteFile(script, []byte(scripts[load]), 0o600)
		for _, kind := range []string{"nginx", "reverse-proxy", "sealgate"} {
			b.Run(load+"/"+kind, func(b *testing.B) {
				m := startMeasured(b, kind, server.Addr)
				run := func(length string) (requests int, rate float64) {
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					defer cancel()
					out, err := exec.CommandContext(ctx, "taskset", "-c", "1", "wrk", "-t1", "-c32", "-d"+length, "-s", script, "http://"+m.addr+"/").CombinedOutput()
					if err != nil || strings.Contains(string(out), "Non-2xx") || strings.Contains(string(out), "Socket errors") {
						b.Fatalf("%v\n%s", err, out)
					}
					requests, _ = strconv.Atoi(string(wrkRequests.FindSubmatch(out)[1]))
					rate, _ = strconv.ParseFloat(string(wrkRate.FindSubmatch(out)[1]), 64)
					return requests, rate
				}
				run("1s") // warm
				before := cpu(b, m.pid)
				n, rate := run("5s")
				b.ReportMetric(rate, "requests/s")
				b.ReportMetric(float64(cpu(b, m.pid)-before)/float64(n)/1000, "µs-CPU/request")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func bigFile(b *testing.B) string {
	b.Helper()
	file, err := os.CreateTemp("", peers.AccountPrefix+"-*")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.Remove(file.Name()) })
	defer file.Close()
	file.Write(make([]byte, 64<<10))
	file.Chmod(0o644)
	return file.Name()
}
