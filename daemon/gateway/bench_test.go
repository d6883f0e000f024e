package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/daemon/gateway"
	"sealgate/internal/peers"
)

// benchHome makes the test binary a gateway's role in that home, which logs to its
// output and ends with its input.
const benchHome = "SEALGATE_BENCH_HOME"

func TestMain(m *testing.M) {
	if home := os.Getenv(benchHome); home != "" {
		runRole(appliance.Home(home))
		return
	}
	os.Exit(m.Run())
}

func runRole(home appliance.Home) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := gateway.Run(ctx, home, ln, func() error { return nil }, nil, slog.New(slog.NewJSONHandler(os.Stdout, nil))); err != nil {
		panic(err)
	}
}

// fifty is a group of fifty web services, each with TLS, all policies, a policy and
// an exception of its own, and a profile of 100 URLs. They share an IP group of 10,000
// addresses.
func fifty(b *testing.B, revision int64, port int, certificate pair, changed int) model.Snapshot {
	b.Helper()
	s := model.Snapshot{Format: 1, Revision: revision, Group: model.SnapshotGroup{Name: "g"}, IPGroups: map[string][]model.IPEntry{},
		Aliases: map[string]map[string]netip.Addr{"gw1": {"a": netip.MustParseAddr("127.0.0.1")}}}
	for i := range 10_000 {
		s.IPGroups["bad"] = append(s.IPGroups["bad"], model.IPEntry{Type: "single", IPAddressFrom: fmt.Sprintf("10.0.%d.%d", i>>8, i&0xff)})
	}
	var urls []string
	for i := range 100 {
		urls = append(urls, fmt.Sprintf(`{"urlFullPath":"/page/%d","allowedMethods":[{"method":"GET"}],"parameters":[{"name":"id","maxLength":20}]}`, i))
	}
	for i := range 50 {
		name := fmt.Sprint("service ", i)
		of := []model.ApplyTo{{Site: "s", ServerGroup: "g", Service: name}}
		exempt := "/editor"
		if i < changed {
			exempt = fmt.Sprint("/editor/", revision)
		}
		add := func(kind, document string) {
			s.Policies = append(s.Policies, model.SnapshotPolicy{Kind: kind, Name: kind + name, ApplyTo: of, Document: json.RawMessage(document)})
		}
		rules := func(names ...string) string {
			var list []string
			for _, n := range names {
				list = append(list, fmt.Sprintf(`{"name":%q,"enabled":true,"severity":"medium","action":"block"}`, n))
			}
			return strings.Join(list, ",")
		}
		add(model.AppSignaturesPolicy, `{"rules":[`+rules("SQL Injection", "Cross-Site Scripting", "Command Injection", "Path Traversal", "Known Scanners")+
			`],"exceptions":[{"predicates":[{"type":"httpRequestUrl","match":"prefix","values":["`+exempt+`"]}]}]}`)
		add(model.HTTPPolicy, `{"rules":[`+rules("URL Too Long", "Double URL Encoding", "Null Character in URL")+`]}`)
		add(model.CorrelationPolicy, `{"rules":[`+rules("Remote File Inclusion", "Session Fixation")+`]}`)
		add(model.ProfilePolicy, `{"rules":[`+rules("Unknown Parameter")+`]}`)
		add(model.ServiceCustomPolicy, `{"enabled":true,"severity":"high","action":"block","matchCriteria":[{"type":"sourceIpAddresses","ipGroups":["bad"]},{"type":"httpRequestUrl","match":"prefix","values":["/admin"]}]}`)
		s.Services = append(s.Services, model.SnapshotService{Site: "s", ServerGroup: "g", Name: name, Mode: model.ModeActive, HTTP2: true, DefaultApplication: "app",
			Profiles: map[string]json.RawMessage{"app": json.RawMessage(`{"webProfileUrls":[` + strings.Join(urls, ",") + `]}`)},
			Keys:     []model.SnapshotKey{{Name: "cert", Certificate: string(certificate.certificate), PrivateKey: string(certificate.private)}},
			Inbound: []model.SnapshotInbound{{Alias: "a", Ports: []int{port + i}, Certificate: "cert",
				Outbound: []model.SnapshotOutbound{{Priority: 1, Host: "127.0.0.1", Port: 80}}}}})
	}
	return s
}

// BenchmarkServices50 is how long a role with fifty web services takes to use another
// configuration, in which one of them or all have changed, and the most memory that it
// has had.
func BenchmarkServices50(b *testing.B) {
	certificate := issue(b, "shop.example", nil)
	for _, changed := range []int{1, 50} {
		b.Run(fmt.Sprint("changed=", changed), func(b *testing.B) {
			home, port := newHome(b), peers.FreePorts(b, "127.0.0.1", 50)
			deliver(b, home, fifty(b, 1, port, certificate, changed))
			role := exec.Command(os.Args[0])
			role.Env = append(os.Environ(), benchHome+"="+string(home))
			in, err := role.StdinPipe()
			if err != nil {
				b.Fatal(err)
			}
			out, err := role.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			if err := role.Start(); err != nil {
				b.Fatal(err)
			}
			defer func() {
				in.Close()
				io.Copy(io.Discard, out)
				if err := role.Wait(); err != nil {
					b.Error(err)
				}
			}()
			log := bufio.NewScanner(out)
			first := took(b, log, 1)
			var total time.Duration
			revision, before := int64(1), processor(b, role.Process.Pid)
			for b.Loop() {
				revision++
				deliver(b, home, fifty(b, revision, port, certificate, changed))
				total += took(b, log, revision)
			}
			b.ReportMetric(float64(first.Milliseconds()), "ms-first")
			b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms-swap")
			b.ReportMetric(float64((processor(b, role.Process.Pid)-before).Milliseconds())/float64(b.N), "cpu-ms-swap")
			b.ReportMetric(float64(mostMemory(b, role.Process.Pid)), "MiB-peak")
		})
	}
}

// took waits until a revision is in use, and says how long the role worked on it.
func took(b *testing.B, log *bufio.Scanner, revision int64) time.Duration {
	b.Helper()
	for log.Scan() {
		var line struct {
			Level, Msg, Took, Error string
			Revision                int64
		}
		if json.Unmarshal(log.Bytes(), &line) != nil || line.Level == "ERROR" {
			b.Fatal(log.Text())
		}
		if line.Took != "" && line.Revision == revision {
			d, err := time.ParseDuration(line.Took)
			if err != nil {
				b.Fatal(err)
			}
			return d
		}
	}
	b.Fatal("the role ended")
	return 0
}

// processor is the time that a process has used of processors.
func processor(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')'):]))
	var ticks time.Duration
	for _, field := range fields[12:14] { // in user and in system mode, after the state
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond
}

func mostMemory(b *testing.B, pid int) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return kib >> 10
}
