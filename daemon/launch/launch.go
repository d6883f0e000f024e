// Package launch starts the release that is to run, and is itself never replaced
// by a patch. What it decides by are one link and [patch.Trial]; every step is
// repeated until its outcome is on the disk, so that it may be killed at any
// instant.
//
// A release on trial is a child: one that ends too often, or is not healthy in
// time, gives way to the release before, with the data of that one. A proven one
// takes the launcher's place.
package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/ownership"
	"sealgate/appliance/patch"
	"sealgate/appliance/store"
	"sealgate/control"
	"sealgate/daemon/rootd"
)

const (
	// MaxStarts a release has before it is proven.
	MaxStarts = 3
	// Deadline is how long one of them may take. Data are migrated in it.
	Deadline = 10 * time.Minute
	// Again is the exit status by which a release on trial asks for a launcher.
	Again = 75
	// TrialFD is where a release on trial says, with one byte, that it is healthy.
	TrialFD = 3

	stopTimeout = 25 * time.Second // more than the appliance's own patience with its role
	waitBetween = time.Second      // two starts
)

// ErrAgain means that the launcher is to take this process's place.
var ErrAgain = errors.New("the appliance restarts")

// Launcher starts releases of one appliance.
type Launcher struct {
	Home     appliance.Home
	Args     []string // of the appliance in every release
	Deadline time.Duration
	Stderr   io.Writer
	Log      *slog.Logger
	// Lock fails while the appliance runs.
	Lock func() (io.Closer, error)
	// Run is the installation's own release, in this process.
	Run func(context.Context) error
}

func (l *Launcher) releases() patch.Releases {
	return patch.Releases{Home: l.Home, Base: control.Version}
}

// Start runs what is to run until ctx ends.
func (l *Launcher) Start(ctx context.Context) error {
	unix.Umask(ownership.Umask)
	for {
		lock, err := l.Lock()
		if err != nil {
			return l.Run(ctx) // which says what is wrong
		}
		t, program, err := l.next()
		lock.Close()
		if err == nil && program != "" && t.State != patch.OnTrial {
			err = unix.Exec(program, l.args(), os.Environ()) // a proven release takes our place
		}
		if err != nil { // administrators get in all the same
			l.Log.Error("the release that is to run cannot", "error", err.Error())
			return l.Run(ctx)
		}
		if program == "" {
			return l.Run(ctx)
		}
		if over, err := l.try(ctx, program, t); over {
			return err
		}
	}
}

// next is the program that is to run, or "" for the installation's own.
func (l *Launcher) next() (patch.Trial, string, error) {
	lock, err := patch.Lock(l.Home) // a job whose daemon was killed may be at its last step
	if err != nil {
		return patch.Trial{}, "", err
	}
	defer lock.Close()
	t, err := l.settle()
	if err != nil {
		return t, "", err
	}
	if err := KeepData(l.Home); err != nil {
		l.Log.Error("data of no release are left over", "error", err.Error())
	}
	program, err := l.releases().Program()
	if err != nil {
		t.Note, t.At, t.Untold = err.Error()+"; the installation's own runs", time.Now().UTC(), true
		return t, "", errors.Join(err, t.Write(l.Home))
	}
	return t, program, nil
}

// settle brings link and data to where the trial says.
func (l *Launcher) settle() (patch.Trial, error) {
	if !rootd.Needed(l.Home) {
		if err := l.releases().Tidy(); err != nil {
			l.Log.Error("an unfinished release is left over", "error", err.Error())
		}
	}
	t, err := patch.ReadTrial(l.Home)
	if err != nil {
		l.Log.Error("what is known of the last patch is lost", "error", err.Error())
	}
	if t.Base != "" && t.Base != control.Version {
		return l.replaced(t)
	}
	if t.State == patch.OnTrial && t.Starts >= MaxStarts {
		t = back(t, failed(t, fmt.Sprintf("it was started %d times", t.Starts)))
		if err := t.Write(l.Home); err != nil {
			return t, err
		}
	}
	switch t.State {
	case patch.Pending:
		err := l.activate(t.To)
		if err == nil {
			err = l.useData(t.Data)
		}
		if err != nil {
			return l.discard(t, err)
		}
		t.State, t.Starts = patch.OnTrial, 0
		return t, t.Write(l.Home)
	case patch.Returning:
		if err := l.activate(t.From); err != nil {
			return t, err
		}
		if err := l.useData(t.DataBefore); err != nil { // administrators get in all the same
			t.Note += ", without its data: " + err.Error()
		}
		t = t.Ended()
		return t, t.Write(l.Home)
	}
	return t, nil
}

// discard gives a release up that cannot be activated.
func (l *Launcher) discard(t patch.Trial, why error) (patch.Trial, error) {
	l.Log.Error("a release cannot be activated", "release", t.To, "error", why.Error())
	t = back(t, fmt.Sprintf("release %s could not be activated (%s), and %s runs on", t.To, why, t.From))
	if err := t.Write(l.Home); err != nil {
		return t, err
	}
	return l.settle()
}

// replaced runs the installation's own release, where another one was installed: it
// is newer than what was patched.
func (l *Launcher) replaced(t patch.Trial) (patch.Trial, error) {
	running, err := l.releases().Running()
	if err != nil {
		return t, err
	}
	if running != control.Version {
		t.Note, t.At = fmt.Sprintf("release %s was installed, and runs in the place of %s", control.Version, running), time.Now().UTC()
	}
	t.Base = control.Version
	return t.Ended(), errors.Join(l.activate(control.Version), t.Ended().Write(l.Home))
}

// useData has the data of a release in use; a gateway has none.
func (l *Launcher) useData(name string) error {
	if name == "" {
		return nil
	}
	if now, err := store.Current(string(l.Home)); err == nil && now == name {
		return nil
	}
	return store.SwitchTo(string(l.Home), name)
}

// KeepData removes the data that neither are in use nor belong to a release that
// may run again.
func KeepData(home appliance.Home) error {
	t, err := patch.ReadTrial(home)
	if err != nil {
		return err
	}
	if err := store.KeepOnly(string(home), t.Keeps()...); err != nil && !errors.Is(err, fs.ErrNotExist) { // a gateway has none
		return err
	}
	return store.Sweep(string(home))
}

// activate moves the link, which on an installed appliance is root's.
func (l *Launcher) activate(release string) error {
	r := l.releases()
	if now, err := r.Running(); err == nil && now == release {
		return nil
	}
	if !rootd.Needed(l.Home) {
		return r.Activate(release)
	}
	if release == control.Version {
		release = rootd.Installation
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return rootd.Client{}.ActivateRelease(ctx, release)
}

func (l *Launcher) args(more ...string) []string {
	return slices.Concat([]string{"sealgated", "serve"}, l.Args, more)
}

// try runs a release on trial. Unless that was all, what is to run is looked at
// again.
func (l *Launcher) try(ctx context.Context, program string, t patch.Trial) (over bool, err error) {
	if t, err = l.judge(t, func(t *patch.Trial) { t.Starts++ }); err != nil {
		return true, err
	}
	l.Log.Info("a release is on trial", "release", t.To, "start", t.Starts)
	notify(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (l.Deadline + time.Minute).Microseconds()))
	c, err := l.start(program)
	if err != nil {
		return l.failed(t, err.Error())
	}
	defer c.heard.Close()
	deadline := time.NewTimer(l.Deadline)
	defer deadline.Stop()
	select {
	case <-ctx.Done():
		end := c.stop()
		_, err := l.judge(t, func(t *patch.Trial) { t.Starts-- }) // nothing speaks against it
		return true, errors.Join(end, err)
	case end := <-c.ended:
		return l.failed(t, endOf(end))
	case <-deadline.C:
		_ = c.stop() // however it ends
		return l.giveUp(t, "it was not healthy within "+l.Deadline.String())
	case <-c.healthy:
	}
	if _, err = l.judge(t, func(t *patch.Trial) { t.State, t.Starts = patch.Proven, 0 }); err == nil {
		err = KeepData(l.Home)
	}
	if err != nil { // the next start tries again
		l.Log.Error("it is not kept that the release is healthy", "error", err.Error())
	}
	l.Log.Info("the release is healthy", "release", t.To)
	notify(sd.SdNotifyReady)
	return true, c.wait(ctx)
}

// judge changes what is known of the release that t has on trial. Where an
// administrator has decided otherwise meanwhile, that stays.
func (l *Launcher) judge(t patch.Trial, change func(*patch.Trial)) (patch.Trial, error) {
	return patch.Change(l.Home, func(now *patch.Trial) error {
		if now.State == patch.OnTrial && now.To == t.To {
			change(now)
		}
		return nil
	})
}

// failed counts a start that failed.
func (l *Launcher) failed(t patch.Trial, end string) (over bool, err error) {
	l.Log.Error("a release on trial ended", "release", t.To, "start", t.Starts, "end", end)
	if t.Starts >= MaxStarts {
		return l.giveUp(t, fmt.Sprintf("it ended %d times, the last time with %s", t.Starts, end))
	}
	time.Sleep(waitBetween)
	return false, nil
}

func (l *Launcher) giveUp(t patch.Trial, why string) (over bool, err error) {
	note := failed(t, why)
	l.Log.Error(note)
	_, err = l.judge(t, func(t *patch.Trial) { *t = back(*t, note) })
	return err != nil, err
}

// back is the way back that nobody has asked for.
func back(t patch.Trial, note string) patch.Trial {
	t = t.Back(note, time.Now())
	t.Untold = true
	return t
}

func failed(t patch.Trial, why string) string {
	return fmt.Sprintf("release %s did not come up healthy: %s; release %s runs again", t.To, why, t.From)
}

func endOf(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// child is a release on trial.
type child struct {
	process *os.Process
	heard   *os.File
	healthy chan struct{}
	ended   chan error
}

func (l *Launcher) start(program string) (*child, error) {
	heard, word, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer word.Close()
	cmd := &exec.Cmd{Path: program, Args: l.args("--trial"), Stderr: l.Stderr, ExtraFiles: []*os.File{word},
		// It dies with us, and a terminal's Ctrl-C reaches us alone.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}}
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NOTIFY_SOCKET=") })
	c := &child{heard: heard, healthy: make(chan struct{}), ended: make(chan error, 1)}
	started := make(chan error)
	go func() {
		// Pdeathsig is about this thread, which therefore lives as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		heard.Close()
		return nil, err
	}
	c.process = cmd.Process
	go func() {
		if n, _ := heard.Read(make([]byte, 1)); n == 1 {
			close(c.healthy)
		}
	}()
	return c, nil
}

// wait waits for the end of a child that is healthy.
func (c *child) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		notify(sd.SdNotifyStopping)
		return c.stop()
	case end := <-c.ended:
		if exit, ok := errors.AsType[*exec.ExitError](end); ok && exit.ExitCode() == Again {
			return ErrAgain
		}
		return end
	}
}

// stop ends the child and waits until it is gone.
func (c *child) stop() error {
	c.process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(stopTimeout, func() { c.process.Kill() })
	defer kill.Stop()
	return <-c.ended
}

func notify(state string) {
	_, _ = sd.SdNotify(false, state) // whoever started us may be no systemd
}
