package login

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"

	"sealgate/internal/machine"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

// Every script tells how somebody tries to get out of the sealed shell with the
// distribution's clients, and what must hold. The same attack succeeds for an
// account that has an ordinary shell, so it is one.
func TestAttacks(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/attacks/ssh",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values[attacker{}] = new(*machine.User)
			env.Setenv("SOCKET", app.Home+"/run/control.sock")
			env.Setenv("SSHD", server.Addr)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"as":     as,
			"client": client,
			"plant":  plant,
		},
	})
}

type attacker struct{}

// as admin|operator|stranger says who acts from here on: $AT is how clients name
// the login, $HIS the home.
func as(ts *testscript.TestScript, _ bool, args []string) {
	users := map[string]*machine.User{"admin": admin, "operator": operator, "stranger": stranger}
	u := users[args[0]]
	*ts.Value(attacker{}).(**machine.User) = u
	ts.Setenv("AT", u.At())
	ts.Setenv("HIS", u.Home)
}

// client STATUS PROGRAM ARGS… runs ssh, scp or sftp with the key.
func client(ts *testscript.TestScript, _ bool, args []string) {
	u := *ts.Value(attacker{}).(**machine.User)
	got := "0"
	if err := ts.Exec(args[1], append(u.Flags(), args[2:]...)...); err != nil {
		exit, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = strconv.Itoa(exit.ExitCode())
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, not %s", got, args[0])
	}
}

// plant FILE NAME puts a file into the home of the one who acts, as its own.
func plant(ts *testscript.TestScript, _ bool, args []string) {
	u := *ts.Value(attacker{}).(**machine.User)
	ts.Check(u.Plant(args[1], ts.ReadFile(args[0])))
	ts.Defer(func() { os.Remove(filepath.Join(u.Home, args[1])) })
}

// The hole: a forced command does not stop forwarding, and a client may ask for
// any channel (-L, -W and -D are direct-tcpip and direct-streamlocal). Everything but a session is refused, while a stranger gets it.
func TestChannels(t *testing.T) {
	control := app.Home + "/run/control.sock"
	loopback, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer loopback.Close()
	port := uint32(loopback.Addr().(*net.TCPAddr).Port)
	tcp := ssh.Marshal(struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}{"127.0.0.1", port, "127.0.0.1", 1})
	unix := ssh.Marshal(struct {
		Path, Reserved string
		ReservedPort   uint32
	}{control, "", 0})
	tun := ssh.Marshal(struct{ Mode, Unit uint32 }{1, 0x7fffffff})
	open := func(u *machine.User, kind string, payload []byte) error {
		channel, _, err := dial(t, u).OpenChannel(kind, payload)
		if err == nil {
			channel.Close()
		}
		return err
	}
	for _, c := range []struct {
		kind    string
		payload []byte
		open    bool // to a stranger
	}{
		{"direct-tcpip", tcp, true},
		{"direct-streamlocal@openssh.com", unix, true},
		{"tun@openssh.com", tun, false},
		{"x11", nil, false},
		{"auth-agent@openssh.com", nil, false},
		{"forwarded-tcpip", tcp, false},
	} {
		for _, u := range []*machine.User{admin, operator} {
			if err := open(u, c.kind, c.payload); err == nil {
				t.Errorf("%s opens a %s channel", u.Name, c.kind)
			}
		}
		if err := open(stranger, c.kind, c.payload); c.open && err != nil {
			t.Errorf("no attack: a stranger gets no %s channel: %v", c.kind, err)
		}
	}
}

// The hole: sshd listens for a client, on ports and on sockets. It does for a
// stranger, not for those behind the seal.
func TestListeners(t *testing.T) {
	request := func(u *machine.User, kind string, payload any) bool {
		ok, _, err := dial(t, u).SendRequest(kind, true, ssh.Marshal(payload))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	tcp := struct {
		Host string
		Port uint32
	}{"127.0.0.1", 0}
	for kind, payload := range map[string]func(*machine.User) any{
		"tcpip-forward": func(*machine.User) any { return tcp },
		"streamlocal-forward@openssh.com": func(u *machine.User) any {
			return struct{ Path string }{filepath.Join(u.Home, "listen.sock")}
		},
	} {
		for _, u := range []*machine.User{admin, operator} {
			if request(u, kind, payload(u)) {
				t.Errorf("%s: %s is granted", u.Name, kind)
			}
		}
		if !request(stranger, kind, payload(stranger)) {
			t.Errorf("no attack: a stranger's %s is refused", kind)
		}
	}
}

// The hole: requests of a session. None but those that a terminal needs is
// granted, in any order, and what runs then is the sealed shell all the same.
func TestSessionRequests(t *testing.T) {
	x11 := ssh.Marshal(struct {
		Single           bool
		Protocol, Cookie string
		Screen           uint32
	}{false, "MIT-MAGIC-COOKIE-1", "00112233445566778899aabbccddeeff", 0})
	env := ssh.Marshal(struct{ Name, Value string }{"LC_ALL", "C"})
	for _, c := range []struct {
		name    string
		payload []byte
		granted bool // to a stranger
	}{
		{"auth-agent-req@openssh.com", nil, true},
		{"x11-req", x11, false}, // needs xauth
		{"env", env, true},
		{"signal-me", nil, false},
	} {
		for _, u := range []*machine.User{admin, stranger} {
			session, err := dial(t, u).NewSession()
			if err != nil {
				t.Fatal(err)
			}
			granted, err := session.SendRequest(c.name, true, c.payload)
			if err != nil {
				t.Fatal(err)
			}
			// sshd grants env whether it takes the variable or not.
			if u == admin && granted && c.name != "env" {
				t.Errorf("%s is granted", c.name)
			}
			if u == stranger && c.granted && !granted {
				t.Errorf("no attack: a stranger's %s is refused", c.name)
			}
			if u == admin {
				if out, err := session.Output("version"); err != nil || !strings.HasPrefix(string(out), "Sealgate ") {
					t.Errorf("after %s: %s, %v", c.name, out, err)
				}
			}
			session.Close()
		}
	}
}

// The hole: a connection with no session in it (ssh -N) holds a place for as
// long as it likes. It ends by itself; here after a second instead of a minute.
func TestConnectionWithoutSession(t *testing.T) {
	const dropin = "/etc/ssh/sshd_config.d/sealgate.conf"
	config, err := os.ReadFile(dropin)
	if err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(dropin, config, 0o644)
	short := strings.Replace(string(config), "UnusedConnectionTimeout 1m", "UnusedConnectionTimeout 1s", 1)
	if short == string(config) {
		t.Fatal("the drop-in has no UnusedConnectionTimeout of a minute")
	}
	if err := os.WriteFile(dropin, []byte(short), 0o644); err != nil {
		t.Fatal(err)
	}
	impatient := *admin
	impatient.Server = peers.MachineSSHD(t)
	c := dial(t, &impatient)
	if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "disconnect") && !strings.Contains(err.Error(), "EOF") {
		t.Errorf("it ends with %v", err)
	}
}

// The hole: whoever cuts the connection leaves a process behind that keeps its
// rights. It ends, at the prompt and in the middle of a command.
func TestCutConnection(t *testing.T) {
	for name, typed := range map[string]string{
		"at the prompt":    "",
		"at a question":    "export-local --pwd -\r",
		"with half a line": "export-lo",
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, admin)
			term := openTerminal(t, c)
			term.expect(`mx1.*> `)
			term.send(typed)
			if strings.HasSuffix(typed, "\r") {
				term.expect(`database system password: `)
			}
			if !shellRuns() {
				t.Fatal("there is no sealsh")
			}
			c.Close()
			for deadline := time.Now().Add(trial.Patience); shellRuns(); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("sealsh is still there")
				}
			}
		})
	}
}

func shellRuns() bool {
	return exec.Command("pgrep", "-u", strconv.Itoa(admin.UID), "-r", "R,S,D", "-x", "sealsh").Run() == nil // not a zombie
}
