package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"sealgate/appliance/store"
	"sealgate/daemon/errand"
	"sealgate/daemon/mx/openapi"
)

// Codes of faults of jobs.
const (
	codeBusy         = 10001
	codeNoJob        = 10073
	codeNotAbortable = 10074
)

// Daemon runs the jobs, and is asked about them: *errand.Client.
type Daemon interface {
	Jobs(context.Context) ([]errand.Job, error)
	Abort(ctx context.Context, id string) error
	StartExport(context.Context) error
	Changed() <-chan struct{}
}

// Jobs are the daemon's jobs, with the numbers and the memory that the database
// gives them.
type Jobs struct {
	store  *store.Store
	daemon Daemon
	log    *slog.Logger

	mu sync.Mutex // one recording at a time
}

// NewJobs returns the jobs of a daemon.
func NewJobs(s *store.Store, daemon Daemon, log *slog.Logger) *Jobs {
	return &Jobs{store: s, daemon: daemon, log: log}
}

// Run records jobs as they come and go until ctx ends.
func (j *Jobs) Run(ctx context.Context) {
	for {
		if _, err := j.running(ctx); err != nil && ctx.Err() == nil {
			j.log.Warn("jobs are not recorded", "error", err.Error())
		}
		select {
		case <-j.daemon.Changed():
		case <-ctx.Done():
			return
		}
	}
}

// maxRecorded bounds how far back jobs are looked for.
const maxRecorded = 256

// runningJob is a job that runs.
type runningJob struct {
	errand.Job
	number int64
}

// running records what the daemon says, and returns the jobs that run. What the
// database takes for running and the daemon does not know was interrupted.
func (j *Jobs) running(ctx context.Context) ([]runningJob, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	jobs, err := j.daemon.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := j.store.Jobs(ctx, maxRecorded)
	if err != nil {
		return nil, err
	}
	recorded := make(map[string]store.Job)
	for _, row := range rows {
		recorded[row.ID] = row
	}
	var list []runningJob
	for _, job := range jobs {
		row, ok := recorded[job.ID]
		delete(recorded, job.ID)
		if !ok {
			if row, err = j.store.StartJob(ctx, store.Job{ID: job.ID, Name: job.Kind, Author: job.User, Abortable: job.Abortable, Started: job.Since}); err != nil {
				return nil, err
			}
		}
		if job.Ended.IsZero() {
			list = append(list, runningJob{job, row.Number})
		} else if row.State == store.JobRunning {
			if err := j.finish(ctx, job); err != nil {
				return nil, err
			}
		}
	}
	for id, row := range recorded {
		if row.State == store.JobRunning {
			if err := j.store.FinishJob(ctx, id, store.JobInterrupted, "", time.Time{}); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

func (j *Jobs) finish(ctx context.Context, job errand.Job) error {
	state, message := store.JobDone, ""
	switch {
	case job.Aborting:
		state = store.JobCancelled
	case job.Error != "":
		state, message = store.JobFailed, job.Error
	}
	return j.store.FinishJob(ctx, job.ID, state, message, job.Ended)
}

func (j *Jobs) operations() []openapi.Operation {
	return []openapi.Operation{
		{Method: http.MethodGet, Path: "/v1/management/jobs", Summary: "list the jobs that run", Out: listOf("jobs", jobFields), Do: j.list},
		{Method: http.MethodDelete, Path: "/v1/management/jobs/{JobId}/currentRun", Summary: "abort a job", Codes: []int{codeNoJob, codeNotAbortable}, Do: j.abort},
	}
}

// job is a job as it is answered.
type job struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	Abortable bool   `json:"abortable"`
	Aborting  bool   `json:"aborting"`
}

var jobFields = fields("id:int", "name", "abortable:bool", "aborting:bool")

func (j *Jobs) list(ctx context.Context, _ *openapi.Call) (any, error) {
	running, err := j.running(ctx)
	if err != nil {
		return nil, err
	}
	jobs := make([]job, len(running))
	for i, r := range running {
		jobs[i] = job{r.number, fmt.Sprintf("%s by %s", r.Kind, r.User), r.Abortable, r.Aborting}
	}
	return map[string]any{"jobs": jobs}, nil
}

func (j *Jobs) abort(ctx context.Context, call *openapi.Call) (any, error) {
	text := call.Path["JobId"]
	running, err := j.running(ctx)
	if err != nil {
		return nil, err
	}
	missing := openapi.Faultf(codeNoJob, "there is no running job %q; GET /v1/management/jobs lists them", short(text))
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, missing
	}
	for _, r := range running {
		if r.number != number {
			continue
		}
		switch err := j.daemon.Abort(ctx, r.ID); {
		case errors.Is(err, errand.ErrNoJob):
			return nil, missing
		case errors.Is(err, errand.ErrNotAbortable):
			return nil, openapi.Faultf(codeNotAbortable, "job %d, %s, cannot be aborted", number, r.Kind)
		case err != nil:
			return nil, err
		}
		return nil, j.store.Note(ctx, store.Change{Author: call.Caller.Name, Summary: fmt.Sprintf("abort job %d, %s", number, r.Kind)})
	}
	return nil, missing
}
