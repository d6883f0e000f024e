package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/patch"
	"sealgate/appliance/store"
	"sealgate/control"
	"sealgate/internal/trial"
)

// killHome tells a test process to settle a home until it is killed.
const killHome = "SEALGATE_LAUNCHTEST_HOME"

// kills is how often it is; SEALGATE_KILLS says how often in a soak.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("SEALGATE_KILLS")); err == nil {
		return n
	}
	if testing.Short() {
		return 20
	}
	return 100
}

func TestMain(m *testing.M) {
	home := os.Getenv(killHome)
	if home == "" {
		os.Exit(m.Run())
	}
	fmt.Println("begin")
	_, err := launcher(appliance.Home(home)).settle()
	fmt.Println("end", err)
}

func launcher(home appliance.Home) *Launcher {
	return &Launcher{Home: home, Deadline: time.Minute, Stderr: os.Stderr, Log: slog.New(slog.DiscardHandler),
		Lock: func() (io.Closer, error) { return io.NopCloser(nil), nil },
		Run:  func(context.Context) error { return errBase }}
}

var errBase = errors.New("the installation's own release runs")

// newHome has a database, and the folder of a release.
func newHome(t *testing.T, program string) appliance.Home {
	t.Helper()
	home := appliance.Home(t.TempDir())
	if err := store.Create(t.Context(), string(home), "admin", "verifier", store.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(home.Releases(), "1.1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home.Releases(), "1.1", patch.Program), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	return home
}

// pending is the trial that a patch leaves.
func pending(t *testing.T, home appliance.Home) patch.Trial {
	t.Helper()
	from, to, err := store.Duplicate(t.Context(), string(home), func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	p := patch.Trial{State: patch.Pending, Base: control.Version, To: "1.1", From: control.Version, Data: to, DataBefore: from}
	if err := p.Write(home); err != nil {
		t.Fatal(err)
	}
	return p
}

// settleUntilKilled settles home in a process that is killed after a time, never if
// that is negative.
func settleUntilKilled(t *testing.T, home appliance.Home, after time.Duration) {
	t.Helper()
	if err := trial.UntilKilled(t.Context(), after, []string{killHome + "=" + string(home)}); err != nil {
		t.Fatal(err)
	}
}

// Killed at any instant, activation and return leave a release with its own data:
// whatever is there then is made whole by the next start.
func TestKilledActivation(t *testing.T) {
	home := newHome(t, "#!/bin/sh\n")
	p := pending(t, home)
	begin := time.Now()
	settleUntilKilled(t, home, -1)
	took := time.Since(begin)
	random := rand.New(rand.NewPCG(6, 2))
	early := 0
	for n := range kills() {
		want, data, begun := p.To, p.Data, p
		if n%2 == 1 {
			want, data, begun = p.From, p.DataBefore, p.Back("note", time.Now())
		}
		if err := begun.Write(home); err != nil {
			t.Fatal(err)
		}
		settleUntilKilled(t, home, time.Duration(random.Int64N(int64(took))))
		left, err := patch.ReadTrial(home)
		if err != nil {
			t.Fatalf("kill %d: %v", n, err)
		}
		if left.State == begun.State {
			early++
		}
		after, err := launcher(home).settle()
		if err != nil {
			t.Fatalf("kill %d: %v", n, err)
		}
		running, err := launcher(home).releases().Running()
		now, err2 := store.Current(string(home))
		if err != nil || err2 != nil || running != want || now != data || after.State != patch.OnTrial && after.State != patch.None {
			t.Fatalf("kill %d: %s with %s (%v, %v), not %s with %s; %+v", n, running, now, err, err2, want, data, after)
		}
		if n%2 == 1 { // the next one needs both
			p = pending(t, home)
		}
	}
	t.Logf("%d kills, %d before the last step", kills(), early)
}
