package stories

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/appliance/techinfo"
	"sealgate/commands"
	"sealgate/internal/trial"
)

// bundleOf makes a bundle and returns its files.
func bundleOf(t *testing.T, app *trial.Appliance, flags string) (map[string][]byte, techinfo.Manifest) {
	t.Helper()
	out, err := app.Run("impctl support get-tech-info --json " + flags)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var r struct{ Name string }
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return unpack(t, filepath.Join(app.Home, "techinfo", r.Name))
}

func unpack(t *testing.T, path string) (map[string][]byte, techinfo.Manifest) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	gz, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for in := tar.NewReader(gz); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = data
	}
	var m techinfo.Manifest
	if err := json.Unmarshal(files[techinfo.ManifestName], &m); err != nil {
		t.Fatalf("the manifest: %v", err)
	}
	return files, m
}

func TestBundleHoldsWhatItSays(t *testing.T) {
	app, err := trial.New(bin, filepath.Join(t.TempDir(), "home"), "mx", "box")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	ask(t, app, "/v1/conf/sites?token=x")
	if out, err := app.Run("gti-remote --dump"); err != nil || !strings.Contains(out, "== log/server.log") || !strings.Contains(out, "the appliance runs") {
		t.Errorf("the report: %v\n%.500s", err, out)
	}
	files, m := bundleOf(t, app, "--case-number CASE-7 --upgrade --get-access-log --agents-traffic-analysis --server-debug")
	for _, name := range []string{"appliance/appliance.json", "appliance/status.json", "appliance/version.json", "system/os-release", "system/meminfo",
		"network/interfaces", "log/server.log", "audit/verify.json", "config/objects.jsonl", "config/users.jsonl", "database/check", "database/counts.json",
		"log/ec2_auto_ftl.log", "upgrade/releases", "upgrade/schemas.json", "access/access.log", "traffic/connections", "traffic/rates", "traffic/first", "traffic/second",
		"debug/heap.pprof", "debug/cpu.pprof", "debug/goroutines", "debug/runtime.json"} {
		if len(files[name]) == 0 {
			t.Errorf("%s is not in it, or empty", name)
		}
	}
	if len(m.Files) != len(files)-1 || m.Appliance != "box" || m.Options.Case != "CASE-7" || m.Masked != 0 {
		t.Errorf("the manifest: %+v", m)
	}
	for _, f := range m.Files {
		if sum := sha256.Sum256(files[f.Name]); hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(files[f.Name])) != f.Size {
			t.Errorf("%s is not as the manifest says", f.Name)
		}
	}
	if log := string(files["access/access.log"]); !strings.Contains(log, `"POST /SecureSphere/api/v1/auth/session HTTP/1.1" 200 `) || !strings.Contains(log, ` - admin [`) ||
		!strings.Contains(log, `"GET /SecureSphere/api/v1/conf/sites?... HTTP/1.1" 200 `) {
		t.Errorf("the access log:\n%s", log)
	}
	if !strings.Contains(string(files["traffic/first"]), `sealgate_api_requests_total{class="2xx"} 2`) || !strings.Contains(string(files["debug/goroutines"]), "mx.Run") ||
		!strings.Contains(string(files["upgrade/schemas.json"]), `"migrations"`) {
		t.Errorf("of the role:\n%s", files["traffic/first"])
	}
	if !strings.Contains(string(files["log/server.log"]), "the appliance runs") || string(files["database/check"]) != "whole\n" {
		t.Errorf("the log and the check: %s", files["database/check"])
	}
	processes := 0
	for name := range files {
		if strings.HasPrefix(name, "processes/") && strings.HasSuffix(name, "-status") {
			processes++
		}
		if strings.Contains(name, "cmdline") || strings.Contains(name, "environ") {
			t.Errorf("%s may hold what was typed", name)
		}
	}
	if processes < 2 {
		t.Errorf("%d processes of ours are in it, at least the daemon and its role run", processes)
	}
	var status commands.Status
	if err := json.Unmarshal(files["appliance/status.json"], &status); err != nil || len(status.Ended) != 1 || status.Ended[0].Kind != "get-tech-info" || status.Ended[0].Ended.IsZero() {
		t.Errorf("the jobs that ended: %+v, %v", status.Ended, err)
	}
	if out, err := app.Run("status --json"); err != nil || strings.Contains(out, "ended") { // operators see it
		t.Errorf("%v, %s", err, out)
	}
}

// A database that cannot be read is what support is asked about: there is a bundle all
// the same, without it, and what is left tells of the rest.
func TestBundleWithoutADatabase(t *testing.T) {
	app, err := trial.New(bin, filepath.Join(t.TempDir(), "home"), "mx", "box")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	if out, err := app.Run("impctl server stop"); err != nil {
		t.Fatal(out)
	}
	database := filepath.Join(app.Home, "data", "current", "config.db")
	whole, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(app.Home, "data", "current")
	for _, c := range []struct {
		name  string
		spoil func() error
	}{
		{"damaged", func() error { return os.WriteFile(database, bytes.Repeat([]byte("x"), len(whole)), 0o600) }},
		{"gone", func() error { return os.Rename(link, link+".away") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.spoil(); err != nil {
				t.Fatal(err)
			}
			files, m := bundleOf(t, app, "--upgrade")
			for _, name := range []string{"appliance/status.json", "log/server.log", "audit/verify.json", "upgrade/releases"} {
				if len(files[name]) == 0 {
					t.Errorf("%s is not in it, or empty", name)
				}
			}
			if !slices.ContainsFunc(m.Notes, func(n techinfo.Note) bool {
				return n.Collector == "database" && strings.HasPrefix(n.Text, "nothing of it is here, and its secrets were not searched for: ")
			}) {
				t.Errorf("the notes: %v", m.Notes)
			}
			if out, err := app.Run("impctl platform show"); err != nil || !strings.Contains(out, "licences:          cannot be told: ") || !strings.Contains(out, "release:") {
				t.Errorf("impctl platform show: %v, %s", err, out)
			}
		})
	}
}

// ask logs in to the REST API and gets path.
func ask(t *testing.T, app *trial.Appliance, path string) {
	t.Helper()
	at := addressOf(t, app)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	do := func(method, path, cookie string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, "https://"+at+"/SecureSphere/api"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if cookie == "" {
			req.SetBasicAuth("admin", trial.Admin)
		}
		req.Header.Set("Cookie", cookie)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %d, %v\n%s", method, path, resp.StatusCode, err, body)
		}
		return string(body)
	}
	var session struct {
		ID string `json:"session-id"`
	}
	if err := json.Unmarshal([]byte(do(http.MethodPost, "/v1/auth/session", "")), &session); err != nil {
		t.Fatal(err)
	}
	do(http.MethodGet, path, session.ID)
	// The access log is written in batches.
	for deadline := time.Now().Add(trial.Patience); ; time.Sleep(20 * time.Millisecond) {
		log, _ := os.ReadFile(filepath.Join(app.Home, "spool", "access.log"))
		if target, _, _ := strings.Cut(path, "?"); strings.Contains(string(log), "GET /SecureSphere/api"+target) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the access log lacks %s:\n%s", path, log)
		}
	}
}

// everything are the flags of a bundle that holds all that there is.
const everything = "--upgrade --get-access-log --coredumps --agents-traffic-analysis --server-debug"

// Secrets are planted wherever they can live, and where they must never be.
func TestNoSecretInABundle(t *testing.T) {
	app, err := trial.New(bin, filepath.Join(t.TempDir(), "home"), "mx", "box")
	if err != nil {
		t.Fatal(err)
	}
	const credential, private, upload = "Cr3dential-of-a-server!", "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2", "Upl0ad-password"
	secrets := []string{trial.System, trial.Secure, trial.Admin, credential, private, upload}
	plant(t, app.Home, credential, "-----BEGIN PRIVATE KEY-----\n"+private+"\n-----END PRIVATE KEY-----\n")
	master, err := os.ReadFile(filepath.Join(app.Home, "keys", "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, string(master))
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	for _, line := range []string{
		"export-local --pwd " + trial.System + " --encryptpwd " + upload,
		"export-local --pwd wrong-" + trial.System + " --encryptpwd " + upload,
		"export-remote --protocol ftp --user u --password " + upload + " --pwd " + trial.System + " --encryptpwd " + upload + " 127.0.0.1:1/x",
		"export-remote --protocol ftp --pasword " + upload + " 127.0.0.1:1/x",
		"files send x u:" + upload + "@127.0.0.1/ --protocol http",
	} {
		app.Run(line)
	}
	// A fault of ours: a log that holds what it must not.
	log, err := os.OpenFile(filepath.Join(app.Home, "log", "server.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{credential, private, string(master)} {
		fmt.Fprintf(log, "%s %x %s %s\n", s, s, base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte("x"+s)))
	}
	log.Close()
	ask(t, app, "/v1/conf/sites?password="+credential)

	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := app.Run("impctl support get-tech-info --coredumps"); err == nil || !strings.Contains(out, "hint: impctl support key set") {
		t.Errorf("core files without a key: %v\n%s", err, out)
	}
	if out, err := app.Run("impctl support key set " + identity.Recipient().String()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cores := filepath.Join(app.Home, "coredumps")
	if err := errors.Join(os.Mkdir(cores, 0o700), os.WriteFile(filepath.Join(cores, "core.1"), []byte(strings.Join(secrets, "\n")), 0o600)); err != nil {
		t.Fatal(err)
	}
	files, m := bundleOf(t, app, everything)
	if core, err := age.Decrypt(bytes.NewReader(files["coredumps/core.1.age"]), identity); err != nil {
		t.Errorf("the core file: %v", err)
	} else if plain, err := io.ReadAll(core); err != nil || string(plain) != strings.Join(secrets, "\n") {
		t.Errorf("the core file: %q, %v", plain, err)
	}
	if m.Masked < 12 {
		t.Errorf("%d secrets were found in the log, want 12 and more", m.Masked)
	}
	report, err := app.Run("gti-remote --dump " + everything)
	if err != nil {
		t.Fatal(err)
	}
	files["the report"] = []byte(report)
	holdsNone(t, files, secrets)
	if _, is := files["config/secrets.jsonl"]; is {
		t.Error("the table of secrets is in it")
	}
	if !bytes.Contains(files["config/credentials.jsonl"], []byte("backup-server")) {
		t.Error("the credential is not named in it")
	}
}

// holdsNone looks for secrets in any form.
func holdsNone(t *testing.T, files map[string][]byte, secrets []string) {
	t.Helper()
	for name, data := range files {
		if strings.HasSuffix(name, ".pprof") {
			gz, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(gz); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range secrets {
			for form, text := range map[string]string{"plain": s, "hex": hex.EncodeToString([]byte(s)),
				"base64": base64.StdEncoding.EncodeToString([]byte(s))[:len(s)], "base64 behind x": base64.URLEncoding.EncodeToString([]byte("x" + s))[2:len(s)]} {
				if bytes.Contains(data, []byte(text)) {
					t.Errorf("%s holds secret %.4q… in %s form", name, s, form)
				}
			}
		}
	}
}

// A management server's bundle tells how its gateways are, and what it was busy with.
func TestBundleOfAManagementServer(t *testing.T) {
	mx := newAppliance(t)
	if err := mx.Start(); err != nil {
		t.Fatal(err)
	}
	defer mx.Stop()
	gw, err := trial.New(bin, filepath.Join(t.TempDir(), "gw"), "gateway", "gw1", "--management-server", addressOf(t, mx), "--licensing", "on-demand")
	if err != nil {
		t.Fatal(err)
	}
	if err := gw.Start(); err != nil {
		t.Fatal(err)
	}
	defer gw.Stop()
	out := ""
	for deadline := time.Now().Add(trial.Patience); !strings.Contains(out, "connected:         since"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the gateway is not connected:\n%s", out)
		}
		out, _ = gw.Run("impctl gateway show")
	}
	if out, err := mx.Run("export-local --pwd " + trial.System); err != nil {
		t.Fatal(out)
	}
	files, m := bundleOf(t, mx, "")
	var gateways []struct {
		Name, GatewayGroupName, SoftwareVersion string
		Running                                 bool
	}
	if err := json.Unmarshal(files["gateways/gateways.json"], &gateways); err != nil || len(gateways) != 1 || gateways[0].Name != "gw1" ||
		gateways[0].GatewayGroupName != "Default Gateway Group" || !gateways[0].Running || gateways[0].SoftwareVersion == "" {
		t.Errorf("the gateways: %v, %s; notes: %v", err, files["gateways/gateways.json"], m.Notes)
	}
	if !strings.Contains(string(files["config/jobs.jsonl"]), `"name":"export"`) {
		t.Errorf("the jobs: %s", files["config/jobs.jsonl"])
	}
	if out, err := mx.Run("impctl server stop"); err != nil {
		t.Fatal(out)
	}
	files, m = bundleOf(t, mx, "")
	if !slices.ContainsFunc(m.Notes, func(n techinfo.Note) bool { return n.Collector == "gateways" }) || !strings.Contains(string(files["config/objects.jsonl"]), `"gw1"`) {
		t.Errorf("of a server that is stopped: %v", m.Notes)
	}
}

// A gateway has keys of its own, and those of the servers that it stands before; and
// until it is registered the password that it registers with.
func TestNoSecretInABundleOfAGateway(t *testing.T) {
	app, err := trial.New(bin, filepath.Join(t.TempDir(), "home"), "gateway", "gw", "--management-server", "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	const private = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2"
	key, sealing := bytes.Repeat([]byte("\x01key"), 8), bytes.Repeat([]byte("\x02seal"), 7)[:32]
	identity, err := json.Marshal(map[string]any{"key": append(key, make([]byte, 32)...), "sealing": sealing})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := json.Marshal(model.Snapshot{Format: model.SnapshotFormat, Revision: 1, Group: model.SnapshotGroup{Name: "g"},
		Services: []model.SnapshotService{{Site: "s", ServerGroup: "g", Name: "w", Mode: model.ModeActive,
			Keys: []model.SnapshotKey{{Name: "k", Certificate: "PEM", PrivateKey: "-----BEGIN PRIVATE KEY-----\n" + private + "\n"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"link/identity.json": identity, "spool/config.json": snapshot} {
		path := filepath.Join(app.Home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	secrets := []string{trial.System, trial.Secure, private, string(key), string(sealing)}
	log, err := os.OpenFile(filepath.Join(app.Home, "spool", "access.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets[1:] {
		fmt.Fprintf(log, "%s %x %s\n", s, s, base64.StdEncoding.EncodeToString([]byte(s)))
	}
	log.Close()
	files, m := bundleOf(t, app, strings.Replace(everything, "--coredumps", "", 1))
	if m.Masked < 12 || !bytes.Contains(files["config/snapshot.json"], []byte(`"sslKeyName": "k"`)) || !bytes.Contains(files["traffic/first"], []byte("sealgate_configuration_revision")) {
		t.Errorf("%d secrets were found in the log, want 12 and more; notes: %v", m.Masked, m.Notes)
	}
	holdsNone(t, files, secrets)
}

// plant stores a credential and an SSL key.
func plant(t *testing.T, home, password, key string) {
	t.Helper()
	keys, err := secret.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Write(t.Context(), store.Change{Author: "test", Summary: "plant"}, func(tx *store.Tx) error {
		_, err := tx.AddCredential(t.Context(), store.Credential{Kind: store.ServerCredential, Name: "backup-server", UserName: "u"}, keys, []byte(password))
		if err != nil {
			return err
		}
		_, err = tx.AddCredential(t.Context(), store.Credential{Kind: store.ServerCredential, Name: "a key", UserName: "u"}, keys, []byte(key))
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// A bundle that cannot be sent is kept, and one that is sent is not.
func TestBundleIsSent(t *testing.T) {
	app, err := trial.New(bin, filepath.Join(t.TempDir(), "home"), "gateway", "gw")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	out, err := app.Run("gti-remote --protocol ftp 127.0.0.1:1/up/")
	if err == nil || !strings.Contains(out, "the bundle is kept: files send get-tech-info_gw_") {
		t.Errorf("an upload that fails: %v\n%s", err, out)
	}
	left, _ := filepath.Glob(filepath.Join(app.Home, "techinfo", "*"))
	if len(left) != 1 || strings.HasSuffix(left[0], ".part") {
		t.Fatalf("kept: %v", left)
	}
	if _, m := unpack(t, left[0]); m.Role != "gateway" {
		t.Errorf("the manifest: %+v", m)
	}
	for line, want := range map[string]string{
		"gti-remote":                                         "--dump",
		"gti-remote --dump --protocol ftp x/y":               "leave out --protocol",
		"gti-remote --protocol ftp":                          "a URL",
		"gti-remote --dump --case-number ../etc":             "1 to 32 letters",
		"gti-remote --dump --last-archives-by-date 20261231": "no day",
	} {
		if out, err := app.Run(line); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}
