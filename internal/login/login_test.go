// Package login logs in to an installed appliance: the distribution's sshd with
// our drop-in, real accounts, and the programs where make install puts them.
package login

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sealgate/internal/machine"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

// What every test logs in to.
var (
	programs                  string // folder of all programs, the vendor's too
	app                       *trial.Appliance
	server                    *peers.Server
	admin, operator, stranger *machine.User
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if err := machine.Enter(); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "login-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	programs = dir
	if err := errors.Join(trial.Build(dir), machine.Install(dir)); err != nil {
		return 0, err
	}
	if app, err = trial.New("", "/var/lib/sealgate", "mx", "mx1"); err != nil {
		return 0, err
	}
	root, err := trial.StartRootService()
	if err != nil {
		return 0, err
	}
	defer root.Stop()
	app.User = "sealgate"
	if err := app.Start(); err != nil {
		return 0, err
	}
	defer app.Stop()
	if server, err = peers.StartMachineSSHD(); err != nil {
		return 0, err
	}
	defer server.Stop()
	var errs [3]error
	admin, errs[0] = machine.NewUser(server, dir, "sealgate-admin")
	operator, errs[1] = machine.NewUser(server, dir, "sealgate-operator")
	stranger, errs[2] = machine.NewStranger(server, dir)
	if err := errors.Join(errs[:]...); err != nil {
		return 0, err
	}
	err = errors.Join(admin.Admit(), operator.Admit(), stranger.Plant(".ssh/authorized_keys", stranger.AuthorizedKey()))
	if err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// dial logs in with the key.
func dial(t *testing.T, u *machine.User) *ssh.Client {
	t.Helper()
	return dialWith(t, u, ssh.PublicKeys(u.Key))
}

func dialWith(t *testing.T, u *machine.User, auth ssh.AuthMethod) *ssh.Client {
	t.Helper()
	client, err := u.Dial(auth)
	if err != nil {
		t.Fatalf("%s: %v", u.Name, err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// terminal is a session at a pseudo-terminal.
type terminal struct {
	t       *testing.T
	session *ssh.Session
	keys    interface{ Write([]byte) (int, error) }
	screen  *trial.Screen
}

func openTerminal(t *testing.T, client *ssh.Client) *terminal {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	keys, errIn := session.StdinPipe()
	out, errOut := session.StdoutPipe()
	err = errors.Join(errIn, errOut, session.RequestPty("xterm", 40, 120, ssh.TerminalModes{}), session.Shell())
	if err != nil {
		t.Fatal(err)
	}
	return &terminal{t, session, keys, trial.NewScreen(out)}
}

func (term *terminal) expect(pattern string) {
	term.t.Helper()
	if _, err := term.screen.Expect(pattern); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) send(keys string) {
	term.t.Helper()
	if _, err := term.keys.Write([]byte(keys)); err != nil {
		term.t.Fatal(err)
	}
}

// A person logs in, with the key or the password, and is at home: banner,
// prompt, Tab, a command, the way out.
func TestAtTheTerminal(t *testing.T) {
	for name, auth := range map[string]ssh.AuthMethod{
		"key": ssh.PublicKeys(admin.Key), "password": ssh.Password(admin.Password),
	} {
		t.Run(name, func(t *testing.T) {
			term := openTerminal(t, dialWith(t, admin, auth))
			term.expect(`Sealgate dev, management server mx1, sealed`)
			term.expect(`mx1.*> `)
			term.send("impctl serv\tsta\t\t")
			term.expect(`start`)
			term.send("tus\r")
			term.expect(`management server: running on`)
			term.expect(`mx1.*> `)
			term.send("exit\r")
			term.screen.Rest()
			if err := term.session.Wait(); err != nil {
				t.Errorf("exit ends with %v", err)
			}
		})
	}
}

func TestWrongPassword(t *testing.T) {
	for _, password := range []string{"", "wrong", operator.Password} {
		if client, err := admin.Dial(ssh.Password(password)); err == nil {
			client.Close()
			t.Errorf("%q opens", password)
		}
	}
}

// output is what a client says, with its exit status.
func output(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok {
		status = exit.ExitCode()
	}
	return out.String(), errs.String(), status
}

// A script gets results on standard output, words on standard error, and the
// exit statuses that are promised; rights follow the group.
func TestScripts(t *testing.T) {
	for _, c := range []struct {
		who    *machine.User
		words  string
		input  string
		status int
		out    string
		err    string
	}{
		{admin, "version", "", 0, "Sealgate dev", ""},
		{operator, "version", "", 0, "Sealgate dev", ""},
		{admin, "export-local --pwd - --encryptpwd - --json", trial.System + "\nDump-pw-17\n", 0, `"name":"mx1_`, ""},
		{admin, "export-local --pwd -", "Wrong-pw-17\n", 3, "", "sealgate: error: "},
		{operator, "export-local --pwd -", trial.System + "\n", 3, "", "administrator"},
		{operator, "impctl server stop", "", 3, "", "administrator"},
		{operator, "files list", "", 0, "mx1_", ""},
		{admin, "exprot-local", "", 2, "", "did you mean export-local?"},
		{admin, "files send absent.tgz 127.0.0.1:1/ --protocol ftp --user u --password -", "x\n", 1, "", "absent.tgz"},
	} {
		cmd := c.who.SSH(nil, c.words)
		cmd.Stdin = strings.NewReader(c.input)
		out, errs, status := output(t, cmd)
		if status != c.status || !strings.Contains(out, c.out) || !strings.Contains(errs, c.err) {
			t.Errorf("%s %q: exit status %d, said %q and %q", c.who.Name, c.words, status, out, errs)
		}
		if c.err == "" && errs != "" || c.status != 0 && out != "" {
			t.Errorf("%s %q: said %q and %q", c.who.Name, c.words, out, errs)
		}
	}
}

// The machine's other accounts have what they had before.
func TestStrangerIsNotAffected(t *testing.T) {
	out, errs, status := output(t, stranger.SSH(nil, "echo $SHELL; exit 7"))
	if out != "/bin/sh\n" || status != 7 {
		t.Errorf("exit status %d, said %q and %q", status, out, errs)
	}
	effective := func(args ...string) string {
		out, err := exec.Command("/usr/sbin/sshd", append([]string{"-T"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	with := effective("-C", "user="+stranger.Name)
	if err := os.Rename("/etc/ssh/sshd_config.d/sealgate.conf", "/etc/ssh/sealgate.away"); err != nil {
		t.Fatal(err)
	}
	defer os.Rename("/etc/ssh/sealgate.away", "/etc/ssh/sshd_config.d/sealgate.conf")
	if without := effective("-C", "user="+stranger.Name); with != without {
		t.Errorf("the drop-in makes\n%s\nof\n%s", with, without)
	}
}

// An account with the sealed shell and no group gets a prompt and no rights.
func TestWithoutGroup(t *testing.T) {
	nobody, err := machine.NewUser(server, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Remove()
	if err := nobody.Plant(".ssh/authorized_keys", nobody.AuthorizedKey()); err != nil {
		t.Fatal(err)
	}
	out, errs, status := output(t, nobody.SSH(nil, "status"))
	if status != 3 || out != "" || !strings.Contains(errs, "sealgate: error: ") {
		t.Errorf("exit status %d, said %q and %q", status, out, errs)
	}
}

// What sshd makes of the drop-in, for members of either group.
func TestEffectiveConfiguration(t *testing.T) {
	for _, u := range []*machine.User{admin, operator} {
		out, err := exec.Command("/usr/sbin/sshd", "-T", "-C", "user="+u.Name).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{
			"forcecommand /usr/bin/sealsh", "disableforwarding yes", "allowtcpforwarding no", "allowstreamlocalforwarding no",
			"allowagentforwarding no", "x11forwarding no", "permittunnel no", "permituserrc no", "permituserenvironment no",
			"acceptenv none", "authorizedkeysfile /etc/sealgate/authorized_keys/%u", "authorizedkeyscommand none",
			"permitemptypasswords no", "clientaliveinterval 30", "clientalivecountmax 4", "unusedconnectiontimeout 60",
			"channeltimeout session:shell=2h", "maxsessions 10",
		} {
			if !strings.Contains("\n"+string(out), "\n"+line+"\n") {
				t.Errorf("%s: no line %q", u.Name, line)
			}
		}
		if n := strings.Count(string(out), "\nacceptenv "); n != 1 {
			t.Errorf("%d lists of accepted variables", n)
		}
	}
}
