package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"sealgate/appliance/audit"
	"sealgate/commands"
	"sealgate/daemon/errand"
	"sealgate/daemon/job"
)

// The hole: the audit log forgets its oldest records. The attack: a role that was
// taken over aborts what is no job, or one job again and again. What must hold: one
// record for each job that it ended.
func TestAbortsDoNotFloodTheAuditLog(t *testing.T) {
	d := &Daemon{audit: audit.New(t.TempDir()), log: slog.New(slog.DiscardHandler)}
	defer d.audit.Close()
	e := &errands{Daemon: d, ctx: t.Context()}
	ctx, cancel := context.WithCancelCause(t.Context())
	export, err := d.jobs.enter(job.KindExport, commands.Caller{}, cancel)
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.jobs.enter(job.KindImport+" of another kind", commands.Caller{}, cancel)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for id, want := range map[string]error{strings.Repeat("x", 60<<10): errand.ErrNoJob, other.id: errand.ErrNotAbortable, export.id: nil} {
			if err := e.Abort(id); !errors.Is(err, want) {
				t.Errorf("%.8s: %v, want %v", id, err, want)
			}
		}
	}
	if !errors.Is(context.Cause(ctx), errAborted) {
		t.Errorf("the job goes on: %v", context.Cause(ctx))
	}
	if n := d.audit.Head().Seq; n != 1 {
		t.Errorf("the audit log has %d records", n)
	}
}

// The end of a job is in the log when it ends, and not when the role asks for it.
func TestTheEndOfAJobIsLogged(t *testing.T) {
	var log strings.Builder
	j := &jobs{log: slog.New(slog.NewTextHandler(&log, nil))}
	for _, kind := range []string{job.KindSend, job.KindHistory, job.KindPatch} {
		entry, err := j.enter(kind, commands.Caller{Name: "anna"}, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		j.leave(entry, errors.New("no route"))
	}
	if text := log.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, `msg="a job ended" kind=upload user=anna error="no route" took=`) {
		t.Error(text)
	}
	past := j.past()
	if len(past) != 2 || past[0].Kind != job.KindSend || past[0].Error != "no route" || past[0].Ended.IsZero() || past[1].Kind != job.KindPatch {
		t.Errorf("support is told of %+v", past)
	}
	if told := j.report(); len(told) != 1 || told[0].Kind != job.KindSend {
		t.Errorf("the REST API is told of %+v", told)
	}
	for range 2 * maxEnded {
		j.remember(errand.Job{Kind: job.KindPatch})
	}
	if past := j.past(); len(past) != 1+maxEnded || past[0].Kind != job.KindSend {
		t.Errorf("of many others %d are left, the first %+v", len(past), past[0])
	}
}

// What a management server has a gateway do is in the gateway's audit log, and a role that
// was taken over neither restarts again and again nor pushes old records out.
func TestWhatAGatewayMay(t *testing.T) {
	dir := t.TempDir()
	d := &Daemon{audit: audit.New(dir), log: slog.New(slog.DiscardHandler)}
	defer d.audit.Close()
	e := &gatewayErrands{Daemon: d, ctx: t.Context()}
	if err := e.RestartRole(); !errors.Is(err, errand.ErrBusy) {
		t.Errorf("a restart that nobody asked for: %v", err)
	}
	if err := e.May("restart"); err != nil {
		t.Error(err)
	}
	if err := e.May("restart"); !errors.Is(err, errand.ErrBusy) || !strings.Contains(err.Error(), "wait a minute") {
		t.Errorf("again: %v", err)
	}
	for range 100 {
		for _, act := range []string{"drain", "re-register"} {
			if err := e.May(act); err != nil {
				t.Error(err)
			}
		}
	}
	kept := map[string]int{}
	for r, err := range audit.Newest(dir) {
		if err != nil || r.User != managementServer {
			t.Fatalf("%+v, %v", r, err)
		}
		kept[r.Words[0]]++
	}
	if kept["impctl gateway restart"] != 1 || kept["impctl gateway drain"] != 5 || kept["impctl gateway re-register"] != 5 {
		t.Errorf("%v", kept)
	}
}

// The hole: refusals that beat a bound are only counted. The attack: a stranger polls
// without a key, for which no one is held up, and guesses passwords beside it. What must
// hold: of each kind there are as many records, and the rest is counted.
func TestOneKindOfRefusalHidesNoOther(t *testing.T) {
	dir := t.TempDir()
	d := &Daemon{audit: audit.New(dir), log: slog.New(slog.DiscardHandler)}
	defer d.audit.Close()
	e := &errands{Daemon: d, ctx: t.Context()}
	note := func(k errand.Kind, times int) {
		t.Helper()
		for range times {
			if err := e.Note(errand.Note{Kind: k, Origin: "192.0.2.1"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	note(errand.UnknownKey, 10*refusalsTold)
	note(errand.WrongSecret, 2)
	note(errand.Registered, 2*refusalsTold)
	kept := map[string]int{}
	for r, err := range audit.Newest(dir) {
		if err != nil {
			t.Fatal(err)
		}
		kept[r.Note]++
	}
	if kept[string(errand.UnknownKey)] != refusalsTold || kept[string(errand.WrongSecret)] != 2 || kept[string(errand.Registered)] != 2*refusalsTold {
		t.Errorf("%v", kept)
	}
}
