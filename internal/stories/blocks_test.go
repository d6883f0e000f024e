package stories

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/model"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

// At two in the morning a customer calls whom a policy keeps out, and has the page with an
// event's id before him.
func TestACustomerIsLetIn(t *testing.T) {
	gateway, err := trial.New(bin, filepath.Join(t.TempDir(), "gw1"), "gateway", "gw1")
	if err != nil {
		t.Fatal(err)
	}
	port := peers.FreePort(t, "127.0.0.1")
	data, _ := json.Marshal(model.Snapshot{Format: model.SnapshotFormat, Revision: 1, Group: model.SnapshotGroup{Name: "Shop floor"},
		Aliases:    map[string]map[string]netip.Addr{"gw1": {"front": netip.MustParseAddr("127.0.0.1")}},
		ActionSets: map[string]model.ActionSetSettings{"Out": {Actions: []model.Action{{Name: "out", Type: model.ActionIPBlock, Seconds: 3600}}}},
		Policies: []model.SnapshotPolicy{{Kind: model.ServiceCustomPolicy, Name: "Admin pages", ApplyTo: []model.ApplyTo{{Site: "Shop", ServerGroup: "Servers", Service: "web"}},
			Document: json.RawMessage(`{"enabled":true,"severity":"high","action":"block","followedAction":"Out","matchCriteria":[{"type":"httpRequestUrl","match":"prefix","operation":"atLeastOne","values":["/admin"]}]}`)}},
		Services: []model.SnapshotService{{Site: "Shop", ServerGroup: "Servers", Name: "web", Mode: model.ModeActive, UseDefaultErrorPage: true, Inbound: []model.SnapshotInbound{{Alias: "front", Ports: []int{port}}}}}})
	if err := atomicfile.Write(filepath.Join(gateway.Home, "spool", "config.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	defer gateway.Stop()
	page := func(path string) (int, string) {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	run := func(line string, fails bool, want string) string {
		out, err := gateway.Run(line)
		if (err != nil) != fails || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		return out
	}
	run("show blocks", false, `^nobody is kept out\n$`)
	if status, _ := page("/"); status != 404 { // no outbound rule is there
		t.Fatalf("at first: %d", status)
	}
	page("/admin")
	status, body := page("/")
	for deadline := time.Now().Add(time.Minute); status != 403 && time.Now().Before(deadline); status, body = page("/") {
		time.Sleep(20 * time.Millisecond)
	}
	found := regexp.MustCompile(`Event (\w+)`).FindStringSubmatch(body)
	if status != 403 || found == nil {
		t.Fatalf("after what the policy is against: %d %q", status, body)
	}
	run("show blocks", false, `^until .* ipBlock +127\.0\.0\.1 +"Servers" by "Admin pages" \(Out\), event `+found[1]+`\n$`)
	run("show blocks --json", false, `"total":1,`)
	run("impctl gateway unblock 203.0.113.9", true, `error: nobody is kept out as "203.0.113.9"\n.*hint: show blocks`)
	run("impctl gateway unblock "+found[1], false, `^lifted: +1\n$`)
	if status, _ := page("/"); status != 404 {
		t.Errorf("let in: %d", status)
	}
	run("show blocks", false, `^nobody is kept out\n$`)
	run("impctl gateway unblock --all", false, `^lifted: +0\n$`)
	run("show audit --last 20", false, `impctl gateway unblock `+found[1])
	run("impctl gateway stop", false, `stopped`)
	if out := run("show blocks", true, `error: the gateway's process does not answer`); !strings.Contains(out, "hint: impctl gateway status") {
		t.Error(out)
	}
}
