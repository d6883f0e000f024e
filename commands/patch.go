package commands

import (
	"context"
	"fmt"
)

type patchRemoteCmd struct {
	downloadFlags
	URL string `arg:"" name:"url" help:"where it is: ftp://, http://, https:// or scp://, HOST[:PORT]/path"`
}

func (patchRemoteCmd) Help() string {
	return `The role must be stopped: impctl server stop (impctl gateway stop), patch-remote,
impctl restart or impctl reboot. The patch is downloaded whole and checked as a
whole: its signature before anything else, then that it is for this product and
this release, and no older than what was here. Whatever goes wrong until the
restart, this release runs on.

The new release gets a copy of the data. If it does not come up healthy, this
release runs again by itself, with its own data, and the next login says so.
'impctl platform rollback' goes back afterwards.`
}

func (c *patchRemoteCmd) Run(ctx context.Context, e *Env) error {
	from, err := c.download(e, c.URL)
	if err != nil {
		return err
	}
	r, err := e.Host.Patch(ctx, e.Caller, Patch{Download: from, For: e.Caller.Name}, e.UI)
	if err != nil {
		return err
	}
	return e.Out(r, fmt.Sprintf("%s: release %s, %d files, %s, in %s\nimpctl restart runs it in the place of %s; impctl platform rollback forgets it\n",
		r.Name, r.Release, r.Files, size(r.Bytes), brief(r.Elapsed), r.Before))
}

type restartAllCmd struct {
	Yes bool `help:"do not ask"`
}

func (restartAllCmd) Help() string {
	return "Jobs that run are ended. The prompt connects again. At a terminal it asks first;\na script says --yes."
}

func (c *restartAllCmd) Run(ctx context.Context, e *Env) error {
	if err := e.sure(ctx, c.Yes, "restart the appliance's services? (yes/no) "); err != nil {
		return err
	}
	err := e.Out(struct {
		Restarting bool `json:"restarting"`
	}{true}, "the appliance restarts\n")
	if err != nil {
		return err
	}
	return e.Host.Restart(ctx, e.Caller)
}

type platformRollbackCmd struct {
	Yes bool `help:"do not ask"`
}

func (platformRollbackCmd) Help() string {
	return `The role must be stopped. The release before runs after impctl restart, with the
data that it had: what was written since then is removed. Before a restart that a
patch or this command waits for, it has the release that runs run on. At a terminal it asks first; a script says --yes.`
}

func (c *platformRollbackCmd) Run(ctx context.Context, e *Env) error {
	if err := e.sure(ctx, c.Yes, "go back to the release before, and to its data? (yes/no) "); err != nil {
		return err
	}
	r, err := e.Host.RollbackRelease(ctx, e.Caller)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("impctl restart runs release %s in the place of %s\n", r.Release, r.Instead)
	if r.Discarded {
		text = fmt.Sprintf("release %s runs on, and not %s\n", r.Release, r.Instead)
	}
	return e.Out(r, text)
}

func releaseLine(r Release) string { return row("release", "%s (%s)", r.Version, r.State) }

// releaseLines are about releases where there is more than one, and about what
// became of a patch.
func releaseLines(s Status) string {
	text := ""
	if len(s.Releases) > 1 {
		for _, r := range s.Releases {
			text += releaseLine(r)
		}
	}
	if s.Note != "" {
		text += row("note", "%s", oneLine(s.Note))
	}
	return text
}
