package folder

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
)

func newHome(t *testing.T) appliance.Home {
	t.Helper()
	home := appliance.Home(t.TempDir())
	for _, dir := range []string{home.Exports(), home.TechInfo()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The hole: a name that leads out of the folder, or to what is no file.
func TestOpenOnlyWhatLiesThere(t *testing.T) {
	home := newHome(t)
	write(t, filepath.Join(string(home), "appliance.json"))
	write(t, filepath.Join(home.Exports(), "a.tgz"))
	write(t, filepath.Join(home.TechInfo(), "b.tgz"))
	write(t, filepath.Join(home.Exports(), ".hidden"))
	write(t, filepath.Join(home.Exports(), "half.tgz.part"))
	os.Symlink("../appliance.json", filepath.Join(home.Exports(), "link.tgz"))
	os.Mkdir(filepath.Join(home.Exports(), "dir.tgz"), 0o700)
	if err := unix.Mkfifo(filepath.Join(home.Exports(), "fifo.tgz"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{
		"a.tgz": true, "b.tgz": true,
		"": false, ".": false, "..": false, "../appliance.json": false, "/etc/passwd": false, "./a.tgz": false,
		".hidden": false, "half.tgz.part": false, "link.tgz": false, "dir.tgz": false, "fifo.tgz": false,
		"a.tgz\x00": false, "a\n.tgz": false, "none.tgz": false,
	} {
		f, err := Open(home, name)
		if (err == nil) != there {
			t.Errorf("%q: %v", name, err)
		}
		if err == nil {
			f.Close()
		}
	}
	list, err := List(home)
	if err != nil || len(list) != 2 || list[0].Name != "a.tgz" || list[1].Kind != TechInfo {
		t.Errorf("%+v, %v", list, err)
	}
	if err := Delete(home, "link.tgz"); err == nil {
		t.Error("a link was deleted")
	}
	if err := Delete(home, "a.tgz"); err != nil {
		t.Error(err)
	}
	if err := Delete(home, "a.tgz"); err == nil {
		t.Error("deleted twice")
	}
}

// A name is taken once: by a finished file, by one that is being written, and
// by one that appears meanwhile.
func TestNamesAreNotReplaced(t *testing.T) {
	home := newHome(t)
	write(t, filepath.Join(home.Exports(), "d.tgz"))
	name, file, err := Unused(home.Exports(), "d", ".tgz")
	if err != nil || name != "d-2.tgz" {
		t.Fatalf("%s, %v", name, err)
	}
	third, other, err := Unused(home.Exports(), "d", ".tgz")
	if err != nil || third != "d-3.tgz" {
		t.Fatalf("%s, %v", third, err)
	}
	write(t, filepath.Join(home.Exports(), "d-2.tgz"))
	if err := Finish(name, file); err == nil {
		t.Error("a file was replaced")
	}
	Discard(file)
	if err := Finish(third, other); err != nil {
		t.Error(err)
	}
	if list, _ := List(home); len(list) != 3 {
		t.Errorf("%+v", list)
	}
}

func TestSweepSparesTheLiving(t *testing.T) {
	home := newHome(t)
	write(t, filepath.Join(home.Exports(), "dead.tgz.part"))
	_, file, err := Unused(home.Exports(), "live", ".tgz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := Sweep(home); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(home.Exports(), "*"))
	if len(left) != 1 || filepath.Base(left[0]) != "live.tgz.part" {
		t.Errorf("left: %v", left)
	}
}
