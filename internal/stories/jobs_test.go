package stories

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sealgate/internal/trial"
)

// rest is a client of the REST API with a session.
type rest struct {
	t       *testing.T
	client  *http.Client
	base    string
	session string
}

// restOf logs in to an appliance that runs.
func restOf(t *testing.T, app *trial.Appliance) *rest {
	t.Helper()
	out, err := app.Run("impctl server status")
	address := regexp.MustCompile(`running on (\S+)`).FindStringSubmatch(out)
	if err != nil || address == nil {
		t.Fatalf("%v: %s", err, out)
	}
	r := &rest{t: t, base: "https://" + address[1] + "/SecureSphere/api", client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
	status, body := r.do("POST", "/v1/auth/session", "")
	var answer struct {
		ID string `json:"session-id"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
		t.Fatalf("login: %d %s", status, body)
	}
	r.session = answer.ID
	return r
}

func (r *rest) do(method, path, body string) (status int, answer string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if r.session == "" {
		req.SetBasicAuth("admin", trial.Admin)
	}
	req.Header.Set("Cookie", r.session)
	req.Header.Set("Content-Type", "application/json")
	a, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// wants sends a request and compares its answer.
func (r *rest) wants(method, path, body string, status int, pattern string) string {
	r.t.Helper()
	got, answer := r.do(method, path, body)
	if got != status || !regexp.MustCompile(pattern).MatchString(answer) {
		r.t.Errorf("%s %s: %d %s, want %d %s", method, path, got, answer, status, pattern)
	}
	return answer
}

// until asks until an answer fits.
func (r *rest) until(path, pattern string) string {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, answer := r.do("GET", path, "")
		if regexp.MustCompile(pattern).MatchString(answer) {
			return answer
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("GET %s still answers %s, want %s", path, answer, pattern)
		}
	}
}

const jobsPath = "/v1/management/jobs"

// An integrator has an export made, sees an upload that hangs, and aborts it.
func TestJobsOverTheRESTAPI(t *testing.T) {
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	r := restOf(t, app)
	r.wants("GET", jobsPath, "", 200, `^{"jobs":\[\]}\s*$`)

	r.wants("POST", "/experimental/system-export", "", 200, `^$`)
	r.wants("POST", "/experimental/system-export", "", 406, `IMP-10001.*export`)
	dump := ""
	for deadline := time.Now().Add(time.Minute); dump == ""; time.Sleep(20 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(app.Home, "exports", "*.tgz")); len(found) > 0 {
			dump = filepath.Base(found[0])
		} else if time.Now().After(deadline) {
			t.Fatalf("no dump is there\n%s", app.Log())
		}
	}
	r.until(jobsPath, `^{"jobs":\[\]}`)
	if head, err := os.ReadFile(filepath.Join(app.Home, "exports", dump)); err != nil || head[0] != 0x1f {
		t.Errorf("the dump is no gzipped tar: %v", err)
	}

	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	type ending struct {
		out string
		err error
	}
	ended := make(chan ending, 1)
	go func() {
		out, err := app.Run("files send " + dump + " " + mute.Addr().String() + "/ --protocol ftp")
		ended <- ending{out, err}
	}()
	list := r.until(jobsPath, `upload`)
	var jobs struct {
		Jobs []struct {
			ID                  int64
			Name                string
			Abortable, Aborting bool
		}
	}
	if err := json.Unmarshal([]byte(list), &jobs); err != nil || len(jobs.Jobs) != 1 || !jobs.Jobs[0].Abortable || jobs.Jobs[0].Aborting {
		t.Fatalf("jobs: %s, %v", list, err)
	}
	current := func(id any) string { return fmt.Sprintf("%s/%v/currentRun", jobsPath, id) }
	r.wants("DELETE", current(99), "", 406, `IMP-10073.*99`)
	r.wants("DELETE", current("x%2F.."), "", 406, `IMP-10073`)
	r.wants("DELETE", current(jobs.Jobs[0].ID), "", 200, `^$`)
	e := <-ended
	if e.err == nil || !strings.Contains(e.out, "a user of the REST API aborted it") {
		t.Errorf("the upload ended with %v: %s", e.err, e.out)
	}
	r.until(jobsPath, `^{"jobs":\[\]}`)
	r.wants("DELETE", current(jobs.Jobs[0].ID), "", 406, `IMP-10073`)
	out, err := app.Run("show audit --user 'REST API'")
	if err != nil || !strings.Contains(out, "export-local") || !strings.Contains(out, "abort job") {
		t.Errorf("the audit log says %v: %s", err, out)
	}
}

func TestAlarmsAndSettingsOverTheRESTAPI(t *testing.T) {
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	r := restOf(t, app)
	r.wants("GET", "/v1/status/alarms/active?deployment=elsewhere", "", 200, `^\[\]`)
	r.wants("GET", "/v1/status/alarms/active", "", 200, `^\[`)
	r.wants("GET", "/v1/monitor/violations?lastFewDays=1", "", 200, `^{"violations":\[\]}`)
	r.wants("GET", "/v1/monitor/violations?days=1", "", 406, `IMP-10185`)

	const archive = "/experimental/archive-settings/Default%20Archive%20Settings"
	r.wants("GET", archive, "", 200, `"am-archive-file-name-format":"alerts_`)
	r.wants("POST", archive, `{"signature-key-alias":"vault","audit-archive-file-name-format":null}`, 200, `^$`)
	r.wants("GET", archive, "", 200, `"audit-archive-file-name-format":"audit_.*"signature-key-alias":"vault"`)
	r.wants("POST", archive, `{"signature-key-alias":{}}`, 406, `IMP-100`)

	const export = "/experimental/system-export/config"
	r.wants("GET", export, "", 200, `^{}`)
	r.wants("POST", export, `{"action-set":"No such set"}`, 406, `IMP-10701.*No such set`)
	r.wants("POST", export, `{"action-set":"Long IP Block"}`, 200, `^$`)
	r.wants("GET", export, "", 200, `"action-set":"Long IP Block"`)
}
