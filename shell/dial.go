package shell

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/control"
)

// dialer sends requests to the daemon, each on a connection of its own.
type dialer struct {
	socket string
	origin string
	login  bool // a real shell may take the place of this process
}

const (
	// dialWait is how long a daemon with a full queue may take to accept.
	dialWait = 2 * time.Second
	// quickWait bounds everything that the prompt waits for: the greeting, Tab, help.
	quickWait = 2 * time.Second
)

// call runs req. It returns early when abandoned is closed, and the command is
// left to the daemon, which cancels it.
func (d dialer) call(ctx context.Context, abandoned <-chan struct{}, req control.Request, ui control.UI) (control.Result, error) {
	req.Origin, req.Login = d.origin, d.login
	type outcome struct {
		res control.Result
		err error
	}
	done := make(chan outcome, 1)
	spawn(func() {
		res, err := d.do(ctx, req, ui)
		done <- outcome{res, err}
	})
	select {
	case o := <-done:
		return o.res, o.err
	case <-abandoned:
		return control.Result{}, errUnended
	}
}

// quick runs a request that must be answered at once.
func (d dialer) quick(ctx context.Context, req control.Request) (string, control.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, quickWait)
	defer cancel()
	var text collector
	res, err := d.call(ctx, ctx.Done(), req, &text)
	if err == errUnended {
		err = d.unanswered("it is running, but gave no answer within " + quickWait.String())
	}
	return text.String(), res, err
}

// do is one exchange, its failures told for people.
func (d dialer) do(ctx context.Context, req control.Request, ui control.UI) (control.Result, error) {
	conn, err := d.dial(ctx)
	if err != nil {
		return control.Result{}, err
	}
	defer conn.Close()
	res, err := control.Do(ctx, conn, req, ui)
	switch {
	case err == nil:
		return d.trusted(conn, res), nil
	case ctx.Err() != nil:
		return res, errUnended
	case errors.Is(err, control.ErrNoAnswer):
		return res, &Error{control.ExitFailed,
			"the appliance stopped answering before the command ended",
			"the command may be done in part: try status, and look before you run it again"}
	}
	return res, &Error{control.ExitUsage, "the command cannot be sent: " + err.Error(), "make it shorter"}
}

// errUnended is a command that was cancelled and did not say how it ended.
var errUnended = &Error{control.ExitInterrupted,
	"interrupted; the appliance did not say in time how the command ended", "status shows what still runs"}

func (d dialer) dial(ctx context.Context) (*net.UnixConn, error) {
	var nd net.Dialer
	deadline := time.Now().Add(dialWait)
	for {
		conn, err := nd.DialContext(ctx, "unix", d.socket)
		switch {
		case err == nil:
			return conn.(*net.UnixConn), nil
		case ctx.Err() != nil:
			return nil, errUnended
		case errors.Is(err, unix.EAGAIN) && time.Now().Before(deadline):
			time.Sleep(20 * time.Millisecond) // its queue is full
			continue
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
			return nil, &Error{control.ExitDenied,
				"this account may not talk to the appliance: no permission on " + filterLine(d.socket),
				"an administrator can add the account with: impctl user add NAME"}
		case errors.Is(err, unix.EAGAIN):
			return nil, d.unanswered("it is running, but too busy to take one more command")
		}
		return nil, d.unanswered("no daemon listens at " + filterLine(d.socket))
	}
}

func (d dialer) unanswered(why string) error {
	return &Error{control.ExitFailed, "the appliance does not answer: " + why,
		`it may just be starting, so try again in a minute; another appliance than this is named with --home DIR; the owner of the machine can see more with: systemctl status sealgate`}
}
