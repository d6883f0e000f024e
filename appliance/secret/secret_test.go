package secret_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/appliance/guard"
	"sealgate/appliance/secret"
)

const (
	system = "Sys-Tem-4711"
	secure = "Se-Cure-0815"
)

func create(t *testing.T) (string, *secret.Keys) {
	t.Helper()
	home := t.TempDir()
	if err := secret.Create(home, system, secure); err != nil {
		t.Fatal(err)
	}
	keys, err := secret.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	return home, keys
}

func TestFilesAreThisUsersAlone(t *testing.T) {
	home, _ := create(t)
	for name, mode := range map[string]os.FileMode{"keys": 0o700 | os.ModeDir, "keys/master.key": 0o600, "keys/verifiers.json": 0o600} {
		info, err := os.Stat(filepath.Join(home, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v, %v; want %v", name, info.Mode(), err, mode)
		}
	}
	text, err := os.ReadFile(filepath.Join(home, "keys/verifiers.json"))
	if err != nil || bytes.Contains(text, []byte(system)) || bytes.Count(text, []byte("$argon2id$v=19$m=19456,t=2,p=1$")) != 2 {
		t.Errorf("verifiers.json is %s, %v", text, err)
	}
	if err := secret.Create(home, system, secure); !errors.Is(err, secret.ErrExists) {
		t.Errorf("a second Create: %v", err)
	}
}

func TestVerify(t *testing.T) {
	_, keys := create(t)
	for _, c := range []struct {
		which    secret.Which
		password string
		want     bool
	}{
		{secret.System, system, true}, {secret.System, secure, false}, {secret.Secure, secure, true},
		{secret.Secure, "", false}, {secret.System, system + "\x00", false},
	} {
		got, err := keys.Verify(t.Context(), c.which, c.password)
		if err != nil || got != c.want {
			t.Errorf("%s with %q: %v, %v; want %v", c.which, c.password, got, err, c.want)
		}
	}
	if _, err := keys.Verify(t.Context(), "other", system); err == nil {
		t.Error("a password that does not exist was verified")
	}
}

func TestCreateAfterACutIsRepeated(t *testing.T) {
	home, _ := create(t)
	if err := os.Remove(filepath.Join(home, "keys/master.key")); err != nil {
		t.Fatal(err)
	}
	if err := secret.Create(home, system, secure); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedKeysAreRefused(t *testing.T) {
	for name, content := range map[string]string{
		"master.key": "short", "verifiers.json": `{"system":"$argon2id$v=19$m=99999999,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
	} {
		home, _ := create(t)
		if err := os.WriteFile(filepath.Join(home, "keys", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.Open(home); err == nil {
			t.Errorf("keys with a damaged %s were opened", name)
		}
	}
}

// A flood of wrong guesses at one password must be refused or slowed down, and the
// other password must answer meanwhile.
func TestFloodHoldsUpNobodyElse(t *testing.T) {
	_, keys := create(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var tried, refused int
	var flood sync.WaitGroup
	for range 32 {
		flood.Go(func() {
			for ctx.Err() == nil {
				ok, err := keys.Verify(ctx, secret.System, "Wrong-Guess-1")
				mu.Lock()
				switch {
				case ok:
					t.Error("a wrong guess was right")
				case errors.Is(err, guard.ErrBusy):
					refused++
				case err == nil:
					tried++
				}
				mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		})
	}
	time.Sleep(time.Second)
	start := time.Now()
	ok, err := keys.Verify(t.Context(), secret.Secure, secure)
	took := time.Since(start)
	cancel()
	flood.Wait()
	if !ok || err != nil {
		t.Errorf("the other password: %v, %v", ok, err)
	}
	if took > 10*time.Second {
		t.Errorf("the other password took %v", took)
	}
	if tried > 8 || refused == 0 {
		t.Errorf("%d guesses were tried and %d refused", tried, refused)
	}
}

func TestCancelEndsTheWait(t *testing.T) {
	_, keys := create(t)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := keys.Verify(ctx, secret.System, "Wrong-Guess-1")
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
	t.Error("five wrong guesses were answered without a wait")
}

func TestMatches(t *testing.T) {
	_, keys := create(t)
	verifier, err := secret.Hash(t.Context(), "Corr-ect-1")
	if err != nil {
		t.Fatal(err)
	}
	again, err := secret.Hash(t.Context(), "Corr-ect-1")
	if err != nil || again == verifier {
		t.Errorf("one password has one verifier twice: %v", err)
	}
	if ok, err := keys.Matches(t.Context(), "anna", verifier, "Corr-ect-1"); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	for _, damaged := range []string{"", "x", strings.Replace(verifier, "argon2id", "argon2i", 1), strings.Replace(verifier, "p=1", "p=1x", 1),
		strings.Replace(verifier, "m=19456", "m=1048576", 1), strings.Replace(verifier, "t=2", "t=4000000000", 1), verifier + "A"} {
		if ok, err := keys.Matches(t.Context(), "anna", damaged, "Corr-ect-1"); ok || err == nil {
			t.Errorf("verifier %q: %v, %v", damaged, ok, err)
		}
	}
}

func TestSeal(t *testing.T) {
	_, keys := create(t)
	_, others := create(t)
	for _, plain := range []string{"", "a private key\x00\xff"} {
		sealed := keys.Seal("id-1", []byte(plain))
		if len(sealed) != len(plain)+secret.Overhead || bytes.Contains(sealed, []byte("private")) {
			t.Errorf("%q was sealed as %q", plain, sealed)
		}
		got, err := keys.Unseal("id-1", sealed)
		if err != nil || string(got) != plain {
			t.Errorf("unsealed %q, %v", got, err)
		}
		if _, err := keys.Unseal("id-2", sealed); err == nil {
			t.Error("opened under another id")
		}
		if _, err := others.Unseal("id-1", sealed); err == nil {
			t.Error("opened with another appliance's key")
		}
		for i := range sealed {
			bent := bytes.Clone(sealed)
			bent[i] ^= 1
			if _, err := keys.Unseal("id-1", bent); err == nil {
				t.Errorf("opened with byte %d changed", i)
			}
		}
	}
	if bytes.Equal(keys.Seal("id", []byte("x")), keys.Seal("id", []byte("x"))) {
		t.Error("sealing twice gives the same bytes")
	}
}

func TestCheckPassword(t *testing.T) {
	for _, c := range []struct{ password, breaks string }{
		{"Good-Pass-1", ""}, {"abcdEFGH12", ""}, {"abcd efgh 12", ""}, {strings.Repeat("aB3", 42), ""},
		{"Ab3-xyz", "8 to 128 characters"}, {strings.Repeat("aB3", 43), "8 to 128 characters"}, {"", "8 to 128 characters"},
		{"Grüße-123", "printable ASCII"}, {"tab\tTab-123", "printable ASCII"},
		{"alllowercase", "at least 3"}, {"lower123456x", "at least 3"}, {"ONLYUPPER-", "at least 3"},
		{"my-MX-one.7", "name"}, {"MY-mx-one-9", "name"}, {"My-Password-1", "guesses"}, {"Qwerty-4711", "guesses"}, {"SealGate-99", "guesses"},
		{"Abc-4711-x", ""}, // a name of three letters forbids nothing
	} {
		err := secret.CheckPassword("system", c.password, "mx-one", "abc")
		switch {
		case c.breaks == "" && err != nil:
			t.Errorf("%q: %v", c.password, err)
		case c.breaks != "" && (err == nil || !strings.Contains(err.Error(), c.breaks) || !strings.Contains(err.Error(), "system")):
			t.Errorf("%q: %v; want the rule of %q", c.password, err, c.breaks)
		case err != nil && c.password != "" && strings.Contains(err.Error(), c.password):
			t.Errorf("the error repeats %q", c.password)
		}
	}
}
