package rootd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"sealgate/appliance"
	"sealgate/appliance/account"
	"sealgate/commands"
	"sealgate/control"
)

// Client is the supervisor's side. For names the person on whose behalf it
// asks, for the log.
type Client struct {
	For string
}

// ErrNotThere means that the machine has no root service that runs.
var ErrNotThere = &commands.Failure{Exit: control.ExitFailed, Text: "not available: the root service does not run",
	Hint: "on an installed appliance systemctl start sealgate-root.socket starts it; in development and in a container there is none"}

// Accounts lists the accounts of administrators and operators.
func (c Client) Accounts(ctx context.Context) ([]account.Account, error) {
	var list []account.Account
	return list, c.ask(ctx, opAccountList, struct{}{}, &list)
}

// AddAccount makes one.
func (c Client) AddAccount(ctx context.Context, n account.New) error {
	return c.ask(ctx, opAccountAdd, n, nil)
}

// RemoveAccount removes one and ends its sessions.
func (c Client) RemoveAccount(ctx context.Context, account string) error {
	return c.ask(ctx, opAccountRemove, name{account}, nil)
}

// AddKey lets one more SSH key open an account.
func (c Client) AddKey(ctx context.Context, name, line string) (account.Key, error) {
	var key account.Key
	return key, c.ask(ctx, opAccountKey, keyChange{Name: name, Add: line}, &key)
}

// RemoveKey forgets the key of that fingerprint.
func (c Client) RemoveKey(ctx context.Context, name, fingerprint string) (account.Key, error) {
	var key account.Key
	return key, c.ask(ctx, opAccountKey, keyChange{Name: name, Remove: fingerprint}, &key)
}

// Reboot reboots the machine.
func (c Client) Reboot(ctx context.Context) error { return c.ask(ctx, opReboot, struct{}{}, nil) }

// PlaceRelease makes a release of a patch, which stays the caller's to close.
func (c Client) PlaceRelease(ctx context.Context, file *os.File, ui control.UI) error {
	conn, req, err := c.open(opPlace, struct{}{})
	if err != nil {
		return err
	}
	defer conn.Close()
	req.Files = []*os.File{file}
	return result(ctx, conn, req, ui, nil)
}

// ActivateRelease moves the link to a release that is there, or to [Installation].
func (c Client) ActivateRelease(ctx context.Context, release string) error {
	return c.ask(ctx, opActivate, releaseName{release}, nil)
}

// StartRole starts the role with its three descriptors, which stay the
// caller's to close. How it ended comes on the channel, once; when ctx ends, the
// service kills it.
func (c Client) StartRole(ctx context.Context, role appliance.Role, files ...*os.File) (pid int, ended <-chan error, err error) {
	conn, req, err := c.open(opStartRole, roleStart{role})
	if err != nil {
		return 0, nil, err
	}
	req.Files = files
	started, end := make(pidUI, 1), make(chan error, 1)
	go func() {
		defer conn.Close()
		var r roleEnd
		if err := result(ctx, conn, req, started, &r); err != nil {
			end <- err
			return
		}
		end <- errors.New(r.End)
	}()
	select {
	case pid := <-started:
		return pid, end, nil
	case err := <-end:
		return 0, nil, err
	}
}

func (c Client) ask(ctx context.Context, op control.Op, data, out any) error {
	conn, req, err := c.open(op, data)
	if err != nil {
		return err
	}
	defer conn.Close()
	return result(ctx, conn, req, make(pidUI, 1), out)
}

func (c Client) open(op control.Op, data any) (*net.UnixConn, control.Request, error) {
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil, control.Request{}, err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: Socket, Net: "unix"})
	if err != nil {
		return nil, control.Request{}, ErrNotThere
	}
	return conn, control.Request{Op: op, Origin: c.For, Data: encoded}, nil
}

func result(ctx context.Context, conn *net.UnixConn, req control.Request, ui control.UI, out any) error {
	res, err := control.Do(ctx, conn, req, ui)
	if err != nil {
		return fmt.Errorf("the root service did not answer: %w", err)
	}
	if err := commands.FailureOf(res); err != nil || out == nil {
		return err
	}
	return json.Unmarshal(res.Data, out)
}

// pidUI hears the one thing that the service says before a result.
type pidUI chan int

func (u pidUI) Text(_ control.Stream, text string) {
	if pid, err := strconv.Atoi(text); err == nil {
		select {
		case u <- pid:
		default:
		}
	}
}

func (pidUI) Progress(control.Progress) {}

func (pidUI) Ask(context.Context, control.Question) (string, error) {
	return "", errors.New("the root service asks nothing")
}
