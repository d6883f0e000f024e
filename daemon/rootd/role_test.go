package rootd

import (
	"context"
	"fmt"
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

	"sealgate/appliance"
	"sealgate/appliance/ownership"
	"sealgate/appliance/store"
	"sealgate/internal/trial"
)

// rolePID is the role's process. It is the child of whoever started it.
func rolePID(t *testing.T, app *trial.Appliance) (pid int) {
	t.Helper()
	wait(t, "a role runs", func() bool {
		pid = roleNow(app.Home)
		return pid != 0
	})
	return pid
}

func roleNow(home string) int { return processNow("mx", home) }

func processNow(role, home string) int {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if line, _ := os.ReadFile(path); string(line) == "sealgated\x00role\x00"+role+"\x00--home\x00"+home+"\x00" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	return 0
}

// statusOf is a line of /proc/PID/status, or of limits.
func statusOf(t *testing.T, pid int, file, name string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.Join(strings.Fields(rest), " ")
		}
	}
	return ""
}

// ownAccount fails unless pid is a process of the role's account and no other.
func ownAccount(t *testing.T, pid int) {
	t.Helper()
	c := credential(t, "sealgate-role")
	uids := strings.TrimSpace(strings.Repeat(fmt.Sprintf("%d ", c.Uid), 4))
	gids := strings.TrimSpace(strings.Repeat(fmt.Sprintf("%d ", c.Gid), 4))
	for name, want := range map[string]string{"Uid:": uids, "Gid:": gids, "Groups:": "", "CapEff:": "0000000000000000", "CapPrm:": "0000000000000000"} {
		if got := statusOf(t, pid, "status", name); got != want {
			t.Errorf("the role's %s is %q, not %q", name, got, want)
		}
	}
}

// The hole: an import replaces the data while the role is stopped. The attack: a role
// that was taken over leaves a process behind, in a session of its own. What must hold:
// when the role has ended, so have all processes of its account.
func TestRoleLeavesNoProcess(t *testing.T) {
	startRoot(t)
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	rolePID(t, app)
	c := credential(t, "sealgate-role")
	left := exec.Command("sleep", "600")
	left.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.Uid, Gid: c.Gid}, Setsid: true}
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	defer left.Process.Kill()
	if out, err := app.Run("impctl server stop"); err != nil {
		t.Fatalf("stop: %s", out)
	}
	status := statusOf(t, left.Process.Pid, "status", "State:")
	if !strings.HasPrefix(status, "Z") { // ours to wait for
		t.Errorf("a process of the role is %q", status)
	}
	left.Process.Kill()
	left.Wait()
}

func TestRoleHasItsOwnAccount(t *testing.T) {
	startRoot(t)
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	role := rolePID(t, app)
	ownAccount(t, role)
	if got := statusOf(t, app.PID(), "status", "Uid:"); strings.Fields(got)[0] != fmt.Sprint(credential(t, "sealgate").Uid) {
		t.Errorf("the supervisor's uid is %s", got)
	}
	for _, pid := range []int{app.PID(), role} {
		if got := statusOf(t, pid, "limits", "Max core file size"); got != "0 0 bytes" {
			t.Errorf("process %d may write a core file: %s", pid, got)
		}
	}
	if out, _ := app.Run("status"); !strings.Contains(out, fmt.Sprintf("process %d of sealgate-role\n", role)) {
		t.Errorf("status says\n%s", out)
	}
	// Exports run as the supervisor, and read what the role holds open.
	if out, err := app.Run("export-local --pwd " + trial.System + " --encryptpwd Dump-pw-17"); err != nil {
		t.Errorf("export: %s", out)
	}
	if out, err := app.Run("impctl server stop"); err != nil {
		t.Errorf("stop: %s", out)
	}
	if pid := roleNow(app.Home); pid != 0 {
		t.Errorf("process %d is left", pid)
	}
	if out, err := app.Run("export-local --pwd " + trial.System + " --encryptpwd Dump-pw-17"); err != nil {
		t.Errorf("export without the role: %s", out)
	}
	if out, err := app.Run("impctl server start"); err != nil || !strings.Contains(out, "running on") {
		t.Errorf("start: %s", out)
	}
	if err := app.Stop(); err != nil {
		t.Error(err)
	}
	if pid := roleNow(app.Home); pid != 0 {
		t.Errorf("process %d outlives the supervisor", pid)
	}
}

// The hole: who takes over the role reads the keys, or covers the traces.
func TestRoleReachesNothingElse(t *testing.T) {
	startRoot(t)
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	if out, err := app.Run("export-local --pwd " + trial.System + " --encryptpwd Dump-pw-17"); err != nil {
		t.Fatal(out)
	}
	for _, line := range []string{"impctl server certificate renew", "impctl server certificate request"} {
		if out, err := app.Run(line); err != nil {
			t.Fatal(out)
		}
	}
	// Nothing makes it in this release; the service that will is root's.
	must(t, "install", "-d", "-m", "0755", filepath.Join(app.Home, "releases"))
	shell := func(account, line string) error {
		cmd := exec.Command("/bin/sh", "-c", line)
		cmd.Dir = app.Home
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, account)}
		return cmd.Run()
	}
	for line, roleMay := range map[string]bool{
		"cat appliance.json":                                      true,
		"ls data data/current/events":                             true,
		"touch data/x && rm data/x":                               true,
		"touch data/current/events/x && rm data/current/events/x": true,
		"cat certificate/*.pem":                                   true,
		"cat certificate/request.key":                             false,
		"cat run/identity.json":                                   true,
		"echo x >>run/identity.json":                              false,
		"mv run/identity.json run/i":                              false,
		"cat data/current/config.db":                              true,
		"cat keys/master.key":                                     false,
		"ls keys":                                                 false,
		"touch keys/x":                                            false,
		"ls log":                                                  false,
		"touch log/x":                                             false,
		"cat log/audit/*":                                         false,
		"mv log l":                                                false,
		"touch releases/x":                                        false,
		"ls exports techinfo":                                     false,
		"touch exports/x":                                         false,
		"touch appliance.json":                                    false,
		"echo x >>appliance.json":                                 false,
		"mv appliance.json a":                                     false,
		"mv keys k":                                               false,
		"touch x":                                                 false,
		"touch run/x":                                             false,
		"rm run/control.sock":                                     false,
		"cat run/lock":                                            false,
	} {
		if err := shell("sealgate-role", line); (err == nil) != roleMay {
			t.Errorf("as the role, %s: %v", line, err)
		}
		if err := shell("nobody", line); err == nil {
			t.Errorf("as nobody, %s works", line)
		}
	}
	if err := shell("sealgate", "cat keys/master.key appliance.json certificate/*.pem && touch keys/x exports/x data/x && rm keys/x exports/x data/x"); err != nil {
		t.Errorf("the supervisor lacks something: %v", err)
	}
}

func TestRoleIsStartedAgain(t *testing.T) {
	root := startRoot(t)
	app := newAppliance(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	again := func(what string, old int) int {
		t.Helper()
		wait(t, "the role runs again after "+what, func() bool {
			out, _ := app.Run("impctl server status")
			pid := roleNow(app.Home)
			return strings.Contains(out, "running on") && pid != 0 && pid != old
		})
		pid := rolePID(t, app)
		ownAccount(t, pid)
		return pid
	}
	role := rolePID(t, app)
	syscall.Kill(role, syscall.SIGKILL)
	role = again("its death", role)
	if out, _ := app.Run("impctl server status"); !strings.Contains(out, "1, the last after signal: killed") {
		t.Errorf("status says %s", out)
	}
	if !strings.Contains(app.Log(), `"again_in":"500ms"`) {
		t.Errorf("the log:\n%s", app.Log())
	}

	// Its last words come through the root service.
	link := filepath.Join(app.Home, "data", "current")
	if err := os.Rename(link, link+".away"); err != nil {
		t.Fatal(err)
	}
	if out, err := app.Run("impctl server restart"); err == nil || !strings.Contains(out, "the management server does not start: exit status 1, the role ends: ") {
		t.Errorf("restart says %s", out)
	}
	if err := os.Rename(link+".away", link); err != nil {
		t.Fatal(err)
	}
	role = again("its database came back", role)

	// The root service dies: its role goes with it, and comes back with it, never
	// under another account.
	root.Kill()
	wait(t, "the role ends with the root service", func() bool { return !alive(read(role), credential(t, "sealgate-role").Uid) })
	wait(t, "status says why", func() bool {
		out, _ := app.Run("impctl server status")
		return strings.Contains(out, "not available: the root service does not run")
	})
	startRoot(t)
	role = again("the root service came back", role)

	// A role that does not listen any more is killed.
	syscall.Kill(role, syscall.SIGSTOP)
	if out, err := app.Run("impctl server stop"); err != nil || !strings.Contains(out, "stopped since") {
		t.Errorf("stop says %s", out)
	}
	if pid := roleNow(app.Home); pid != 0 {
		t.Errorf("process %d is left", pid)
	}
	if out, err := app.Run("impctl server start"); err != nil {
		t.Errorf("start says %s", out)
	}
	role = rolePID(t, app)
	app.Kill()
	wait(t, "the role ends with the supervisor", func() bool { return !alive(read(role), credential(t, "sealgate-role").Uid) })
}

func read(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return string(data)
}

// A supervisor that is root itself, as in a container, needs no root service.
func TestRootStartsTheRoleItself(t *testing.T) {
	app := newAppliance(t)
	app.User = ""
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	ownAccount(t, rolePID(t, app))
	if out, err := app.Run("export-local --pwd " + trial.System + " --encryptpwd Dump-pw-17"); err != nil {
		t.Errorf("export: %s", out)
	}
}

// Another appliance of the same machine, a developer's say, has nothing to do
// with the installed one.
func TestOtherHomes(t *testing.T) {
	startRoot(t)
	home := filepath.Join(t.TempDir(), "home")
	app, err := trial.New("", home, "mx", "mx1")
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	defer app.Stop()
	if got := statusOf(t, rolePID(t, app), "status", "Uid:"); got != "0 0 0 0" {
		t.Errorf("the role has uid %s", got)
	}
	if out, _ := app.Run("status"); !strings.Contains(out, " of root\n") {
		t.Errorf("status says\n%s", out)
	}
	if out, err := app.Run("impctl user list"); err == nil || !strings.Contains(out, "not available") {
		t.Errorf("user list says %s", out)
	}
	for _, path := range []string{"data", "certificate", "keys", "exports"} {
		if info, err := os.Stat(filepath.Join(home, path)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// The hole: a supervisor that was taken over has root start what it likes.
func TestRoleStartsWithWhatItNeeds(t *testing.T) {
	startRoot(t)
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for name, c := range map[string]struct {
		data  string
		files []*os.File
	}{
		"another role":      {`{"role":"../mx"}`, nil},
		"no descriptors":    {`{"role":"mx"}`, nil},
		"too few":           {`{"role":"mx"}`, []*os.File{null}},
		"of another kind":   {`{"role":"mx"}`, []*os.File{null, null, null}},
		"more than it asks": {`{"role":"mx"}`, []*os.File{null, null, null, null}},
	} {
		if res := request(t, opStartRole, c.data, c.files...); res.Exit == 0 || roleNow(string(appliance.DefaultHome)) != 0 {
			t.Errorf("%s: %+v", name, res)
		}
	}
	if res := request(t, opAccountList, `{}`, null); res.Exit == 0 {
		t.Errorf("a list takes descriptors: %+v", res)
	}
}

// An appliance that root creates on an installed machine is the supervisor's.
func TestOwnersOfANewHome(t *testing.T) {
	app := newAppliance(t)
	c := credential(t, "sealgate")
	err := filepath.WalkDir(app.Home, func(path string, d os.DirEntry, err error) error {
		var stat syscall.Stat_t
		if err := syscall.Lstat(path, &stat); err != nil {
			return err
		}
		if stat.Uid != c.Uid || stat.Gid != c.Gid {
			t.Errorf("%s belongs to %d:%d", path, stat.Uid, stat.Gid)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]uint32{
		"": 0o711, "appliance.json": 0o640, "keys": 0o700, "keys/master.key": 0o600, "exports": 0o700, "techinfo": 0o700,
		"data": 0o2770, "data/current/": 0o2770, "data/current/files": 0o2770, "data/current/config.db": 0o660, "data/current/events": 0o2770, "data/current/archives": 0o2770, "certificate": 0o2770,
	} {
		var stat syscall.Stat_t
		if err := syscall.Stat(filepath.Join(app.Home, path), &stat); err != nil || stat.Mode&0o7777 != want {
			t.Errorf("%q has mode %o, not %o, %v", path, stat.Mode&0o7777, want, err)
		}
	}
}

const writes = 100

func init() {
	acts["write"] = func() error {
		syscall.Umask(ownership.Umask)
		ctx := context.Background()
		s, err := store.Open(ctx, string(appliance.DefaultHome), store.Options{})
		if err != nil {
			return err
		}
		defer s.Close()
		for i := range writes {
			name := fmt.Sprintf("%d-%d", os.Getuid(), i)
			_, err := s.Write(ctx, store.Change{Author: "test", Summary: name}, func(tx *store.Tx) error {
				_, err := tx.AddUser(ctx, store.User{Name: name, Role: store.ReadOnlyRole, Verifier: "v"})
				return err
			})
			if err != nil {
				return fmt.Errorf("write %s: %w", name, err)
			}
			alert := store.Alert{ID: store.NewID(), Number: int64(i), Time: time.Date(2026, 3, 1+i%4, 0, 0, 0, 0, time.UTC).UnixMilli()}
			if err := s.Append(ctx, store.Batch{Alerts: []store.Alert{alert}}); err != nil {
				return fmt.Errorf("append %s: %w", name, err)
			}
			if _, err := s.Users(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	acts["count"] = func() error {
		ctx := context.Background()
		s, err := store.Open(ctx, string(appliance.DefaultHome), store.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		defer s.Close()
		counts, err := s.Counts(ctx)
		for _, c := range counts {
			fmt.Printf("%s=%d\n", c.Kind, c.Rows)
		}
		return err
	}
}

// The supervisor's jobs and the role use one database at the same time. SQLite
// gives the files beside it the database's mode, but its owner only as root.
func TestTwoAccountsShareTheDatabase(t *testing.T) {
	app := newAppliance(t)
	names := []string{"sealgate", "sealgate-role"}
	ended := make(chan error, len(names))
	for _, name := range names {
		cmd := actAs(t, name, "write")
		go func() {
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%s: %w: %s", name, err, out)
			}
			ended <- err
		}()
	}
	beside := 0
	for left := len(names); left > 0; {
		select {
		case err := <-ended:
			left--
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Millisecond):
		}
		for _, pattern := range []string{"data/current/*-*", "events/*.db*"} {
			found, _ := filepath.Glob(filepath.Join(app.Home, pattern))
			for _, path := range found {
				var stat syscall.Stat_t
				if syscall.Stat(path, &stat) != nil || strings.HasPrefix(filepath.Base(path), ".") {
					continue
				}
				beside++
				if stat.Mode&0o7777 != 0o660 || stat.Gid != credential(t, "sealgate").Gid {
					t.Fatalf("%s has mode %o and group %d", path, stat.Mode&0o7777, stat.Gid)
				}
			}
		}
	}
	if beside == 0 {
		t.Error("no file beside a database was seen")
	}
	for _, name := range names {
		out, err := as(t, name, "count")
		if err != nil || !strings.Contains(out, fmt.Sprintf("users=%d\n", 2*writes+1)) || !strings.Contains(out, fmt.Sprintf("alerts=%d\n", 2*writes)) {
			t.Errorf("%s counts %s, %v", name, out, err)
		}
	}
}

// A gateway's role may listen below port 1024, and nothing else that its account may
// not. It keeps its spool in a folder of the role's.
func TestGatewayListensAtLowPorts(t *testing.T) {
	startRoot(t)
	app := newApplianceOf(t, "gateway", "gw1")
	snapshot := `{"format":1,"revision":1,"gatewayGroup":{"gatewayGroupName":"g","failMode":"open"},"aliases":{"gw1":{"a":"127.0.0.1"}},"webServices":[
		{"siteName":"s","serverGroupName":"g","name":"w","operationMode":"simulation","http2":false,"useHttpForwardingHeader":false,"forwardClientIP":false,"useDefaultErrorPage":true,
		"inboundKrpRules":[{"aliasName":"a","gatewayPorts":[443],"outboundRules":[]}]}]}`
	file := appliance.Home(app.Home).Snapshot()
	if err := os.WriteFile(file, []byte(snapshot), 0o640); err != nil {
		t.Fatal(err)
	}
	c := credential(t, "sealgate-role")
	if err := os.Chown(file, int(c.Uid), int(c.Gid)); err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	pid := processNow("gateway", app.Home)
	for name, want := range map[string]string{"CapEff:": "0000000000000400", "CapPrm:": "0000000000000400"} {
		if got := statusOf(t, pid, "status", name); got != want {
			t.Errorf("the role's %s is %q, not %q", name, got, want)
		}
	}
	if got := statusOf(t, pid, "status", "Uid:"); !strings.HasPrefix(got, fmt.Sprint(c.Uid)) {
		t.Errorf("the role's uid is %s", got)
	}
	conn, err := net.Dial("tcp", "127.0.0.1:443")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if answer, _ := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 404 ") {
		t.Errorf("%q", answer)
	}
}

// Releases before this one knew fewer folders. What is missing is made at the start,
// for the role where the role works.
func TestHomeOfAnEarlierRelease(t *testing.T) {
	startRoot(t)
	app := newApplianceOf(t, "gateway", "gw1")
	home := appliance.Home(app.Home)
	for _, dir := range home.Folders() {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(home.Link(), 0o700); err != nil { // somebody was cut off here
		t.Fatal(err)
	}
	owner := credential(t, "sealgate")
	if err := os.Chown(home.Link(), int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]os.FileMode{home.Link(): 0o770 | os.ModeSetgid, home.Results(): 0o770 | os.ModeSetgid, home.Spool(): 0o770 | os.ModeSetgid,
		home.Certificate(): 0o770 | os.ModeSetgid, home.Logs(): 0o700, home.Exports(): 0o700, home.TechInfo(): 0o700} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Error(err)
			continue
		}
		of := info.Sys().(*syscall.Stat_t)
		if info.Mode() != os.ModeDir|want || of.Uid != owner.Uid || of.Gid != owner.Gid {
			t.Errorf("%s is %v of %d:%d", dir, info.Mode(), of.Uid, of.Gid)
		}
	}
	if files, err := os.ReadDir(home.Spool()); err != nil || len(files) == 0 {
		t.Errorf("the role has nothing in its folder: %v", err)
	}
}
