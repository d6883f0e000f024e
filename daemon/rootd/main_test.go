package rootd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/control"
	"sealgate/internal/machine"
	"sealgate/internal/trial"
)

// The tests run on a machine of their own, on which the programs are installed.
func TestMain(m *testing.M) {
	if act := acts[os.Getenv(actVariable)]; act != nil {
		if err := act(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := machine.Enter(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "rootd-*")
	built = dir
	if err == nil {
		err = install(dir)
	}
	code := 1
	if err != nil {
		fmt.Println(err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func install(dir string) error {
	if err := trial.Build(dir); err != nil {
		return err
	}
	if err := machine.Install(dir); err != nil {
		return err
	}
	// Removing an account kills what its uid runs, and uids are the machine's own:
	// ours are far from those of other tests.
	out, err := exec.Command("sed", "-i", fmt.Sprintf("s/^UID_MIN.*/UID_MIN %d/; s/^GID_MIN.*/GID_MIN %d/", ourUIDs, ourUIDs), "/etc/login.defs").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// built is the folder of the programs, also of those that are not installed.
var built string

// ourUIDs is the first.
const ourUIDs = 21000

// acts are what a test does as somebody else: this program again, under
// another uid.
var acts = map[string]func() error{}

const actVariable = "ROOTD_TEST_ACT"

// as runs an act under an account and returns what it printed.
func as(t *testing.T, name, act string) (string, error) {
	t.Helper()
	out, err := actAs(t, name, act).CombinedOutput()
	return string(out), err
}

func actAs(t *testing.T, name, act string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), actVariable+"="+act)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, name), Pdeathsig: syscall.SIGKILL}
	return cmd
}

func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// startRoot runs the installed root service for the length of a test.
func startRoot(t *testing.T) *trial.RootService {
	t.Helper()
	r, err := trial.StartRootService()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

// newAppliance is an installed management server that runs as the supervisor
// does, with a root service or without.
func newAppliance(t *testing.T) *trial.Appliance { return newApplianceOf(t, "mx", "mx1") }

func newApplianceOf(t *testing.T, role, name string) *trial.Appliance {
	t.Helper()
	home := string(appliance.DefaultHome)
	if err := os.RemoveAll(home); err != nil {
		t.Fatal(err)
	}
	app, err := trial.New("", home, role, name)
	if err != nil {
		t.Fatal(err)
	}
	app.User = "sealgate"
	t.Cleanup(func() { app.Stop() })
	return app
}

// wait waits for what must come, and never for what must not.
func wait(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(trial.Patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to it that %s", what)
		}
	}
}

// request asks the service for anything.
func request(t *testing.T, op control.Op, data string, files ...*os.File) control.Result {
	t.Helper()
	conn, req, err := Client{}.open(op, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req.Data, req.Files = []byte(data), files
	res, err := control.Do(context.Background(), conn, req, make(pidUI, 1))
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// accountFiles is the bytes of every file that says who may log in.
func accountFiles(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	keys, _ := filepath.Glob("/etc/sealgate/authorized_keys/*")
	for _, path := range append([]string{"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"}, keys...) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "== %s\n%s", path, data)
	}
	return all.String()
}

func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

// foreign makes an account with the distribution's tool for the length of a test.
func foreign(t *testing.T, name string, args ...string) {
	t.Helper()
	must(t, "/usr/sbin/useradd", append(args, "--no-create-home", name)...)
	t.Cleanup(func() { exec.Command("/usr/sbin/userdel", "--force", name).Run() })
}
