package stories

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sealgate/internal/trial"
)

func newAppliance(t *testing.T) *trial.Appliance {
	t.Helper()
	app, err := trial.New(bin, filepath.Join(t.TempDir(), "home"), "mx", "mx1")
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// addressOf is where a management server that runs listens.
func addressOf(t *testing.T, app *trial.Appliance) string {
	t.Helper()
	out, err := app.Run("impctl server status --json")
	var status struct{ Address string }
	if err := errors.Join(err, json.Unmarshal([]byte(out), &status)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return status.Address
}

// systemd learns when the appliance is ready and when it stops.
func TestReadiness(t *testing.T) {
	app := newAppliance(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	app.Env = []string{"NOTIFY_SOCKET=" + path}
	hears := func(want string) {
		t.Helper()
		socket.SetReadDeadline(time.Now().Add(trial.Patience))
		said := make([]byte, 100)
		n, err := socket.Read(said)
		if err != nil || string(said[:n]) != want {
			t.Fatalf("systemd hears %q, %v; want %q", said[:n], err, want)
		}
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	hears("READY=1")
	if out, err := app.Run("impctl server status"); err != nil || !strings.Contains(out, "running on") {
		t.Errorf("ready, but %s", out)
	}
	if err := app.Stop(); err != nil {
		t.Error(err)
	}
	hears("STOPPING=1")
	for line := range strings.Lines(app.Log()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("the log is not JSON: %s", line)
		}
	}
}

// A role that dies again and again is started again at growing intervals.
func TestRoleBackOff(t *testing.T) {
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	// The role cannot open its database; the daemon, which needs none, lives.
	link := filepath.Join(app.Home, "data", "current")
	if err := os.Rename(link, link+".away"); err != nil {
		t.Fatal(err)
	}
	out, err := app.Run("impctl server restart")
	if err == nil || !strings.Contains(out, "the management server does not start: exit status 1") || !strings.Contains(out, "hint: ") {
		t.Fatalf("restart says %s, %v", out, err)
	}
	again := regexp.MustCompile(`restarts: +([2-9]|\d\d)`) // it may be started between two looks
	deadline := time.Now().Add(trial.Patience)
	for !again.MatchString(out) {
		if time.Now().After(deadline) {
			t.Fatalf("it is not started again: %s", out)
		}
		time.Sleep(50 * time.Millisecond)
		out, _ = app.Run("impctl server status")
	}
	if !strings.Contains(out, "last words:        the role ends: ") {
		t.Errorf("status does not say why:\n%s", out)
	}
	for _, wait := range []string{`"again_in":"500ms"`, `"again_in":"1s"`} {
		if !strings.Contains(app.Log(), wait) {
			t.Errorf("the log has no %s", wait)
		}
	}
	if err := os.Rename(link+".away", link); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(out, "running on") {
		if time.Now().After(deadline.Add(trial.Patience)) {
			t.Fatalf("it does not recover: %s", out)
		}
		time.Sleep(50 * time.Millisecond)
		out, _ = app.Run("impctl server status")
	}
}

// When the daemon is killed, its children end by themselves.
func TestNoOrphans(t *testing.T) {
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(app.PID())).Output()
	if err != nil {
		t.Fatal(err)
	}
	app.Kill()
	for _, pid := range strings.Fields(string(out)) {
		deadline := time.Now().Add(trial.Patience)
		for exists(pid) {
			if time.Now().After(deadline) {
				t.Fatalf("process %s outlives the daemon", pid)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func exists(pid string) bool {
	data, err := os.ReadFile("/proc/" + pid + "/status")
	return err == nil && !bytes.Contains(data, []byte("State:\tZ"))
}

var noCore = regexp.MustCompile(`(?m)^Max core file size +0 +0 `)

// Secrets are in no argument, no environment and no core file of our processes,
// while an export runs as well. (A line typed after -c is the caller's own process.)
func TestNoSecretInProc(t *testing.T) {
	app := filledAppliance(t, "0.05")
	in := strings.NewReader(trial.System + "\nDump-pw-17\n")
	cmd := app.Command("export-local --pwd - --encryptpwd -")
	cmd.Stdin = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var once sync.Once
	go func() { cmd.Wait(); once.Do(func() { close(ended) }) }()
	jobs, coreless := 0, map[string]bool{}
	for running := true; running; {
		select {
		case <-ended:
			running = false
		case <-time.After(2 * time.Millisecond):
		}
		for path, line := range processes(t, trial.System, "Dump-pw-17") {
			if limits, _ := os.ReadFile(filepath.Dir(path) + "/limits"); noCore.Match(limits) {
				words := strings.Split(string(line), "\x00")
				coreless[filepath.Base(words[0])] = true
				coreless[words[min(1, len(words)-1)]] = true
			}
			if bytes.HasPrefix(line, []byte("sealgated\x00job")) {
				jobs++
			}
		}
	}
	if jobs == 0 {
		t.Error("no job was seen")
	}
	// A process limits itself first of all, but not before it was seen.
	for _, program := range []string{"sealsh", "run", "role", "job"} {
		if !coreless[program] {
			t.Errorf("%s may write a core file", program)
		}
	}
}

// processes are the command lines of those that run, by their path. None has one of
// the secrets, and no environment has.
func processes(t *testing.T, secrets ...string) map[string][]byte {
	t.Helper()
	lines := make(map[string][]byte)
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		line, _ := os.ReadFile(path)
		environ, _ := os.ReadFile(filepath.Dir(path) + "/environ")
		for _, secret := range secrets {
			if bytes.Contains(line, []byte(secret)) || bytes.Contains(environ, []byte(secret)) {
				t.Fatalf("%s: %q", path, line)
			}
		}
		lines[path] = line
	}
	return lines
}

// The password that a gateway registers with is in none either, right or wrong.
func TestNoSecretInProcOfRegistration(t *testing.T) {
	mx := newAppliance(t)
	gw, err := trial.New(bin, filepath.Join(t.TempDir(), "gw"), "gateway", "gw1")
	if err != nil {
		t.Fatal(err)
	}
	for _, app := range []*trial.Appliance{mx, gw} {
		if err := app.Start(); err != nil {
			t.Fatal(err)
		}
		defer app.Stop()
	}
	at := addressOf(t, mx)
	jobs := 0
	for _, password := range []string{"Wrong-pw-1817", trial.Secure} {
		cmd := gw.Command("impctl gateway register --licensing on-demand --management-server " + at)
		cmd.Stdin = strings.NewReader(password + "\n")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for running := true; running; {
			select {
			case err := <-ended:
				if running = false; (err == nil) != (password == trial.Secure) {
					t.Errorf("registering ends with %v", err)
				}
			case <-time.After(2 * time.Millisecond):
			}
			for _, line := range processes(t, password) {
				if bytes.HasPrefix(line, []byte("sealgated\x00job")) {
					jobs++
				}
			}
		}
	}
	if jobs == 0 {
		t.Error("no job was seen")
	}
}

// Two exports at the same time: the second is refused and says why, and
// hundreds of callers do not hurt.
func TestManyCallers(t *testing.T) {
	app := filledAppliance(t, "0.05")
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if out, err := app.Run("status"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	export := func() string { out, _ := app.Run("export-local --pwd " + trial.System); return out }
	// On a busy machine the first may end before the second begins.
	for range 10 {
		var first string
		wg.Go(func() { first = export() })
		second := export()
		wg.Wait()
		outs := []string{first, second}
		made := func(s string) bool { return strings.Contains(s, "in the export folder") }
		if !slices.ContainsFunc(outs, made) {
			t.Fatalf("outputs %q", outs)
		}
		if slices.ContainsFunc(outs, func(s string) bool { return strings.Contains(s, "another export runs since") }) {
			return
		}
	}
	t.Error("two exports never met")
}

// impctl is the same as `sealsh -c 'impctl …'`, with words taken as they are.
func TestImpctl(t *testing.T) {
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	for _, c := range []struct {
		args []string
		want string
		exit int
	}{
		{[]string{"--version"}, "Sealgate ", 0},
		{[]string{"server", "status"}, "running on", 0},
		{[]string{"server"}, "impctl server needs one of", 2},
		{[]string{"servr"}, "did you mean impctl server?", 2},
		{nil, "impctl needs one of", 2},
		{[]string{"status", "--json"}, `"role":"mx"`, 0},
	} {
		cmd := exec.Command(filepath.Join(bin, "impctl"), append([]string{"--home", app.Home}, c.args...)...)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != c.exit || !strings.Contains(string(out), c.want) {
			t.Errorf("impctl %q: exit %d, %s", c.args, got, out)
		}
	}
}

// A stop that nobody waits for is a stop all the same, and start starts anew.
func TestInterruptedStop(t *testing.T) {
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(app.PID())).Output()
	if err != nil {
		t.Fatal(err)
	}
	role, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(role, syscall.SIGSTOP) // it will have to be killed
	cmd := app.Command("impctl server stop")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, app, "show audit", "impctl server stop") // is written when it begins
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	eventually(t, app, "impctl server status", "stopped since")
	if said, err := app.Run("impctl server start"); err != nil || !strings.Contains(said, "running on") {
		t.Errorf("start says %s, %v", said, err)
	}
}

// A port that is taken at the start is tried again, and status says why.
func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app, err := trial.New(bin, filepath.Join(t.TempDir(), "home"), "mx", "mx1", "--listen", taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for said := ""; !strings.Contains(said, "address already in use") && t.Context().Err() == nil; time.Sleep(20 * time.Millisecond) {
			said, _ = app.Run("impctl server status")
		}
		taken.Close()
	}()
	if err := app.Start(); err != nil { // returns when the role runs
		t.Fatal(err)
	}
	defer app.Stop()
	if said, _ := app.Run("impctl server status"); !strings.Contains(said, "address already in use") {
		t.Errorf("status says %s", said)
	}
}
