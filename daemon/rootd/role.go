package rootd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/account"
	"sealgate/control"
)

// roleFiles are what the role starts with: the listener, the connection to the
// supervisor, and where it logs.
const roleFiles = 3

// roleStart is the data of start-role. The program is the running release's and the
// folder the installed appliance's: neither is for the caller to say.
type roleStart struct {
	Role appliance.Role `json:"role"`
}

// roleEnd is how the role ended.
type roleEnd struct {
	End string `json:"end"`
}

// startRole runs the role until it ends, or until the caller's connection
// does, which kills it. The first text is the process id.
func (s *service) startRole(ctx context.Context, c call) (any, error) {
	var x roleStart
	if err := c.read(&x); err != nil {
		return nil, err
	}
	if x.Role != appliance.ManagementServer && x.Role != appliance.Gateway {
		return nil, refused("a role is %s or %s", appliance.ManagementServer, appliance.Gateway)
	}
	if err := checkRoleFiles(c.files); err != nil {
		return nil, err
	}
	credential, err := RoleCredential()
	if err != nil {
		return nil, err
	}
	program, err := Releases().Program()
	if err != nil {
		return nil, err
	}
	cmd := RoleCommand(cmp.Or(program, Self), x.Role, appliance.DefaultHome)
	cmd.ExtraFiles, cmd.Stderr = c.files[:2], c.files[2]
	cmd.SysProcAttr.Credential, cmd.SysProcAttr.AmbientCaps = credential, RoleCapabilities(x.Role)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	ended, err := start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start the role: %w", err)
	}
	s.log.Info("the role runs", "role", x.Role, "process", cmd.Process.Pid, "account", account.Role)
	c.session.Text(control.Out, strconv.Itoa(cmd.Process.Pid))
	var end string
	select {
	case end = <-ended:
	case <-ctx.Done():
		cmd.Process.Kill()
		end = <-ended
	}
	// What it has started would write on, into the data that an import replaces.
	return roleEnd{end}, EndProcesses(credential.Uid)
}

// checkRoleFiles looks at what the caller hands over.
func checkRoleFiles(files []*os.File) error {
	kinds := []uint32{unix.S_IFSOCK, unix.S_IFSOCK, unix.S_IFIFO}
	if len(files) != len(kinds) {
		return refused("a role starts with %d descriptors, not %d", len(kinds), len(files))
	}
	for i, f := range files {
		var stat unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &stat); err != nil || stat.Mode&unix.S_IFMT != kinds[i] {
			return refused("descriptor %d is of another kind than the role needs", i)
		}
	}
	return nil
}

// start starts cmd, and says on the channel how it ended.
func start(cmd *exec.Cmd) (<-chan string, error) {
	started, ended := make(chan error), make(chan string, 1)
	go func() {
		// Pdeathsig is about this thread, which therefore lives as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			ended <- cmd.ProcessState.String()
		}
	}()
	return ended, <-started
}

// Self is the program that runs.
const Self = "/proc/self/exe"

// RoleCommand is the role's process in a program of ours: a process group of
// its own, so that a terminal's Ctrl-C is not its business, and nothing of our
// environment.
func RoleCommand(program string, role appliance.Role, home appliance.Home) *exec.Cmd {
	return &exec.Cmd{
		Path:        program,
		Args:        []string{"sealgated", "role", string(role), "--home", string(home)},
		Env:         []string{"TZ=UTC"},
		Dir:         "/",
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
}

// RoleCapabilities are what the role's account may do beside its own: a gateway
// listens where its rules say, which is below port 1024 more often than not.
func RoleCapabilities(role appliance.Role) []uintptr {
	if role == appliance.Gateway {
		return []uintptr{unix.CAP_NET_BIND_SERVICE}
	}
	return nil
}

// RoleCredential is the role's account, with its own group and no other.
func RoleCredential() (*syscall.Credential, error) {
	u, err := user.Lookup(account.Role)
	if err != nil {
		return nil, appliance.Faultf("the installation makes it", "the account %s does not exist", account.Role)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	if uid == 0 || gid == 0 {
		return nil, fmt.Errorf("the account %s is root's", account.Role)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
