package dump

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/disk"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
)

// killHome tells a test process to import a dump into a home until it is killed.
const killHome = "SEALGATE_DUMPTEST_HOME"

// kills is how often an import is killed; SEALGATE_KILLS says how often in a soak.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("SEALGATE_KILLS")); err == nil {
		return n
	}
	return 8
}

// importUntilKilled is the life of such a process; in any other it returns false.
func importUntilKilled(t *testing.T) bool {
	home := os.Getenv(killHome)
	if home == "" {
		return false
	}
	keys, err := secret.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(os.Getenv("SEALGATE_DUMPTEST_DUMP"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("begin")
	_, err = take(t.Context(), Target{Home: appliance.Home(home), Secrets: keys}, data, ImportOptions{Merge: os.Getenv("SEALGATE_DUMPTEST_MERGE") != "", Passphrase: "p"})
	fmt.Println("end", err)
	return true
}

// fingerprint is a digest of all that a home holds: rows, secrets, files, archives.
// Revisions tell when a merge was, so that they are left out where one may have been.
func fingerprint(t *testing.T, home string, revisions bool) string {
	t.Helper()
	keys, err := secret.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	snap, err := db.Snapshot(t.Context(), store.SnapshotOptions{Unseal: keys.Unseal})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	all := sha256.New()
	for _, table := range snap.Tables() {
		fmt.Fprintln(all, table)
		err := snap.Rows(t.Context(), table, func(line []byte) error {
			switch {
			case table.Name == "revisions" && !revisions:
			case table.Name == "objects" && !revisions:
				before, _, _ := strings.Cut(string(line), `"revision":`)
				fmt.Fprintln(all, before)
			default:
				fmt.Fprintf(all, "%s\n", line)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range snap.Files() {
		in, err := snap.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(all, f)
		_, err = io.Copy(all, in)
		in.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	return hex.EncodeToString(all.Sum(nil))
}

// killable is a home whose imports are killed.
type killable struct {
	home, dump string
	merge      bool
	old, new   string // fingerprints
	took       time.Duration
}

func newKillable(t *testing.T, home, dump string, merge bool) *killable {
	t.Helper()
	targetIn(t, home)
	k := &killable{home: home, dump: dump, merge: merge, old: fingerprint(t, home, !merge)}
	begin := time.Now()
	k.run(t, -1)
	k.took = time.Since(begin)
	if k.new = fingerprint(t, home, !merge); k.new == k.old {
		t.Fatal("the import changed nothing")
	}
	k.back(t)
	return k
}

// back puts the old data back.
func (k *killable) back(t *testing.T) {
	t.Helper()
	if err := store.Rollback(k.home); err != nil {
		t.Fatal(err)
	}
	if fingerprint(t, k.home, !k.merge) != k.old {
		t.Fatal("the old data did not come back")
	}
}

// run imports in a process that is killed after a time, or never if that is
// negative. It says whether the process said that it was done.
func (k *killable) run(t *testing.T, after time.Duration) (done bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledImport$")
	cmd.Env = append(os.Environ(), killHome+"="+k.home, "SEALGATE_DUMPTEST_DUMP="+k.dump)
	if k.merge {
		cmd.Env = append(cmd.Env, "SEALGATE_DUMPTEST_MERGE=1")
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch said := lines.Text(); {
		case said == "begin" && after >= 0:
			time.AfterFunc(after, func() { cmd.Process.Kill() })
		case said == "end <nil>":
			done = true
		}
	}
	cmd.Wait()
	return done
}

// look says whether the old or the new data are there, after what a daemon does
// when it starts.
func (k *killable) look(t *testing.T) (isNew bool) {
	t.Helper()
	if err := store.Sweep(k.home); err != nil {
		t.Fatal(err)
	}
	found := fingerprint(t, k.home, !k.merge)
	if found != k.old && found != k.new {
		t.Fatal("neither the old data nor the new")
	}
	entries, err := os.ReadDir(filepath.Join(k.home, "data"))
	if err != nil {
		t.Fatal(err)
	}
	want := 2 // a generation and its link
	if found == k.new {
		want = 3 // and what was before
	}
	if len(entries) != want {
		t.Errorf("%v are left", entries)
	}
	return found == k.new
}

// Killed at any instant, on a disk that is as full as it likes, an import leaves
// the old data or the new.
func TestKilledImport(t *testing.T) {
	if importUntilKilled(t) {
		return
	}
	dump := filepath.Join(t.TempDir(), "dump.tgz")
	writeFile(t, dump, sealedTo(t, tinyDump(t, Options{FailedArchives: true, Passphrase: "p"}), "p"))
	small := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(small, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=16m,mode=0700"); err != nil {
		t.Fatalf("mount a tmpfs (needs root): %v", err)
	}
	defer unix.Unmount(small, unix.MNT_DETACH)
	homes := []*killable{
		newKillable(t, t.TempDir(), dump, false), newKillable(t, t.TempDir(), dump, true),
		newKillable(t, filepath.Join(small, "replaced"), dump, false), newKillable(t, filepath.Join(small, "merged"), dump, true),
	}
	random := rand.New(rand.NewPCG(5, 1))
	news := 0
	for n := range kills() {
		k := homes[n%len(homes)]
		filler := ""
		if n%len(homes) >= 2 {
			filler = filepath.Join(small, "filler")
			fill(t, filler, random.Int64N(3<<20))
		}
		after := time.Duration(random.Int64N(int64(k.took) * 5 / 4))
		done := k.run(t, after)
		if filler != "" {
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		}
		isNew := k.look(t)
		if done && !isNew {
			t.Fatal("an import was done, and the old data are there")
		}
		if isNew {
			news++
			k.back(t)
		}
		if t.Failed() {
			t.Fatalf("at kill %d, after %v of %v", n, after, k.took)
		}
	}
	t.Logf("%d kills, %d after the link had moved", kills(), news)
}

// fill leaves so many bytes of a small disk above its reserve.
func fill(t *testing.T, path string, leave int64) {
	t.Helper()
	space, err := disk.Of(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, make([]byte, max(space.Free-space.Reserve-leave, 0)))
}

// A disk that has no room at some point says so, and nothing changes.
func TestImportOnAFullDisk(t *testing.T) {
	t.Parallel()
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=8m,mode=0700"); err != nil {
		t.Fatalf("mount a tmpfs (needs root): %v", err)
	}
	defer unix.Unmount(small, unix.MNT_DETACH)
	data := tinyDump(t, Options{FailedArchives: true})
	to := targetIn(t, filepath.Join(small, "home"))
	before := fingerprint(t, string(to.Home), true)
	space, err := disk.Of(small)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for leave := -space.Reserve; ; leave += 64 << 10 {
		filler := filepath.Join(small, "filler")
		fill(t, filler, leave)
		_, err := take(t.Context(), to, data, ImportOptions{})
		if removed := os.Remove(filler); removed != nil {
			t.Fatal(removed)
		}
		if err == nil {
			break
		}
		refused++
		if !strings.Contains(err.Error(), "disk") {
			t.Errorf("with %d bytes: %v", leave, err)
		}
		if fingerprint(t, string(to.Home), true) != before {
			t.Fatalf("with %d bytes the data changed", leave)
		}
	}
	if refused < 5 {
		t.Errorf("the disk was full %d times", refused)
	}
}

// Where it is known that what is here does not fit a second time, nothing of the dump
// is read.
func TestImportNeedsRoom(t *testing.T) {
	t.Parallel()
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=16m,mode=0700"); err != nil {
		t.Fatalf("mount a tmpfs (needs root): %v", err)
	}
	defer unix.Unmount(small, unix.MNT_DETACH)
	random := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(random)
	f := forge(t, tinyDump(t, Options{FailedArchives: true}))
	f.insert("archives/", "files/zz", string(random))
	data := f.bytes()
	home := filepath.Join(small, "home")
	to := targetIn(t, home)
	writeFile(t, filepath.Join(home, "data", "current", "files", "large"), make([]byte, 3<<20))
	for name, c := range map[string]struct {
		options ImportOptions
		leave   int64
	}{
		"in the place": {ImportOptions{}, 3<<20 - 1},
		"beside":       {ImportOptions{Merge: true}, 6<<20 - 1},
		"files stay":   {ImportOptions{KeepFiles: true}, 3<<20 - 1},
		"both":         {ImportOptions{Merge: true, KeepFiles: true}, 3<<20 - 1},
	} {
		filler := filepath.Join(small, "filler")
		fill(t, filler, c.leave)
		in := bytes.NewReader(data)
		_, err := Import(t.Context(), to, in, int64(len(data)), c.options, noProgress)
		if err == nil || !strings.Contains(err.Error(), "are needed") || in.Len() < len(data)-readSize {
			t.Errorf("%s: %d of %d bytes are left, %v", name, in.Len(), len(data), err)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
	imported(t, to, data, ImportOptions{KeepFiles: true})
}
