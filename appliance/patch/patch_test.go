package patch

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/anchor"
)

// vendor signs patches that hold for its home.
type vendor struct {
	home      appliance.Home
	private   ed25519.PrivateKey
	recipient age.Recipient
}

func newVendor(t testing.TB) *vendor {
	t.Helper()
	v := &vendor{home: appliance.Home(t.TempDir())}
	var err error
	if _, v.private, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	v.recipient = identity.Recipient()
	_, public, err := anchor.MarshalKey(v.private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(v.home.PatchAnchors(), "vendor.pub"), public)
	write(t, filepath.Join(v.home.PatchAnchors(), "vendor.identity"), []byte("# of a test\n"+identity.String()+"\n"))
	return v
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (v *vendor) releases() Releases { return Releases{v.home, "1.0"} }

// member is one of a tar, with what the manifest says of it.
type member struct {
	tar.Header
	body string
}

var program = member{tar.Header{Typeflag: tar.TypeReg, Name: Program, Mode: 0o755}, "#!/bin/sh\necho 1.1\n"}

// forge signs whatever is wanted. members become the payload; what the manifest
// lacks is filled in from those of them that are files.
func (v *vendor) forge(t testing.TB, m Manifest, members ...member) []byte {
	t.Helper()
	var payload bytes.Buffer
	sealed, err := age.Encrypt(&payload, v.recipient)
	if err != nil {
		t.Fatal(err)
	}
	squeezed, err := zstd.NewWriter(sealed)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(squeezed)
	for _, e := range members {
		h := e.Header
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(e.body))
		}
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, e.body); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Closer{archive, squeezed, sealed} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return v.sign(t, m, payload.Bytes(), members...)
}

// sign signs a manifest for a payload.
func (v *vendor) sign(t testing.TB, m Manifest, payload []byte, members ...member) []byte {
	t.Helper()
	if m.Files == nil {
		for _, e := range members {
			if e.Typeflag == tar.TypeReg {
				m.Files = append(m.Files, fileOf(e))
			}
		}
	}
	h := &hasher{w: io.Discard}
	if _, err := h.Write(payload); err != nil {
		t.Fatal(err)
	}
	if m.Payload.Piece == 0 {
		m.Payload = Payload{pieceSize, h.end()}
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return v.signed(manifest, payload)
}

func (v *vendor) signed(manifest, payload []byte) []byte {
	h := header{manifest: int64(len(manifest)), payload: int64(len(payload)), key: anchor.IDOf(v.private.Public().(ed25519.PublicKey))}
	head := h.bytes()
	return slices.Concat(head, ed25519.Sign(v.private, signedPart(head, manifest)), manifest, payload)
}

func fileOf(e member) File {
	sum := sha256.Sum256([]byte(e.body))
	return File{Name: e.Name, Size: int64(len(e.body)), Mode: uint32(e.Mode), SHA256: hex.EncodeToString(sum[:])}
}

func manifest(sequence uint64) Manifest {
	return Manifest{Product: Product, From: []string{"0.9", "1.0"}, To: "1.1", Sequence: sequence}
}

// install takes a patch as the appliance does.
func install(v *vendor, data []byte) error {
	f, err := os.CreateTemp("", "patch-test-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	p, err := Open(TrustOf(v.home), f)
	if err != nil {
		return err
	}
	if err := p.Fits(v.releases()); err != nil {
		return err
	}
	if err := p.Check(context.Background(), silent); err != nil {
		return err
	}
	return p.Place(context.Background(), v.releases(), silent)
}

func silent(int64, int64) {}

// untouched says whether no release came, nor a part of one.
func untouched(t *testing.T, v *vendor) {
	t.Helper()
	entries, err := os.ReadDir(v.home.Releases())
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("there is %s", e.Name())
	}
}

func TestBuiltPatchIsPlaced(t *testing.T) {
	v := newVendor(t)
	folder := t.TempDir()
	big := make([]byte, 3*pieceSize+7)
	rand.NewChaCha8([32]byte{1}).Read(big)
	files := map[string][]byte{Program: []byte("#!/bin/sh\n"), "rules/core.conf": big, "rules/empty": nil}
	for name, data := range files {
		write(t, filepath.Join(folder, name), data)
	}
	if err := os.Chmod(filepath.Join(folder, Program), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "patch"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := Build(out, folder, Manifest{From: []string{"1.0"}, To: "1.1", Sequence: 7}, v.recipient); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(TrustOf(v.home), out); err == nil || !strings.Contains(err.Error(), "it is not signed") {
		t.Errorf("unsigned: %v", err)
	}
	if _, err := Sign(out, v.private); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Umask(unix.Umask(0o077))
	if err := install(v, data); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		path := filepath.Join(v.home.Releases(), "1.1", name)
		got, err := os.ReadFile(path)
		info, err2 := os.Stat(path)
		if err != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s: %v, %v", name, err, err2)
		}
		mode := fs.FileMode(0o644)
		if name == Program {
			mode = 0o755
		}
		if info.Mode() != mode {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	for _, dir := range []string{"1.1", "1.1/rules"} {
		if info, err := os.Stat(filepath.Join(v.home.Releases(), dir)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
	r := v.releases()
	if running, err := r.Running(); running != "1.0" || err != nil {
		t.Errorf("%s runs, %v", running, err)
	}
	if err := r.Activate("1.1"); err != nil {
		t.Fatal(err)
	}
	if path, err := r.Program(); err != nil || path != filepath.Join(v.home.Releases(), "1.1", Program) {
		t.Errorf("%s, %v", path, err)
	}
	if err := r.Activate("1.0"); err != nil {
		t.Fatal(err)
	}
	if path, err := r.Program(); err != nil || path != "" {
		t.Errorf("%s, %v", path, err)
	}
}

// Signed manifests that a vendor never writes, and that do not hold all the same.
func TestManifestsThatAreRefused(t *testing.T) {
	v := newVendor(t)
	with := func(change func(*Manifest)) Manifest {
		m := manifest(1)
		m.Files = []File{fileOf(program)}
		change(&m)
		return m
	}
	named := func(name string) Manifest {
		return with(func(m *Manifest) { m.Files = append(m.Files, fileOf(member{tar.Header{Name: name, Mode: 0o644}, ""})) })
	}
	for name, c := range map[string]struct {
		manifest Manifest
		want     string
	}{
		"another product":  {with(func(m *Manifest) { m.Product = "hubgate" }), "another product"},
		"another release":  {with(func(m *Manifest) { m.From = []string{"1.1-rc1"} }), "for release 1.1-rc1, and release 1.0 runs"},
		"itself":           {with(func(m *Manifest) { m.From = []string{"1.1"} }), "to itself"},
		"the base":         {with(func(m *Manifest) { m.From, m.To = []string{"0.9"}, "1.0" }), "there already"},
		"no from":          {with(func(m *Manifest) { m.From = nil }), "for 0 releases"},
		"no sequence":      {with(func(m *Manifest) { m.Sequence = 0 }), "no sequence"},
		"release a path":   {with(func(m *Manifest) { m.To = "../../etc" }), "release \"../../etc\""},
		"release a link":   {with(func(m *Manifest) { m.To = "current" }), "release \"current\""},
		"release hidden":   {with(func(m *Manifest) { m.To = ".ssh" }), "release \".ssh\""},
		"release long":     {with(func(m *Manifest) { m.To = strings.Repeat("1", 64) }), "1 to 63 letters"},
		"up":               {named("../evil"), "leads elsewhere"},
		"up inside":        {named("rules/../../evil"), "leads elsewhere"},
		"absolute":         {named("/etc/passwd"), "leads elsewhere"},
		"empty":            {named(""), "leads elsewhere"},
		"dot":              {named("rules/."), "leads elsewhere"},
		"folder":           {named("rules/"), "leads elsewhere"},
		"hidden":           {named(".patch"), "leads elsewhere"},
		"NUL":              {named("a\x00b"), "leads elsewhere"},
		"terminal":         {named("\x1b[31m"), "leads elsewhere"},
		"backslash":        {named(`..\evil`), "leads elsewhere"},
		"deep":             {named("a/b/c/d/e/f/g/h/i"), "leads elsewhere"},
		"long":             {named(strings.Repeat("a", 256)), "leads elsewhere"},
		"twice":            {named(Program), "twice"},
		"below a file":     {named(Program + "/x"), "a file and a folder"},
		"no program":       {with(func(m *Manifest) { m.Files[0].Name = "sealsh" }), "no program"},
		"no files":         {with(func(m *Manifest) { m.Files = []File{} }), "0 files"},
		"not executable":   {with(func(m *Manifest) { m.Files[0].Mode = 0o644 }), "no program"},
		"setuid":           {with(func(m *Manifest) { m.Files[0].Mode = 0o4755 }), "mode"},
		"others write":     {with(func(m *Manifest) { m.Files[0].Mode = 0o777 }), "mode"},
		"negative":         {with(func(m *Manifest) { m.Files[0].Size = -1 }), "size"},
		"giant":            {with(func(m *Manifest) { m.Files[0].Size = 1 << 62 }), "size"},
		"no hash":          {with(func(m *Manifest) { m.Files[0].SHA256 = "00" }), "hash"},
		"upper-case hash":  {with(func(m *Manifest) { m.Files[0].SHA256 = strings.ToUpper(m.Files[0].SHA256) }), "hash"},
		"pieces":           {with(func(m *Manifest) { m.Payload = Payload{1, []string{m.Files[0].SHA256}} }), "hashes"},
		"too few pieces":   {with(func(m *Manifest) { m.Payload = Payload{pieceSize, []string{}} }), "hashes"},
		"no hash of piece": {with(func(m *Manifest) { m.Payload = Payload{pieceSize, []string{"x"}} }), "hash of its payload"},
		"another's bytes":  {with(func(m *Manifest) { m.Payload = Payload{pieceSize, []string{m.Files[0].SHA256}} }), "altered"},
	} {
		err := install(v, v.forge(t, c.manifest, program))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "the patch is refused: ") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\x00\n") {
			t.Errorf("%s: raw bytes in %q", name, err)
		}
	}
	for name, text := range map[string]string{
		"no JSON":    "{",
		"more":       `{"product":"sealgate"} x`,
		"a new word": `{"product":"sealgate","only_after":1}`,
		"null":       "null",
		"a list":     "[]",
	} {
		if err := install(v, v.signed([]byte(text), nil)); err == nil {
			t.Errorf("%s is installed", name)
		}
	}
	untouched(t, v)
}

// Payloads that are signed and hold other things than the manifest says.
func TestPayloadsThatAreRefused(t *testing.T) {
	v := newVendor(t)
	second := member{tar.Header{Typeflag: tar.TypeReg, Name: "rules", Mode: 0o644}, "x"}
	m := manifest(1)
	m.Files = []File{fileOf(program), fileOf(second)}
	other := second
	other.body = "y"
	for name, members := range map[string][]member{
		"a symbolic link": {program, {tar.Header{Typeflag: tar.TypeSymlink, Name: "rules", Linkname: "/etc/passwd"}, ""}},
		"a hard link":     {program, {tar.Header{Typeflag: tar.TypeLink, Name: "rules", Linkname: Program}, ""}},
		"a folder":        {program, {tar.Header{Typeflag: tar.TypeDir, Name: "rules"}, ""}},
		"a pipe":          {program, {tar.Header{Typeflag: tar.TypeFifo, Name: "rules"}, ""}},
		"a device":        {program, {tar.Header{Typeflag: tar.TypeChar, Name: "rules", Devmajor: 1}, ""}},
		"another name":    {program, {tar.Header{Typeflag: tar.TypeReg, Name: "../rules"}, "x"}},
		"another size":    {program, {tar.Header{Typeflag: tar.TypeReg, Name: "rules"}, "xx"}},
		"another content": {program, other},
		"another order":   {second, program},
		"one less":        {program},
		"one more":        {program, second, {tar.Header{Typeflag: tar.TypeReg, Name: "more"}, ""}},
		"twice":           {program, second, second},
		"nothing":         {},
	} {
		if err := install(v, v.forge(t, m, members...)); err == nil || !strings.Contains(err.Error(), "the patch is refused: its payload cannot be read") {
			t.Errorf("%s: %v", name, err)
		}
	}
	stranger := newVendor(t)
	for name, payload := range map[string][]byte{
		"no age file": []byte("no age file"),
		"nobody's":    {},
	} {
		if err := install(v, v.sign(t, m, payload)); err == nil {
			t.Errorf("%s is installed", name)
		}
	}
	v.recipient = stranger.recipient
	if err := install(v, v.forge(t, m, program, second)); err == nil || !strings.Contains(err.Error(), "no identity here opens it") {
		t.Errorf("another's recipient: %v", err)
	}
	untouched(t, v)
}

// A patch that is refused in its midst leaves the release to go back to.
func TestTheReleaseBeforeStays(t *testing.T) {
	v := newVendor(t)
	r := v.releases()
	next := func(from, to string, sequence uint64) Manifest {
		return Manifest{Product: Product, From: []string{from}, To: to, Sequence: sequence}
	}
	for n, m := range []Manifest{next("1.0", "1.1", 1), next("1.1", "1.2", 2)} {
		if err := install(v, v.forge(t, m, program)); err != nil {
			t.Fatal(err)
		}
		if err := r.Activate(m.To); err != nil {
			t.Fatal(n, err)
		}
	}
	m := next("1.2", "1.3", 3)
	lies := m
	lies.Files = []File{fileOf(program)}
	changed := program
	changed.body = strings.ToUpper(program.body)
	if err := install(v, v.forge(t, lies, changed)); err == nil || !strings.Contains(err.Error(), "is not what was signed") {
		t.Errorf("another content: %v", err)
	}
	list, err := r.List()
	if diff := cmp.Diff([]string{"1.0", "1.1", "1.2"}, list); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	if err := install(v, v.forge(t, m, program)); err != nil {
		t.Fatal(err)
	}
	list, err = r.List()
	if diff := cmp.Diff([]string{"1.0", "1.2", "1.3"}, list); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
}

// A bomb is as large as its manifest says, and stops there.
func TestBomb(t *testing.T) {
	v := newVendor(t)
	m := manifest(1)
	m.Files = []File{fileOf(program)}
	bomb := program
	bomb.body = strings.Repeat("\x00", 64<<20)
	if err := install(v, v.forge(t, m, bomb)); err == nil || !strings.Contains(err.Error(), "of type") {
		t.Errorf("a larger file: %v", err)
	}
	untouched(t, v)
}

// Every byte counts.
func TestSpoiledPatches(t *testing.T) {
	v := newVendor(t)
	body := make([]byte, pieceSize)
	random := rand.New(rand.NewPCG(9, 1))
	rand.NewChaCha8([32]byte{2}).Read(body)
	data := v.forge(t, manifest(1), program, member{tar.Header{Typeflag: tar.TypeReg, Name: "rules", Mode: 0o644}, string(body)})
	head := manifestAt + int(binary.BigEndian.Uint32(data[len(magic)+4:]))
	spoiled := slices.Clone(data)
	for i := range 400 {
		at := i
		if i >= 200 {
			at = random.IntN(len(data))
		}
		bit := byte(1) << random.IntN(8)
		spoiled[at] ^= bit
		if err := install(v, spoiled); err == nil || !strings.HasPrefix(err.Error(), "the patch is refused: ") {
			t.Fatalf("byte %d of %d (payload at %d): %v", at, len(data), head, err)
		}
		spoiled[at] ^= bit
	}
	for _, n := range []int{0, 1, headerSize, manifestAt, head - 1, head, head + 1, len(data) - 1} {
		if err := install(v, data[:n]); err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%d of %d bytes: %v", n, len(data), err)
		}
	}
	untouched(t, v)
	if err := install(v, data); err != nil {
		t.Error(err)
	}
}

// Nobody is made to keep, or to wait for, more than the bounds.
func TestTooLarge(t *testing.T) {
	v := newVendor(t)
	data := v.forge(t, manifest(1), program)
	for name, sizes := range map[string]struct {
		manifest uint32
		payload  uint64
	}{
		"manifest":       {MaxManifest + 1, 1},
		"giant manifest": {1<<32 - 1, 1},
		"payload":        {1, MaxPayload + 1},
		"giant payload":  {1, 1<<64 - 1},
		"negative":       {1, 1 << 63},
	} {
		large := slices.Clone(data)
		binary.BigEndian.PutUint32(large[len(magic)+4:], sizes.manifest)
		binary.BigEndian.PutUint64(large[len(magic)+8:], sizes.payload)
		if err := install(v, large); err == nil || !strings.Contains(err.Error(), "the patch is refused: it is too large") {
			t.Errorf("%s: %v", name, err)
		}
	}
	large := slices.Clone(data)
	binary.BigEndian.PutUint32(large[len(magic):], 2)
	if err := install(v, large); err == nil || !strings.Contains(err.Error(), "it has format 2, and this release reads format 1") {
		t.Errorf("a later format: %v", err)
	}
	untouched(t, v)
}

func TestKeys(t *testing.T) {
	v := newVendor(t)
	data := v.forge(t, manifest(1), program)
	pub := filepath.Join(v.home.PatchAnchors(), "vendor.pub")
	for name, c := range map[string]struct {
		harm func() error
		want string
	}{
		"retired":     {func() error { return os.Rename(pub, strings.TrimSuffix(pub, ".pub")+".retired") }, "is retired here"},
		"unknown":     {func() error { return os.Remove(pub) }, "no anchor here is its signer's"},
		"writable":    {func() error { return os.Chmod(pub, 0o666) }, "can be written by others"},
		"a licence's": {func() error { return os.Rename(pub, filepath.Join(v.home.Anchors(), "vendor.pub")) }, "no anchor here is its signer's"},
	} {
		kept, err := os.ReadFile(pub)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.harm(); err != nil {
			t.Fatal(err)
		}
		if err := install(v, data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		os.Remove(strings.TrimSuffix(pub, ".pub") + ".retired")
		os.Remove(pub)
		write(t, pub, kept)
	}
	// A retired key stays retired, whatever else lies there.
	write(t, filepath.Join(v.home.PatchAnchors(), "old.retired"), must(os.ReadFile(pub)))
	if err := install(v, data); err == nil || !strings.Contains(err.Error(), "is retired here") {
		t.Errorf("retired beside: %v", err)
	}
	untouched(t, v)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What was here once is the least, for each key, until somebody goes back by hand.
func TestDowngrades(t *testing.T) {
	v := newVendor(t)
	release := func(sequence uint64, to string) error {
		m := manifest(sequence)
		m.To = to
		return install(v, v.forge(t, m, program))
	}
	for _, c := range []struct {
		sequence uint64
		to, want string
	}{
		{5, "1.5", ""},
		{5, "1.5", ""}, // again
		{5, "1.4", "downgrade"},
		{4, "1.4", "downgrade: release 1.4 has sequence 4, and 1.5 with sequence 5 was here"},
		{6, "1.6", ""},
		{5, "1.5", "downgrade"},
	} {
		if err := release(c.sequence, c.to); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, sequence %d: %v", c.to, c.sequence, err)
		}
	}
	// What is damaged lets nothing in.
	write(t, v.releases().highestFile(), []byte("{"))
	if err := release(9, "1.9"); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("a damaged file: %v", err)
	}
}

// A release that others could have changed, or that is none, does not run.
func TestReleasesThatDoNotRun(t *testing.T) {
	v := newVendor(t)
	if err := install(v, v.forge(t, manifest(1), program)); err != nil {
		t.Fatal(err)
	}
	r := v.releases()
	for _, release := range []string{"1.2", "..", "../releases/1.1", "", "/bin", "current"} {
		if err := r.Activate(release); err == nil {
			t.Errorf("%q is activated", release)
		}
	}
	if err := r.Activate("1.1"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(v.home.Releases(), "1.1", Program)
	for name, harm := range map[string]func() error{
		"others write":    func() error { return os.Chmod(path, 0o777) },
		"a stranger's":    func() error { return os.Chown(path, 65534, 0) },
		"folder writable": func() error { return os.Chmod(filepath.Dir(path), 0o777) },
		"a link":          func() error { return os.Rename(path, path+"2") },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if name == "a link" {
			if err := os.Symlink(path+"2", path); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Program(); err == nil {
			t.Errorf("%s: it runs", name)
		}
		if name == "a link" {
			if err := os.Rename(path+"2", path); err != nil {
				t.Fatal(err)
			}
		}
		for _, err := range []error{os.Chmod(path, 0o755), os.Chown(path, os.Geteuid(), 0), os.Chmod(filepath.Dir(path), 0o755)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Program(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// A disk without room says so, and nothing is left on it.
func TestFullDisk(t *testing.T) {
	v := newVendor(t)
	if err := os.Mkdir(v.home.Releases(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", v.home.Releases(), "tmpfs", 0, "size=4m,mode=0755"); err != nil {
		t.Fatalf("mount a tmpfs (needs root): %v", err)
	}
	defer unix.Unmount(v.home.Releases(), unix.MNT_DETACH)
	big := member{tar.Header{Typeflag: tar.TypeReg, Name: "rules", Mode: 0o644}, strings.Repeat("x", 5<<20)}
	if err := install(v, v.forge(t, manifest(1), program, big)); err == nil || !strings.Contains(err.Error(), "the disk has too little room") {
		t.Errorf("too large: %v", err)
	}
	untouched(t, v)
}

func TestTrialIsKept(t *testing.T) {
	home := appliance.Home(t.TempDir())
	if got, err := ReadTrial(home); err != nil || got != (Trial{}) {
		t.Errorf("%+v, %v", got, err)
	}
	want := Trial{State: OnTrial, Base: "1.0", To: "1.1", From: "1.0", Starts: 2, Data: "b", DataBefore: "a"}
	if err := want.Write(home); err != nil {
		t.Fatal(err)
	}
	want.Format = trialFormat
	if got, err := ReadTrial(home); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"", "{", `{"format":2}`, `{"format":1,"starts":"x"}`} {
		write(t, home.Trial(), []byte(text))
		if got, err := ReadTrial(home); err == nil || got != (Trial{}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// Nothing that decode lets through leads out of a release, or is larger than said.
func FuzzManifest(f *testing.F) {
	m := manifest(3)
	m.Files = []File{fileOf(program), {Name: "rules/a", Mode: 0o644, SHA256: fileOf(program).SHA256}}
	m.Payload = Payload{pieceSize, []string{fileOf(program).SHA256}}
	good, err := json.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, int64(100))
	for _, old := range []string{`"1.1"`, `"rules/a"`, `493`, `"from"`, `"sha256"`} {
		f.Add(bytes.Replace(good, []byte(old), []byte(`"../x"`), 1), int64(100))
	}
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		m, err := decode(data, size)
		if err != nil {
			return
		}
		if !filepath.IsLocal(m.To) || m.To == currentName || m.Unpacked() > MaxUnpacked || m.Unpacked() < 0 {
			t.Errorf("%+v", m)
		}
		for _, file := range m.Files {
			if !filepath.IsLocal(file.Name) || filepath.Clean(file.Name) != file.Name || file.Mode&^0o755 != 0 {
				t.Errorf("%+v", file)
			}
		}
	})
}

// Whatever the bytes, reading them ends, and only the vendor's are taken.
func FuzzPatch(f *testing.F) {
	v := newVendor(f)
	good := v.forge(f, manifest(1), program)
	f.Add(good)
	f.Add(good[:headerSize])
	f.Add(append(slices.Clone(good), 0))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := os.Create(filepath.Join(t.TempDir(), "patch"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.Write(data); err != nil {
			t.Fatal(err)
		}
		p, err := Open(TrustOf(v.home), file)
		if err != nil {
			return
		}
		if err := p.Check(t.Context(), silent); err == nil && !bytes.Equal(data, good) {
			t.Errorf("%d bytes are taken that nobody signed", len(data))
		}
	})
}
