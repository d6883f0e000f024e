package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"sealgate/appliance/store"
)

// A copy is whole, opens, and goes its own way; what the role put beside the files
// is not followed.
func TestDuplicate(t *testing.T) {
	home := t.TempDir()
	if err := store.Create(t.Context(), home, "admin", "verifier", store.Options{}); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(home, "data", must(store.Current(home)))
	outside := filepath.Join(t.TempDir(), "secret")
	for path, text := range map[string]string{filepath.Join(base, "files", "a.conf"): "a", outside: "secret"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(outside, filepath.Join(base, "files", "link")), unix.Mkfifo(filepath.Join(base, "files", "pipe"), 0o600),
		os.Mkdir(filepath.Join(base, "files", "sub"), 0o700), os.Symlink("/etc", filepath.Join(base, "archives", "etc"))); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Duplicate(t.Context(), home, func(int64) {}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("while it is open: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var told int64
	from, to, err := store.Duplicate(t.Context(), home, func(n int64) { told = n })
	if err != nil {
		t.Fatal(err)
	}
	if size := must(store.Size(home)); told < size/2 || from != filepath.Base(base) || to == from {
		t.Errorf("%d of %d bytes, %s to %s", told, size, from, to)
	}
	copied := filepath.Join(home, "data", to)
	if data, err := os.ReadFile(filepath.Join(copied, "files", "a.conf")); err != nil || string(data) != "a" {
		t.Errorf("the file holds %q, %v", data, err)
	}
	for _, name := range []string{"files/link", "files/pipe", "archives/etc"} {
		if _, err := os.Lstat(filepath.Join(copied, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was copied: %v", name, err)
		}
	}
	if info, err := os.Stat(filepath.Join(copied, "files", "sub")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v", err)
	}

	// Both are kept, whichever is in use, until neither is needed.
	if err := store.SwitchTo(home, to); err != nil {
		t.Fatal(err)
	}
	db, err = store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Check(t.Context()), db.Close(), store.Sweep(home), store.Has(home, from), store.Has(home, to)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"..", "current", "none", ""} {
		if err := store.SwitchTo(home, name); err == nil {
			t.Errorf("%q is in use", name)
		}
	}
	if err := errors.Join(store.KeepOnly(home), store.Sweep(home), store.Has(home, to)); err != nil {
		t.Error(err)
	}
	if store.Has(home, from) == nil {
		t.Error("the old data are left")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := store.Duplicate(ctx, home, func(int64) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(home, "data")); err != nil || len(entries) != 2 {
		t.Errorf("there are %v, %v", entries, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
