package launch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sealgate/appliance/patch"
	"sealgate/appliance/store"
)

// A machine that dies with every start of a release is a start that failed, too.
func TestStartsAreCountedBefore(t *testing.T) {
	home := newHome(t, "#!/bin/sh\n")
	p := pending(t, home)
	l := launcher(home)
	for n := range MaxStarts {
		settled, err := l.settle()
		if err != nil || settled.State != patch.OnTrial || settled.Starts != n {
			t.Fatalf("start %d: %+v, %v", n, settled, err)
		}
		settled.Starts++ // and then there is no power
		if err := settled.Write(home); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Start(t.Context()); !errors.Is(err, errBase) {
		t.Fatal(err)
	}
	after, err := patch.ReadTrial(home)
	if err != nil || after.State != patch.None || !strings.Contains(after.Note, "release 1.1 did not come up healthy: it was started 3 times") {
		t.Errorf("%+v, %v", after, err)
	}
	if now, err := store.Current(string(home)); err != nil || now != p.DataBefore {
		t.Errorf("the data are %s, %v", now, err)
	}
}

// An orderly stop speaks against no release.
func TestStoppedOnTrial(t *testing.T) {
	home := newHome(t, "#!/bin/sh\necho up >\"$3/up\"\nexec sleep 600\n")
	pending(t, home)
	l := launcher(home)
	l.Args = []string{"--home", string(home)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for {
			if _, err := os.Stat(filepath.Join(string(home), "up")); err == nil {
				stop()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if err := l.Start(ctx); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("it ends with %v", err)
	}
	if after, err := patch.ReadTrial(home); err != nil || after.State != patch.OnTrial || after.Starts != 0 {
		t.Errorf("%+v, %v", after, err)
	}
}

// A healthy release is proven, and what it ends with is how the launcher ends.
func TestProven(t *testing.T) {
	home := newHome(t, "#!/bin/sh\nprintf x >&3\nexec 3>&-\nuntil [ -e \"$3/seen\" ]; do sleep 0.05; done\nexit 75\n")
	p := pending(t, home)
	l := launcher(home)
	l.Args = []string{"--home", string(home)}
	ended := make(chan error, 1)
	go func() { ended <- l.Start(context.Background()) }()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if after, err := patch.ReadTrial(home); err == nil && after.State == patch.Proven {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not proven")
		}
	}
	if err := os.WriteFile(filepath.Join(string(home), "seen"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrAgain) {
		t.Errorf("it ends with %v", err)
	}
	// The old data stay for a return.
	if err := store.Has(string(home), p.DataBefore); err != nil {
		t.Error(err)
	}
}

// What an administrator decides while a release is on trial is not undone by how the
// trial ends: neither by its last failure nor by its proof.
func TestDecidedOnTrial(t *testing.T) {
	for name, end := range map[string]string{"failure": "exit 3\n", "proof": "printf x >&3\nexec 3>&-\nexit 75\n"} {
		t.Run(name, func(t *testing.T) {
			home := newHome(t, "#!/bin/sh\ntouch \"$3/up\"\nuntil [ -e \"$3/decided\" ]; do sleep 0.05; done\n"+end)
			p := pending(t, home)
			l := launcher(home)
			l.Args = []string{"--home", string(home)}
			settled, err := l.settle()
			if err != nil {
				t.Fatal(err)
			}
			settled.Starts = MaxStarts - 1
			if err := settled.Write(home); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- l.Start(context.Background()) }()
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat(filepath.Join(string(home), "up")); err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("it does not start")
				}
			}
			_, err = patch.Change(home, func(t *patch.Trial) error {
				*t = t.Back("as root wanted", time.Now())
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(string(home), "decided"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; errors.Is(err, ErrAgain) {
				err = l.Start(t.Context())
				if !errors.Is(err, errBase) {
					t.Fatal(err)
				}
			}
			after, err := patch.ReadTrial(home)
			if err != nil || after.State != patch.None || after.Note != "as root wanted" {
				t.Errorf("%+v, %v", after, err)
			}
			if now, err := store.Current(string(home)); err != nil || now != p.DataBefore {
				t.Errorf("the data are %s, %v", now, err)
			}
		})
	}
}

// Whoever installs a new release on the machine has it, whatever was patched.
func TestInstallationIsReplaced(t *testing.T) {
	home := newHome(t, "#!/bin/sh\n")
	p := pending(t, home)
	l := launcher(home)
	if _, err := l.settle(); err != nil {
		t.Fatal(err)
	}
	p.State, p.Base = patch.Proven, "0.9"
	if err := p.Write(home); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); !errors.Is(err, errBase) {
		t.Fatal(err)
	}
	after, err := patch.ReadTrial(home)
	if err != nil || after.State != patch.None || !strings.Contains(after.Note, "runs in the place of 1.1") {
		t.Errorf("%+v, %v", after, err)
	}
	if now, err := store.Current(string(home)); err != nil || now != p.Data {
		t.Errorf("the data are %s, %v", now, err)
	}
}

// A release whose data are gone is not activated.
func TestDataAreGone(t *testing.T) {
	home := newHome(t, "#!/bin/sh\n")
	p := pending(t, home)
	if err := os.RemoveAll(filepath.Join(string(home), "data", p.Data)); err != nil {
		t.Fatal(err)
	}
	if err := launcher(home).Start(t.Context()); !errors.Is(err, errBase) {
		t.Fatal(err)
	}
	after, err := patch.ReadTrial(home)
	if err != nil || !strings.Contains(after.Note, "release 1.1 could not be activated") {
		t.Errorf("%+v, %v", after, err)
	}
	if now, err := store.Current(string(home)); err != nil || now != p.DataBefore {
		t.Errorf("the data are %s, %v", now, err)
	}
}

// A release that does not run keeps nobody out: the installation's own does.
func TestReleaseThatCannotRun(t *testing.T) {
	home := newHome(t, "#!/bin/sh\n")
	pending(t, home)
	l := launcher(home)
	if _, err := l.settle(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(home.Releases(), "1.1", patch.Program), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); !errors.Is(err, errBase) {
		t.Fatal(err)
	}
	if after, err := patch.ReadTrial(home); err != nil || !strings.Contains(after.Note, "can be written by others") {
		t.Errorf("%+v, %v", after, err)
	}
}
