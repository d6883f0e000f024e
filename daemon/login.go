package daemon

import (
	"os"

	"sealgate/appliance"
	"sealgate/appliance/audit"
	"sealgate/commands"
	"sealgate/control"
)

// shells are what an unsealed appliance's administrator gets: the first that is
// there. The terminal knows no others.
var shells = []string{"/bin/bash", "/bin/sh"}

// leaves gives the shell that takes the place of a login, or of one line of it,
// or "". The appliance's own commands are run here in any case.
func (d *Daemon) leaves(c commands.Caller, words []string) string {
	if !commands.MayLeave(c) || len(words) > 0 && commands.Knows(words[0]) || d.sealState().Sealed() {
		return ""
	}
	for _, shell := range shells {
		if info, err := os.Stat(shell); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return shell
		}
	}
	return ""
}

// eventShell is the audit log's: a real shell was given.
const eventShell audit.Event = "shell"

// leave answers with a shell, once that is in the audit log. What is said to the
// shell is not the appliance's business.
func (d *Daemon) leave(c commands.Caller, shell, origin string) control.Result {
	a := d.auditor(c, origin)
	a.Event, a.Note = eventShell, shell
	if err := d.keep(a.Record); err != nil {
		return commands.ResultOf(appliance.Faultf("files list and files delete make room; status shows the disk",
			"there is no shell, because it cannot be audited: %w", err))
	}
	d.log.Info("login shell", "user", c.Name, "uid", c.UID, "origin", a.Origin, "shell", shell)
	return control.Result{Shell: shell}
}
