package rootd

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sealgate/appliance/account"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/internal/trial"
)

const goodPassword = "Good-pw-17"

func newKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// added is an account for the length of a test.
func added(t *testing.T, n account.New) {
	t.Helper()
	if err := (Client{For: "test"}).AddAccount(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("/usr/sbin/userdel", "--force", n.Name).Run()
		os.Remove(account.KeysFile(n.Name))
	})
}

func exitOf(err error) int { return commands.ResultOf(err).Exit }

func init() {
	acts["list"] = func() error {
		_, err := Client{}.Accounts(context.Background())
		return err
	}
}

// The hole: somebody else than the supervisor adds an administrator.
func TestOnlyTheSupervisorIsServed(t *testing.T) {
	r := startRoot(t)
	foreign(t, "stranger", "--uid", "21500")
	if out, err := as(t, "sealgate", "list"); err != nil {
		t.Errorf("the supervisor is refused: %s", out)
	}
	for _, name := range []string{"stranger", "nobody", "sealgate-role"} {
		if out, err := as(t, name, "list"); err == nil || !strings.Contains(out, "not available") {
			t.Errorf("%s passes the socket's mode: %s", name, out)
		}
	}
	// The mode is one lock, the kernel's word the other.
	if err := os.Chmod(Socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stranger", "nobody", "sealgate-role"} {
		if out, err := as(t, name, "list"); err == nil || !strings.Contains(out, "serves the supervisor alone") {
			t.Errorf("%s is served: %s", name, out)
		}
	}
	if !strings.Contains(r.Log(), `"uid":21500`) || !strings.Contains(r.Log(), `"exit":3`) {
		t.Errorf("the log does not say who came:\n%s", r.Log())
	}
}

func TestNothingElseExists(t *testing.T) {
	startRoot(t)
	before := accountFiles(t)
	for _, op := range []control.Op{"", control.OpRun, control.OpGreet, control.OpJob, "account-list ", "ACCOUNT-LIST", "exec", "account-password", "x\x1b[31m"} {
		if res := request(t, op, `{}`); res.Exit != control.ExitUsage {
			t.Errorf("%q: %+v", op, res)
		}
	}
	for op, data := range map[control.Op]string{
		opAccountAdd:    `{"name":"anna","role":"operator","password":"Good-pw-17","shell":"/bin/sh"}`,
		opAccountRemove: `[{"name":"anna"}]`,
		opAccountKey:    `{"name":7}`,
		opStartRole:     `{"role":"mx","home":"/tmp","path":"/bin/sh"}`,
	} {
		if res := request(t, op, data); res.Exit != control.ExitUsage {
			t.Errorf("%s takes %s: %+v", op, data, res)
		}
	}
	if after := accountFiles(t); after != before {
		t.Errorf("something was changed:\n%s", after)
	}
}

// The hole: a request that never ends, or never begins, holds the service.
func TestHostileRequests(t *testing.T) {
	startRoot(t)
	head := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	for name, sent := range map[string][]byte{
		"giant":    append(head(1<<31), "x"...),
		"not JSON": append(head(3), "{{{"...),
		"nested":   append(head(100_000), []byte(strings.Repeat("[", 100_000))...),
		"partial":  append(head(100), "{"...),
		"nothing":  nil,
	} {
		conn, err := net.Dial("unix", Socket)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(trial.Patience))
		conn.Write(sent)
		conn.(*net.UnixConn).CloseWrite()
		if _, err := conn.Read(make([]byte, 4)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the service does not answer", name)
		}
		conn.Close()
	}
	idle, err := net.Dial("unix", Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if _, err := (Client{}).Accounts(t.Context()); err != nil {
		t.Errorf("the service is gone: %v", err)
	}
	idle.SetReadDeadline(time.Now().Add(trial.Patience))
	if _, err := idle.Read(make([]byte, 4)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a silent connection stays")
	}
}

func TestInvalidAccounts(t *testing.T) {
	startRoot(t)
	before := accountFiles(t)
	key := newKey(t)
	names := []string{"", "Anna", "-anna", "anna;id", "$(id)", "an na", "anna:0", "anna\n", "anna\nroot::0:0::/:/bin/sh", "../anna", "/etc/passwd",
		"--uid=0", "-o", "änna", "anna\x00", "_anna", "1anna", "anna.b", strings.Repeat("a", 32), strings.Repeat("a", 100_000)}
	for _, n := range names {
		if err := (Client{}).AddAccount(t.Context(), account.New{Name: n, Rights: account.Administrator, Password: goodPassword}); exitOf(err) != control.ExitUsage {
			t.Errorf("add %.40q: %v", n, err)
		}
		if err := (Client{}).RemoveAccount(t.Context(), n); err == nil {
			t.Errorf("%.40q is removed", n)
		}
		if _, err := (Client{}).AddKey(t.Context(), n, key); err == nil {
			t.Errorf("%.40q gets a key", n)
		}
	}
	for name, n := range map[string]account.New{
		"no role":       {Name: "anna", Password: goodPassword},
		"another role":  {Name: "anna", Rights: "root", Password: goodPassword},
		"no way in":     {Name: "anna", Rights: account.Operator},
		"weak":          {Name: "anna", Rights: account.Operator, Password: "anna"},
		"the name":      {Name: "anna", Rights: account.Operator, Password: "Anna-1234"},
		"a line end":    {Name: "anna", Rights: account.Operator, Password: "Good-pw-17\nroot:Good-pw-17"},
		"no key":        {Name: "anna", Rights: account.Operator, Key: "ssh-ed25519 AAAA"},
		"options":       {Name: "anna", Rights: account.Operator, Key: `command="/bin/sh" ` + key},
		"a second line": {Name: "anna", Rights: account.Operator, Key: key + "\n" + key},
	} {
		err := (Client{}).AddAccount(t.Context(), n)
		if exitOf(err) != control.ExitUsage {
			t.Errorf("%s: %v", name, err)
		}
		if n.Password != "" && err != nil && strings.Contains(err.Error(), n.Password) {
			t.Errorf("%s: the error repeats the password: %v", name, err)
		}
	}
	if after := accountFiles(t); after != before {
		t.Errorf("something was changed:\n%s", after)
	}
}

// The hole: the service takes, or opens, an account that is not the
// appliance's.
func TestForeignAccountsAreUntouchable(t *testing.T) {
	startRoot(t)
	foreign(t, "bystander")
	foreign(t, "othershell", "--gid", account.AdministratorGroup, "--shell", "/bin/bash")
	foreign(t, "othergroup", "--shell", account.Shell)
	foreign(t, "lowuid", "--gid", account.AdministratorGroup, "--shell", account.Shell, "--uid", "501")
	must(t, "/usr/sbin/groupadd", "lonely")
	before, key := accountFiles(t), newKey(t)
	for _, name := range []string{"root", "daemon", "nobody", "sealgate", "sealgate-role", "bystander", "othershell", "othergroup", "lowuid"} {
		if err := (Client{}).RemoveAccount(t.Context(), name); err == nil || !strings.Contains(err.Error(), "no account of an administrator") {
			t.Errorf("remove %s: %v", name, err)
		}
		if _, err := (Client{}).AddKey(t.Context(), name, key); err == nil {
			t.Errorf("%s gets a key", name)
		}
		if _, err := (Client{}).RemoveKey(t.Context(), name, "SHA256:x"); err == nil {
			t.Errorf("%s loses a key", name)
		}
	}
	for _, name := range []string{"root", "sealgate", "bystander", "sealgate-admin", "lonely"} {
		if err := (Client{}).AddAccount(t.Context(), account.New{Name: name, Rights: account.Administrator, Password: goodPassword}); err == nil {
			t.Errorf("%s is added", name)
		}
	}
	if after := accountFiles(t); after != before {
		t.Errorf("something was changed:\n%s", after)
	}
	list, err := (Client{}).Accounts(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("the list has %+v, %v", list, err)
	}
}

func TestLifeOfAnAccount(t *testing.T) {
	r := startRoot(t)
	root := Client{For: "anna"}
	first, second := newKey(t), newKey(t)
	// Somebody removed an account of that name by hand; its key must open nothing.
	if err := os.WriteFile(account.KeysFile("anna"), []byte(second+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	added(t, account.New{Name: "anna", Rights: account.Administrator, Password: goodPassword})
	if _, err := os.Stat(account.KeysFile("anna")); err == nil {
		t.Error("an old key opens the new account")
	}
	added(t, account.New{Name: "otto", Rights: account.Operator, Key: first + " otto@home"})
	entry := strings.Split(strings.TrimSpace(must(t, "getent", "passwd", "anna")), ":")
	if entry[6] != account.Shell || entry[5] != "/" || entry[2] < "21000" {
		t.Errorf("the account is %q", entry)
	}
	if groups := must(t, "id", "-Gn", "otto"); groups != "sealgate-operator\n" {
		t.Errorf("otto is in %s", groups)
	}
	// The distribution's own check, as sshd's PAM does it.
	for password, good := range map[string]bool{goodPassword: true, "Other-pw-17": false} {
		check := exec.Command("/usr/sbin/unix_chkpwd", "anna", "nullok")
		check.Stdin = strings.NewReader(password + "\x00")
		if err := check.Run(); (err == nil) != good {
			t.Errorf("password %q: %v", password, err)
		}
	}
	data, err := os.ReadFile(account.KeysFile("otto"))
	if err != nil || string(data) != first+" otto@home\n" {
		t.Errorf("keys are %q, %v", data, err)
	}
	var stat syscall.Stat_t
	if err := syscall.Stat(account.KeysFile("otto"), &stat); err != nil || stat.Uid != 0 || stat.Mode&0o7777 != 0o644 {
		t.Errorf("the keys have owner %d, mode %o, %v", stat.Uid, stat.Mode, err)
	}
	for path, mode := range map[string]uint32{"/etc/passwd": 0o644, "/etc/group": 0o644, "/etc/shadow": 0o640} {
		if err := syscall.Stat(path, &stat); err != nil || stat.Uid != 0 || stat.Mode&0o7777 != mode {
			t.Errorf("%s has owner %d, mode %o, %v", path, stat.Uid, stat.Mode, err)
		}
	}
	list, err := root.Accounts(t.Context())
	if err != nil || len(list) != 2 || !list[0].Password || list[1].Password || list[1].Keys[0].Comment != "otto@home" {
		t.Errorf("list %+v, %v", list, err)
	}

	key, err := root.AddKey(t.Context(), "otto", second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.AddKey(t.Context(), "otto", second+" again"); err == nil {
		t.Error("a key is there twice")
	}
	if _, err := root.RemoveKey(t.Context(), "otto", key.Fingerprint); err != nil {
		t.Error(err)
	}
	if _, err := root.RemoveKey(t.Context(), "otto", key.Fingerprint); err == nil {
		t.Error("a key is removed twice")
	}
	if _, err := root.RemoveKey(t.Context(), "otto", list[1].Keys[0].Fingerprint); err == nil || !strings.Contains(err.Error(), "nothing else opens") {
		t.Errorf("otto's last way in is gone: %v", err)
	}

	if err := root.RemoveAccount(t.Context(), "anna"); err == nil || !strings.Contains(err.Error(), "last administrator") {
		t.Errorf("the last administrator: %v", err)
	}
	// A session that is open ends with its account: the next one gets its uid.
	session := exec.Command("sleep", "600")
	session.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, "otto"), Pdeathsig: syscall.SIGKILL}
	if err := session.Start(); err != nil {
		t.Fatal(err)
	}
	if err := root.RemoveAccount(t.Context(), "otto"); err != nil {
		t.Error(err)
	}
	if err := session.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the session ends with %v", err)
	}
	if _, err := os.Stat(account.KeysFile("otto")); err == nil {
		t.Error("otto's keys are left")
	}
	if exec.Command("getent", "passwd", "otto").Run() == nil {
		t.Error("otto is left")
	}
	if log := r.Log(); strings.Contains(log, goodPassword) || !strings.Contains(log, `"verb":"account-remove","uid":0`) || !strings.Contains(log, `"for":"anna"`) {
		t.Errorf("the log:\n%s", log)
	}
}

// An account is made whole or not at all.
func TestNoHalfAccount(t *testing.T) {
	startRoot(t)
	before := accountFiles(t)
	tool, err := os.ReadFile("/usr/sbin/chpasswd")
	if err != nil {
		t.Fatal(err)
	}
	replace := func(data []byte) {
		t.Helper()
		os.Remove("/usr/sbin/chpasswd")
		if err := os.WriteFile("/usr/sbin/chpasswd", data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	replace([]byte("#!/bin/sh\necho \"\033[31mno\"; exit 7\n"))
	defer replace(tool)
	err = (Client{}).AddAccount(t.Context(), account.New{Name: "anna", Rights: account.Operator, Password: goodPassword, Key: newKey(t)})
	if err == nil || !strings.Contains(err.Error(), "chpasswd failed (exit status 7): ?[31mno") {
		t.Errorf("error is %v", err)
	}
	if after := accountFiles(t); after != before {
		t.Errorf("half an account is left:\n%s", after)
	}
}

// systemd passes the socket; the service makes none.
func TestSocketActivation(t *testing.T) {
	if err := os.MkdirAll("/run/sealgate", 0o711); err != nil {
		t.Fatal(err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: Socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command("/bin/sh", "-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec /usr/sbin/sealgated root")
	cmd.ExtraFiles = []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := (Client{}).Accounts(t.Context()); err != nil {
		t.Errorf("the service does not answer on the socket that it was passed: %v", err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ends with %v", err)
	}

	out, err := exec.Command("/usr/sbin/sealgated", "root").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "error: systemd passed no unix socket") {
		t.Errorf("without a socket: %s, %v", out, err)
	}
	startRoot(t)
	out, err = exec.Command("/usr/sbin/sealgated", "root", "--socket", Socket).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "answers on "+Socket+" already") {
		t.Errorf("a second one: %s, %v", out, err)
	}
}

// The whole way: from the sealed shell over the supervisor to the tools.
func TestUserCommands(t *testing.T) {
	app := newAppliance(t)
	r := startRoot(t)
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	says := func(exit int, want, line, input string) {
		t.Helper()
		cmd := app.Command(line)
		cmd.Stdin = strings.NewReader(input)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != exit || !strings.Contains(string(out), want) {
			t.Errorf("%s: exit %d, %s\nwant %d, %s", line, got, out, exit, want)
		}
	}
	r.Stop()
	says(1, "error: not available: the root service does not run", "impctl user list", "")
	says(1, "error: not available: the root service does not run", "impctl reboot --yes", "")
	r = startRoot(t)
	key := newKey(t)
	says(0, "no accounts", "impctl user list", "")
	says(0, "added the administrator anna", "impctl user add anna --role administrator --password -", goodPassword+"\n")
	added(t, account.New{Name: "zoe", Rights: account.Administrator, Key: key})
	says(0, "added the operator otto", "impctl user add otto --role operator --key '"+key+" otto@home'", "")
	says(0, "anna                             administrator  password\n", "impctl user list", "")
	says(0, "otto@home", "impctl user key list otto", "")
	says(2, "hint: add --password -", "impctl user add hugo --role operator", "")
	says(2, "an account's name is", "impctl user add Hugo --role operator --password -", goodPassword+"\n")
	says(2, "the account's password must", "impctl user add hugo --role operator --password -", "short\n")
	says(2, "options before the key", "impctl user add hugo --role operator --key 'no-pty "+key+"'", "")
	says(1, `"daemon" is no account`, "impctl user remove daemon", "")
	says(1, "this is the account that you work with", "impctl user remove root", "")
	says(1, `"root"`, "impctl user key add root '"+newKey(t)+"'", "")
	says(2, "nobody is there to be asked", "impctl reboot", "")

	// As the accounts themselves, whom the supervisor knows by their uid.
	asUser := func(name, line string) (string, int) {
		cmd := app.Command(line)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, name)}
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	for _, c := range []struct {
		name, line, want string
		exit             int
	}{
		{"otto", "impctl user list", "otto", 0},
		{"otto", "impctl user key list otto", "otto@home", 0},
		{"otto", "impctl user remove anna", "is for administrators", 3},
		{"otto", "impctl user key add otto '" + newKey(t) + "'", "is for administrators", 3},
		{"otto", "impctl reboot --yes", "is for administrators", 3},
		{"anna", "impctl user remove anna", "the account that you work with", 1},
		{"anna", "impctl user remove zoe", "removed zoe", 0},
		{"anna", "impctl user remove otto", "removed otto", 0},
	} {
		if out, exit := asUser(c.name, c.line); exit != c.exit || !strings.Contains(out, c.want) {
			t.Errorf("%s: %s: exit %d, %s", c.name, c.line, exit, out)
		}
	}
	says(1, "anna is the last administrator", "impctl user remove anna", "")
	if !strings.Contains(r.Log(), `"for":"anna"`) {
		t.Errorf("the log does not say on whose behalf:\n%s", r.Log())
	}
	if strings.Contains(r.Log()+app.Log(), goodPassword) {
		t.Error("a log holds the password")
	}
	must(t, "/usr/sbin/userdel", "anna")

	// systemd does not run here: what it would be asked is what counts.
	asked := t.TempDir() + "/asked"
	os.Remove("/usr/bin/systemctl")
	if err := os.WriteFile("/usr/bin/systemctl", fmt.Appendf(nil, "#!/bin/sh\necho \"$@\" >%s\nenv >>%s\n", asked, asked), 0o755); err != nil {
		t.Fatal(err)
	}
	says(0, "the machine reboots", "impctl reboot --yes", "")
	if said, err := os.ReadFile(asked); err != nil || !strings.HasPrefix(string(said), "--no-wall reboot\n") || strings.Contains(string(said), "SEALGATE") {
		t.Errorf("systemctl hears %q, %v", said, err)
	}
}
