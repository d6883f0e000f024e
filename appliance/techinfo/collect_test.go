package techinfo

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/appliance/serverlog"
)

func newHome(t *testing.T) appliance.Home {
	t.Helper()
	home := appliance.Home(t.TempDir())
	for _, dir := range []string{home.Logs(), home.Audit(), home.Spool(), home.Cores()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// bundleOf is what a bundle holds, by name.
func bundleOf(t *testing.T, src Source, o Options) (map[string]string, Manifest) {
	t.Helper()
	var b bytes.Buffer
	m, err := Write(t.Context(), src, o, &b, func(done, total int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return unpacked(t, &b), m
}

// unpacked are the files of a bundle, by name.
func unpacked(t *testing.T, b io.Reader) map[string]string {
	t.Helper()
	gz, err := gzip.NewReader(b)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for in := tar.NewReader(gz); ; {
		h, err := in.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(data)
	}
}

// A file that the disk does not give leaves a note, and the rest is there. The memory
// of this process has nothing at 0.
func TestFilesThatCannotBeRead(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealedSize(10, identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	const bad = "/proc/self/mem"
	items := []item{
		{name: "a", data: []byte("before"), size: 6},
		{name: "b", path: bad, size: 10},
		{name: "c.age", path: bad, size: sealed, plain: 10, seal: identity.Recipient()},
		{name: "d", data: []byte("after"), size: 5},
	}
	m := manifestOf(Source{}, Options{}, time.Now())
	var b bytes.Buffer
	if err := m.write(t.Context(), Source{}, items, &b, func(done, total int64) {}); err != nil {
		t.Fatal(err)
	}
	files := unpacked(t, &b)
	if files["a"] != "before" || files["b"] != strings.Repeat("\x00", 10) || int64(len(files["c.age"])) != sealed || files["d"] != "after" {
		t.Errorf("%q", files)
	}
	for _, name := range []string{"b", "c.age"} {
		if notes := notesOf(m, "bundle"); !strings.Contains(notes, name+" ends in zeros: read "+bad) || !strings.Contains(files[ManifestName], name+" ends in zeros") {
			t.Errorf("of %s it is said: %s", name, notes)
		}
	}
	var said strings.Builder
	if err := items[1].report(&said, newMasker(nil)); err != nil || !strings.Contains(said.String(), "(the rest cannot be read: read "+bad) || strings.Contains(said.String(), "\x00") {
		t.Errorf("%q, %v", said.String(), err)
	}
}

// notesOf are what a collector left.
func notesOf(m Manifest, collector string) string {
	var b strings.Builder
	for _, n := range m.Notes {
		if n.Collector == collector {
			b.WriteString(n.Text + "\n")
		}
	}
	return b.String()
}

// One that hangs, crashes or fails costs the others nothing, and leaves a note beside
// what it had.
func TestCollectorsFail(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	results := run(t.Context(), []collector{
		{"hangs", func(_ context.Context, c *collection) error { c.text("a", []byte("had")); <-never; return nil }},
		{"hangs too", func(ctx context.Context, _ *collection) error { <-ctx.Done(); return ctx.Err() }},
		{"crashes", func(context.Context, *collection) error { panic("of nil") }},
		{"fails", func(_ context.Context, c *collection) error { c.text("b", nil); return errors.New("no disk") }},
		{"works", func(_ context.Context, c *collection) error { c.text("c", []byte("x")); return nil }},
	}, 50*time.Millisecond)
	for i, want := range []struct {
		items int
		note  string
	}{{1, "it took longer than 50ms"}, {0, "it took longer than 50ms"}, {0, "it crashed: of nil"}, {1, "no disk"}, {1, ""}} {
		got := results[i]
		if note := strings.Join(got.notes, "\n"); len(got.items) != want.items || !strings.Contains(note, want.note) || want.note == "" && note != "" {
			t.Errorf("%s: %d items, %q", got.name, len(got.items), note)
		}
	}
}

// Each flag about logs does what its help says.
func TestLogsThatWereAskedFor(t *testing.T) {
	home := newHome(t)
	put(t, filepath.Join(home.Logs(), "server.log"), strings.Repeat("now\n", bigLog/2))
	put(t, home.FirstLogin(), "set up\n")
	for _, day := range []string{"20260101", "20260102", "20260103"} {
		put(t, filepath.Join(home.Logs(), "server-"+day+"T120000.000000.log"), day+"\n")
		put(t, filepath.Join(home.Spool(), "access-"+day+"T120000.000000.log"), day+"\n")
	}
	put(t, filepath.Join(home.Spool(), "access.log"), "asked\n")
	put(t, filepath.Join(home.Spool(), "config.json"), "not a log")
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		o     Options
		files []string
	}{
		{Options{}, []string{"ec2_auto_ftl.log", "server-20260101", "server-20260102", "server-20260103", "server.log"}},
		{Options{Archives: 2}, []string{"ec2_auto_ftl.log", "server-20260102", "server-20260103", "server.log"}},
		{Options{Since: day(3)}, []string{"ec2_auto_ftl.log", "server-20260103", "server.log"}},
		{Options{Since: day(4)}, []string{"ec2_auto_ftl.log", "server.log"}},
		{Options{Since: day(2), Archives: 1, AccessLog: true}, []string{"access-20260103", "access.log", "ec2_auto_ftl.log", "server-20260103", "server.log"}},
	} {
		files, m := bundleOf(t, Source{Home: home}, c.o)
		var got []string
		for name := range files {
			if dir, base := filepath.Split(name); dir == "log/" || dir == "access/" {
				got = append(got, strings.TrimSuffix(base, "T120000.000000.log"))
			}
		}
		if slices.Sort(got); !slices.Equal(got, c.files) {
			t.Errorf("%+v: %v", c.o, got)
		}
		if left := notesOf(m, "log"); (len(c.files) < 5) != strings.Contains(left, "older logs were not asked for") && !c.o.AccessLog {
			t.Errorf("%+v: %q", c.o, left)
		}
	}
	files, m := bundleOf(t, Source{Home: home}, Options{NoBigLogs: true})
	if log := files["log/server.log"]; len(log) != bigLog || !strings.HasSuffix(log, "now\n") || !strings.Contains(notesOf(m, "log"), fmt.Sprintf("the last %d of %d bytes", bigLog, 2*bigLog)) {
		t.Errorf("%d bytes of a big log, %q", len(log), notesOf(m, "log"))
	}
}

// What is beyond the bound is left out, and said.
func TestBundlesAreBounded(t *testing.T) {
	home := newHome(t)
	put(t, filepath.Join(home.Logs(), "server.log"), "now\n")
	old := filepath.Join(home.Logs(), "server-20260101T120000.000000.log")
	put(t, old, "")
	if err := os.Truncate(old, MaxContent); err != nil {
		t.Fatal(err)
	}
	files, m := bundleOf(t, Source{Home: home}, Options{})
	if _, is := files["log/"+filepath.Base(old)]; is || files["log/server.log"] != "now\n" || !strings.Contains(notesOf(m, "bundle"), "is left out: a bundle holds at most") {
		t.Errorf("%v", m.Notes)
	}
}

// Core files are sealed, whole, and to nobody else.
func TestCoresAreSealed(t *testing.T) {
	home := newHome(t)
	if _, _, err := SupportKey(home); !errors.Is(err, ErrNoSupportKey) {
		t.Errorf("%v", err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "age1", "x", identity.String(), strings.ToLower(identity.String()), identity.Recipient().String() + "\n" + identity.Recipient().String()} {
		if err := SetSupportKey(home, bad); err == nil || bad != "" && bad != "x" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	cores := map[string]string{}
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000} {
		name := fmt.Sprintf("core.%d", size)
		cores[name] = strings.Repeat("S3cret-of-a-process ", size/20+1)[:size]
		put(t, filepath.Join(home.Cores(), name), cores[name])
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(home.Cores(), "core.link")); err != nil {
		t.Fatal(err)
	}
	// Without a key they stay, however it was asked.
	files, m := bundleOf(t, Source{Home: home}, Options{Cores: true})
	for name := range files {
		if strings.HasPrefix(name, "coredumps/core") {
			t.Errorf("%s left without a key", name)
		}
	}
	if !strings.Contains(notesOf(m, "coredumps"), "sealed to a support key") {
		t.Errorf("%v", m.Notes)
	}
	if err := SetSupportKey(home, identity.Recipient().String()); err != nil {
		t.Fatal(err)
	}
	// What looks like a secret inside is not overwritten.
	files, m = bundleOf(t, Source{Home: home, Secrets: [][]byte{[]byte("S3cret-of-a-process")}}, Options{Cores: true})
	for name, want := range cores {
		sealed := files["coredumps/"+name+".age"]
		r, err := age.Decrypt(strings.NewReader(sealed), identity)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
		}
	}
	if !strings.Contains(notesOf(m, "coredumps"), `"core.link" is not a regular file`) || m.Masked != 0 {
		t.Errorf("%v", m.Notes)
	}
	if bundle, _ := bundleOf(t, Source{Home: home}, Options{}); len(bundle["coredumps/core.1.age"]) > 0 {
		t.Error("core files come without being asked for")
	}
	var report bytes.Buffer
	if _, err := Report(t.Context(), Source{Home: home}, Options{Cores: true}, &report); err != nil || strings.Contains(report.String(), "S3cret") || !strings.Contains(report.String(), "(not shown)") {
		t.Errorf("%v\n%s", err, report.String())
	}
	if err := RemoveSupportKey(home); err != nil {
		t.Fatal(err)
	}
	if err := RemoveSupportKey(home); !errors.Is(err, ErrNoSupportKey) {
		t.Errorf("%v", err)
	}
}

// A file that shrinks while it is sealed is as long as was announced.
func TestSealedSizes(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "core")
	put(t, path, strings.Repeat("x", 1000))
	size, err := sealedSize(200_000, identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	content, err := item{path: path, size: size, plain: 200_000, seal: identity.Recipient()}.open(zeros{})
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if sealed, err := io.ReadAll(content); err != nil || int64(len(sealed)) != size {
		t.Errorf("%d bytes, not %d, %v", len(sealed), size, err)
	}
}

func TestCrashReports(t *testing.T) {
	dir := t.TempDir()
	log, err := serverlog.Server.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	fmt.Fprint(log, `{"level":"INFO","msg":"long before"}`+"\n"+`{"level":"INFO","msg":"just before"}`+"\n"+"panic: of nil\n\ngoroutine 1 [running]:\nmain.main()\n"+
		`{"level":"ERROR","msg":"the role ended by itself"}`+"\n"+`{"level":"INFO","msg":"after"}`+"\n")
	got, err := crashReports(t.Context(), dir)
	want := `{"level":"INFO","msg":"just before"}` + "\npanic: of nil\ngoroutine 1 [running]:\nmain.main()\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	for range 3 * maxCrashes / 1000 {
		fmt.Fprintln(log, strings.Repeat("x", 999))
	}
	if got, err := crashReports(t.Context(), dir); err != nil || len(got) > maxCrashes+100 || !bytes.HasPrefix(got, []byte("… older")) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestRates(t *testing.T) {
	first := "# HELP a b\n# TYPE a counter\na{class=\"2xx\"} 10\nsame 4\nh_bucket{le=\"1\"} 1\nh_count 1\nnot a number x\n"
	second := "a{class=\"2xx\"} 30\na{class=\"5xx\"} 1\nsame 4\nh_bucket{le=\"1\"} 3\nh_count 3\n"
	got := strings.Fields(string(rates([]byte(first), []byte(second), 5*time.Second)))
	want := strings.Fields(`over 5.0 s before after a second  a{class="2xx"} 10 30 4.00  a{class="5xx"} 0 1 0.20  h_count 1 3 0.40`)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// What the kernel says of a connection of ours is read right.
func TestConnections(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		local, peer := conn.LocalAddr().(*net.TCPAddr).AddrPort(), ln.Addr().(*net.TCPAddr).AddrPort()
		listening, established := false, false
		for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(data)) {
				l, p, state, ok := tcpLine(line)
				listening = listening || ok && l == peer && state == "listening"
				established = established || ok && l == local && p == peer && state == "established"
			}
		}
		if !listening || !established {
			t.Errorf("%s: listening %v, established %v", at, listening, established)
		}
	}
}

func FuzzTCPLine(f *testing.F) {
	f.Add("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000")
	f.Add("   1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 01")
	f.Fuzz(func(t *testing.T, line string) {
		if local, peer, state, ok := tcpLine(line); ok && (!local.IsValid() || !peer.IsValid() || state == "") {
			t.Errorf("%q: %v %v %q", line, local, peer, state)
		}
	})
}

// A gateway's bundle has what it was told, and none of its keys.
func TestSnapshotWithoutKeys(t *testing.T) {
	home := newHome(t)
	private := "-----BEGIN PRIVATE KEY-----\n" + strings.Join(keyLines, "\n") + "\n-----END PRIVATE KEY-----\n"
	s := model.Snapshot{Format: model.SnapshotFormat, Revision: 7, Group: model.SnapshotGroup{Name: "g"},
		Aliases: map[string]map[string]netip.Addr{"gw": {"a": netip.MustParseAddr("127.0.0.1")}},
		Services: []model.SnapshotService{{Site: "s", ServerGroup: "g", Name: "shop", Mode: model.ModeActive,
			Keys: []model.SnapshotKey{{Name: "k", Certificate: "PEM", PrivateKey: private}}}}}
	c := collection{name: "config"}
	if err := c.json("x", s); err != nil {
		t.Fatal(err)
	}
	put(t, home.Snapshot(), string(c.items[0].data))
	files, m := bundleOf(t, Source{Home: home, Config: appliance.Config{Role: appliance.Gateway}}, Options{})
	if got := files["config/snapshot.json"]; !strings.Contains(got, `"sslKeyName": "k"`) || strings.Contains(got, keyLines[1]) {
		t.Errorf("%s\n%v", got, m.Notes)
	}
}

func TestUpgradeFacts(t *testing.T) {
	home := newHome(t)
	files, _ := bundleOf(t, Source{Home: home, Version: "v1"}, Options{Upgrade: true})
	if files["upgrade/releases"] != "no patch was ever installed\n" || !strings.Contains(files["upgrade/schemas.json"], `"known"`) {
		t.Errorf("%q %q", files["upgrade/releases"], files["upgrade/schemas.json"])
	}
	releases := home.Releases()
	if err := os.MkdirAll(filepath.Join(releases, "v2"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(releases, "v2", "sealgated"), "program")
	put(t, home.Trial(), `{"state":"proven"}`)
	if err := os.Symlink("v2", filepath.Join(releases, "current")); err != nil {
		t.Fatal(err)
	}
	files, _ = bundleOf(t, Source{Home: home}, Options{Upgrade: true})
	if got := files["upgrade/releases"]; !strings.Contains(got, `"current" -> "v2"`) || !strings.Contains(got, `"v2/sealgated"`) || strings.Contains(got, "program") {
		t.Errorf("%s", got)
	}
	if files["upgrade/release.json"] != `{"state":"proven"}` {
		t.Errorf("%q", files["upgrade/release.json"])
	}
}

// A role that is not there leaves notes; one that is gives what it says.
func TestARoleIsAsked(t *testing.T) {
	home := newHome(t)
	_, m := bundleOf(t, Source{Home: home}, Options{Debug: true})
	if !strings.Contains(notesOf(m, "debug"), "no role") {
		t.Errorf("%v", m.Notes)
	}
	src := Source{Home: home, Ask: func(_ context.Context, what string) ([]byte, bool, error) {
		if what == "cpu" {
			return nil, false, errors.New("another profile is under way")
		}
		return []byte(what + "!"), what == "goroutine", nil
	}}
	files, m := bundleOf(t, src, Options{Debug: true})
	if files["debug/heap.pprof"] != "heap!" || files["debug/runtime.json"] != "runtime!" || !strings.Contains(notesOf(m, "debug"), "of goroutines the first") || !strings.Contains(notesOf(m, "debug"), "cpu: another profile") {
		t.Errorf("%v %v", files, m.Notes)
	}
}
