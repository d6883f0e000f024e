package dump

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
)

// state is every file of a home, but what readers leave beside databases.
func state(t *testing.T, home appliance.Home) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(string(home), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(string(home), path)
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			all[name], err = os.Readlink(path)
		case d.Type().IsRegular() && !strings.HasSuffix(name, "-shm") && !strings.HasSuffix(name, "-wal"):
			data, failed := os.ReadFile(path)
			all[name], err = string(data), failed
		case d.IsDir():
			all[name+"/"] = ""
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The hole: a dump is a file from anywhere. The attack: every part of one, forged.
// What must hold: it is refused by the check that it breaks, with what to do about
// it, and the home is as it was to the last byte.
func TestForgedDumps(t *testing.T) {
	t.Parallel()
	to := target(t)
	before := state(t, to.Home)
	whole := tinyDump(t, Options{FailedArchives: true})
	const alerts = "events/2026-03-01/alerts/0001.jsonl"
	for name, c := range map[string]struct {
		forge func(*forged)
		says  string // the check
	}{
		"an anchor":              {func(f *forged) { f.add("anchors/vendor.pub", []byte("key")) }, `names check: a dump may not bring "anchors/vendor.pub"`},
		"a seal record":          {func(f *forged) { f.add("seal/record", []byte("{}")) }, "names check"},
		"an audit log":           {func(f *forged) { f.add("log/audit/00000000000000000001.jsonl", []byte("{}")) }, "names check"},
		"the machine's identity": {func(f *forged) { f.add("appliance.json", []byte("{}")) }, "names check"},
		"keys":                   {func(f *forged) { f.add("keys/master.key", make([]byte, 32)) }, "names check"},
		"an ssh key":             {func(f *forged) { f.add("keys/ssh_ed25519", []byte("key")) }, "names check"},
		"known hosts":            {func(f *forged) { f.add("known_hosts", []byte("key")) }, "names check"},
		"a certificate":          {func(f *forged) { f.add("certificate/management.pem", []byte("key")) }, "names check"},
		"a transfer policy":      {func(f *forged) { f.add("transfer_policy", []byte("allow 0.0.0.0/0")) }, "names check"},
		"a path upwards":         {func(f *forged) { f.add("files/../../../keys/x", []byte("x")) }, "names check"},
		"an absolute path":       {func(f *forged) { f.add("/etc/cron.d/x", []byte("x")) }, "names check"},
		"an absolute file":       {func(f *forged) { f.add("files//etc/x", []byte("x")) }, "names check"},
		"an archive upwards":     {func(f *forged) { f.add("archives/../x", []byte("x")) }, "names check"},
		"an archive in a folder": {func(f *forged) { f.add("archives/a/b", []byte("x")) }, "names check"},
		"folders without end":    {func(f *forged) { f.insert("archives/", "files/"+strings.Repeat("d/", 2<<10)+"x", "x") }, "names check: the name of entry"},
		"a hidden file":          {func(f *forged) { f.add("files/.x", []byte("x")) }, "names check"},
		"an unknown table":       {func(f *forged) { f.insert("config/refs", "config/goose_db_version/0001.jsonl", "{}\n") }, "names check"},
		"totals": {func(f *forged) {
			f.insert("events/2026-03-01/violations", "events/2026-03-01/totals/0001.jsonl", "{}\n")
		}, "names check"},
		"no day":            {func(f *forged) { f.insert("files/", "events/2026-02-30/alerts/0001.jsonl", alert("x", 0)) }, "names check"},
		"a day upwards":     {func(f *forged) { f.insert("files/", "events/../alerts/0001.jsonl", alert("x", 0)) }, "names check"},
		"a second manifest": {func(f *forged) { f.add("manifest.json", []byte("{}")) }, "structure check"},
		"a second header":   {func(f *forged) { f.add("header.json", []byte("{}")) }, "names check"},
		"a link": {func(f *forged) {
			p := f.add("files/x", nil)
			p.header.Typeflag, p.header.Linkname = tar.TypeSymlink, "/etc/passwd"
		}, "names check"},
		"a hard link": {func(f *forged) {
			p := f.add("files/x", nil)
			p.header.Typeflag, p.header.Linkname = tar.TypeLink, "../keys/master.key"
		}, "names check"},
		"a pipe":   {func(f *forged) { f.add("files/x", nil).header.Typeflag = tar.TypeFifo }, "names check"},
		"a device": {func(f *forged) { f.add("files/x", nil).header.Typeflag = tar.TypeBlock }, "names check"},
		"a folder": {func(f *forged) {
			f.insert("archives/", "files/d/", "")
			f.part("files/d/").header.Typeflag = tar.TypeDir
		}, "names check"},
		"an attribute": {func(f *forged) {
			f.part("files/proxy.conf").header.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "x"}
		}, "structure check"},
		"a file twice":     {func(f *forged) { f.insert("archives/", "files/proxy.conf", "other") }, "names check"},
		"a file in a file": {func(f *forged) { f.insert("archives/", "files/proxy.conf/x", "other") }, "names check"},
		"an archive twice": {func(f *forged) { f.add("archives/good.gz", []byte("other")) }, "names check"},
		"a table twice": {func(f *forged) {
			f.insert("config/users", "config/objects/0001.jsonl", string(f.part("config/objects/0001.jsonl").data))
		}, "structure check"},
		"tables out of order":       {func(f *forged) { f.parts[0], f.parts[1] = f.parts[1], f.parts[0] }, "check: "},
		"a part that is missing":    {func(f *forged) { f.part(alerts).header.Name = "events/2026-03-01/alerts/0002.jsonl" }, "structure check"},
		"part zero":                 {func(f *forged) { f.part(alerts).header.Name = "events/2026-03-01/alerts/0000.jsonl" }, "names check"},
		"a number in another shape": {func(f *forged) { f.part(alerts).header.Name = "events/2026-03-01/alerts/1.jsonl" }, "names check"},
		"something behind":          {func(f *forged) { f.trailer = append(make([]byte, 1024), "more"...) }, "structure check: something follows the manifest"},
		"something behind gzip":     {func(f *forged) { f.tail = []byte("more") }, "structure check: something follows the compressed data"},
		"another product":           {func(f *forged) { f.header["product"] = "Other" }, "format check"},
		"a newer format":            {func(f *forged) { f.header["format"], f.header["version"] = 999, "9.9\x1b[2J" }, `format check: the dump has format 999 and was written by release "9.9\x1b[2J"`},
		"no format":                 {func(f *forged) { f.header["format"] = 0 }, "format check"},
		"a newer schema":            {func(f *forged) { f.header["schema"] = map[string]int{"config": 999, "events": 1} }, "schema check: the dump has schema 999 and 1"},
		"no schema":                 {func(f *forged) { f.header["schema"] = map[string]int{"config": 0, "events": -1} }, "format check"},
		"another header":            {func(f *forged) { f.manifest = func(m map[string]any) { m["name"] = "other" } }, "manifest check"},
		"an unknown hash":           {func(f *forged) { f.manifest = func(m map[string]any) { m["hash"] = "crc32" } }, "check"},
		"a wrong sum": {func(f *forged) {
			f.manifest = func(m map[string]any) { m["parts"].([]any)[0].(map[string]any)["sum"] = "00" }
		}, "hash check"},
		"a wrong size": {func(f *forged) {
			f.manifest = func(m map[string]any) { m["parts"].([]any)[0].(map[string]any)["size"] = 1 }
		}, "manifest check"},
		"a wrong number of rows": {func(f *forged) {
			f.manifest = func(m map[string]any) { m["parts"].([]any)[0].(map[string]any)["rows"] = 1 }
		}, "manifest check"},
		"a part that is not listed":  {func(f *forged) { f.manifest = func(m map[string]any) { m["parts"] = m["parts"].([]any)[1:] } }, "manifest check"},
		"a wrong count":              {func(f *forged) { f.manifest = func(m map[string]any) { m["counts"].(map[string]int)["alerts"] = 9 } }, "manifest check"},
		"what the options leave out": {func(f *forged) { f.header["options"] = map[string]bool{"no_alerts": true} }, "manifest check"},
		"secrets unannounced": {func(f *forged) {
			f.insert("config/archives", "config/secrets/0001.jsonl", `{"id":"x","owner":"sslKey","value":"eA=="}`+"\n")
		}, "manifest check"},
		"rows without an end":     {func(f *forged) { p := f.part(alerts); p.data = bytes.TrimSuffix(p.data, []byte("\n")) }, "structure check"},
		"a line that is no JSON":  {func(f *forged) { f.part(alerts).data = []byte("{\n") }, "rows check"},
		"an empty line":           {func(f *forged) { f.part(alerts).data = []byte("\n") }, "rows check"},
		"a field of another type": {func(f *forged) { f.replace(alerts, `"severity":"high"`, `"severity":[]`) }, "rows check"},
		"an event of another day": {func(f *forged) { f.part(alerts).data = []byte(alert("x", 1)) }, "rows check"},
		"an event twice":          {func(f *forged) { f.part(alerts).data = []byte(alert("x", 0) + alert("x", 0)) }, "rows check"},
		"an event without an id":  {func(f *forged) { f.part(alerts).data = []byte(alert("", 0)) }, "rows check"},
		"an object twice":         {func(f *forged) { p := f.part("config/objects/0001.jsonl"); p.data = append(p.data, p.data...) }, "rows check"},
		"an object of no kind":    {func(f *forged) { f.replace("config/objects/0001.jsonl", `"kind":"serverGroup"`, `"kind":"trojan"`) }, "rows check"},
		"a document of no object": {func(f *forged) { f.replace("config/objects/0001.jsonl", `{"ports":[80]}`, `[]`) }, "rows check"},
		"a name with NUL":         {func(f *forged) { f.replace("config/objects/0001.jsonl", `"name":"Web "`, `"name":"Web\u0000"`) }, "rows check"},
		"a reference to nothing":  {func(f *forged) { f.replace("config/objects/0001.jsonl", `"ignoreIpGroup":"`, `"ignoreIpGroup":"x`) }, "references check"},
		"an orphan": {func(f *forged) {
			f.replace("config/objects/0001.jsonl", `"kind":"webService","name"`, `"kind":"webService","x":1,"name"`)
			f.orphan()
		}, "rows check"},
		"an archive without a file": {func(f *forged) { f.drop("archives/good.gz") }, "archives check"},
		"a file without an archive": {func(f *forged) { f.add("archives/x.gz", []byte("x")) }, "archives check"},
		"another archive's file":    {func(f *forged) { f.part("archives/good.gz").data = []byte("another\x00\xffxxx") }, "archives check"},
		"an archive named upwards":  {func(f *forged) { f.replace("config/archives/0001.jsonl", `"name":"good.gz"`, `"name":"../good.gz"`) }, "rows check"},
		"a verifier unannounced": {func(f *forged) {
			f.replace("config/users/0001.jsonl", `"verifier":""`, `"verifier":"`+secret.FormatVerifier(make([]byte, 16), make([]byte, 32))+`"`)
		}, "users check"},
		"secrets in clear": {func(f *forged) { f.header["secrets"] = true }, "encryption check: " + inClear},
	} {
		t.Run(name, func(t *testing.T) {
			f := forge(t, whole)
			c.forge(f)
			_, err := take(t.Context(), to, f.bytes(), ImportOptions{})
			if err == nil {
				t.Fatal("it was imported")
			}
			var fault *appliance.Fault
			if !strings.Contains(err.Error(), c.says) || !errors.As(err, &fault) || fault.Hint == "" {
				t.Errorf("%v (%+v)", err, fault)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("control characters in %q", err)
			}
			if after := state(t, to.Home); !maps.Equal(before, after) {
				t.Fatalf("the home changed: %d files became %d", len(before), len(after))
			}
		})
	}
}

// orphan takes an object's parent away.
func (f *forged) orphan() {
	f.replace("config/objects/0001.jsonl", `"kind":"serverGroup","name":"Web "`, `"kind":"site","name":"Web "`)
}

// The same of what only an encrypted dump may bring.
func TestForgedSecrets(t *testing.T) {
	t.Parallel()
	to := target(t)
	before := state(t, to.Home)
	whole := tinyDump(t, Options{FailedArchives: true, Passphrase: "p"})
	const secrets = "config/secrets/0001.jsonl"
	for name, c := range map[string]struct {
		forge func(*forged)
		says  string
	}{
		"a secret is missing": {func(f *forged) { f.drop(secrets) }, "keys check"},
		"a secret too many": {func(f *forged) {
			f.part(secrets).data = append(f.part(secrets).data, `{"id":"x","owner":"sslKey","value":"`+base64.StdEncoding.EncodeToString([]byte("x"))+"\"}\n"...)
		}, "keys check"},
		"a secret that is no base64":   {func(f *forged) { f.replace(secrets, `"value":"`, `"value":"*`) }, "rows check"},
		"users without their verifier": {func(f *forged) { f.replace("config/users/0001.jsonl", `"verifier":"$`, `"verifier":"","was":"$`) }, "users check"},
		"a greedy verifier":            {func(f *forged) { f.replace("config/users/0001.jsonl", `$m=19456,`, `$m=4194304,`) }, "users check"},
		"no verifier at all":           {func(f *forged) { f.replace("config/users/0001.jsonl", `"verifier":"$`, `"verifier":"plain$`) }, "users check"},
	} {
		f := forge(t, whole)
		c.forge(f)
		if _, err := take(t.Context(), to, sealedTo(t, f.bytes(), "p"), ImportOptions{Passphrase: "p"}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := state(t, to.Home); !maps.Equal(before, after) {
		t.Errorf("the home changed: %d files became %d", len(before), len(after))
	}
}

// A dump may be cut, or flipped, anywhere.
func TestDamagedDumps(t *testing.T) {
	t.Parallel()
	to := target(t)
	before := state(t, to.Home)
	src := tiny(t)
	for _, passphrase := range []string{"", "p"} {
		_, data := export(t, src, Options{FailedArchives: true, Passphrase: passphrase})
		step := len(data) / 12
		if passphrase != "" {
			step = len(data) / 4 // each costs scrypt
		}
		for at := 0; at < len(data); at += step {
			if _, err := take(t.Context(), to, data[:at], ImportOptions{Passphrase: passphrase}); err == nil {
				t.Errorf("%d of %d bytes were imported", at, len(data))
			}
			flipped := bytes.Clone(data)
			flipped[at] ^= 0x10
			if passphrase == "" && bytes.Equal(unzipped(data), unzipped(flipped)) {
				continue // gzip has bits that mean nothing: time, system, what fills a byte
			}
			if _, err := take(t.Context(), to, flipped, ImportOptions{Passphrase: passphrase}); err == nil {
				t.Errorf("byte %d was flipped, and it was imported", at)
			}
		}
	}
	after := state(t, to.Home)
	if len(before) != len(after) {
		t.Errorf("%d files became %d", len(before), len(after))
	}
}

// unzipped is what data holds, or nil.
func unzipped(data []byte) []byte {
	gz, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	content, err := io.ReadAll(gz)
	if err != nil {
		return nil
	}
	return content
}

// The hole: a few kilobytes may become as many gigabytes, or ask for as much
// memory or time before they are known to be good.
func TestBombs(t *testing.T) {
	t.Parallel()
	to := target(t)
	before := state(t, to.Home)
	whole := tinyDump(t, Options{})
	huge := func(name string, size int64) []byte {
		var out bytes.Buffer
		gz := gzip.NewWriter(&out)
		w := tar.NewWriter(gz)
		f := forge(t, whole)
		header := fmt.Sprintf(`{"format":%v,"product":"Sealgate","version":"1","schema":{"config":1,"events":1},"hash":"sha256","name":"x","created":"2026-03-01T00:00:00Z","options":{},"secrets":false}`, f.header["format"])
		if name != headerName {
			w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: headerName, Size: int64(len(header))})
			w.Write([]byte(header))
		}
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size})
		w.Write(make([]byte, 1<<20))
		w.Flush()
		gz.Close()
		return out.Bytes()
	}
	for name, size := range map[string]int64{
		headerName: 1 << 30, manifestName: 1 << 40, "config/objects/0001.jsonl": 1 << 40, "events/2026-03-01/alerts/0001.jsonl": maxRows + 1,
	} {
		_, err := take(t.Context(), to, huge(name, size), ImportOptions{})
		if err == nil || !strings.Contains(err.Error(), "check") {
			t.Errorf("%s of %d bytes: %v", name, size, err)
		}
	}
	costly := fmt.Appendf(nil, "age-encryption.org/v1\n-> scrypt %s 30\n%s\n--- %s\n", base64.RawStdEncoding.EncodeToString(make([]byte, 16)),
		base64.RawStdEncoding.EncodeToString(make([]byte, 32)), base64.RawStdEncoding.EncodeToString(make([]byte, 32)))
	begin := time.Now()
	_, err := take(t.Context(), to, costly, ImportOptions{Passphrase: "p"})
	if err == nil || !strings.Contains(err.Error(), `factor "30", more than 18`) {
		t.Errorf("work of factor 30: %v", err)
	}
	t.Logf("refused after %v", time.Since(begin))
	for factor, says := range map[string]string{"18": "", "19": `"19"`, "+18": "", "99999999999999999999": `"9999999999999999"`} {
		other := bytes.Replace(costly, []byte(" 30\n"), []byte(" "+factor+"\n"), 1)
		if _, err := take(t.Context(), to, other, ImportOptions{Passphrase: "p"}); err == nil || says != "" && !strings.Contains(err.Error(), says) {
			t.Errorf("work of factor %s: %v", factor, err)
		}
	}
	if after := state(t, to.Home); !maps.Equal(before, after) {
		t.Errorf("the home changed: %d files became %d", len(before), len(after))
	}
}

func TestPassphrases(t *testing.T) {
	t.Parallel()
	to := target(t)
	src := tiny(t)
	_, plain := export(t, src, Options{})
	_, sealed := export(t, src, Options{Passphrase: "p"})
	for name, c := range map[string]struct {
		data       []byte
		passphrase string
		says       string
	}{
		"none for an encrypted one": {sealed, "", "encryption check: the dump is encrypted"},
		"one for a plain one":       {plain, "p", "encryption check: the dump is not encrypted"},
		"no dump":                   {[]byte("PK\x03\x04"), "", "structure check: the file is no dump"},
		"nothing":                   {nil, "", "structure check"},
	} {
		if _, err := take(t.Context(), to, c.data, ImportOptions{Passphrase: c.passphrase}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := take(t.Context(), to, sealed, ImportOptions{Passphrase: "q"}); !errors.Is(err, ErrPassphrase) {
		t.Errorf("a wrong one: %v", err)
	}
	busy, err := store.Open(t.Context(), string(to.Home), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if _, err := take(t.Context(), to, plain, ImportOptions{}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("while the store is open: %v", err)
	}
}
