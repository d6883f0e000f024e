package joined

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

const injection = "?q=1%27+union+select+password+from+users--"

var eventID = regexp.MustCompile(`Event ([^<]+)<`)

// attack has curl attack at a path of a gateway. Without a connection the status is 0.
func (g *gateway) attack(path string) (status int, body string) {
	out, _ := exec.Command("curl", "-s", "--max-time", "10", "-w", "\n%{http_code}", "http://"+g.serves+path+injection).Output()
	at := strings.LastIndexByte(string(out), '\n')
	fmt.Sscan(string(out[at+1:]), &status)
	return status, string(out[:max(at, 0)])
}

// forwards wants an attack to reach the origin.
func (g *gateway) forwards(path string) {
	g.t.Helper()
	if status, body := g.attack(path); status != 200 || body != "hello from the origin" {
		g.t.Fatalf("%s: %s: %d %s", g.name, path, status, body)
	}
}

// blocks wants an attack to be blocked, and returns its event.
func (g *gateway) blocks(path string) string {
	g.t.Helper()
	status, body := g.attack(path)
	event := eventID.FindStringSubmatch(body)
	if status != 403 || event == nil {
		g.t.Fatalf("%s: %s: %d %s", g.name, path, status, body)
	}
	return event[1]
}

// comes waits until the management server tells of an attack at a path of a gateway: of
// the first violation of its event, whose id is the event's.
func (m *management) comes(g *gateway, path, action string) violation {
	m.t.Helper()
	var found violation
	eventually(m.t, "the violation at "+path+" of "+g.name, func() bool {
		for _, v := range m.violations() {
			if v.Gateway == g.name && v.Path == path && !strings.Contains(v.ID, "-") {
				found = v
				return true
			}
		}
		return false
	})
	if found.Action != action || found.Type == "" {
		m.t.Errorf("%s: %s: %+v, want action %q", g.name, path, found, action)
	}
	return found
}

// tells waits until a management server shows system events of the gateway.
func (g *gateway) tells(m *management, codes ...string) {
	g.t.Helper()
	for _, code := range codes {
		eventually(g.t, code+" of "+g.name, func() bool { return strings.Contains(m.shell("show events --source "+g.name), " "+code+" ") })
	}
}

// reach changes the operation mode, waits until every gateway answers an attack with
// status, and returns how long that took.
func (m *management) reach(gateways []*gateway, mode string, status int) time.Duration {
	m.t.Helper()
	begin := time.Now()
	m.mode(mode)
	for _, g := range gateways {
		eventually(m.t, mode+" at "+g.name, func() bool {
			got, _ := g.attack("/waits")
			return got == status
		})
	}
	return time.Since(begin)
}

// A service is defined, attacked in simulation and in active mode, while every process
// is killed once; its events are exported, imported elsewhere, and the gateways follow.
func TestJoined(t *testing.T) {
	origin := newOrigin(t)
	mx1 := newManagement(t, "mx1", "127.0.0.21")
	port := peers.FreePort(t, "127.0.0.31")

	// Each gateway joins in a way of its own.
	token := filepath.Join(t.TempDir(), "token")
	text := mx1.ask("GET", "/v1/administration/gatewayRegistrationToken", "")
	text = text[:strings.LastIndexByte(text, '"')]
	must(t, os.WriteFile(token, []byte(text[strings.LastIndexByte(text, '"')+1:]+"\n"), 0o600))
	gw1 := newGateway(t, "gw1", "127.0.0.31", port, "--management-server", mx1.address)
	gw2 := newGateway(t, "gw2", "127.0.0.32", port, "--management-server", mx1.address, "--registration-token", token)
	gw3 := newGateway(t, "gw3", "127.0.0.33", port)
	gw3.shell("impctl gateway register --management-server "+mx1.address, trial.Secure)
	gateways := []*gateway{gw1, gw2, gw3}
	for _, g := range gateways {
		g.connected()
		if got := mx1.ask("GET", "/v1/conf/gateways/"+g.name, ""); !strings.Contains(got, `"running":true`) {
			t.Errorf("%s: %s", g.name, got)
		}
	}

	// In simulation attacks are told and forwarded, in active mode told and blocked.
	mx1.protect(port, origin)
	for _, g := range gateways {
		eventually(t, "the service at "+g.name, func() bool { status, _ := g.attack("/waits"); return status == 200 })
		g.forwards("/simulated")
		mx1.comes(g, "/simulated", "none")
	}
	t.Logf("a change is in effect at three gateways %v after its PUT began", mx1.reach(gateways, "active", 403).Round(time.Millisecond))
	for _, g := range gateways {
		if event := g.blocks("/blocked"); mx1.comes(g, "/blocked", "block").ID != event {
			t.Errorf("%s: event %s has another violation", g.name, event)
		}
	}

	// Without the management server gateways go on, and start; what they saw comes later.
	mx1.cut()
	gw1.blocks("/alone")
	gw2.blocks("/alone")
	gw2.cut()
	must(t, gw2.Start())
	gw2.blocks("/started-alone")
	must(t, mx1.Start())
	mx1.login()
	mx1.comes(gw1, "/alone", "block")
	mx1.comes(gw2, "/alone", "block")
	mx1.comes(gw2, "/started-alone", "block")
	for _, g := range gateways {
		g.connected()
	}

	// What happened to each gateway is told, and what the management server saw of it.
	for _, g := range gateways {
		g.tells(mx1, "gateway-started", "configuration-taken", "management-server-lost", "management-server-connected")
	}
	if events := mx1.shell("show events --last 1000 --source mx1"); strings.Count(events, "management-server-started") != 2 || !strings.Contains(events, "gateway gw2 is connected") {
		t.Errorf("of the management server it says\n%s", events)
	}

	// A bundle of a gateway goes to support by way of the management server.
	support := peers.SSHD(t, peers.SSHDConfig{})
	mx1.shell(fmt.Sprintf("impctl known-hosts add %s --fingerprint %s", support.Addr, ssh.FingerprintSHA256(support.HostKeys[0])))
	mx1.shell("impctl gateway get-tech-info gw3")
	mx1.shell(fmt.Sprintf("gti-gw-remote --latest --protocol scp --user %s --password - --url %s%s/case-7.tgz", support.User, support.Addr, support.Root), support.Password)
	if out, err := exec.Command("tar", "tzf", filepath.Join(support.Root, "case-7.tgz")).CombinedOutput(); err != nil || !strings.Contains(string(out), "manifest.json") {
		t.Errorf("the bundle: %v: %s", err, out)
	}

	// Another management server takes over from a dump.
	seen := mx1.violations()
	const passphrase = "Dump-pw-17"
	mx1.shell("export-local --pwd - --encryptpwd -", trial.System, passphrase, passphrase)
	must(t, mx1.Stop())
	dumps, err := filepath.Glob(filepath.Join(mx1.Home, "exports", "mx1_*.tgz"))
	if err != nil || len(dumps) != 1 {
		t.Fatal(dumps, err)
	}
	dump, err := os.ReadFile(dumps[0])
	must(t, err)
	mx2 := newManagement(t, "mx2", "127.0.0.22")
	must(t, os.WriteFile(filepath.Join(mx2.Home, "exports", filepath.Base(dumps[0])), dump, 0o600))
	mx2.shell("impctl server stop")
	mx2.shell("import-local --pwd - --securepwd - --encryptpwd - --dmpfile "+filepath.Base(dumps[0]), trial.System, trial.Secure, passphrase)
	mx2.shell("impctl server start")
	mx2.login()
	imported := mx2.violations()
	for id, v := range seen {
		if imported[id] != v {
			t.Errorf("violation %+v is %+v after the import", v, imported[id])
		}
	}
	for _, g := range gateways {
		g.shell("impctl gateway unregister --forget")
		g.blocks("/between")
		g.shell("impctl gateway register --management-server "+mx2.address, trial.Secure)
		g.connected()
		mx2.comes(g, "/between", "block")
	}
	if events := mx2.shell("show events --last 1000 --json"); !strings.Contains(events, `"mx1"`) || !strings.Contains(events, `"mx2"`) {
		t.Errorf("after the import it says\n%s", events)
	}
	gw1.tells(mx2, "management-server-connected")
	t.Logf("the same at the other management server: %v", mx2.reach(gateways, "simulation", 200).Round(time.Millisecond))
	for _, g := range gateways {
		g.forwards("/moved")
		mx2.comes(g, "/moved", "none")
	}
}
