package shell

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"sealgate/control"
	"sealgate/internal/trial"
)

// unsealed is a daemon that has a shell run whatever is no "version".
type unsealed struct {
	home  string
	shell string

	mu   sync.Mutex
	seen []control.Request
}

// startUnsealed listens as uid in a folder of root's.
func startUnsealed(t *testing.T, shell string, uid int) *unsealed {
	t.Helper()
	u := &unsealed{home: newAppliance(t).home, shell: shell}
	ln := listenAs(t, socketIn(u.home), uid)
	ctx, cancel := context.WithCancel(context.Background())
	srv := control.Server{Handler: control.HandlerFunc(u.serve), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	done := make(chan struct{})
	go func() { srv.Serve(ctx, ln); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return u
}

func (u *unsealed) serve(_ context.Context, _ control.Peer, req control.Request, s *control.Session) control.Result {
	u.mu.Lock()
	u.seen = append(u.seen, req)
	u.mu.Unlock()
	switch {
	case req.Op == control.OpGreet:
		return control.Result{Prompt: "mx> "}
	case len(req.Words) > 0 && req.Words[0] == "version":
		s.Text(control.Out, "test 1.0\n")
		return control.Result{}
	case req.Login:
		return control.Result{Shell: u.shell}
	}
	return control.Result{Exit: control.ExitUsage, Error: "unknown command"}
}

// listenAs is a listener whose peers see uid: the kernel notes who listens.
func listenAs(t *testing.T, path string, uid int) *net.UnixListener {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	setuid := func(uid int) {
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			t.Fatalf("needs root: %v", errno) // this thread alone, which a failed test takes along
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	setuid(uid)
	err = unix.Listen(fd, 16)
	setuid(0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	ln, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	return ln.(*net.UnixListener)
}

// installed runs sealsh on u as on an installed appliance.
func (u *unsealed) installed(t *testing.T, stdin string, env []string, name string, args ...string) ending {
	t.Helper()
	cmd := trial.Installed(bin, u.home, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/"}, env...)
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return ending{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func TestUnsealedLines(t *testing.T) {
	t.Parallel()
	u := startUnsealed(t, "/bin/bash", 0)
	for _, c := range []struct {
		name  string
		line  string
		stdin string
		want  ending
	}{
		{"a command of the appliance's", "version", "", ending{0, "test 1.0\n", ""}},
		{"another", "echo $((6*7)) | cat; exit 9", "", ending{9, "42\n", ""}},
		{"what cannot be split", `echo "it's"` + "\n\techo two", "", ending{0, "it's\ntwo\n", ""}},
		{"all of standard input is left", "cat", "one\ntwo\n", ending{0, "one\ntwo\n", ""}},
		{"its name", `echo $0 $#`, "", ending{0, "bash 0\n", ""}},
		{"nothing", " ", "", ending{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := u.installed(t, c.stdin, nil, "sealsh", "-c", c.line); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			forced := []string{"SSH_ORIGINAL_COMMAND=" + c.line}
			if got := u.installed(t, c.stdin, forced, "sealsh", "-c", "/usr/bin/sealsh"); got != c.want {
				t.Errorf("forced: %+v, want %+v", got, c.want)
			}
		})
	}
}

// A real shell finds what sshd set, no signal ignored, and not the words that it
// runs already.
func TestUnsealedSurroundings(t *testing.T) {
	t.Parallel()
	u := startUnsealed(t, "/bin/sh", 0)
	env := []string{"TERM=xterm-256color", "SSH_CONNECTION=192.0.2.1 5 192.0.2.2 22", "SSH_TTY=/dev/pts/9", "USER=anna", "LC_ALL=C",
		"SHELL=/usr/bin/sealsh", "SSH_ORIGINAL_COMMAND=env; grep SigIgn /proc/self/status; ulimit -Sn"}
	got := u.installed(t, "", env, "sealsh", "-c", "sealsh")
	lines := strings.Split(got.out, "\n")
	has := func(line string) bool {
		for _, l := range lines {
			if l == line {
				return true
			}
		}
		return false
	}
	for _, want := range append(env[:5:5], "SHELL=/bin/sh", "PATH="+os.Getenv("PATH"), "HOME=/") {
		if !has(want) {
			t.Errorf("%q is not in its environment", want)
		}
	}
	if strings.Contains(got.out, "SSH_ORIGINAL_COMMAND") || has("SHELL=/usr/bin/sealsh") {
		t.Errorf("it inherits what is done with:\n%s", got.out)
	}
	plain := exec.Command("sh", "-c", "grep SigIgn /proc/self/status; ulimit -Sn")
	out, err := plain.Output()
	if err != nil || !strings.HasSuffix(got.out, string(out)) {
		t.Errorf("signals and limits differ from %q, %v:\n%s", out, err, got.out)
	}
}

// Who is not trusted names no shell, and no other program is one.
func TestNoShellFromStrangers(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "executed")
	script := filepath.Join(t.TempDir(), "bash")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n>"+mark+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		shell string
		uid   int
	}{
		"a stranger listens":   {"/bin/bash", 65534},
		"another program":      {script, 0},
		"the name alone":       {"bash", 0},
		"a way round the list": {"/bin/../bin/bash", 0},
		"with arguments":       {"/bin/bash -i", 0},
	} {
		t.Run(name, func(t *testing.T) {
			u := startUnsealed(t, c.shell, c.uid)
			got := u.installed(t, "", nil, "sealsh", "-c", "touch "+mark)
			if got.exit != control.ExitFailed || !strings.Contains(got.err, "not trusted with that\nsealgate: hint: ") {
				t.Errorf("%+v", got)
			}
			if _, err := os.Stat(mark); err == nil {
				t.Error("something was executed")
			}
		})
	}
	// The folder's owner may be another one than root, as sealgate's is.
	u := startUnsealed(t, "/bin/bash", 65534)
	if err := os.Chown(filepath.Join(u.home, "run"), 65534, 0); err != nil {
		t.Fatal(err)
	}
	if got := u.installed(t, "", nil, "sealsh", "-c", "echo hello"); got.out != "hello\n" {
		t.Errorf("%+v", got)
	}
}

// What is no login asks for no shell: another home, impctl, lines through a pipe.
func TestNoLogin(t *testing.T) {
	t.Parallel()
	u := startUnsealed(t, "/bin/bash", 0)
	unknown := ending{control.ExitUsage, "", "sealgate: error: unknown command\n"}
	if got := u.installed(t, "", nil, "-sealsh", "--home", "/var/lib/sealgate", "-c", "id"); got != unknown {
		t.Errorf("--home: %+v", got)
	}
	if got := u.installed(t, "", []string{"SSH_ORIGINAL_COMMAND=id"}, "sealsh", "-c", "sealsh --home /var/lib/sealgate"); got != unknown {
		t.Errorf("--home in a line: %+v", got)
	}
	if got := u.installed(t, "id\n", nil, "-sealsh"); got != unknown {
		t.Errorf("a line through a pipe: %+v", got)
	}
	if got := program(t, "", nil, "impctl", "--home", u.home, "id"); got != unknown {
		t.Errorf("impctl: %+v", got)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, req := range u.seen {
		if req.Login || req.Op != control.OpRun {
			t.Errorf("%+v", req)
		}
	}
	if len(u.seen) != 4 {
		t.Errorf("%d requests", len(u.seen))
	}
}
