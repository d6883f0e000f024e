package stories

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sealgate/internal/trial"
)

// nobody is an account without any rights.
const nobody = 65534

// reachable is an appliance whose socket every account of this machine can
// reach, as an installed one's, and a sealsh that every account can run.
func reachable(t *testing.T) (app *trial.Appliance, sealsh string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "seal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(bin, "sealsh"))
	if err != nil {
		t.Fatal(err)
	}
	sealsh = filepath.Join(dir, "sealsh")
	if err := os.WriteFile(sealsh, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if app, err = trial.New(bin, filepath.Join(dir, "home"), "mx", "mx1"); err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Stop() })
	return app, sealsh
}

// as has cmd run under another uid. It needs root.
func as(uid uint32, cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Dir = "/"
	return cmd
}

// The hole: the socket answers whoever reaches it. The attack: an account that
// is no administrator runs commands, asks for completions (which would name
// dumps) and for help. What must hold: it learns the product's name.
func TestStrangersAtTheSocket(t *testing.T) {
	app, sealsh := reachable(t)
	if out, err := app.Run("export-local --pwd " + trial.System); err != nil {
		t.Fatal(out)
	}
	for _, line := range []string{"status", "version", "help", "files list", "export-local --pwd " + trial.System, "impctl server stop", "exit"} {
		out, err := as(nobody, exec.Command(sealsh, "--home", app.Home, "-c", line)).CombinedOutput()
		if exit, _ := err.(*exec.ExitError); exit == nil || exit.ExitCode() != 3 || !strings.Contains(string(out), "no rights") {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	term := startTerminal(t, as(nobody, exec.Command(sealsh, "--home", app.Home)))
	term.expect("has no rights on this appliance")
	term.send("files delete \t\t?")
	term.send("\x03\x04")
	if shown := term.rest(); strings.Contains(shown, ".tgz") || strings.Contains(shown, "export-local") {
		t.Errorf("a stranger saw %q", shown)
	}
	// The files behind the socket are not his either.
	for _, path := range []string{"keys/master.key", "data/current/config.db", "appliance.json", "exports", "run/lock"} {
		if out, err := as(nobody, exec.Command("cat", filepath.Join(app.Home, path))).CombinedOutput(); err == nil {
			t.Errorf("%s can be read: %s", path, out)
		}
	}
	if out, err := as(nobody, exec.Command("rm", "-f", filepath.Join(app.Home, "run", "control.sock"))).CombinedOutput(); err == nil {
		t.Errorf("the socket can be removed: %s", out)
	}
}

// The hole: one caller takes all connections, or memory, of the daemon. The
// attack: hundreds of connections that send nothing, part of a frame or a
// giant's length, from a stranger and from a friend. What must hold: an
// administrator's command runs meanwhile, and the daemon stays small.
func TestCrowdAtTheSocket(t *testing.T) {
	app, sealsh := reachable(t)
	socket := filepath.Join(app.Home, "run", "control.sock")
	for i := range 200 {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		switch i % 3 {
		case 0: // nothing
		case 1:
			conn.Write([]byte{0, 0, 1, 0, '{'})
		case 2:
			conn.Write(binary.BigEndian.AppendUint32(nil, 1<<31-1))
		}
	}
	strangers := as(nobody, exec.Command(sealsh, "--home", app.Home)) // reads lines from a pipe that says nothing
	in, err := strangers.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := strangers.Start(); err != nil {
		t.Fatal(err)
	}
	defer strangers.Wait()
	defer in.Close()
	if out, err := app.Run("status"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if rss := residentMemory(t, app.PID()); rss > 64<<20 {
		t.Errorf("the daemon has %d MiB", rss>>20)
	}
	// Those that sent no request are closed, one by one or all.
	idle, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	idle.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.Copy(io.Discard, idle); err != nil {
		t.Errorf("a silent connection is kept: %v", err)
	}
}

func residentMemory(t *testing.T, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
