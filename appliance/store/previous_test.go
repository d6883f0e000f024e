package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sealgate/appliance/store"
)

// The hole: the role may put anything in the place of the name of the generation
// before. What must hold: nothing waits for it, and no error tells what it leads to.
func TestPreviousIsARolesWord(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("the key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(path string) error{
		"a pipe":             func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a link to a key":    func(path string) error { return os.Symlink(key, path) },
		"a link without end": func(path string) error { return os.Symlink("/dev/zero", path) },
		"a long name":        func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("the key", 1<<10)), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			if err := store.Create(t.Context(), home, "admin", "verifier", store.Options{Now: clock()}); err != nil {
				t.Fatal(err)
			}
			if err := plant(filepath.Join(home, "data", "current", "previous")); err != nil {
				t.Fatal(err)
			}
			_, previous := store.Previous(home)
			for what, err := range map[string]error{"previous": previous, "sweep": store.Sweep(home), "rollback": store.Rollback(home)} {
				if err == nil || strings.Contains(err.Error(), "the key") {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}
