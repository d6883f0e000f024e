package stories

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/appliance/techinfo"
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
	files, m := bundleOf(t, app, "--case-number CASE-7")
	for _, name := range []string{"appliance/appliance.json", "appliance/status.json", "appliance/version.json", "system/os-release", "system/meminfo",
		"network/interfaces", "log/server.log", "audit/verify.json", "config/objects.jsonl", "config/users.jsonl", "database/check", "database/counts.json"} {
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
	if out, err := app.Run("gti-remote --dump"); err != nil || !strings.Contains(out, "== log/server.log") || !strings.Contains(out, "the appliance runs") {
		t.Errorf("the report: %v\n%.500s", err, out)
	}
}

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

	files, m := bundleOf(t, app, "")
	if m.Masked < 12 {
		t.Errorf("%d secrets were found in the log, want 12 and more", m.Masked)
	}
	report, err := app.Run("gti-remote --dump")
	if err != nil {
		t.Fatal(err)
	}
	files["the report"] = []byte(report)
	for name, data := range files {
		for _, s := range secrets {
			for form, text := range map[string]string{"plain": s, "hex": hex.EncodeToString([]byte(s)),
				"base64": base64.StdEncoding.EncodeToString([]byte(s))[:len(s)], "base64 behind x": base64.URLEncoding.EncodeToString([]byte("x" + s))[2:len(s)]} {
				if bytes.Contains(data, []byte(text)) {
					t.Errorf("%s holds secret %.4q… in %s form", name, s, form)
				}
			}
		}
	}
	if _, is := files["config/secrets.jsonl"]; is {
		t.Error("the table of secrets is in it")
	}
	if !bytes.Contains(files["config/credentials.jsonl"], []byte("backup-server")) {
		t.Error("the credential is not named in it")
	}
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
