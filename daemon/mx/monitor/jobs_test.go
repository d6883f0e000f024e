package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/errand"
	"sealgate/daemon/mx/monitor"
	"sealgate/daemon/mx/openapi"
)

// daemon says what a test tells it to say.
type daemon struct {
	jobs    []errand.Job
	aborted string
	err     error
}

func (d *daemon) Jobs(context.Context) ([]errand.Job, error) { return d.jobs, nil }
func (d *daemon) Abort(_ context.Context, id string) error   { d.aborted = id; return d.err }
func (d *daemon) StartExport(context.Context) error          { return d.err }
func (d *daemon) Changed() <-chan struct{}                   { return nil }

// states are how the recorded jobs stand, by id.
func states(t *testing.T, s *store.Store) map[string]store.JobState {
	t.Helper()
	rows, err := s.Jobs(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	states := make(map[string]store.JobState)
	for _, row := range rows {
		states[row.ID] = row.State
	}
	return states
}

// What the daemon says of jobs is recorded, with what was missed while the process
// did not run.
func TestJobsAreRecorded(t *testing.T) {
	s := open(t)
	if _, err := s.StartJob(t.Context(), store.Job{ID: "lost", Name: "export"}); err != nil {
		t.Fatal(err)
	}
	d := &daemon{jobs: []errand.Job{
		{ID: "runs", Kind: "export", User: "anna", Since: now, Abortable: true},
		{ID: "fixed", Kind: "import", User: "ben", Since: now},
		{ID: "failed", Kind: "upload", Since: now, Ended: now.Add(time.Second), Error: "the server is gone"},
		{ID: "done", Kind: "upload", Since: now, Ended: now.Add(time.Second)},
		{ID: "aborted", Kind: "export", Since: now, Ended: now.Add(time.Second), Aborting: true, Error: "aborted"},
	}}
	c := monitor.Config{Store: s, Daemon: d, Jobs: monitor.NewJobs(s, d, slog.New(slog.DiscardHandler))}
	get := func() string {
		t.Helper()
		body, err := do(t, c, openapi.Caller{}, "GET", "/v1/management/jobs")
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	const both = `{"jobs":[{"id":2,"name":"export by anna","abortable":true,"aborting":false},{"id":3,"name":"import by ben","abortable":false,"aborting":false}]}`
	for range 2 {
		if diff := gocmp.Diff(both, get()); diff != "" {
			t.Error(diff)
		}
	}
	want := map[string]store.JobState{"lost": store.JobInterrupted, "runs": store.JobRunning, "fixed": store.JobRunning,
		"failed": store.JobFailed, "done": store.JobDone, "aborted": store.JobCancelled}
	if diff := gocmp.Diff(want, states(t, s)); diff != "" {
		t.Error(diff)
	}
	abort := func(id string) error {
		_, err := do(t, c, openapi.Caller{}, "DELETE", "/v1/management/jobs/"+id+"/currentRun")
		return err
	}
	if err := abort("2"); err != nil || d.aborted != "runs" {
		t.Errorf("aborting job 2 ended %q: %v", d.aborted, err)
	}
	d.err = errand.ErrNotAbortable
	if code := codeOf(abort("3")); code != 10074 {
		t.Errorf("aborting what cannot be aborted: IMP-%d", code)
	}
	for _, id := range []string{"1", "4", "-1", "runs", "99999999999999999999"} {
		if code := codeOf(abort(id)); code != 10073 {
			t.Errorf("aborting job %s, which does not run: IMP-%d", id, code)
		}
	}
	d.jobs = []errand.Job{{ID: "runs", Kind: "export", User: "anna", Since: now, Ended: now.Add(time.Minute)}}
	if got := get(); got != `{"jobs":[]}` {
		t.Errorf("after the end of all: %s", got)
	}
	want["runs"], want["fixed"] = store.JobDone, store.JobInterrupted
	if diff := gocmp.Diff(want, states(t, s)); diff != "" {
		t.Error(diff)
	}
}

func codeOf(err error) int {
	var faults openapi.Faults
	if errors.As(err, &faults) {
		return faults[0].Code
	}
	return 0
}

// An action set that exports name stays, and its new name is theirs.
func TestExportsHoldTheirActionSet(t *testing.T) {
	s := open(t)
	d := &daemon{}
	api := openapi.New(openapi.Config{Store: s, Sessions: everybody{}, Log: slog.New(slog.DiscardHandler), Operations: monitor.Config{Store: s, Daemon: d}.Operations()})
	const config = "/experimental/system-export/config"
	send := func(method, path, body string) string {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(method, openapi.Base+path, strings.NewReader(body)))
		return fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String()))
	}
	if got := send("POST", config, `{"action-set":"Long IP Block"}`); got != "200 " {
		t.Fatal(got)
	}
	set, err := s.Find(t.Context(), model.RootID, model.ActionSet, "Long IP Block")
	if err != nil {
		t.Fatal(err)
	}
	change := store.Change{Author: "tester"}
	if _, err := s.Write(t.Context(), change, func(tx *store.Tx) error { return tx.Rename(t.Context(), set.ID, "Renamed") }); err != nil {
		t.Fatal(err)
	}
	if got := send("GET", config, ""); got != `200 {"action-set":"Renamed"}` {
		t.Error(got)
	}
	if uses, err := s.InUseBy(t.Context(), set.ID); err != nil || len(uses) != 1 {
		t.Errorf("the action set is used by %v, %v", uses, err)
	}
	if got := send("POST", config, `{"action-set":""}`); got != "200 " {
		t.Error(got)
	}
	if uses, err := s.InUseBy(t.Context(), set.ID); err != nil || len(uses) != 0 {
		t.Errorf("the action set is still used by %v, %v", uses, err)
	}
	d.err = errand.ErrBusy
	if got := send("POST", "/experimental/system-export", ""); !strings.HasPrefix(got, "406") || !strings.Contains(got, "IMP-10001") {
		t.Error(got)
	}
	if got := send("POST", "/experimental/archive-settings/x%20", `{"signature-key-alias":"a"}`); got != "200 " {
		t.Error(got)
	}
	if got := send("GET", "/experimental/archive-settings/none", ""); !strings.HasPrefix(got, "406 ") || !strings.Contains(got, "IMP-10016") {
		t.Errorf("settings that there are not: %s", got)
	}
	if got := send("GET", "/experimental/archive-settings/x%20", ""); got != `200 {"signature-key-alias":"a"}` {
		t.Error(got)
	}
}
