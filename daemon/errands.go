package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sealgate/appliance/audit"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/errand"
	"sealgate/daemon/job"
	"sealgate/daemon/keyring"
)

const (
	maxEnded = 64 // jobs that are remembered after their end

	// A role that was taken over cannot fill the disk with exports in an hour.
	exportEvery = time.Minute
)

// abortable are the kinds of jobs that the REST API shows, and whether it may end
// them. An import runs while the API does not, and is recorded afterwards; a host
// key check is over before anybody could look.
var abortable = map[string]bool{job.KindExport: true, job.KindSend: true, job.KindTechInfo: true, job.KindAWSLogs: true, job.KindImport: false}

func reported(kind string) bool { _, ok := abortable[kind]; return ok }

// remembered are the kinds of jobs of which is told when they have ended.
func remembered(kind string) bool {
	return reported(kind) || kind == job.KindPatch || kind == job.KindRevert || kind == job.KindGateway
}

// errand is what the role hears of a job.
func (r *runningJob) errand() errand.Job {
	return errand.Job{ID: r.id, Kind: r.Kind, User: r.User, Since: r.Since, Abortable: abortable[r.Kind], Aborting: r.aborting}
}

func (j *jobs) tell() {
	if j.changed != nil {
		j.changed()
	}
}

// report is what the role hears of all jobs.
func (j *jobs) report() []errand.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(j.ended), func(e errand.Job) bool { return !reported(e.Kind) })
	for _, r := range j.running {
		if reported(r.Kind) {
			list = append(list, r.errand())
		}
	}
	return list
}

// errAborted is what whoever waits for an aborted job is told.
var errAborted = &commands.Failure{Exit: control.ExitInterrupted, Text: "a user of the REST API aborted it", Hint: "nothing unfinished is left; run it again"}

// abort asks a job to end, as Ctrl-C does, and says whether it is the first to ask.
func (j *jobs) abort(id string) (first bool, err error) {
	j.mu.Lock()
	at := slices.IndexFunc(j.running, func(r *runningJob) bool { return r.id == id })
	if at < 0 {
		j.mu.Unlock()
		return false, errand.ErrNoJob
	}
	r := j.running[at]
	if !abortable[r.Kind] {
		j.mu.Unlock()
		return false, errand.ErrNotAbortable
	}
	first, r.aborting = !r.aborting, true
	j.mu.Unlock()
	if first {
		r.cancel(errAborted)
		j.tell()
	}
	return first, nil
}

// errands answers what the management server's process asks.
type errands struct {
	*Daemon
	*keyring.Keyring
	ctx     context.Context // of the daemon
	exports sync.WaitGroup  // that were asked for
	writes  writes          // of the REST API, in the audit log

	mu       sync.Mutex
	exported time.Time // the last time that it was asked
	notes    map[errand.Kind]*refusals
}

var _ errand.Host = (*errands)(nil)

// Jobs are those that the REST API shows.
func (e *errands) Jobs() []errand.Job { return e.jobs.report() }

// Abort ends a job. What ends none is in no record: a role that was taken over could
// push old ones out with it.
func (e *errands) Abort(id string) error {
	first, err := e.jobs.abort(id)
	if first {
		e.note("abort job " + id)
	}
	return err
}

// StartExport makes a dump without secrets in the export folder: nobody is there
// to say a passphrase, and the role must not know one.
func (e *errands) StartExport() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if wait := exportEvery - time.Since(e.exported); wait > 0 {
		return fmt.Errorf("%w: the last export was started less than a minute ago", errand.ErrBusy)
	}
	for _, running := range e.jobs.list() {
		if running.Kind == job.KindExport {
			return fmt.Errorf("%w: another export runs, started by %s", errand.ErrBusy, running.User)
		}
	}
	e.exported = time.Now()
	e.note("export-local")
	e.exports.Go(func() {
		var r commands.ExportResult
		err := e.jobs.run(e.ctx, job.KindExport, commands.Caller{Name: restUser}, job.Spec{Home: e.home, Export: &commands.Export{}}, silent{}, &r)
		if err := e.swept(err); err != nil {
			e.log.Error("the export that the REST API asked for failed", "error", commands.ResultOf(err).Error)
			return
		}
		e.log.Info("the export that the REST API asked for is done", "dump", r.Name, "bytes", r.Bytes, "rows", r.Rows)
	})
	return nil
}

// restUser is who audit records and jobs say has asked: the daemon has the role's
// word alone for which user of the REST API it was.
const restUser = "REST API"

func (e *errands) note(what string) { e.noteOf(restUser, what) }

// noteOf records what somebody without an account has had done.
func (d *Daemon) noteOf(who, what string) {
	exit := control.ExitDone
	_ = d.keep(audit.Record{Event: audit.Command, User: who, Words: []string{what}, Exit: &exit}) // it is logged there
}

// silent is a user interface that nobody looks at.
type silent struct{}

func (silent) Text(control.Stream, string) {}
func (silent) Progress(control.Progress)   {}
func (silent) Ask(context.Context, control.Question) (string, error) {
	return "", errors.New("nobody is there to answer")
}
