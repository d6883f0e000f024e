package rootd

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sealgate/appliance"
	"sealgate/control"
	"sealgate/internal/trial"
)

// newPatch is a vendor's patch of a real build, whose keys hold here.
func newPatch(t *testing.T, version string, sequence int) string {
	t.Helper()
	dir := t.TempDir()
	v, err := trial.NewVendor(built, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Trust(appliance.DefaultHome.Anchors()); err != nil {
		t.Fatal(err)
	}
	release := filepath.Join(dir, "release")
	if err := os.Mkdir(release, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := trial.BuildRelease(release, version, trial.NextSchema); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "patch")
	if err := v.Patch(release, control.Version, version, sequence, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// cleanReleases has no release here, before and after.
func cleanReleases(t *testing.T) {
	t.Helper()
	clean := func() {
		entries, _ := os.ReadDir(appliance.DefaultHome.Releases())
		for _, e := range entries {
			os.RemoveAll(filepath.Join(appliance.DefaultHome.Releases(), e.Name()))
		}
	}
	clean()
	t.Cleanup(clean)
}

// place has the service place a patch.
func place(t *testing.T, path string) error {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return Client{}.PlaceRelease(context.Background(), file, make(pidUI, 1))
}

// An installed appliance is patched by its administrator: the release is root's,
// the daemon that runs it the supervisor's, and its role the role's.
func TestPatchedInstallation(t *testing.T) {
	cleanReleases(t)
	app := newAppliance(t)
	r := startRoot(t)
	path := newPatch(t, "1.1", 1)
	srv := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(path))))
	defer srv.Close()
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	says := func(want, line string) {
		t.Helper()
		if out, _ := app.Run(line); !strings.Contains(out, want) {
			t.Fatalf("%s: %s\nwant %s\n%s", line, out, want, r.Log())
		}
	}
	comes := func(want, line string) {
		t.Helper()
		wait(t, fmt.Sprintf("%s says %q", line, want), func() bool {
			out, _ := app.Run(line)
			return strings.Contains(out, want)
		})
	}
	says("stopped", "impctl server stop")
	says("release 1.1, 1 files", "patch-remote "+srv.URL+"/patch")
	says("restarts", "impctl restart --yes")
	comes("Sealgate 1.1", "version")
	comes("of sealgate-role", "impctl server status")
	comes("1.1 (runs)", "status")

	program := filepath.Join(appliance.DefaultHome.Releases(), "1.1", "sealgated")
	var stat syscall.Stat_t
	for path, mode := range map[string]uint32{program: 0o755, filepath.Dir(program): 0o755} {
		if err := syscall.Stat(path, &stat); err != nil || stat.Uid != 0 || stat.Gid != 0 || stat.Mode&0o7777 != mode {
			t.Errorf("%s has owner %d:%d, mode %o, %v", path, stat.Uid, stat.Gid, stat.Mode, err)
		}
	}
	for _, name := range []string{"sealgate", "sealgate-role"} {
		out := must(t, "pgrep", "-u", name, "-x", "sealgated")
		runs := false
		for _, pid := range strings.Fields(out) {
			if exe, err := os.Readlink("/proc/" + pid + "/exe"); err == nil && exe == program {
				runs = true
			}
		}
		if !runs {
			t.Errorf("no process of %s runs %s", name, program)
		}
	}
	if !strings.Contains(r.Log(), `"verb":"release-place"`) || !strings.Contains(r.Log(), `"verb":"release-activate"`) {
		t.Errorf("the log:\n%s", r.Log())
	}

	says("stopped", "impctl server stop")
	says("impctl restart runs release dev", "impctl platform rollback --yes")
	says("restarts", "impctl restart --yes")
	comes("Sealgate dev", "version")
	comes("running on", "impctl server status")
}

// The hole: the supervisor, taken over, has root run what the vendor did not sign.
func TestOnlySignedReleasesArePlaced(t *testing.T) {
	cleanReleases(t)
	startRoot(t)
	path := newPatch(t, "1.1", 1)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	forged := filepath.Join(t.TempDir(), "forged")
	for name, at := range map[string]int{"header": 20, "signature": 40, "manifest": 150, "payload": len(good) - 100} {
		bad := append([]byte(nil), good...)
		bad[at] ^= 1
		if err := os.WriteFile(forged, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := place(t, forged); err == nil || !strings.Contains(err.Error(), "the patch is refused") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if entries, err := os.ReadDir(appliance.DefaultHome.Releases()); err != nil || len(entries) > 0 {
		t.Errorf("there are %v, %v", entries, err)
	}
	for _, release := range []string{"1.1", "../../../usr", "/", "..", "current"} {
		if err := (Client{}).ActivateRelease(t.Context(), release); err == nil {
			t.Errorf("%q is activated", release)
		}
	}
	if res := request(t, opPlace, `{}`); res.Exit != control.ExitUsage {
		t.Errorf("without a patch: %+v", res)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if res := request(t, opPlace, `{}`, r); res.Exit != control.ExitUsage {
		t.Errorf("a pipe: %+v", res)
	}

	// What is there and was changed does not run, whoever asks.
	if err := place(t, path); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(appliance.DefaultHome.Releases(), "1.1", "sealgated")
	if err := os.Chown(program, int(credential(t, "sealgate").Uid), 0); err != nil {
		t.Fatal(err)
	}
	if err := (Client{}).ActivateRelease(t.Context(), "1.1"); err == nil || !strings.Contains(err.Error(), "belongs to uid") {
		t.Errorf("another's program: %v", err)
	}
}
