package peers

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTime is how long a server may take until it accepts connections.
const startTime = 10 * time.Second

// command is what to run; uid and gid 0 are root.
type command struct {
	args     []string
	env      []string // besides the program's own
	uid, gid uint32
}

// process is a running server.
type process struct {
	pid    int
	ended  chan struct{}
	output *output
}

// output keeps what a server says, for the error of one that does not start.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < 16<<10 {
		o.text.Write(p)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(o.text.String())
}

// start runs c and waits until addr accepts.
func start(c command, addr string) (*process, error) {
	binary, err := exec.LookPath(c.args[0])
	if err != nil {
		return nil, fmt.Errorf("the server %s is not installed", c.args[0])
	}
	p := &process{ended: make(chan struct{}), output: new(output)}
	cmd := exec.Command(binary, c.args[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = p.output, p.output
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.uid != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.uid, Gid: c.gid}
	}
	started := make(chan error)
	go func() {
		// Pdeathsig follows the thread that started the process, so that thread must live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.args[0], err)
	}
	p.pid = cmd.Process.Pid
	if err := p.waitFor(addr); err != nil {
		p.kill()
		return nil, fmt.Errorf("%s: %w; it said: %q", c.args[0], err, p.output)
	}
	return p, nil
}

func (p *process) waitFor(addr string) error {
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended instead of listening on %s", addr)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("it does not listen on %s", addr)
}

// kill ends the process and its descendants. Servers put the processes of their sessions into other process groups, so
// these are looked for while their parents are still there to name them. The process is stopped first, so that it
// starts no more.
func (p *process) kill() {
	select {
	case <-p.ended:
		return
	default:
	}
	syscall.Kill(p.pid, syscall.SIGSTOP)
	for _, child := range descendants(p.pid) {
		syscall.Kill(child, syscall.SIGKILL)
	}
	syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.ended
}

// descendants are the processes below pid.
func descendants(pid int) []int {
	children := make(map[int][]int)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		// PID (NAME) STATE PPID …, and NAME may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		children[parent] = append(children[parent], child)
	}
	var found []int
	for next := children[pid]; len(next) > 0; next = next[1:] {
		found = append(found, next[0])
		next = append(next, children[next[0]]...)
	}
	return found
}
