package link

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/secret"
	"sealgate/appliance/token"
)

// pipe makes a named pipe that somebody has open and never writes to.
func pipe(t *testing.T, path string) error {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	t.Cleanup(func() { f.Close() })
	return err
}

func TestIdentity(t *testing.T) {
	home := appliance.Home(t.TempDir())
	if _, err := ReadIdentity(home); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("none: %v", err)
	}
	if err := os.Mkdir(home.Link(), 0o700); err != nil {
		t.Fatal(err)
	}
	id := newIdentity(t)
	id.Registration = Registration{Server: "mx:8083", Pin: token.Pin{7}, ServerName: "mx1", Name: "gw1", Group: "G", DataAddress: "192.0.2.1", Since: time.Unix(1e9, 0).UTC()}
	if err := id.Write(home); err != nil {
		t.Fatal(err)
	}
	got, err := ReadIdentity(home)
	if err != nil || cmp.Diff(id, got) != "" {
		t.Fatalf("%s, %v", cmp.Diff(id, got), err)
	}
	if info, err := os.Stat(identityFile(home)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	opener, err := got.Opener()
	if err != nil {
		t.Fatal(err)
	}
	to, err := secret.ParseRecipient(opener.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := opener.Open("id", to.Seal("id", []byte("key"))); err != nil || string(s) != "key" {
		t.Errorf("%q, %v", s, err)
	}

	// What a role that was taken over leaves there is damage, and nothing worse.
	for what, leave := range map[string]func(string) error{
		"nothing":  func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"no keys":  func(path string) error { return os.WriteFile(path, []byte("{}"), 0o600) },
		"too much": func(path string) error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) },
		"a link":   func(path string) error { return os.Symlink(home.Config(), path) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a pipe":   func(path string) error { return pipe(t, path) },
	} {
		if err := os.RemoveAll(identityFile(home)); err != nil {
			t.Fatal(err)
		}
		if err := leave(identityFile(home)); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadIdentity(home); err == nil || errors.Is(err, ErrNoIdentity) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 2 {
		if err := Forget(home); err != nil {
			t.Error(err)
		}
	}
	if _, err := ReadIdentity(home); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("forgotten: %v", err)
	}
}
