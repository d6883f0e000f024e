// Package stories runs the scripts in testdata: what users do with real
// appliances and real servers, and what must hold when things go wrong.
package stories

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"

	"sealgate/appliance/aws"
	"sealgate/appliance/seal"
	"sealgate/internal/awstest"
	"sealgate/internal/faultproxy"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

var bin string

func TestMain(m *testing.M) {
	os.Exit(trial.Main(m, &bin))
}

// Every script tells one story, and its first lines what it is about.
func TestUsers(t *testing.T) { run(t, "../../testdata/users") }

func TestFaults(t *testing.T) { run(t, "../../testdata/faults") }

// Each tells a hole, an attack, and what must hold.
func TestAttacks(t *testing.T) { run(t, "../../testdata/attacks") }

func run(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+":/usr/sbin:/sbin:"+os.Getenv("PATH"))
			env.Setenv("SYSTEM", trial.System)
			w := &world{}
			env.Values[worldKey{}] = w
			env.Defer(w.end)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"address":    address,
			"appliance":  appliance,
			"gateway":    gateway,
			"on":         on,
			"daemon":     daemon,
			"aws":        emulated,
			"sealsh":     sealsh,
			"login":      login,
			"read":       read,
			"forge":      forge,
			"proxy":      proxy,
			"server":     server,
			"broken":     broken,
			"slow":       slow,
			"signal":     signal,
			"until":      until,
			"logged":     logged,
			"tmpfs":      tmpfs,
			"secretless": secretless,
			"opens":      opens,
			"kept":       kept,
			"seed":       seed,
			"background": background,
			"interrupt":  interrupt,
			"said":       said,
			"ended":      ended,
			"uploading":  uploading,
			"plain":      plain,
			"vendor":     vendor,
			"patch":      patch,
		},
	})
}

type worldKey struct{}

// world is what a script started.
type world struct {
	app    *trial.Appliance
	apps   map[string]*trial.Appliance
	server *peers.Server
	aws    *awstest.AWS
	mounts []string

	running  *exec.Cmd
	out, err trial.Buffer
}

func (w *world) end() {
	for _, app := range w.apps {
		app.Stop()
	}
	for _, m := range w.mounts {
		syscall.Unmount(m, syscall.MNT_DETACH)
	}
}

func of(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// appliance NAME [mx|gateway] FLAGS… creates an appliance in $APP and starts it.
func appliance(ts *testscript.TestScript, neg bool, args []string) {
	role, flags := "mx", []string(nil)
	if len(args) > 1 {
		role, flags = args[1], args[2:]
	}
	start(ts, "app", role, args[0], flags)
}

// gateway NAME FLAGS… creates a gateway beside the appliances that are there, and
// starts it. What follows is about it.
func gateway(ts *testscript.TestScript, neg bool, args []string) {
	start(ts, args[0], "gateway", args[0], args[1:])
}

func start(ts *testscript.TestScript, folder, role, name string, flags []string) {
	home, w := ts.MkAbs(folder), of(ts)
	app, err := trial.New(bin, home, role, name, flags...)
	ts.Check(err)
	if w.apps == nil {
		w.apps = make(map[string]*trial.Appliance)
	}
	w.apps[name] = app
	on(ts, false, []string{name})
	ts.Check(app.Start())
}

// on NAME says which appliance what follows is about, and sets $APP.
func on(ts *testscript.TestScript, neg bool, args []string) {
	app := of(ts).apps[args[0]]
	of(ts).app = app
	ts.Setenv("APP", app.Home)
}

// address sets $ADDRESS to where the management server listens, and $API to its REST
// API there.
func address(ts *testscript.TestScript, neg bool, args []string) {
	out, err := of(ts).app.Run("impctl server status --json")
	ts.Check(err)
	var status struct{ Address string }
	ts.Check(json.Unmarshal([]byte(out), &status))
	ts.Setenv("ADDRESS", status.Address)
	ts.Setenv("API", "https://"+status.Address+"/SecureSphere/api")
}

// daemon start|stop|kill [FLAGS…] does that to the appliance's daemon.
func daemon(ts *testscript.TestScript, neg bool, args []string) {
	app := of(ts).app
	switch args[0] {
	case "start":
		app.Args = args[1:]
		ts.Check(app.Start())
	case "stop":
		ts.Check(app.Stop())
	case "kill":
		app.Kill()
	}
}

// aws [lonely|norole|v1|ACTION…] has the appliance run on an emulated instance of EC2
// whose role may do all but these actions, and sets $AWS_PORT, $AWS_KEY and $AWS_SECRET.
// aws asked prints what it was asked, and fails where AWS would have refused that.
func emulated(ts *testscript.TestScript, neg bool, args []string) {
	w := of(ts)
	if len(args) > 0 && args[0] == "asked" {
		fmt.Fprintln(ts.Stdout(), strings.Join(w.aws.Requests(), "\n"))
		if faults := w.aws.Faults(); len(faults) > 0 {
			ts.Fatalf("AWS would have refused: %v", faults)
		}
		return
	}
	var o awstest.Options
	for _, arg := range args {
		switch arg {
		case "lonely":
			o.Lonely = true
		case "norole":
			o.NoRole = true
		case "v1":
			o.OnlyV1 = true
		default:
			o.Denied = append(o.Denied, arg)
		}
	}
	w.aws = awstest.Start(o)
	ts.Defer(w.aws.Stop)
	_, port, err := net.SplitHostPort(w.aws.Address)
	ts.Check(err)
	ts.Setenv("AWS_PORT", port)
	ts.Setenv("AWS_KEY", awstest.AccessKey)
	ts.Setenv("AWS_SECRET", awstest.SecretKey)
	ts.Setenv("ROLE_SECRET", awstest.RoleSecretKey)
	ts.Setenv("ROLE_TOKEN", awstest.RoleToken)
	file, err := json.Marshal(aws.Endpoints{API: w.aws.Endpoint, Metadata: w.aws.Metadata})
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(w.app.Home, aws.EndpointsName), file, 0o600))
}

// sealsh [STATUS] LINE [FILE] runs one line in the sealed shell, without a
// terminal, with FILE as its input, and expects that exit status (0).
func sealsh(ts *testscript.TestScript, neg bool, args []string) {
	status := 0
	if n, err := strconv.Atoi(args[0]); err == nil {
		status, args = n, args[1:]
	}
	line := []string{"-c", `exec sealsh --home "$0" -c "$1" <"$2"`, of(ts).app.Home, args[0], os.DevNull}
	if len(args) > 1 {
		line[4] = ts.MkAbs(args[1])
	}
	exits(ts, status, ts.Exec("sh", line...))
}

func exits(ts *testscript.TestScript, status int, err error) {
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != status {
		ts.Fatalf("exit status %d, not %d", got, status)
	}
}

// login [STATUS] LINE runs one line as sshd runs it for an account whose shell is
// sealsh, where the appliance is installed. It needs root.
func login(ts *testscript.TestScript, neg bool, args []string) {
	status := 0
	if n, err := strconv.Atoi(args[0]); err == nil {
		status, args = n, args[1:]
	}
	cmd := trial.Installed(bin, of(ts).app.Home, "sealsh", "-c", args[0])
	exits(ts, status, ts.Exec(cmd.Path, cmd.Args[1:]...))
}

// read VARIABLE FILE sets the variable to what the file holds.
func read(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// forge FROM TO OLD NEW changes a word of what a licence key says, and sets its
// checksum right.
func forge(ts *testscript.TestScript, neg bool, args []string) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(ts.ReadFile(args[0])), seal.Prefix))
	ts.Check(err)
	raw = bytes.Replace(raw[:len(raw)-crc32.Size], []byte(args[2]), []byte(args[3]), 1)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(seal.Prefix+base64.RawURLEncoding.EncodeToString(raw)), 0o600))
}

// server kill kills the last server, as a power cut does.
// server hostile-ftp|hostile-http|hostile-ssh starts one whose answers are
// attacks on a terminal, and sets $HOST.
// proxy PORT... starts squid, which asks for a password and allows CONNECT to
// these ports, in PROXY, PROXY_USER and PROXY_PASSWORD.
func proxy(ts *testscript.TestScript, neg bool, args []string) {
	s, err := peers.StartSquid(peers.ProxyConfig{Auth: "basic", Connect: args})
	ts.Check(err)
	ts.Defer(s.Stop)
	ts.Setenv("PROXY", s.Addr)
	ts.Setenv("PROXY_USER", s.User)
	ts.Setenv("PROXY_PASSWORD", s.Password)
}

// server sshd|vsftpd|ftps|nginx|nginx-tls|nginx-open starts a server of the distribution
// and sets $HOST (HOST:PORT), $ROOT, $REMOTE_USER, $REMOTE_PASSWORD and
// $FINGERPRINT. It needs root.
func server(ts *testscript.TestScript, neg bool, args []string) {
	var s *peers.Server
	var err error
	switch args[0] {
	case "kill":
		of(ts).server.Kill()
		return
	case "sshd":
		var known []ssh.PublicKey
		if len(args) > 1 { // a file with a line of authorized_keys
			key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(ts.ReadFile(args[1])))
			ts.Check(err)
			known = append(known, key)
		}
		s, err = peers.StartSSHD(peers.SSHDConfig{AuthorizedKeys: known})
	case "vsftpd", "ftps":
		s, err = peers.StartVSFTPD(peers.VSFTPDConfig{TLS: args[0] == "ftps", Passive: 16})
	case "nginx", "nginx-tls", "nginx-open":
		s, err = peers.StartNginx(peers.NginxConfig{TLS: args[0] == "nginx-tls", Open: args[0] == "nginx-open"})
	case "hostile-ftp", "hostile-http", "hostile-ssh":
		ln, err := hostile(args[0])
		ts.Check(err)
		ts.Defer(func() { ln.Close() })
		ts.Setenv("HOST", ln.Addr().String())
		return
	default:
		ts.Fatalf("no such server: %s", args[0])
	}
	ts.Check(err)
	ts.Defer(s.Stop)
	ts.Setenv("HOST", s.Addr)
	ts.Setenv("PORT", strconv.Itoa(s.Port))
	ts.Setenv("ROOT", s.Root)
	ts.Setenv("REMOTE_USER", s.User)
	ts.Setenv("REMOTE_PASSWORD", s.Password)
	if len(s.HostKeys) > 0 {
		ts.Setenv("FINGERPRINT", ssh.FingerprintSHA256(s.HostKeys[0]))
	}
	of(ts).server = s
}

// broken BYTES leads $HOST through a network that resets the connection when so many
// bytes have come from the server, once. The script fails if they never come.
func broken(ts *testscript.TestScript, neg bool, args []string) {
	at, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	network := through(ts, faultproxy.Plan{Faults: []faultproxy.Fault{{Kind: faultproxy.Reset, Direction: faultproxy.Down, At: at}}})
	ts.Defer(func() {
		network.Close()
		if len(network.Left()) > 0 {
			ts.Fatalf("the network did not break")
		}
	})
}

// slow RATE leads $HOST through a network that carries so many bytes a second.
func slow(ts *testscript.TestScript, neg bool, args []string) {
	rate, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	path := faultproxy.Path{Rate: rate}
	ts.Defer(through(ts, faultproxy.Plan{Paths: [2]faultproxy.Path{path, path}}).Close)
}

// through leads all ports of the server on another address to it, and sets $HOST.
func through(ts *testscript.TestScript, plan faultproxy.Plan) *faultproxy.Proxy {
	s := of(ts).server
	network := faultproxy.New(plan)
	for _, port := range append(s.Passive, s.Port) {
		host, err := network.Lead(fmt.Sprintf("127.0.0.2:%d", port), fmt.Sprintf("%s:%d", s.Host, port))
		ts.Check(err)
		ts.Setenv("HOST", host)
	}
	return network
}

// signal NAME role|job|daemon sends a signal to one of our processes.
func signal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM, "SEGV": syscall.SIGSEGV}
	ts.Check(syscall.Kill(of(ts).pid(ts, args[1]), signals[args[0]]))
}

func (w *world) pid(ts *testscript.TestScript, which string) int {
	if which == "daemon" {
		return w.app.PID()
	}
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(w.app.PID()), "-f", "^sealgated "+which).Output()
	if err != nil {
		ts.Fatalf("there is no %s process", which)
	}
	pid, err := strconv.Atoi(strings.Fields(string(out))[0])
	ts.Check(err)
	return pid
}

// until TEXT LINE runs a line again and again until its output holds TEXT.
func until(ts *testscript.TestScript, neg bool, args []string) {
	out := ""
	for deadline := time.Now().Add(trial.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		out, _ = of(ts).app.Run(args[1])
		if strings.Contains(out, args[0]) {
			return
		}
	}
	ts.Fatalf("%q does not come; the last was:\n%s", args[0], out)
}

// logged TEXT looks into the daemon's log.
func logged(ts *testscript.TestScript, neg bool, args []string) {
	if strings.Contains(of(ts).app.Log(), args[0]) == neg {
		ts.Fatalf("the log:\n%s", of(ts).app.Log())
	}
}

// secretless SECRET... looks for secrets in the log and in every file of the
// appliance.
func secretless(ts *testscript.TestScript, neg bool, args []string) {
	for _, secret := range args {
		if strings.Contains(of(ts).app.Log(), secret) {
			ts.Fatalf("the log holds %s", secret)
		}
		ts.Check(filepath.WalkDir(of(ts).app.Home, func(path string, d os.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed meanwhile
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if strings.Contains(string(data), secret) {
				return fmt.Errorf("%s holds %s", path, secret)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}))
	}
}

// tmpfs DIR SIZE [ro] mounts a small file system there. It needs root.
func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	flags := uintptr(0)
	if len(args) > 2 {
		flags = syscall.MS_RDONLY
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, "size="+args[1]+",mode=0700"); err != nil {
		ts.Fatalf("mount a tmpfs (needs root): %v", err)
	}
	of(ts).mounts = append(of(ts).mounts, dir)
}

// opens FILE PASSWORD decrypts the only file of that pattern with age, and
// lists it with tar.
func opens(ts *testscript.TestScript, neg bool, args []string) {
	plain := ts.MkAbs("opened.tgz")
	os.Remove(plain)
	ts.Check(trial.AgeDecrypt(only(ts, args[0]), plain, args[1]))
	ts.Check(ts.Exec("tar", "tzf", plain))
}

// kept VARIABLE sets the variable to the name of the oldest dump.
func kept(ts *testscript.TestScript, neg bool, args []string) {
	found, err := filepath.Glob(filepath.Join(of(ts).app.Home, "exports", "*.tgz"))
	ts.Check(err)
	if len(found) == 0 {
		ts.Fatalf("no dump was kept")
	}
	ts.Setenv(args[0], filepath.Base(found[0]))
}

func only(ts *testscript.TestScript, pattern string) string {
	found, err := filepath.Glob(pattern)
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s is %d files: %v", pattern, len(found), found)
	}
	return found[0]
}

// seed SCALE fills the appliance's store.
func seed(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("sealmint", "seed", "--home", of(ts).app.Home, "--scale", args[0]))
}

// background PROGRAM ARGS… starts a program, one at a time.
func background(ts *testscript.TestScript, neg bool, args []string) {
	w := of(ts)
	w.out.Reset()
	w.err.Reset()
	w.running = exec.Command(filepath.Join(bin, args[0]), args[1:]...)
	w.running.Stdout, w.running.Stderr = &w.out, &w.err
	ts.Check(w.running.Start())
}

// said TEXT waits until it has written TEXT.
func said(ts *testscript.TestScript, neg bool, args []string) {
	w := of(ts)
	for deadline := time.Now().Add(trial.Patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(w.out.String(), args[0]) {
			return
		}
	}
	ts.Fatalf("it never says %q:\n%s%s", args[0], w.out.String(), w.err.String())
}

// interrupt does to it what Ctrl-C does.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(of(ts).running.Process.Signal(os.Interrupt))
}

// ended STATUS waits for it, and takes its output for stdout and stderr.
func ended(ts *testscript.TestScript, neg bool, args []string) {
	w := of(ts)
	err := w.running.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		ts.Check(err)
	}
	fmt.Fprint(ts.Stdout(), w.out.String())
	fmt.Fprint(ts.Stderr(), w.err.String())
	if got := strconv.Itoa(w.running.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("exit status %s, not %s\n%s%s", got, args[0], w.out.String(), w.err.String())
	}
}

// uploading waits until the server has some of a file.
func uploading(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(trial.Patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		found, _ := filepath.Glob(filepath.Join(of(ts).server.Root, "*"))
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				return
			}
		}
	}
	ts.Fatalf("nothing arrives at the server")
}
