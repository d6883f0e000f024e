package dump

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"sealgate/appliance"
	"sealgate/appliance/secret"
	"sealgate/appliance/seed"
	"sealgate/appliance/store"
)

// standardFactor is what dumps are sealed with outside of tests, which seal hundreds.
var standardFactor = scryptFactor

func TestMain(m *testing.M) {
	scryptFactor = 4
	os.Exit(m.Run())
}

func TestWorkFactor(t *testing.T) {
	head := fmt.Sprintf(" %d\n", scryptFactor)
	if sealed := sealedTo(t, nil, "p"); standardFactor != 16 || !bytes.Contains(sealed, []byte(head)) {
		t.Errorf("sealed with %q, by standard %d", sealed, standardFactor)
	}
}

// source is an appliance with a little of everything.
func source(t *testing.T) Source { return sourceOf(t, 0.02) }

func sourceOf(t *testing.T, scale float64) Source {
	t.Helper()
	src := fresh(t)
	if _, err := seed.Fill(t.Context(), src.Store, src.Secrets, seed.Options{Seed: 7, Scale: scale}); err != nil {
		t.Fatal(err)
	}
	writeFile(t, src.Store.Files()+"/proxy.conf", []byte("a configuration file"))
	return src
}

// tiny is one of a few kilobytes.
func tiny(t *testing.T) Source {
	t.Helper()
	src := fresh(t)
	fillTiny(t, src.Store, src.Secrets)
	return src
}

// fresh is one that was just created.
func fresh(t *testing.T) Source {
	t.Helper()
	return freshIn(t, t.TempDir())
}

func freshIn(t testing.TB, home string) Source {
	t.Helper()
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := secret.Create(home, "System-pw-17", "Secure-pw-17"); err != nil {
		t.Fatal(err)
	}
	keys, err := secret.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), home, "admin", secret.FormatVerifier(make([]byte, 16), make([]byte, 32)), store.Options{}); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return Source{Version: "1", Config: appliance.Config{Name: "mx1"}, Home: appliance.Home(home), Store: db, Secrets: keys}
}

func export(t testing.TB, src Source, o Options) (Manifest, []byte) {
	t.Helper()
	var out bytes.Buffer
	m, err := Export(t.Context(), src, o, &out, func(done, total int64) {
		if done > total {
			t.Errorf("%d of %d bytes done", done, total)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, out.Bytes()
}

// entries reads a dump with the standard readers.
func entries(t *testing.T, r io.Reader) ([]string, map[string][]byte) {
	t.Helper()
	gz, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	content := map[string][]byte{}
	for in := tar.NewReader(gz); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		content[h.Name] = data
	}
	// Nothing may follow, and gzip's own checksum must hold.
	if _, err := io.Copy(io.Discard, gz); err != nil {
		t.Fatal(err)
	}
	return names, content
}

// sumOf is what the tool of coreutils prints. Tests that start programs are not parallel:
// until it runs, a new process has what others have locked.
func sumOf(t *testing.T, hash string, data []byte) string {
	t.Helper()
	tool := map[string][]string{"sha256": {"sha256sum"}, "blake2b": {"b2sum", "-l", "256"}}[hash]
	if tool == nil {
		t.Fatalf("there is no hash %q", hash)
	}
	cmd := exec.Command(tool[0], tool[1:]...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	sum, _, _ := strings.Cut(string(out), " ")
	return sum
}

func TestEachHash(t *testing.T) {
	for _, a := range algorithms {
		h := newHasher(a)
		h.work <- piece{append(<-h.free, "the first "...), false}
		h.work <- piece{append(<-h.free, "part"...), true}
		h.work <- piece{append(<-h.free, "another"...), true}
		want := []string{sumOf(t, a.name, []byte("the first part")), sumOf(t, a.name, []byte("another"))}
		if diff := cmp.Diff(want, h.wait()[a.name]); diff != "" {
			t.Errorf("%s: %s", a.name, diff)
		}
	}
}

func TestManifestTellsTheTruth(t *testing.T) {
	src := source(t)
	m, data := export(t, src, Options{FailedArchives: true})
	names, content := entries(t, bytes.NewReader(data))
	if names[0] != headerName || names[len(names)-1] != manifestName {
		t.Fatalf("first %s, last %s", names[0], names[len(names)-1])
	}
	var read Manifest
	if err := json.Unmarshal(content[manifestName], &read); err != nil {
		t.Fatal(err)
	}
	if len(read.Parts) != len(names)-2 || read.Rows() != m.Rows() || read.Format != Format || read.Secrets {
		t.Errorf("%d parts of %d entries, %d rows of %d, %+v", len(read.Parts), len(names), read.Rows(), m.Rows(), read.Header)
	}
	rows := map[string]int64{}
	var sizes Sizes
	for i, p := range read.Parts {
		got := content[p.Name]
		if p.Name != names[i+1] || int64(len(got)) != p.Size || p.Sum != sumOf(t, read.Hash, got) {
			t.Errorf("part %s is not what the manifest says", p.Name)
		}
		if p.Table == "" {
			sizes.Files += p.Size
			continue
		}
		sizes.Rows += p.Size
		if n := int64(bytes.Count(got, []byte("\n"))); n != p.Rows {
			t.Errorf("%s has %d lines, not %d", p.Name, n, p.Rows)
		}
		rows[p.Table] += p.Rows
		for line := range bytes.Lines(got) {
			if !json.Valid(line) {
				t.Fatalf("%s: not JSON: %.100s", p.Name, line)
			}
		}
	}
	if told := read.Sizes; told.Files != sizes.Files || told.Rows > sizes.Rows || told.Rows < sizes.Rows*9/10 {
		t.Errorf("it has %+v, and says %+v", sizes, told)
	}
	for table, n := range read.Counts {
		if rows[table] != n {
			t.Errorf("%d rows of %s, not %d", rows[table], table, n)
		}
	}
	if string(content["files/proxy.conf"]) != "a configuration file" {
		t.Error("the configuration file is not in the dump")
	}
}

// Each option leaves its kind out, byte by byte, and nothing else.
func TestOptionsLeaveKindsOut(t *testing.T) {
	t.Parallel()
	src := sourceOf(t, 0.001)
	// A certificate may hold the same base64 as a key.
	sslSecret, credentialSecret := `"value":"`+seed.MarkSSLSecret, `"value":"`+seed.MarkCredentialPass
	const verifier = "$argon2id$"
	marks := []string{verifier, seed.MarkConfig, seed.MarkUser, seed.MarkSSLKey, seed.MarkCredential, seed.MarkArchive,
		seed.MarkFailedArchive, seed.MarkJob, seed.MarkAlert, seed.MarkViolation, seed.MarkAudit,
		sslSecret, credentialSecret}
	for name, c := range map[string]struct {
		options Options
		absent  []string
	}{
		"everything":        {Options{FailedArchives: true, Passphrase: "p"}, nil},
		"by default":        {Options{Passphrase: "p"}, []string{seed.MarkFailedArchive}},
		"--exptype 2":       {Options{FailedArchives: true, Passphrase: "p", NoAlerts: true}, []string{seed.MarkAlert, seed.MarkViolation}},
		"--noarchive":       {Options{Passphrase: "p", NoArchives: true}, []string{seed.MarkArchive, seed.MarkFailedArchive}},
		"--nossl":           {Options{FailedArchives: true, Passphrase: "p", NoSSL: true}, []string{seed.MarkSSLKey, sslSecret}},
		"--noauditdata":     {Options{FailedArchives: true, Passphrase: "p", NoAudit: true}, []string{seed.MarkAudit}},
		"--nodbcredentials": {Options{FailedArchives: true, Passphrase: "p", NoCredentials: true}, []string{seed.MarkCredential, credentialSecret}},
		"no passphrase":     {Options{FailedArchives: true}, []string{verifier, sslSecret, credentialSecret}},
		"nothing": {Options{NoAlerts: true, NoArchives: true, NoSSL: true, NoAudit: true, NoCredentials: true},
			[]string{verifier, seed.MarkAlert, seed.MarkViolation, seed.MarkArchive, seed.MarkFailedArchive, seed.MarkSSLKey, sslSecret,
				seed.MarkAudit, seed.MarkCredential, credentialSecret}},
	} {
		t.Run(name, func(t *testing.T) {
			m, data := export(t, src, c.options)
			var in io.Reader = bytes.NewReader(data)
			if c.options.Passphrase != "" {
				in = decryptWith(t, data, c.options.Passphrase)
			}
			_, content := entries(t, in)
			var all bytes.Buffer
			for name, data := range content {
				all.WriteString(name + "\n")
				all.Write(data)
			}
			for _, mark := range marks {
				want := true
				for _, absent := range c.absent {
					want = want && mark != absent
				}
				if got := bytes.Contains(all.Bytes(), []byte(mark)); got != want {
					t.Errorf("%s is there: %v, want %v", mark, got, want)
				}
			}
			if len(c.absent) > 0 && len(m.Omitted) == 0 {
				t.Error("what was left out is not named")
			}
			if m.Options.Passphrase != "" || bytes.Contains(content[manifestName], []byte(`"passphrase"`)) {
				t.Error("the passphrase is in the manifest")
			}
		})
	}
}

func decryptWith(t *testing.T, data []byte, passphrase string) io.Reader {
	t.Helper()
	if !bytes.HasPrefix(data, ageMagic) {
		t.Fatalf("not an age file: %.20q", data)
	}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	id.SetMaxWorkFactor(maxScryptFactor)
	plain, err := age.Decrypt(bytes.NewReader(data), id)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestFitToSend(t *testing.T) {
	src := tiny(t)
	_, plain := export(t, src, Options{NoAudit: true})
	_, sealed := export(t, src, Options{NoAudit: true, Passphrase: "p"})
	inner, err := io.ReadAll(decryptWith(t, sealed, "p"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		ok   bool
	}{
		"without keys":        {plain, true},
		"encrypted":           {sealed, true},
		"with keys, in clear": {inner, false},
		"cut":                 {inner[:20], true},
		"not a dump":          {[]byte("hello"), true},
		"empty":               {nil, true},
	} {
		err := FitToSend(bytes.NewReader(c.data))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cancelled export ends soon, and a writer's error is the export's.
func TestExportEnds(t *testing.T) {
	src := source(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := Export(ctx, src, Options{}, io.Discard, func(int64, int64) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	full := errors.New("no room")
	if _, err := Export(t.Context(), src, Options{}, &failing{after: 1 << 20, err: full}, func(int64, int64) {}); !errors.Is(err, full) {
		t.Errorf("no room: %v", err)
	}
}

type failing struct {
	after int
	err   error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// An archive that is gone or has shrunk makes the export fail: its rows would
// speak of what the dump does not hold.
func TestArchiveGone(t *testing.T) {
	src := sourceOf(t, 0.001)
	entries, err := os.ReadDir(src.Store.Archives())
	if err != nil {
		t.Fatal(err)
	}
	var good string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), seed.MarkArchive) {
			good = src.Store.Archives() + "/" + e.Name()
		}
	}
	if err := os.Truncate(good, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.Context(), src, Options{NoAudit: true}, io.Discard, func(int64, int64) {}); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), seed.MarkArchive) {
		t.Errorf("short: %v", err)
	}
	os.Remove(good)
	if _, err := Export(t.Context(), src, Options{NoAudit: true}, io.Discard, func(int64, int64) {}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("gone: %v", err)
	}
}
