package rootd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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
	os.Exit(machine.Run(m, func() error {
		dir, err := os.MkdirTemp("", "rootd-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := trial.Build(dir); err != nil {
			return err
		}
		// Where trial looks for it.
		return errors.Join(machine.Install(dir), os.Symlink("/usr/sbin/sealgated", "/usr/bin/sealgated"))
	}))
}

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

// rootService is a running one.
type rootService struct {
	cmd   *exec.Cmd
	ended chan error

	mu  sync.Mutex
	log bytes.Buffer
}

func (r *rootService) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *rootService) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// startRoot runs the installed root service for the length of a test.
func startRoot(t *testing.T) *rootService {
	t.Helper()
	r := &rootService{ended: make(chan error, 1)}
	r.cmd = exec.Command("/usr/sbin/sealgated", "root", "--socket", Socket)
	r.cmd.Env, r.cmd.Stderr = []string{}, r
	r.start(t)
	t.Cleanup(r.stop)
	return r
}

func (r *rootService) start(t *testing.T) {
	t.Helper()
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	wait(t, "the root service answers", func() bool {
		_, err := Client{}.Accounts(t.Context())
		return err == nil
	})
}

func (r *rootService) stop() {
	r.cmd.Process.Signal(syscall.SIGTERM)
	<-r.ended
	r.ended <- nil
	os.Remove(Socket)
}

// newAppliance is an installed management server that runs as the supervisor
// does, with a root service or without.
func newAppliance(t *testing.T) *trial.Appliance {
	t.Helper()
	home := string(appliance.DefaultHome)
	if err := os.RemoveAll(home); err != nil {
		t.Fatal(err)
	}
	app, err := trial.New("/usr/bin", home, "mx", "mx1")
	if err != nil {
		t.Fatal(err)
	}
	app.Account = credential(t, "sealgate")
	t.Cleanup(func() { app.Stop() })
	return app
}

// wait waits for what must come, and never for what must not.
func wait(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
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
