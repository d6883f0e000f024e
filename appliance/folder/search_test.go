package folder

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sealgate/appliance"
)

func TestSearch(t *testing.T) {
	home := appliance.Home(t.TempDir())
	for _, dir := range []string{home.Exports(), home.TechInfo()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	touch := func(path string) {
		t.Helper()
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		touch(filepath.Join(home.Exports(), fmt.Sprintf("mx_%02d.tgz", i)))
	}
	touch(filepath.Join(home.TechInfo(), "mx_05.zip"))
	touch(filepath.Join(home.Exports(), "mx_90.tgz.part"))
	if err := os.Symlink("/etc/passwd", filepath.Join(home.Exports(), "mx_99.tgz")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		prefix            string
		files, more       int
		first, last, kind string
	}{
		{"", 10, 41, "mx_00.tgz", "mx_49.tgz", Dump},
		{"mx_0", 10, 1, "mx_00.tgz", "mx_09.tgz", Dump},
		{"mx_05", 2, 0, "mx_05.tgz", "mx_05.zip", Dump},
		{"mx_05.z", 1, 0, "mx_05.zip", "mx_05.zip", TechInfo},
		{"mx_9", 0, 0, "", "", ""},
	} {
		found, err := Search(home, c.prefix, 10)
		if err != nil || len(found.Files) != c.files || found.More != c.more || found.Last != c.last {
			t.Errorf("%q: %d files, %d more, last %q, %v", c.prefix, len(found.Files), found.More, found.Last, err)
		} else if c.files > 0 && (found.Files[0].Name != c.first || found.Files[0].Kind != c.kind) {
			t.Errorf("%q: %+v", c.prefix, found.Files[0])
		}
	}
	// What is remembered of a folder is forgotten when that changes.
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"a1", "a2", "a3"} {
		touch(filepath.Join(home.Exports(), name))
		if err := os.Chtimes(home.Exports(), old, old); err != nil {
			t.Fatal(err)
		}
		old = old.Add(time.Minute)
		for range 2 {
			if found, err := Search(home, "a", 10); err != nil || found.Last != name {
				t.Errorf("%s is not found: %+v, %v", name, found, err)
			}
		}
	}
	if err := Delete(home, "a3"); err != nil {
		t.Fatal(err)
	}
	if found, err := Search(home, "a", 10); err != nil || found.Last != "a2" {
		t.Errorf("%+v, %v", found, err)
	}
}
