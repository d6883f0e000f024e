// Package trial runs real appliances for tests and benchmarks: the programs
// as they are built, a home in a temporary folder, addresses on loopback.
package trial

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build builds every program into dir.
func Build(dir string) error {
	cmd := exec.Command("go", "build", "-o", dir+"/", "sealgate/cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// The passwords of every trial appliance.
const (
	System = "System-pw-17"
	Secure = "Secure-pw-17"
	Admin  = "Admin-pw-17"
)

// Patience is how long tests wait for what comes in a moment where nothing else runs.
const Patience = time.Minute

// Appliance is one that was created in Home.
type Appliance struct {
	Bin  string // folder of the programs; empty: what is installed
	Home string
	Env  []string // of the daemon, beside PATH
	User string   // whose process the daemon is; empty: ours
	Args []string // of run, beside --home

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan error
	log   Buffer
}

// New creates an appliance in home. args are further flags of init.
func New(bin, home, role, name string, args ...string) (*Appliance, error) {
	secrets, err := os.CreateTemp("", "trial-secrets-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(secrets.Name())
	defer secrets.Close()
	fmt.Fprintf(secrets, "system=%s\nsecure=%s\nadmin=%s\n", System, Secure, Admin)
	args = append([]string{"init", "--home", home, "--role", role, "--name", name, "--secrets", secrets.Name(),
		"--allow-network", "127.0.0.0/8", "--allow-network", "::1"}, args...)
	if !slices.Contains(args, "--listen") {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	if out, err := exec.Command(filepath.Join(bin, "sealgated"), args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("init: %w\n%s", err, out)
	}
	return &Appliance{Bin: bin, Home: home}, nil
}

// Start runs the daemon and waits until it answers and its role is ready.
func (a *Appliance) Start() error {
	cmd := exec.Command(filepath.Join(a.Bin, "sealgated"), append([]string{"run", "--home", a.Home}, a.Args...)...)
	cmd.Stderr = &a.log
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, a.Env...)
	// A test that is killed leaves no daemon behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if a.User != "" {
		var err error
		if cmd.SysProcAttr.Credential, err = credential(a.User); err != nil {
			return err
		}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	a.mu.Lock()
	a.cmd, a.ended = cmd, ended
	a.mu.Unlock()
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			return fmt.Errorf("the daemon ended: %v\n%s", err, a.log.String())
		default:
		}
		if out, err := a.Run("status"); err == nil && strings.Contains(out, "running on") {
			return nil
		}
	}
	a.Stop()
	return fmt.Errorf("the daemon does not get ready\n%s", a.log.String())
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// PID is the daemon's process.
func (a *Appliance) PID() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cmd.Process.Pid
}

// Stop ends the daemon as an init system does, and says when it did not end
// well.
func (a *Appliance) Stop() error { return a.end(syscall.SIGTERM) }

// Kill ends it as a power cut does.
func (a *Appliance) Kill() { a.end(syscall.SIGKILL) }

func (a *Appliance) end(sig syscall.Signal) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cmd == nil {
		return nil
	}
	defer func() { a.cmd = nil }()
	a.cmd.Process.Signal(sig)
	select {
	case err := <-a.ended:
		return err
	case <-time.After(25 * time.Second):
		a.cmd.Process.Kill()
		return errors.Join(errors.New("the daemon did not end by itself"), <-a.ended)
	}
}

// Log is what the daemon logged.
func (a *Appliance) Log() string { return a.log.String() }

// Run runs one line in the sealed shell and returns both of its streams.
func (a *Appliance) Run(line string) (string, error) {
	out, err := a.Command(line).CombinedOutput()
	return string(out), err
}

// Command is the sealed shell about to run one line.
func (a *Appliance) Command(line string) *exec.Cmd {
	return exec.Command(filepath.Join(a.Bin, "sealsh"), "--home", a.Home, "-c", line)
}

// Installed is sealsh where home is an installed appliance's: in a mount namespace
// of its own, which needs root. name is what it is called, "-sealsh" for a login.
func Installed(bin, home, name string, args ...string) *exec.Cmd {
	const script = `mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/sealgate && mount --bind "$1" /var/lib/sealgate && shift && exec -a "$@"`
	within := []string{"--mount", "bash", "-c", script, "bash", home, name, filepath.Join(bin, "sealsh")}
	return exec.Command("unshare", append(within, args...)...)
}

// Buffer may be written and read at the same time.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// Reset empties it.
func (b *Buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
