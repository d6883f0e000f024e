// Package joined proves the appliance as a whole: real management servers and gateways
// as processes, an origin behind them, curl in front.
package joined

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

var bin string

func TestMain(m *testing.M) {
	os.Exit(trial.Main(m, &bin))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("%s: not within two minutes", what)
}

// machine is an appliance.
type machine struct {
	*trial.Appliance
	t    testing.TB
	name string
}

func newMachine(t testing.TB, role, name string, flags ...string) *machine {
	t.Helper()
	app, err := trial.New(bin, filepath.Join(t.TempDir(), name), role, name, flags...)
	must(t, err)
	must(t, app.Start())
	m := &machine{app, t, name}
	t.Cleanup(func() {
		if err := app.Stop(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if t.Failed() {
			t.Logf("%s:\n%s", name, app.Log())
		}
	})
	return m
}

// shell runs a line in the sealed shell, with answers to what it asks.
func (m *machine) shell(line string, answers ...string) string {
	m.t.Helper()
	cmd := m.Command(line)
	cmd.Stdin = strings.NewReader(strings.Join(append(answers, ""), "\n"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %s: %v\n%s", m.name, line, err, out)
	}
	return string(out)
}

// role is the process of its role, 0 while there is none.
func (m *machine) role() int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", m.PID()))
	for _, task := range tasks {
		children, _ := os.ReadFile(task)
		for _, child := range strings.Fields(string(children)) {
			line, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if words := strings.Split(string(line), "\x00"); len(words) > 1 && words[1] == "role" {
				pid, _ := strconv.Atoi(child)
				return pid
			}
		}
	}
	return 0
}

// cut kills all of the machine's processes at once, as a power cut does.
func (m *machine) cut() {
	role := m.role()
	m.Kill()
	if role != 0 {
		syscall.Kill(role, syscall.SIGKILL)
	}
}

// management is a management server.
type management struct {
	*machine
	address string
	session string
}

func newManagement(t testing.TB, name, ip string) *management {
	t.Helper()
	address := net.JoinHostPort(ip, strconv.Itoa(peers.FreePort(t, ip)))
	m := &management{machine: newMachine(t, "mx", name, "--listen", address), address: address}
	m.login()
	return m
}

// login begins a session, which ends with the role.
func (m *management) login() {
	m.t.Helper()
	var answer struct {
		Session string `json:"session-id"`
	}
	must(m.t, json.Unmarshal([]byte(m.curl("-X", "POST", "-u", "admin:"+trial.Admin, m.url("/v1/auth/session"))), &answer))
	m.session = answer.Session
}

func (m *management) url(path string) string {
	return "https://" + m.address + "/SecureSphere/api" + path
}

func (m *management) curl(args ...string) string {
	m.t.Helper()
	cmd := exec.Command("curl", append([]string{"-skS", "--max-time", "60", "--fail-with-body"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v: %s", m.name, cmd.Args, out)
	}
	return string(out)
}

// ask asks the OpenAPI, and wants success.
func (m *management) ask(method, path, body string) string {
	m.t.Helper()
	return m.curl("-X", method, "-b", m.session, "-d", body, m.url(path))
}

// violation is what the OpenAPI tells of one.
type violation struct {
	ID      string `json:"violationId"`
	Gateway string `json:"gatewayName"`
	Path    string `json:"requestUrlPath"`
	Type    string `json:"violationType"`
	Action  string `json:"action"`
}

// violations are those of the last days, by their ids.
func (m *management) violations() map[string]violation {
	m.t.Helper()
	var answer struct{ Violations []violation }
	must(m.t, json.Unmarshal([]byte(m.ask("GET", "/v1/monitor/violations?lastFewDays=2", "")), &answer))
	list := make(map[string]violation)
	for _, v := range answer.Violations {
		if _, twice := list[v.ID]; twice {
			m.t.Errorf("violation %s is there twice", v.ID)
		}
		list[v.ID] = v
	}
	return list
}

// The site tree of every test, which protect makes.
const (
	serverGroup = "/v1/conf/serverGroups/Shop/Web"
	webService  = "/v1/conf/webServices/Shop/Web/Front"
	signatures  = "/v1/conf/policies/security/webApplicationSignaturesPolicies/Default%20Web%20Application%20Signatures%20Policy"
)

// protect has the gateways of the default group forward what comes to port to an
// origin, and inspect it for SQL injection, in simulation. The rule is the last write, so
// that the first request that is served is inspected.
func (m *management) protect(port int, origin *peers.Server) {
	m.t.Helper()
	m.ask("POST", "/v1/conf/sites/Shop", "")
	m.ask("POST", serverGroup, "")
	m.ask("POST", webService, `{"ports":[80]}`)
	m.ask("PUT", signatures, `{"applyTo":[{"operation":"add","siteName":"Shop","serverGroupName":"Web","webServiceName":"Front","webApplicationName":"Default Web Application"}]}`)
	m.ask("POST", fmt.Sprintf("%s/krpInboundRules/Default%%20Gateway%%20Group/AWS%%20Default/%d", webService, port),
		fmt.Sprintf(`{"outboundRules":{"1":{"internalIpHost":%q,"serverPort":%d}}}`, origin.Host, origin.Port))
}

func (m *management) mode(mode string) {
	m.t.Helper()
	m.ask("PUT", serverGroup, fmt.Sprintf(`{"operationMode":%q}`, mode))
}

// newOrigin is a server that says hello.
func newOrigin(t testing.TB) *peers.Server {
	t.Helper()
	return peers.Nginx(t, peers.NginxConfig{Open: true, Server: []string{`location / { return 200 "hello from the origin"; }`}})
}

// gateway is a gateway, and where it serves.
type gateway struct {
	*machine
	serves string
}

func newGateway(t testing.TB, name, ip string, port int, flags ...string) *gateway {
	t.Helper()
	flags = append([]string{"--data-address", ip, "--licensing", "on-demand"}, flags...)
	return &gateway{newMachine(t, "gateway", name, flags...), net.JoinHostPort(ip, strconv.Itoa(port))}
}

// connected waits for the management server.
func (g *gateway) connected() {
	g.t.Helper()
	eventually(g.t, g.name+" is connected", func() bool { return strings.Contains(g.shell("impctl gateway show"), "connected:         since") })
}
