package keyring

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"testing"
	"time"

	"sealgate/appliance/secret"
	"sealgate/daemon/errand"
)

const password = "Secure-pw-17"

// newKeyring has real keys, and a clock that stands still.
func newKeyring(t *testing.T) (k *Keyring, now *time.Time) {
	t.Helper()
	home := t.TempDir()
	if err := secret.Create(home, "System-pw-17", password); err != nil {
		t.Fatal(err)
	}
	keys, err := secret.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	now = new(time.Unix(1e9, 0))
	return New(keys, func() time.Time { return *now }), now
}

// guess begins an exchange and finishes it with a password.
func (k *Keyring) guess(t *testing.T, session, password string) error {
	t.Helper()
	x, err := k.BeginExchange([]byte("c"), []byte(session))
	if err != nil {
		return err
	}
	hash, err := x.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	mine := secret.PasswordExchange(hash, []byte("c"), []byte(session))
	c, err := mine.Finish(x.Share)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := k.FinishExchange([]byte(session), mine.Share(), c.Own())
	if err == nil && !c.Confirms(proof) {
		t.Error("the keyring does not know the password")
	}
	if err != nil && proof != nil {
		t.Error("who guessed wrong got a proof")
	}
	return err
}

// The hole: the role may ask as often as it likes. The attack: it was taken over, and
// guesses. What must hold: guesses are few, and right ones do not count.
func TestGuessesAreFew(t *testing.T) {
	k, now := newKeyring(t)
	for i := range freeGuesses {
		if err := k.guess(t, fmt.Sprint(i), "wrong"); !errors.Is(err, errand.ErrWrong) {
			t.Fatalf("guess %d: %v", i, err)
		}
		if i%8 == 0 {
			if err := k.guess(t, fmt.Sprint("right", i), password); err != nil {
				t.Fatalf("the password after guess %d: %v", i, err)
			}
		}
	}
	if err := k.guess(t, "one more", password); !errors.Is(err, errand.ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	*now = now.Add(guessEvery)
	if err := k.guess(t, "later", "wrong"); !errors.Is(err, errand.ErrWrong) {
		t.Errorf("later: %v", err)
	}
	if err := k.guess(t, "at once", password); !errors.Is(err, errand.ErrBusy) {
		t.Errorf("at once: %v", err)
	}
	*now = now.Add(-time.Hour) // a clock that is turned back gives and takes nothing
	if err := k.guess(t, "before", password); !errors.Is(err, errand.ErrBusy) {
		t.Errorf("before: %v", err)
	}
}

func TestSessions(t *testing.T) {
	k, now := newKeyring(t)
	begin := func(session string) error {
		_, err := k.BeginExchange(nil, []byte(session))
		return err
	}
	finish := func(session string) error {
		_, err := k.FinishExchange([]byte(session), make([]byte, 32), nil)
		return err
	}
	if err := finish("never begun"); !errors.Is(err, errand.ErrNoSession) {
		t.Errorf("never begun: %v", err)
	}
	if err := errors.Join(begin("a"), begin("b")); err != nil {
		t.Fatal(err)
	}
	if err := begin("a"); !errors.Is(err, errand.ErrNoSession) {
		t.Errorf("begun twice: %v", err)
	}
	if err := finish("a"); !errors.Is(err, errand.ErrWrong) {
		t.Errorf("no share: %v", err)
	}
	if err := finish("a"); !errors.Is(err, errand.ErrNoSession) {
		t.Errorf("used twice: %v", err)
	}
	*now = now.Add(exchangeLife + time.Second)
	if err := finish("b"); !errors.Is(err, errand.ErrNoSession) {
		t.Errorf("too old: %v", err)
	}
	// Who keeps many open pushes out the oldest, and takes no more memory.
	for i := range maxExchanges + 10 {
		*now = now.Add(time.Millisecond)
		if err := begin(fmt.Sprint("flood", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.open) != maxExchanges {
		t.Errorf("%d exchanges are kept", len(k.open))
	}
	if err := finish("flood0"); !errors.Is(err, errand.ErrNoSession) {
		t.Errorf("the oldest: %v", err)
	}
	for _, size := range []int{0, maxBinding + 1} {
		if _, err := k.BeginExchange(nil, make([]byte, size)); err == nil {
			t.Errorf("a session of %d bytes was begun", size)
		}
	}
}

// The attack: a role that was taken over has other secrets than private keys sealed to
// a key of its own.
func TestSealFor(t *testing.T) {
	k, _ := newKeyring(t)
	opener, err := secret.NewOpener(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	sealed, err := k.SealFor(opener.Recipient(), "id", k.keys.Seal("id", private))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := opener.Open("id", sealed); err != nil || !bytes.Equal(got, private) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := opener.Open("other", sealed); err == nil {
		t.Error("it opens as another secret")
	}
	for what, secret := range map[string][]byte{"password": []byte("hunter2"), "nothing": nil, "key and more": append(private, "hunter2"...),
		"what is called a key": []byte("-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n")} {
		if _, err := k.SealFor(opener.Recipient(), "id", k.keys.Seal("id", secret)); err == nil {
			t.Errorf("%s was sealed to a gateway", what)
		}
	}
	for what, try := range map[string]func() ([]byte, error){
		"another id": func() ([]byte, error) { return k.SealFor(opener.Recipient(), "x", k.keys.Seal("id", private)) },
		"no key":     func() ([]byte, error) { return k.SealFor([]byte("short"), "id", k.keys.Seal("id", private)) },
	} {
		if _, err := try(); err == nil {
			t.Errorf("%s: sealed", what)
		}
	}
}
