package certificate_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"sealgate/appliance/certificate"
)

// What must not be in a bundle is known, the key of a request included.
func TestSecretsAreAllKeys(t *testing.T) {
	home := newHome(t)
	if _, err := certificate.Request(home, names, nil); err != nil {
		t.Fatal(err)
	}
	list, err := certificate.Secrets(home)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d files, %v", len(list), err)
	}
	for i, data := range list {
		if !bytes.Contains(data, []byte("PRIVATE KEY")) {
			t.Errorf("file %d has no key", i)
		}
	}
}

// The hole: the role owns the folder. The attack: a pipe, or a link to what has no end,
// in the place of a key. What must hold: who reads it is not held.
func TestSecretsAreNoLinks(t *testing.T) {
	for name, plant := range map[string]func(string) error{
		"pipe": func(path string) error { return unix.Mkfifo(path, 0o600) },
		"link": func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		home := newHome(t)
		if err := plant(filepath.Join(home.Certificate(), "request.key")); err != nil {
			t.Fatal(err)
		}
		if _, err := certificate.Secrets(home); err == nil {
			t.Errorf("a %s was read", name)
		}
	}
}
