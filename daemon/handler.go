package daemon

import (
	"context"
	"os"
	"os/user"
	"slices"
	"strconv"
	"time"

	"sealgate/commands"
	"sealgate/control"
)

// Serve answers one request from the socket.
func (d *Daemon) Serve(ctx context.Context, peer control.Peer, req control.Request, s *control.Session) control.Result {
	e := &commands.Env{
		Host:     d,
		Caller:   callerOf(peer.UID),
		UI:       s,
		Terminal: req.Terminal,
	}
	switch req.Op {
	case control.OpGreet:
		banner, prompt := commands.Greet(e)
		s.Text(control.Out, banner)
		return control.Result{Prompt: prompt}
	case control.OpRun:
		begin := time.Now()
		res, entry := commands.Run(ctx, e, req.Words)
		d.log.Info("command", "user", e.Caller.Name, "uid", peer.UID, "origin", req.Origin[:min(len(req.Origin), maxOrigin)],
			"words", entry.Words, "exit", res.Exit, "error", entry.Error, "took", time.Since(begin).Round(time.Millisecond).String())
		return res
	case control.OpComplete:
		return control.Result{Candidates: commands.Complete(e, req.Words)}
	case control.OpHelp:
		s.Text(control.Out, commands.Next(e, req.Words))
		return control.Result{}
	default:
		return control.Result{Exit: control.ExitUsage, Error: "this release does not know that request"}
	}
}

// maxOrigin is more than two addresses and two ports, in bytes.
const maxOrigin = 128

// The groups whose members may use the appliance.
const (
	administratorGroup = "sealgate-admin"
	operatorGroup      = "sealgate-operator"
)

// callerOf says who a uid is and what it may do. Who is unknown may nothing.
func callerOf(uid uint32) commands.Caller {
	id := strconv.FormatUint(uint64(uid), 10)
	c := commands.Caller{UID: uid, Name: id}
	u, err := user.LookupId(id)
	if err == nil {
		c.Name = u.Username
	}
	// Root and the daemon's own account own the files anyway.
	if uid == 0 || int(uid) == os.Geteuid() {
		c.Rights = commands.Administrator
		return c
	}
	if err != nil {
		return c
	}
	gids, err := u.GroupIds()
	if err != nil {
		return c
	}
	member := func(name string) bool {
		g, err := user.LookupGroup(name)
		return err == nil && slices.Contains(gids, g.Gid)
	}
	switch {
	case member(administratorGroup):
		c.Rights = commands.Administrator
	case member(operatorGroup):
		c.Rights = commands.Operator
	}
	return c
}
