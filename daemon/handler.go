package daemon

import (
	"context"
	"os"
	"os/user"
	"slices"
	"strconv"
	"time"

	"sealgate/appliance/account"
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
		Prompt:   req.Prompt,
		Filters:  req.Filters,
	}
	if e.Caller.Rights == commands.Nobody {
		d.auditor(e.Caller, req.Origin).refuse()
	}
	if req.Login && (req.Op == control.OpLogin || req.Op == control.OpRun) {
		if shell := d.leaves(e.Caller, req.Words); shell != "" {
			return d.leave(e.Caller, shell, req.Origin)
		}
	}
	switch req.Op {
	case control.OpLogin:
		return control.Result{}
	case control.OpGreet:
		banner, res := commands.Greet(e)
		s.Text(control.Out, banner)
		return res
	case control.OpRun:
		return d.run(ctx, e, req)
	case control.OpComplete:
		return commands.Complete(ctx, e, req.Words)
	case control.OpHelp:
		s.Text(control.Out, commands.Next(ctx, e, req.Words))
		return control.Result{}
	default:
		return control.Result{Exit: control.ExitUsage, Error: "this release does not know that request"}
	}
}

// run runs a command, and has it in the audit log before its result is sent.
func (d *Daemon) run(ctx context.Context, e *commands.Env, req control.Request) control.Result {
	if e.Caller.Rights == commands.Nobody {
		res, _ := commands.Run(ctx, e, req.Words)
		return res
	}
	a, begin := d.auditor(e.Caller, req.Origin), time.Now()
	e.Begin = a.begin
	res, entry := control.Result{Exit: control.ExitFailed}, commands.Entry{Words: commands.Skeleton(req.Words), Error: "the command crashed"}
	defer func() { a.end(entry, res.Exit, time.Since(begin), e.UI) }()
	res, entry = commands.Run(ctx, e, req.Words)
	return res
}

// maxOrigin is more than two addresses and two ports, in bytes.
const maxOrigin = 128

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
	case member(account.AdministratorGroup):
		c.Rights = commands.Administrator
	case member(account.OperatorGroup):
		c.Rights = commands.Operator
	}
	return c
}
