package daemon

import (
	"context"
	"errors"
	"io"
	"os"
	"os/user"
	"strconv"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/ownership"
	"sealgate/daemon/rootd"
)

// process is the role's process, whoever started it. The end of its connection
// to us asks it to end.
type process struct {
	pid     int
	account string       // whose it is
	ended   <-chan error // how it ended, once
	kill    func()
}

// start starts the role's process with its three descriptors. Where the
// machine has an account for it, and the appliance is the installed one, it runs
// under that and never under ours: by the root service, or by ourselves if we are
// root. In development it runs under ours.
func (r *role) start(listener, life, log *os.File) (*process, error) {
	uid := os.Geteuid()
	credential, err := rootd.RoleCredential()
	installed := err == nil && ownership.With(r.home, credential.Gid)
	if installed && uid != 0 && r.home == appliance.DefaultHome {
		return r.startByRoot(int(credential.Uid), listener, life, log)
	}
	cmd := rootd.RoleCommand(rootd.Self, r.config.Role, r.home)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{listener, life}, log
	if installed && uid == 0 {
		cmd.SysProcAttr.Credential, cmd.SysProcAttr.AmbientCaps = credential, rootd.RoleCapabilities(r.config.Role)
		uid = int(credential.Uid)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		err := endOf(cmd.Wait())
		if cmd.SysProcAttr.Credential != nil {
			err = errors.Join(err, rootd.EndProcesses(credential.Uid)) // as the root service does
		}
		ended <- err
	}()
	return &process{pid: cmd.Process.Pid, account: accountOf(uid), ended: ended, kill: func() { cmd.Process.Kill() }}, nil
}

func (r *role) startByRoot(uid int, files ...*os.File) (*process, error) {
	ctx, kill := context.WithCancel(context.Background())
	pid, ended, err := rootd.Client{}.StartRole(ctx, r.config.Role, files...)
	if err != nil {
		kill()
		return nil, err
	}
	return &process{pid: pid, account: accountOf(uid), ended: ended, kill: kill}, nil
}

func accountOf(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

func endOf(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// hear passes what the role logs to words until its last copy of the pipe is
// closed, and not for long after the process has ended.
func hear(from *os.File, words io.Writer) (heard func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(words, from)
	}()
	return func() {
		from.SetReadDeadline(time.Now().Add(time.Second))
		<-done
		from.Close()
	}
}
