package stories

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/internal/trial"
)

// A hotfix that takes a while to download does not restart under somebody who has
// stopped the role meanwhile. It comes when the role runs again.
func TestHotfixLooksAgain(t *testing.T) {
	home := filepath.Join(t.TempDir(), "app")
	data, err := os.ReadFile(patchFor(t, home))
	if err != nil {
		t.Fatal(err)
	}
	var there atomic.Bool
	begun, goOn := make(chan struct{}, 100), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !there.Load() {
			http.NotFound(w, r)
			return
		}
		begun <- struct{}{}
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		http.ServeContent(w, r, "patch", time.Time{}, bytes.NewReader(data))
	}))
	defer srv.Close()
	app, err := trial.New(bin, home, "gateway", "gw1", "--hotfix", srv.URL+"/patch")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()

	there.Store(true)
	<-begun
	if out, err := app.Run("impctl gateway stop"); err != nil {
		t.Fatal(out)
	}
	close(goOn)
	eventually(t, app, "status", "the hotfix cannot be had yet, it is tried again: the role is stopped, or a job runs")
	for line, want := range map[string]string{"version": "Sealgate dev", "impctl gateway status": "stopped"} {
		if out, _ := app.Run(line); !strings.Contains(out, want) {
			t.Errorf("%s: %s", line, out)
		}
	}
	if out, err := app.Run("impctl gateway start"); err != nil {
		t.Fatal(out)
	}
	eventually(t, app, "version", "Sealgate 1.1")
	eventually(t, app, "impctl gateway status", "running on")
}

// eventually waits until what a line prints holds text.
func eventually(t *testing.T, app *trial.Appliance, line, text string) {
	t.Helper()
	out := ""
	for deadline := time.Now().Add(trial.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if out, _ = app.Run(line); strings.Contains(out, text) {
			return
		}
	}
	t.Fatalf("%s never says %q:\n%s", line, text, out)
}

// A server that takes its time with the hotfix does not keep the role from its start, and
// costs later starts nothing.
func TestHotfixThatDoesNotCome(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer srv.Close()
	app, err := trial.New(bin, filepath.Join(t.TempDir(), "app"), "gateway", "gw1", "--hotfix", srv.URL+"/patch")
	if err != nil {
		t.Fatal(err)
	}
	app.Args = []string{"--healthy-within", "10s"}
	if err := app.Start(); err != nil { // returns when the role runs
		t.Fatal(err)
	}
	defer app.Stop()
	eventually(t, app, "status", "the hotfix cannot be had yet, it is tried again: it does not come within 2s")
	if err := app.Stop(); err != nil {
		t.Fatal(err)
	}
	app.Args = nil // two minutes are more than Start waits
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
}
