package seal_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/anchor"
	"sealgate/appliance/guard"
	"sealgate/appliance/seal"
	"sealgate/appliance/secret"
)

// vendor signs, and has an anchor.
type vendor struct {
	private ed25519.PrivateKey
	anchor  []byte
}

func newVendor(t testing.TB) vendor {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, anchor, err := anchor.MarshalKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return vendor{private, anchor}
}

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// at is a clock that stands still.
func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// licence is one that unseals any appliance, changed by change.
func licence(change func(*seal.Licence)) seal.Licence {
	l := seal.Licence{ID: "L1", Product: seal.Product, Features: []string{seal.Unseal, "gateways=5"}, Issued: now.Add(-time.Hour).Unix()}
	if change != nil {
		change(&l)
	}
	return l
}

func (v vendor) mint(t testing.TB, change func(*seal.Licence)) string {
	t.Helper()
	key, err := seal.Mint(v.private, licence(change))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// template is a home with keys: hashing passwords for each test would take long.
var template = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "seal-test-*")
	if err == nil {
		err = secret.Create(dir, "Sys-Tem-4711", "Se-Cure-0815")
	}
	if err != nil {
		panic(err)
	}
	return dir
})

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(template())
	os.Exit(code)
}

// box is an appliance's folder.
type box struct {
	home appliance.Home
	keys *secret.Keys
	id   string
}

func newBox(t testing.TB, v vendor, deployment string) box {
	t.Helper()
	b := box{home: appliance.Home(t.TempDir()), id: "id-of-" + t.Name()}
	if err := os.CopyFS(filepath.Join(string(b.home), "keys"), os.DirFS(filepath.Join(template(), "keys"))); err != nil {
		t.Fatal(err)
	}
	master := make([]byte, 32)
	rand.Read(master)
	err := os.WriteFile(filepath.Join(string(b.home), "keys", "master.key"), master, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if b.keys, err = secret.Open(string(b.home)); err != nil {
		t.Fatal(err)
	}
	if err := seal.Create(b.home, b.keys, deployment, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(b.home.Anchors(), 0o755); err != nil {
		t.Fatal(err)
	}
	b.anchor(t, "vendor.pub", v.anchor)
	return b
}

func (b box) anchor(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(b.home.Anchors(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// seal is a new daemon's.
func (b box) seal() *seal.Seal { return seal.New(b.home, b.id, b.keys) }

func (b box) state(t testing.TB, when time.Time) seal.State {
	t.Helper()
	s, err := b.seal().State(when)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b box) unlock(t testing.TB, key string, when time.Time) error {
	t.Helper()
	_, err := b.seal().Unlock(t.Context(), key, at(when))
	return err
}

// refuses wants an error of kind that says why, with a hint, and a box as sealed as before.
func (b box) refuses(t *testing.T, key string, when time.Time, kind error, why string) {
	t.Helper()
	err := b.unlock(t, key, when)
	var fault *appliance.Fault
	if !errors.Is(err, kind) || !errors.As(err, &fault) || fault.Hint == "" || !strings.Contains(err.Error(), why) {
		t.Errorf("refused with %v, want %v because %q", err, kind, why)
	}
	if len(key) > 40 && strings.Contains(err.Error(), key[10:40]) {
		t.Errorf("the error repeats the key: %v", err)
	}
	if s := b.state(t, when); !s.Sealed() {
		t.Errorf("refused (%s), but unsealed by %+v", why, s.Licence)
	}
}

func TestUnlock(t *testing.T) {
	v := newVendor(t)
	b := newBox(t, v, "")
	if s := b.state(t, now); !s.Sealed() || s.Why != "" || len(s.Challenge) != 24 {
		t.Fatalf("a new appliance: %+v", s)
	}
	key := v.mint(t, nil)
	if len(key) > 350 || strings.ContainsAny(key, " \n=") {
		t.Errorf("not to be pasted: %s", key)
	}
	if err := b.unlock(t, key, now); err != nil {
		t.Fatal(err)
	}
	// Another daemon on the same home, much later.
	s := b.state(t, now.AddDate(50, 0, 0))
	if s.Sealed() || s.Licence.ID != "L1" || !s.Licence.Has(seal.Unseal) {
		t.Fatalf("%+v", s)
	}
	if n, ok := s.Licence.Count("gateways"); n != 5 || !ok {
		t.Errorf("gateways: %d, %v", n, ok)
	}
	info, err := os.Stat(b.home.Seal())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the record: %v, %v", info, err)
	}
	sealed := b.seal()
	if err := errors.Join(sealed.Again(), sealed.Again()); err != nil {
		t.Fatal(err)
	}
	if s := b.state(t, now); !s.Sealed() || s.Why != "" {
		t.Errorf("sealed again: %+v", s)
	}
}

func TestRefusals(t *testing.T) {
	v, stranger := newVendor(t), newVendor(t)
	b := newBox(t, v, "")
	key := v.mint(t, nil)
	raw, err := base64.RawURLEncoding.DecodeString(key[4:])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, key string
		kind      error
		why       string
	}{
		{"empty", "", seal.ErrDamaged, "begin with SG1-"},
		{"a later version", "SG2-" + key[4:], seal.ErrDamaged, "begin with SG1-"},
		{"lower case", "sg1-" + key[4:], seal.ErrDamaged, "begin with SG1-"},
		{"no content", "SG1-", seal.ErrDamaged, "cut short"},
		{"truncated", key[:len(key)-7], seal.ErrDamaged, "cut short"},
		{"truncated to the signature", key[:4+96], seal.ErrDamaged, "cut short"},
		{"mistyped", key[:60] + swapped(key[60]) + key[61:], seal.ErrDamaged, "cut short or mistyped"},
		{"two lines", key[:50] + "\n" + key[50:], seal.ErrDamaged, "characters"},
		{"padded", key + "==", seal.ErrDamaged, "characters"},
		{"standard base64", "SG1-+/" + key[6:], seal.ErrDamaged, "characters"},
		{"giant", key + strings.Repeat("A", 1<<20), seal.ErrDamaged, "more than 1024"},
		{"not UTF-8", "SG1-\xff\x00", seal.ErrDamaged, "characters"},
		{"forged content", resum(raw, func(raw []byte) { raw[len(raw)-10] ^= 1 }), seal.ErrRefused, "forged"},
		{"forged signature", resum(raw, func(raw []byte) { raw[8+20] ^= 1 }), seal.ErrRefused, "forged"},
		{"another's id", resum(raw, func(raw []byte) { raw[0] ^= 1 }), seal.ErrRefused, "no anchor here"},
		{"a stranger's", stranger.mint(t, nil), seal.ErrRefused, "no anchor here is its signer's"},
		{"another product", v.mint(t, func(l *seal.Licence) { l.Product = "gatesale" }), seal.ErrRefused, `another product, "gatesale"`},
		{"another feature", v.mint(t, func(l *seal.Licence) { l.Features = []string{"gateways=5"} }), seal.ErrRefused, "does not unseal"},
		{"an unseal with a number", v.mint(t, func(l *seal.Licence) { l.Features = []string{"unseal=1"} }), seal.ErrRefused, "does not unseal"},
		{"expired", v.mint(t, func(l *seal.Licence) { l.NotAfter = now.Unix() - 1 }), seal.ErrRefused, "expired on 2026-11-24 11:59:59 UTC"},
		{"from the future", v.mint(t, func(l *seal.Licence) { l.Issued = now.AddDate(0, 0, 2).Unix() }), seal.ErrRefused, "clock has not reached"},
		{"another appliance's", v.mint(t, func(l *seal.Licence) { l.Challenge = "ABCD-EFGH-IJKL-MNOP-QRST" }), seal.ErrRefused, "another appliance"},
		{"a deployment's", v.mint(t, func(l *seal.Licence) { l.Deployment = "west" }), seal.ErrRefused, "this appliance's is none"},
	} {
		t.Run(c.name, func(t *testing.T) { b.refuses(t, c.key, now, c.kind, c.why) })
	}
}

// What a vendor's key signed, but no vendor's tool would have made, is refused
// without being repeated.
func TestSignedNonsense(t *testing.T) {
	v := newVendor(t)
	b := newBox(t, v, "")
	good := `{"id":"L1","product":"sealgate","features":["unseal"],"issued":1700000000}`
	if err := b.unlock(t, seal.SignForTest(v.private, good), now); err != nil {
		t.Fatal(err)
	}
	if err := b.seal().Again(); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"not JSON":             "\x1b[2J",
		"nothing":              "",
		"a list":               "[]",
		"more behind it":       good + "}",
		"an unknown condition": strings.Replace(good, "{", `{"only_on":"mondays",`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			b.refuses(t, seal.SignForTest(v.private, body), now, seal.ErrRefused, "does not understand")
		})
	}
	for name, change := range map[string][2]string{
		"an id with an escape": {`"L1"`, `"\u001b[2J"`},
		"no features":          {`["unseal"]`, `[]`},
		"a feature twice":      {`["unseal"]`, `["unseal","unseal=2"]`},
		"a strange feature":    {`["unseal"]`, `["unseal","a b"]`},
		"issued never":         {`1700000000`, `0`},
		"the end first":        {`1700000000`, `1700000000,"not_after":1600000000`},
		"both bindings":        {`1700000000`, `1700000000,"challenge":"ABCD-EFGH-IJKL-MNOP-QRST","deployment":"w"`},
		"a strange challenge":  {`1700000000`, `1700000000,"challenge":"x"`},
		"a strange deployment": {`1700000000`, `1700000000,"deployment":"a/b"`},
	} {
		t.Run(name, func(t *testing.T) {
			b.refuses(t, seal.SignForTest(v.private, strings.Replace(good, change[0], change[1], 1)), now, seal.ErrRefused, "")
		})
	}
}

// resum makes a key of changed bytes whose checksum holds.
func resum(raw []byte, change func([]byte)) string {
	raw = slices.Clone(raw[:len(raw)-4])
	change(raw)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return seal.Prefix + base64.RawURLEncoding.EncodeToString(raw)
}

func swapped(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestBindings(t *testing.T) {
	v := newVendor(t)
	one, other, west := newBox(t, v, ""), newBox(t, v, ""), newBox(t, v, "west")
	challenge := one.state(t, now).Challenge
	if c := other.state(t, now).Challenge; c == challenge {
		t.Fatalf("two appliances have the challenge %s", c)
	}
	for name, c := range map[string]struct {
		change func(*seal.Licence)
		fits   []bool // one, other, west
	}{
		"none":               {nil, []bool{true, true, true}},
		"challenge":          {func(l *seal.Licence) { l.Challenge = challenge }, []bool{true, false, false}},
		"deployment":         {func(l *seal.Licence) { l.Deployment = "west" }, []bool{false, false, true}},
		"another deployment": {func(l *seal.Licence) { l.Deployment = "West" }, []bool{false, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			key := v.mint(t, c.change)
			for i, b := range []box{one, other, west} {
				if c.fits[i] {
					if err := b.unlock(t, key, now); err != nil {
						t.Errorf("appliance %d: %v", i, err)
					}
					if err := b.seal().Again(); err != nil {
						t.Error(err)
					}
					continue
				}
				b.refuses(t, key, now, seal.ErrRefused, "it is bound to")
			}
		})
	}
	// A copy of appliance.json is another appliance: the id alone makes no challenge.
	clone := other
	clone.id = one.id
	if clone.state(t, now).Challenge == challenge {
		t.Error("the challenge follows from the id alone")
	}
}

// A clock that is turned back revives no licence that was seen expired.
func TestTime(t *testing.T) {
	v := newVendor(t)
	end := now.Add(time.Hour)
	key := v.mint(t, func(l *seal.Licence) { l.NotAfter = end.Unix() })
	b := newBox(t, v, "")
	if err := b.unlock(t, key, now); err != nil {
		t.Fatal(err)
	}
	if s := b.state(t, end); s.Sealed() {
		t.Errorf("sealed in its last second: %s", s.Why)
	}
	if s := b.state(t, now.AddDate(0, 0, -3)); s.Sealed() {
		t.Errorf("a clock behind what was seen matters to the expiry alone: %s", s.Why)
	}
	for _, when := range []time.Time{end.Add(time.Second), end, now, now.AddDate(0, 0, -3)} {
		if s := b.state(t, when); !s.Sealed() || !strings.Contains(s.Why, "expired on 2026-11-24 13:00:00 UTC") {
			t.Errorf("at %s: %+v", when, s)
		}
	}
	b.refuses(t, key, now, seal.ErrRefused, "expired")
	if err := b.seal().Again(); err != nil {
		t.Fatal(err)
	}
	b.refuses(t, key, now, seal.ErrRefused, "expired")

	// Another licence is judged for itself: a clock that was wrong once is no end.
	if err := b.unlock(t, v.mint(t, func(l *seal.Licence) { l.ID, l.NotAfter = "L2", end.Unix() }), now); err != nil {
		t.Error(err)
	}

	// One that was refused because it had expired was seen, too.
	b = newBox(t, v, "")
	b.refuses(t, key, end.Add(time.Second), seal.ErrRefused, "expired")
	b.refuses(t, key, now, seal.ErrRefused, "expired")
}

// Editing the state by hand does not unseal.
func TestEditedByHand(t *testing.T) {
	v := newVendor(t)
	key := v.mint(t, func(l *seal.Licence) { l.NotAfter = now.Add(time.Hour).Unix() })
	donor := newBox(t, v, "")
	if err := donor.unlock(t, key, now); err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile(donor.home.Seal())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"the key alone":       key,
		"JSON":                `{"key":"` + key + `","sealed":false}`,
		"another appliance's": string(record),
		"nothing":             "",
	} {
		b := newBox(t, v, "")
		if err := os.WriteFile(b.home.Seal(), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if s := b.state(t, now); !s.Sealed() || !strings.Contains(s.Why, "is damaged, or another appliance's") {
			t.Errorf("%s: %+v", name, s)
		}
		if err := b.unlock(t, key, now); err == nil || !b.state(t, now).Sealed() {
			t.Errorf("%s: unlocked on top of it: %v", name, err)
		}
	}
	for i := range record {
		record[i] ^= 0x40
		if err := os.WriteFile(donor.home.Seal(), record, 0o600); err != nil {
			t.Fatal(err)
		}
		record[i] ^= 0x40
		if s := donor.state(t, now); !s.Sealed() {
			t.Fatalf("unsealed with byte %d changed", i)
		}
	}
	if err := os.Remove(donor.home.Seal()); err != nil {
		t.Fatal(err)
	}
	if s := donor.state(t, now); !s.Sealed() {
		t.Error("unsealed without a record")
	}
}

// Only root's and the daemon's own anchors count, and those nobody else can write.
func TestAnchors(t *testing.T) {
	v := newVendor(t)
	key := v.mint(t, nil)
	if os.Geteuid() != 0 {
		t.Fatal("needs root, to give files away")
	}
	for name, c := range map[string]struct {
		harm func(b box, path string) error
		why  string
	}{
		"gone":                {func(b box, path string) error { return os.Remove(path) }, "no anchor here"},
		"retired":             {func(b box, path string) error { return os.Rename(path, strings.TrimSuffix(path, "pub")+"retired") }, "its signer's key is retired here"},
		"no folder":           {func(b box, path string) error { return os.RemoveAll(b.home.Anchors()) }, "no anchor here"},
		"another ending":      {func(b box, path string) error { return os.Rename(path, path+".bak") }, "no anchor here"},
		"group may write":     {func(b box, path string) error { return os.Chmod(path, 0o664) }, "vendor.pub is refused: it can be written by others (mode 0664)"},
		"others may write":    {func(b box, path string) error { return os.Chmod(path, 0o646) }, "vendor.pub is refused: it can be written"},
		"a stranger's":        {func(b box, path string) error { return os.Chown(path, 65534, 65534) }, "vendor.pub is refused: it belongs to uid 65534"},
		"folder others write": {func(b box, path string) error { return os.Chmod(b.home.Anchors(), 0o777) }, "anchors is refused: it can be written"},
		"a stranger's folder": {func(b box, path string) error { return os.Chown(b.home.Anchors(), 65534, 0) }, "anchors is refused: it belongs to uid 65534"},
		"a link": {func(b box, path string) error {
			return elsewhere(path, func(to string) error { return os.Symlink(to, path) })
		}, "vendor.pub"},
		"a FIFO": {func(b box, path string) error {
			return elsewhere(path, func(string) error { return unix.Mkfifo(path, 0o644) })
		}, "vendor.pub is refused: it is not a file"},
		"not a key": {func(b box, path string) error { return os.WriteFile(path, []byte("x"), 0o644) }, "vendor.pub: it is not one public key"},
		"the vendor's own key": {func(b box, path string) error {
			p, _, _ := anchor.MarshalKey(v.private)
			return os.WriteFile(path, p, 0o644)
		}, "vendor.pub: it is not one public key"},
		"giant": {func(b box, path string) error { return os.WriteFile(path, make([]byte, 1<<20), 0o644) }, "vendor.pub"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, v, "")
			if err := b.unlock(t, key, now); err != nil {
				t.Fatal(err)
			}
			if err := c.harm(b, filepath.Join(b.home.Anchors(), "vendor.pub")); err != nil {
				t.Fatal(err)
			}
			if s := b.state(t, now); !s.Sealed() || !strings.Contains(s.Why, c.why) {
				t.Errorf("%+v, want %q", s, c.why)
			}
			b.refuses(t, key, now, seal.ErrRefused, c.why)
		})
	}
	// One that is refused takes no other with it.
	b := newBox(t, v, "")
	if err := os.Chmod(b.anchor(t, "a.pub", newVendor(t).anchor), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := b.unlock(t, key, now); err != nil {
		t.Error(err)
	}
}

func elsewhere(path string, then func(string) error) error {
	return errors.Join(os.Rename(path, path+".moved"), then(path+".moved"))
}

// Attempts come one after the other, failures make the next one wait, and a crowd
// is sent away.
func TestRate(t *testing.T) {
	v := newVendor(t)
	b := newBox(t, v, "")
	key := v.mint(t, nil)
	synctest.Test(t, func(t *testing.T) {
		s := b.seal()
		var waited []time.Duration
		for range 8 {
			begin := time.Now()
			if _, err := s.Unlock(t.Context(), "SG1-AAAA", at(now)); !errors.Is(err, seal.ErrDamaged) {
				t.Fatal(err)
			}
			waited = append(waited, time.Since(begin)/time.Millisecond)
		}
		if want := []time.Duration{0, 0, 0, 250, 500, 1000, 2000, 4000}; !slices.Equal(waited, want) {
			t.Errorf("waited %d ms, want %d", waited, want)
		}
		ended := make(chan error, 40)
		for range cap(ended) {
			go func() {
				_, err := s.Unlock(t.Context(), "SG1-AAAA", at(now))
				ended <- err
			}()
		}
		busy := 0
		for range cap(ended) {
			if errors.Is(<-ended, guard.ErrBusy) {
				busy++
			}
		}
		if busy != cap(ended)-8 {
			t.Errorf("%d of %d were sent away", busy, cap(ended))
		}
		// Who has a good key waits as well, and gives up when he likes.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Unlock(ctx, key, at(now)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("did not wait: %v", err)
		}
		if _, err := s.Unlock(t.Context(), key, at(now)); err != nil {
			t.Error(err)
		}
	})
}

// FuzzLicenceKey: nothing but what the vendor minted unseals, and nothing crashes.
func FuzzLicenceKey(f *testing.F) {
	v := newVendor(f)
	b := newBox(f, v, "west")
	minted := map[string]bool{}
	for _, change := range []func(*seal.Licence){nil, func(l *seal.Licence) { l.Deployment = "west" }, func(l *seal.Licence) { l.NotAfter = now.Unix() + 10 }} {
		key := v.mint(f, change)
		minted[key] = true
		f.Add(key)
		f.Add(key[:len(key)-1])
		f.Add(key + "A")
	}
	for _, s := range []string{"", "SG1-", "SG1-AAAA", "SG1-" + strings.Repeat("A", 108), "SG2-AAAA", newVendor(f).mint(f, nil)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if err := seal.Check(b.home, key, "west", now); (err == nil) != minted[key] {
			t.Errorf("%q: %v", key, err)
		} else if err != nil && !errors.Is(err, seal.ErrDamaged) && !errors.Is(err, seal.ErrRefused) {
			t.Errorf("%q: %v is neither damage nor a refusal", key, err)
		}
	})
}
