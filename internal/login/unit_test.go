package login

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sealgate/internal/trial"
)

var (
	call    = regexp.MustCompile(`^\d+ +([a-z0-9_]+)\(`)
	writing = regexp.MustCompile(`openat\([^,]*, "([^"]+)", [^)]*(O_WRONLY|O_RDWR|O_CREAT)`)
	family  = regexp.MustCompile(`socket\((AF_[A-Z0-9]+)`)
)

// What sealgate.service forbids is not needed. systemd does not run here, so
// the daemon and its children are watched while they work: their system calls,
// sockets, what they open to write, and memory that is written and then run.
func TestUnitForbidsNothingNeeded(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	strace := exec.Command("strace", "-f", "-qq", "-s", "300", "-o", trace, "-p", strconv.Itoa(app.PID()))
	if err := strace.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		strace.Process.Signal(syscall.SIGINT)
		strace.Wait()
	}
	for deadline := time.Now().Add(trial.Patience); tracer(t, app.PID()) != strace.Process.Pid; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			stop()
			t.Fatal("strace does not get hold of the daemon")
		}
	}
	for _, line := range []string{"impctl server restart", "status", "impctl known-hosts add " + server.Addr + " --fingerprint SHA256:x", "impctl support get-tech-info --server-debug --get-access-log --upgrade"} {
		app.Run(line)
	}
	export := app.Command("export-local --pwd - --encryptpwd -")
	export.Stdin = strings.NewReader(trial.System + "\nDump-pw-17\n")
	out, err := export.CombinedOutput()
	stop()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	allowed := filter(t)
	file, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		if found := call.FindStringSubmatch(line); found != nil && !seen[found[1]] {
			seen[found[1]] = true
			if !allowed[found[1]] {
				t.Errorf("SystemCallFilter forbids: %s", line)
			}
		}
		if strings.Contains(line, "PROT_WRITE|PROT_EXEC") {
			t.Errorf("MemoryDenyWriteExecute forbids: %s", line)
		}
		if found := family.FindStringSubmatch(line); found != nil && !strings.Contains(setting(t, "RestrictAddressFamilies"), found[1]) {
			t.Errorf("RestrictAddressFamilies forbids: %s", line)
		}
		path := writing.FindStringSubmatch(line)
		if path != nil && path[1] != "/dev/null" && filepath.IsAbs(path[1]) && !strings.HasPrefix(path[1], app.Home+"/") {
			t.Errorf("ProtectSystem forbids: %s", line)
		}
	}
	for _, name := range []string{"execve", "mmap", "fsync"} {
		if !seen[name] {
			t.Errorf("%s was not seen: the watch has holes", name)
		}
	}
}

func tracer(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "TracerPid:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// filter is what the unit's SystemCallFilter lines allow.
func filter(t *testing.T) map[string]bool {
	t.Helper()
	allowed := map[string]bool{}
	var set func(name string, to bool)
	set = func(name string, to bool) {
		if name[0] != '@' {
			allowed[name] = to
			return
		}
		out, err := exec.Command("systemd-analyze", "syscall-filter", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(out), "\n")[1:] {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				set(line, to)
			}
		}
	}
	for names := range strings.Lines(setting(t, "SystemCallFilter")) {
		names, forbids := strings.CutPrefix(names, "~")
		for _, name := range strings.Fields(names) {
			set(name, !forbids)
		}
	}
	return allowed
}

// setting is the unit's values of a name, one a line.
func setting(t *testing.T, name string) (values string) {
	t.Helper()
	unit, err := os.ReadFile("/usr/lib/systemd/system/sealgate.service")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(unit)) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			values += value
		}
	}
	return values
}
