package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/audit"
	"sealgate/appliance/ftl"
	"sealgate/appliance/patch"
	"sealgate/appliance/store"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/job"
	"sealgate/daemon/launch"
	"sealgate/transfer"
)

// changing is a release that waits for a restart, and keeps the role stopped: what
// it wrote would be lost.
type changing struct {
	mu      sync.Mutex
	release func() // lets the role start; nil: nothing waits
	why     error
}

func (c *changing) begin(release func(), why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release, c.why = release, why
}

// end lets the role start again.
func (c *changing) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.release != nil {
		c.release()
	}
	c.release, c.why = nil, nil
}

// check is an error while a release waits.
func (c *changing) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// waits keeps the role stopped until the restart.
func (d *Daemon) waits(release func(), version string) {
	d.role.reason("impctl restart runs it, impctl platform rollback forgets it", "release %s waits for a restart", version)
	d.changing.begin(release, d.role.free())
}

// Patch installs a release, which runs after a restart.
func (d *Daemon) Patch(ctx context.Context, c commands.Caller, x commands.Patch, ui control.UI) (commands.PatchResult, error) {
	if err := d.unproven(); err != nil {
		return commands.PatchResult{}, err
	}
	release, err := d.role.hold(ctx, installing)
	if err != nil {
		return commands.PatchResult{}, err
	}
	return d.install(ctx, release, c, x, ui)
}

// unproven is an error while a release is on trial: a patch of it would leave nothing
// to go back to that ever was healthy.
func (d *Daemon) unproven() error {
	t, err := patch.ReadTrial(d.home)
	if err != nil || t.State != patch.OnTrial { // a patch mends a file that cannot be read
		return nil
	}
	return appliance.Faultf(fmt.Sprintf("it is proven a moment after impctl %s start; impctl platform rollback goes back instead", d.role.word()),
		"release %s is on trial", t.To)
}

// installing is why the role is held.
const installing = "a patch is being installed"

// install has the role held until release, or until the restart.
func (d *Daemon) install(ctx context.Context, release func(), c commands.Caller, x commands.Patch, ui control.UI) (commands.PatchResult, error) {
	var r commands.PatchResult
	x.Base = d.releases.Base
	if err := d.jobs.run(ctx, job.KindPatch, c, job.Spec{Home: d.home, Patch: &x}, ui, &r); err != nil {
		if t, unknown := patch.ReadTrial(d.home); unknown == nil && t.State == patch.Pending { // it ended after its last step
			d.waits(release, t.To)
		} else {
			release()
		}
		// What a killed one could not remove itself.
		return r, errors.Join(err, launch.KeepData(d.home), sweepImport(d.home))
	}
	d.waits(release, r.Release)
	d.log.Info("a release waits for a restart", "release", r.Release, "before", r.Before, "user", c.Name)
	return r, nil
}

// RollbackRelease goes back to the release before, after a restart.
func (d *Daemon) RollbackRelease(ctx context.Context, c commands.Caller) (commands.RollbackResult, error) {
	t, err := patch.ReadTrial(d.home)
	if err != nil {
		return commands.RollbackResult{}, err
	}
	r := commands.RollbackResult{Release: t.From, Instead: t.To}
	switch t.State {
	case patch.Pending:
		r.Discarded = true
		return r, d.forget(t, patch.Trial.Ended)
	case patch.Returning:
		return commands.RollbackResult{Release: t.To, Instead: t.From, Discarded: true}, d.forget(t, func(t patch.Trial) patch.Trial {
			t.State, t.Note = patch.Proven, ""
			return t
		})
	case patch.OnTrial, patch.Proven:
		return r, d.goBack(ctx, c, t)
	}
	return r, appliance.Faultf("impctl platform show lists the releases", "there is no release to go back to")
}

// turn has another release run than was to run, unless that has changed since it was
// looked at.
func (d *Daemon) turn(was patch.Trial, to func(patch.Trial) patch.Trial) error {
	_, err := patch.Change(d.home, func(t *patch.Trial) error {
		if t.State != was.State || t.To != was.To {
			return appliance.Faultf("status shows how it is now", "another release is to run since a moment ago")
		}
		*t = to(*t)
		return nil
	})
	return err
}

// forget has the release that runs run on.
func (d *Daemon) forget(was patch.Trial, to func(patch.Trial) patch.Trial) error {
	if err := d.turn(was, to); err != nil {
		return err
	}
	d.changing.end()
	return launch.KeepData(d.home)
}

func (d *Daemon) goBack(ctx context.Context, c commands.Caller, t patch.Trial) error {
	if !d.releases.Has(t.From) {
		return appliance.Faultf("impctl platform show lists the releases", "release %s is no more here", t.From)
	}
	if t.DataBefore != "" {
		if err := store.Has(string(d.home), t.DataBefore); err != nil {
			return fmt.Errorf("the data of release %s: %w", t.From, err)
		}
	}
	release, err := d.role.hold(ctx, "the release is being changed")
	if err != nil {
		return err
	}
	note := fmt.Sprintf("release %s runs again in the place of %s, as %s wanted", t.From, t.To, c.Name)
	if err := d.turn(t, func(t patch.Trial) patch.Trial { return t.Back(note, time.Now()) }); err != nil {
		release()
		return err
	}
	d.waits(release, t.From)
	return nil
}

// Restart ends the daemon, whose launcher starts it anew.
func (d *Daemon) Restart(_ context.Context, c commands.Caller) error {
	d.log.Info("the appliance restarts", "user", c.Name)
	d.end(launch.ErrAgain)
	return nil
}

// releaseList is every release, and what is to be said about the last patch.
func (d *Daemon) releaseList() ([]commands.Release, string) {
	t, err := patch.ReadTrial(d.home)
	if err != nil {
		return nil, err.Error()
	}
	versions, err := d.releases.List()
	if err != nil {
		return nil, err.Error()
	}
	next, back := "", ""
	switch t.State {
	case patch.Pending:
		next = t.To
	case patch.Returning: // its note is for afterwards
		next, t.Note = t.From, fmt.Sprintf("impctl restart runs release %s in the place of %s", t.From, t.To)
	case patch.OnTrial, patch.Proven:
		back = t.From
	}
	var list []commands.Release
	for _, v := range versions {
		r := commands.Release{Version: v, Runs: v == control.Version, State: "installed"}
		switch {
		case r.Runs && t.State == patch.OnTrial:
			r.State = "runs, on trial"
		case r.Runs:
			r.State = "runs"
		case v == next:
			r.State = "runs after impctl restart"
		case v == back:
			r.State = "impctl platform rollback goes back to it"
		}
		list = append(list, r)
	}
	return list, strings.Join(slices.DeleteFunc([]string{t.Note, t.Hotfix}, func(s string) bool { return s == "" }), "; ")
}

// wentBack is the event of a release that gave way without anybody's command.
const wentBack audit.Event = "release"

// tellOfRelease keeps in the audit log why another release runs than was to run. No
// launcher may be waiting for us to be healthy: it has the trial's file to itself.
func (d *Daemon) tellOfRelease() {
	t, err := patch.ReadTrial(d.home)
	if err != nil || !t.Untold {
		return
	}
	exit := control.ExitFailed
	if d.keep(audit.Record{Event: wentBack, Exit: &exit, Note: t.Note}) != nil {
		return // the next start tries again
	}
	_, err = patch.Change(d.home, func(t *patch.Trial) error {
		t.Untold = false
		return nil
	})
	if err != nil {
		d.log.Error("the audit log will say again why another release runs", "error", err.Error())
	}
}

// proveEvery so often a release on trial looks whether it is healthy.
const proveEvery = 500 * time.Millisecond

// prove says to the launcher when the appliance is healthy: its role is ready,
// which it is with an open database, and answers.
func (d *Daemon) prove(ctx context.Context, launcher *os.File) {
	if launcher == nil {
		return
	}
	defer launcher.Close()
	for !d.healthy(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(proveEvery):
		}
	}
	if _, err := launcher.Write([]byte{1}); err != nil {
		d.log.Error("the launcher does not hear that the release is healthy", "error", err.Error())
	}
}

func (d *Daemon) healthy(ctx context.Context) bool {
	s := d.role.Status()
	if s.State != running {
		return false
	}
	if d.config.Role != appliance.ManagementServer {
		return true
	}
	err := d.answers(ctx, s.Address)
	if err != nil {
		d.log.Warn("the REST API does not answer", "error", err.Error())
	}
	return err == nil
}

// answers asks the REST API of this machine for anything.
func (d *Daemon) answers(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+net.JoinHostPort(host, port)+"/SecureSphere/api/", nil)
	if err != nil {
		return err
	}
	// Whose certificate it is does not matter: nothing is said.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusInternalServerError {
		return errors.New(res.Status)
	}
	return nil
}

// hotfix is in whose name it is.
const hotfix = "hotfix"

// hotfixShare of the time that a start may take may pass before the role is started
// without the hotfix: a slow server keeps no appliance from being of use.
const hotfixShare = 5

// takeHotfix installs the patch that the appliance was created with. waiting says that it
// cannot be had yet; one that is refused is never asked for again. Where it must be had
// within a time, the role waits for it; else it may run meanwhile, or be stopped by
// somebody who wants it so.
func (d *Daemon) takeHotfix(ctx context.Context, within time.Duration) (waiting bool) {
	data, err := os.ReadFile(d.home.Hotfix())
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if within > 0 && d.missedHotfix() {
		return true
	}
	url := strings.TrimSpace(string(data))
	var r commands.PatchResult
	if err == nil {
		r, waiting, err = d.patchFrom(ctx, url, within)
	}
	if ctx.Err() != nil {
		return false
	}
	sent := commands.ResultOf(err)
	if waiting && !d.hotfix.set(sent.Error) {
		return true
	}
	_ = d.keep(audit.Record{Event: audit.Command, User: hotfix, Words: commands.Redact([]string{"patch-remote", url}), Exit: &sent.Exit}) // it is logged there
	if waiting {
		d.log.Warn("the hotfix cannot be had, trying again", "error", sent.Error)
		d.setUp.Step(ftl.Hotfix, ftl.Waiting, sent.Error)
		d.note("the hotfix cannot be had yet, it is tried again: " + sent.Error)
		return true
	}
	if gone := os.Remove(d.home.Hotfix()); gone != nil {
		d.log.Error("the hotfix would come again", "error", gone.Error())
	}
	if err != nil {
		d.log.Error("the hotfix is not installed", "error", err.Error())
		d.setUp.Step(ftl.Hotfix, ftl.Failed, sent.Error)
		d.note("the hotfix is not installed: " + sent.Error)
		return false
	}
	d.log.Info("the hotfix is installed", "release", r.Release)
	d.setUp.Step(ftl.Hotfix, ftl.Done, "release "+r.Release)
	d.end(launch.ErrAgain)
	return false
}

// missedHotfix says whether it could not be had at an earlier start: then the role has
// run without it, and does not wait for it again.
func (d *Daemon) missedHotfix() bool {
	t, err := patch.ReadTrial(d.home)
	return err == nil && t.Hotfix != ""
}

// patchFrom downloads the hotfix while the role runs, and installs it while it does not.
func (d *Daemon) patchFrom(ctx context.Context, url string, within time.Duration) (r commands.PatchResult, waiting bool, err error) {
	if err := d.unproven(); err != nil {
		return r, true, err
	}
	defer os.Remove(d.home.HotfixPatch())
	c, from := commands.Caller{Name: hotfix}, commands.Download{URL: url}
	downloading, cancel := ctx, context.CancelFunc(func() {})
	if within > 0 {
		downloading, cancel = context.WithTimeoutCause(ctx, within, fmt.Errorf("it does not come within %v", within))
	}
	defer cancel()
	if err := d.jobs.run(downloading, job.KindPatch, c, job.Spec{Home: d.home, Hotfix: &from}, silent{}, new(struct{})); err != nil {
		if late := context.Cause(downloading); late != nil {
			return r, true, late
		}
		exit := commands.ResultOf(err).Exit
		return r, exit != control.ExitUsage && exit != control.ExitDenied, err
	}
	if within == 0 && d.inUse() {
		return r, true, errors.New("the role is stopped, or a job runs")
	}
	release, ran, err := d.role.take(ctx, installing)
	if err != nil {
		return r, true, err
	}
	r, err = d.install(ctx, release, c, commands.Patch{Download: from, Here: true, For: hotfix}, silent{})
	if err != nil && ran && ctx.Err() == nil {
		if err := d.role.Start(ctx); err != nil {
			d.log.Error("the role does not start after the hotfix was refused", "error", err.Error())
		}
	}
	return r, false, err
}

// keepHotfix tries again until the hotfix is installed or refused, or ctx ends. It does not
// restart under somebody who has stopped the role, or who has a job run.
func (d *Daemon) keepHotfix(ctx context.Context) {
	for wait := firstTry; ; wait = min(2*wait, longestTry) {
		untilNext(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		if !d.inUse() && !d.takeHotfix(ctx, 0) {
			return
		}
	}
}

// inUse says whether a restart would come amiss; one who presses Tab presses it again.
func (d *Daemon) inUse() bool {
	return d.role.Status().State == stopped || slices.ContainsFunc(d.jobs.list(), func(j commands.Job) bool { return j.Kind != job.KindSearch })
}

// note tells logins of the hotfix.
func (d *Daemon) note(text string) {
	_, err := patch.Change(d.home, func(t *patch.Trial) error {
		t.Hotfix = text
		return nil
	})
	if err != nil {
		d.log.Error("logins are not told", "error", err.Error())
	}
}

// checkHotfix says what is wrong with where a hotfix is.
func checkHotfix(url string) error {
	if url == "" {
		return nil
	}
	target, err := transfer.ParseURL(url)
	if err == nil && target.Protocol == "scp" {
		err = errors.New("nobody is there to log in")
	}
	if err != nil {
		return &commands.Failure{Exit: control.ExitUsage, Text: fmt.Sprintf("--hotfix: %s", err), Hint: "for example https://patches.example.com/sealgate-1.1.enc"}
	}
	return nil
}
