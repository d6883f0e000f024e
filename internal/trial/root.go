package trial

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	rootUnit   = "/usr/lib/systemd/system/sealgate-root.service"
	rootSocket = "/run/sealgate/root.sock"
)

// RootService is an installed appliance's, running as its unit has it run:
// without new privileges, and with the unit's capabilities and no other.
type RootService struct {
	cmd   *exec.Cmd
	ended chan error
	log   Buffer
}

var capabilities = regexp.MustCompile(`(?m)^CapabilityBoundingSet=(.*)$`)

// StartRootService runs it, and returns when it answers.
func StartRootService() (*RootService, error) {
	unit, err := os.ReadFile(rootUnit)
	if err != nil {
		return nil, err
	}
	bounds := capabilities.FindSubmatch(unit)
	if bounds == nil {
		return nil, errors.New(rootUnit + " bounds no capabilities")
	}
	set := "-all"
	for _, name := range strings.Fields(string(bounds[1])) {
		set += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	r := &RootService{ended: make(chan error, 1)}
	r.cmd = exec.Command("setpriv", "--bounding-set", set, "--inh-caps", "-all", "--no-new-privs",
		"/usr/sbin/sealgated", "root", "--socket", rootSocket)
	r.cmd.Env, r.cmd.Stderr = []string{}, &r.log
	// A test that is killed leaves no service behind.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { r.ended <- r.cmd.Wait() }()
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("unix", rootSocket); err == nil {
			return r, conn.Close()
		}
	}
	r.Stop()
	return nil, errors.New("the root service does not answer: " + r.log.String())
}

// Stop ends it as an init system does, Kill as a power cut does. Its role ends
// with it.
func (r *RootService) Stop() { r.end(syscall.SIGTERM) }

// Kill ends it at once.
func (r *RootService) Kill() { r.end(syscall.SIGKILL) }

func (r *RootService) end(sig syscall.Signal) {
	r.cmd.Process.Signal(sig)
	r.ended <- <-r.ended // for who comes next
	if sig == syscall.SIGTERM {
		os.Remove(rootSocket) // as its unit does
	}
}

// Log is what it logged.
func (r *RootService) Log() string { return r.log.String() }
