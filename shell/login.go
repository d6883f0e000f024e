package shell

import (
	"context"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sealgate/control"
)

// An appliance that is unsealed gives its administrators a real shell, in which
// this process ends: nothing is started, and nothing comes back. That happens
// only when
//
//   - this is a login (see options.login) or one line of `sealsh -c`, which is how
//     sshd runs a command, and no --home chose the appliance;
//   - the daemon of the default home names the shell, and the kernel says that the
//     one who answers is root or the owner of the folder of its socket;
//   - the shell is one of realShells.
//
// This is the only file of the program that can run another one; a test holds that.

// realShells is the closed list of what may take this process's place.
var realShells = []string{"/bin/bash", "/bin/sh"}

// trusted is res as far as the one at the other end of conn may say it.
func (d dialer) trusted(conn *net.UnixConn, res control.Result) control.Result {
	if res.Shell == "" || d.login && slices.Contains(realShells, res.Shell) && ownedByPeer(conn, d.socket) {
		return res
	}
	return control.Result{Exit: control.ExitFailed,
		Error: "the answer names a shell, and is not trusted with that", Hint: "the owner of the machine should see who listens at " + d.socket}
}

func ownedByPeer(conn *net.UnixConn, socket string) bool {
	peer, err := control.PeerOf(conn)
	if err != nil {
		return false
	}
	var folder unix.Stat_t
	err = unix.Lstat(filepath.Dir(socket), &folder)
	return peer.UID == 0 || err == nil && peer.UID == folder.Uid
}

// realShell asks which shell the login gets; "" is this one. A daemon that does
// not answer is told of later, where a prompt or a command needs it.
func (d dialer) realShell() string {
	if !d.login {
		return ""
	}
	_, res, err := d.quick(context.Background(), control.Request{Op: control.OpLogin})
	if err != nil {
		return ""
	}
	return res.Shell
}

// become replaces the process by a login shell, or by a shell that runs one
// line, as sshd would have started them. It returns only when that fails.
func become(shell string, line *string, environ []string) error {
	// What is ignored here (signals.go) would stay ignored there; what is caught
	// is not. Reset does not undo Ignore.
	signal.Notify(make(chan os.Signal, 1), unix.SIGTSTP)
	name := filepath.Base(shell)
	args := []string{"-" + name}
	if line != nil {
		args = []string{name, "-c", *line}
	}
	err := unix.Exec(shell, args, append(environ, "SHELL="+shell))
	return &Error{control.ExitFailed, "the appliance is unsealed, but " + shell + " does not start: " + err.Error(),
		"impctl seal gives the appliance's own prompt back to the next login"}
}

// inherited is the environment that a real shell gets: all of it, but for the
// words that are run already, and the name of the shell.
func inherited(environ []string) []string {
	return slices.DeleteFunc(environ, func(v string) bool {
		return strings.HasPrefix(v, "SSH_ORIGINAL_COMMAND=") || strings.HasPrefix(v, "SHELL=")
	})
}
