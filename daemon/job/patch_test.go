package job

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/patch"
	"sealgate/appliance/store"
	"sealgate/control"
	"sealgate/daemon/launch"
	"sealgate/internal/trial"
)

// The variables that tell a test process to install a patch until it is killed.
const (
	patchHome = "SEALGATE_JOBTEST_HOME"
	patchFile = "SEALGATE_JOBTEST_PATCH"
)

// kills is how often an installation is; SEALGATE_KILLS says how often in a soak.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("SEALGATE_KILLS")); err == nil {
		return n
	}
	if testing.Short() {
		return 20
	}
	return 100
}

// installUntilKilled is the life of such a process; in any other it returns false.
func installUntilKilled(t *testing.T) bool {
	home := os.Getenv(patchHome)
	if home == "" {
		return false
	}
	fmt.Println("begin")
	fmt.Println("end", install(t.Context(), appliance.Home(home), os.Getenv(patchFile)))
	return true
}

func install(ctx context.Context, home appliance.Home, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = installPatch(ctx, patch.Releases{Home: home, Base: "1.0"}, file, "test", deaf{})
	return err
}

// deaf hears and answers nothing.
type deaf struct{}

func (deaf) Text(control.Stream, string) {}
func (deaf) Progress(control.Progress)   {}
func (deaf) Ask(context.Context, control.Question) (string, error) {
	return "", errors.New("nobody is there")
}

// patched is a home with data, and the file of a patch that holds for it.
func patched(t *testing.T, home appliance.Home) (path string) {
	t.Helper()
	if err := store.Create(t.Context(), string(home), "admin", "verifier", store.Options{}); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	random := make([]byte, 5<<20)
	rand.NewChaCha8([32]byte{3}).Read(random)
	for name, data := range map[string][]byte{patch.Program: random, "rules/core": random[:1<<20]} {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(t.TempDir(), "patch")
	if err := trial.SignedPatch(home, folder, path, patch.Manifest{From: []string{"1.0"}, To: "1.1", Sequence: 1}); err != nil {
		t.Fatal(err)
	}
	return path
}

// Killed at any instant, an installation leaves this release with its data, or the
// new one, whole, to be activated.
func TestKilledPatch(t *testing.T) {
	if installUntilKilled(t) {
		return
	}
	home := appliance.Home(t.TempDir())
	path := patched(t, home)
	before, err := store.Current(string(home))
	if err != nil {
		t.Fatal(err)
	}
	run := func(after time.Duration) {
		environment := []string{patchHome + "=" + string(home), patchFile + "=" + path}
		if err := trial.UntilKilled(t.Context(), after, environment, "-test.run=^TestKilledPatch$"); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	run(-1)
	took := time.Since(begin)
	random := rand.New(rand.NewPCG(7, 3))
	there := 0
	for n := range kills() {
		forget(t, home)
		run(time.Duration(random.Int64N(int64(took))))
		if look(t, home, before) {
			there++
		}
		if t.Failed() {
			t.Fatalf("kill %d", n)
		}
	}
	t.Logf("%d kills, %d after the release was there", kills(), there)
	forget(t, home)
	if err := install(t.Context(), home, path); err != nil {
		t.Errorf("after all of them: %v", err)
	}
}

// forget is impctl platform rollback before a restart.
func forget(t *testing.T, home appliance.Home) {
	t.Helper()
	if err := errors.Join((patch.Trial{}).Write(home), launch.KeepData(home)); err != nil {
		t.Fatal(err)
	}
}

// look says whether the new release is to be activated, and that all is well either
// way.
func look(t *testing.T, home appliance.Home, before string) bool {
	t.Helper()
	r := patch.Releases{Home: home, Base: "1.0"}
	if running, err := r.Running(); err != nil || running != "1.0" {
		t.Errorf("%s runs, %v", running, err)
	}
	if now, err := store.Current(string(home)); err != nil || now != before {
		t.Errorf("the data are %s, %v", now, err)
	}
	left, err := patch.ReadTrial(home)
	if err != nil {
		t.Error(err)
	}
	release := filepath.Join(home.Releases(), "1.1")
	if _, err := os.Stat(release); err == nil || left.State == patch.Pending { // a folder of that name is whole
		for name, size := range map[string]int64{patch.Program: 5 << 20, "rules/core": 1 << 20} {
			if info, err := os.Stat(filepath.Join(release, name)); err != nil || info.Size() != size {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := launch.KeepData(home); err != nil {
		t.Error(err)
	}
	want := map[patch.State]int{patch.None: 2, patch.Pending: 3} // generations and their link
	if entries, err := os.ReadDir(filepath.Join(string(home), "data")); err != nil || len(entries) != want[left.State] {
		t.Errorf("in state %q there are %v, %v", left.State, entries, err)
	}
	if left.State != patch.Pending {
		return false
	}
	if left.DataBefore != before || store.Has(string(home), left.Data) != nil {
		t.Errorf("the data of %+v", left)
	}
	return true
}

// A disk that is too full for a copy of the data is said so before anything comes.
func TestPatchOnAFullDisk(t *testing.T) {
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=16m,mode=0700"); err != nil {
		t.Fatalf("mount a tmpfs (needs root): %v", err)
	}
	defer unix.Unmount(small, unix.MNT_DETACH)
	home := appliance.Home(filepath.Join(small, "home"))
	path := patched(t, home)
	generation, err := store.Current(string(home))
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(string(home), "data", generation, "archives", "big")
	if err := os.WriteFile(archive, make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := install(t.Context(), home, path); err == nil || !strings.Contains(err.Error(), "the disk has too little room") {
		t.Errorf("error is %v", err)
	}
	if entries, _ := os.ReadDir(home.Releases()); len(entries) > 0 {
		t.Errorf("there are %v", entries)
	}
	if err := os.Remove(archive); err != nil {
		t.Fatal(err)
	}
	if err := install(t.Context(), home, path); err != nil {
		t.Errorf("with room: %v", err)
	}
}

// An interrupted installation leaves nothing.
func TestCancelledPatch(t *testing.T) {
	home := appliance.Home(t.TempDir())
	path := patched(t, home)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := install(ctx, home, path); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if entries, _ := os.ReadDir(home.Releases()); len(entries) > 0 {
		t.Errorf("there are %v", entries)
	}
}
