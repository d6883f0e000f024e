package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance/store"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/errand"
	"sealgate/daemon/job"
)

// maxJobs of a kind run at a time: an export takes both memory and disk.
var maxJobs = map[string]int{job.KindExport: 1, job.KindImport: 1, job.KindSend: 4, job.KindHostKey: 4, job.KindTechInfo: 1, job.KindTest: 4, job.KindAWSLogs: 1, job.KindHistory: 4, job.KindEvents: 4, job.KindSearch: 4, job.KindLicences: 4, job.KindRevert: 1, job.KindPatch: 1, job.KindGateway: 16, job.KindRegistration: 1}

// jobs are the children that run heavy commands.
type jobs struct {
	log      *slog.Logger
	childLog io.Writer // takes what jobs log

	changed func() // is called when jobs began, ended or are being aborted; may be nil

	mu      sync.Mutex
	running []*runningJob
	ended   []errand.Job // lately, the last one at the end
}

// runningJob is a job that runs.
type runningJob struct {
	commands.Job
	id       string
	cancel   context.CancelCauseFunc
	aborting bool
}

func (j *jobs) list() []commands.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := make([]commands.Job, 0, len(j.running))
	for _, r := range j.running {
		list = append(list, r.Job)
	}
	return list
}

// past are the jobs that ended lately.
func (j *jobs) past() []commands.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := make([]commands.Job, 0, len(j.ended))
	for _, e := range j.ended {
		list = append(list, commands.Job{Kind: e.Kind, User: e.User, Since: e.Since, Ended: e.Ended, Error: e.Error})
	}
	return list
}

// enter books a place for a job of kind.
func (j *jobs) enter(kind string, c commands.Caller, cancel context.CancelCauseFunc) (*runningJob, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	same := 0
	for _, r := range j.running {
		apart := kind == job.KindImport && r.Kind == job.KindExport || kind == job.KindExport && r.Kind == job.KindImport
		if r.Kind != kind && !apart {
			continue
		}
		if same++; apart || same >= maxJobs[kind] {
			return nil, &commands.Failure{
				Exit: control.ExitFailed,
				Text: fmt.Sprintf("another %s runs since %s, started by %s", r.Kind, r.Since.UTC().Format("15:04:05 UTC"), r.User),
				Hint: "wait for it; status shows what runs",
			}
		}
	}
	entry := &runningJob{Job: commands.Job{Kind: kind, User: c.Name, Since: time.Now()}, id: store.NewID(), cancel: cancel}
	j.running = append(j.running, entry)
	return entry, nil
}

func (j *jobs) leave(entry *runningJob, err error) {
	j.mu.Lock()
	j.running = slices.DeleteFunc(j.running, func(r *runningJob) bool { return r == entry })
	ended := entry.errand()
	ended.Ended = time.Now()
	if err != nil {
		ended.Error = commands.ResultOf(err).Error
	}
	tell := remembered(entry.Kind)
	if tell {
		j.remember(ended)
	}
	j.mu.Unlock()
	if tell {
		j.log.Info("a job ended", "kind", ended.Kind, "user", ended.User, "error", ended.Error, "took", ended.Ended.Sub(ended.Since).Round(time.Millisecond).String())
	}
	j.tell()
}

// remember keeps a job that has ended, with j.mu held. Jobs that the REST API does not
// show push out none that it does.
func (j *jobs) remember(ended errand.Job) {
	same := 0
	for _, e := range j.ended {
		if reported(e.Kind) == reported(ended.Kind) {
			same++
		}
	}
	if same == maxEnded {
		first := slices.IndexFunc(j.ended, func(e errand.Job) bool { return reported(e.Kind) == reported(ended.Kind) })
		j.ended = slices.Delete(j.ended, first, first+1)
	}
	j.ended = append(j.ended, ended)
}

// run runs spec in a child. Its questions and progress go to ui, its outcome
// into out. When ctx ends, the child is asked to clean up, and killed when it
// does not.
func (j *jobs) run(ctx context.Context, kind string, c commands.Caller, spec job.Spec, ui control.UI, out any) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	entry, err := j.enter(kind, c, cancel)
	if err != nil {
		return err
	}
	defer func() { j.leave(entry, err) }()
	j.tell()
	data, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	conn, cmd, err := spawnJob(j.childLog)
	if err != nil {
		return fmt.Errorf("start the %s: %w", kind, err)
	}
	j.mu.Lock()
	entry.PID = cmd.Process.Pid
	j.mu.Unlock()
	res, err := control.Do(ctx, conn, control.Request{Op: control.OpJob, Data: data}, ui)
	conn.Close()
	end := reap(cmd)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		j.log.Error("a job ended without a result", "kind", kind, "pid", cmd.Process.Pid, "end", end)
		return &commands.Failure{
			Exit: control.ExitFailed,
			Text: fmt.Sprintf("the %s did not end by itself (%s)", kind, end),
			Hint: "nothing unfinished is left here, a server may keep NAME.….part; the daemon's log may say more; run it again",
		}
	}
	if err := commands.FailureOf(res); err != nil {
		if aborted := context.Cause(ctx); errors.Is(aborted, errAborted) {
			return aborted
		}
		return err
	}
	return json.Unmarshal(res.Data, out)
}

// spawnJob starts a child that speaks the control protocol on descriptor 3.
func spawnJob(log io.Writer) (*net.UnixConn, *exec.Cmd, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	cmd := self("job")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = &lastWords{log: log}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, nil, err
	}
	return ours, cmd, nil
}

// reap waits for a child whose connection is closed, and says how it ended.
func reap(cmd *exec.Cmd) string {
	kill := time.AfterFunc(2*time.Second, func() { cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Wait(); err != nil {
		return err.Error()
	}
	return "exit status 0"
}

// self is this very program as a child: its own process group, so that a
// terminal's Ctrl-C is not its business, and nothing of our environment.
func self(args ...string) *exec.Cmd {
	return &exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        append([]string{"sealgated"}, args...),
		Env:         []string{"TZ=UTC"},
		Dir:         "/",
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
}

// socketPair is a connection to a child: our end, and the file to hand over.
func socketPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	theirs := os.NewFile(uintptr(fds[1]), "child")
	ourFile := os.NewFile(uintptr(fds[0]), "parent")
	defer ourFile.Close()
	conn, err := net.FileConn(ourFile)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	ours, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, nil, errors.Join(errors.New("a socket pair is no unix connection"), conn.Close(), theirs.Close())
	}
	return ours, theirs, nil
}
