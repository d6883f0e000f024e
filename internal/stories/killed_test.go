package stories

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sealgate/internal/trial"
)

// kills is how often an appliance is killed; SEALGATE_KILLS says how often in a soak.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("SEALGATE_KILLS")); err == nil {
		return n
	}
	return 4
}

// Killed with all its processes at any instant of a patch or of the restart after
// it, an appliance comes up with the old release or the new one, and its role runs.
func TestKilledWhileItIsPatched(t *testing.T) {
	app, url := patchable(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	begin := time.Now()
	patchAndRestart(t, app, url)
	comesUp(t, app, "Sealgate 1.1")
	took := time.Since(begin)
	random := rand.New(rand.NewPCG(8, 4))
	news := 0
	for n := range kills() {
		goBack(t, app)
		after := time.Duration(random.Int64N(int64(took)))
		begun := make(chan struct{})
		go func() {
			defer close(begun)
			patchAndRestart(t, app, url)
		}()
		time.Sleep(after)
		killTree(t, app.PID())
		app.Kill()
		<-begun
		if err := app.Start(); err != nil { // returns when the role runs
			t.Fatalf("kill %d, after %v of %v: %v", n, after, took, err)
		}
		switch said, _ := app.Run("version"); {
		case strings.Contains(said, "Sealgate 1.1"):
			news++
		case !strings.Contains(said, "Sealgate dev"):
			t.Fatalf("kill %d, after %v of %v: %s", n, after, took, said)
		}
		if said, _ := app.Run("status"); strings.Contains(said, "note:") && !strings.Contains(said, "as root wanted") {
			t.Errorf("kill %d, after %v of %v: %s", n, after, took, said)
		}
	}
	t.Logf("%d kills, %d with the new release after it", kills(), news)
}

// patchable is an appliance, and where a patch for it is.
func patchable(t *testing.T) (app *trial.Appliance, url string) {
	t.Helper()
	home := filepath.Join(t.TempDir(), "app")
	srv := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(patchFor(t, home)))))
	t.Cleanup(srv.Close)
	app, err := trial.New(bin, home, "mx", "mx1")
	if err != nil {
		t.Fatal(err)
	}
	return app, srv.URL + "/patch"
}

// patchFor is a patch that the appliance which will be in home takes.
func patchFor(t *testing.T, home string) (file string) {
	t.Helper()
	dir := t.TempDir()
	v, err := trial.NewVendor(bin, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Trust(filepath.Join(home, "anchors")); err != nil {
		t.Fatal(err)
	}
	release, err := build("1.1", trial.NextSchema)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "patch")
	if err := v.Patch(release, "dev", "1.1", 1, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// patchAndRestart is what an administrator says; some of it to nobody, when the
// appliance is killed meanwhile.
func patchAndRestart(t *testing.T, app *trial.Appliance, url string) {
	for _, line := range []string{"impctl server stop", "patch-remote " + url, "impctl restart --yes"} {
		if out, err := app.Run(line); err != nil {
			t.Logf("%s: %s", line, out)
			return
		}
	}
}

func comesUp(t *testing.T, app *trial.Appliance, version string) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		said, _ := app.Run("version")
		how, _ := app.Run("status")
		if strings.Contains(said, version) && strings.Contains(how, "running on") && !strings.Contains(how, "on trial") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come up: %s %s", version, said, how)
		}
	}
}

// goBack has the old release run again.
func goBack(t *testing.T, app *trial.Appliance) {
	t.Helper()
	if said, _ := app.Run("version"); strings.Contains(said, "Sealgate dev") {
		return
	}
	comesUp(t, app, "Sealgate 1.1")
	for _, line := range []string{"impctl server stop", "impctl platform rollback --yes", "impctl restart --yes"} {
		if out, err := app.Run(line); err != nil {
			t.Fatalf("%s: %s", line, out)
		}
	}
	comesUp(t, app, "Sealgate dev")
}

// killTree kills what a process started, as a power cut does.
func killTree(t *testing.T, pid int) {
	t.Helper()
	out, _ := exec.Command("pgrep", "-P", fmt.Sprint(pid)).Output()
	syscall.Kill(pid, syscall.SIGKILL)
	for _, field := range strings.Fields(string(out)) {
		if child, err := strconv.Atoi(field); err == nil {
			killTree(t, child)
		}
	}
}
