// Package install tests make install and make uninstall on the machine itself,
// which package machine gives back unharmed.
package install

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sealgate/internal/machine"
	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

var bin string

func TestMain(m *testing.M) {
	if err := machine.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(trial.Main(m, &bin))
}

const dropin = "/etc/ssh/sshd_config.d/sealgate.conf"

// install installs, and purges when the test is over.
func install(t *testing.T) {
	t.Helper()
	if err := machine.Install(bin); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := machine.Make("uninstall", "PURGE=1"); err != nil {
			t.Error(out, err)
		}
		mustBe(t, nil)
	})
}

// mustBe compares what is changed on the machine, without the checksums.
func mustBe(t *testing.T, want []string) {
	t.Helper()
	got, err := machine.Changes()
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range got {
		if fields := strings.Fields(line); len(fields) == 5 {
			got[i] = strings.Join(fields[:4], " ")
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the machine is changed by\n%s\nnot by\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func id(t *testing.T, name string) (uid, gid string) {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return u.Uid, u.Gid
}

// Everything has its place, mode and owner; a second installation changes
// nothing; nothing is left of either.
func TestInstallAndUninstall(t *testing.T) {
	mustBe(t, nil)
	install(t)
	uid, gid := id(t, "sealgate")
	want := []string{
		"~ /etc/group -rw-r--r-- 0:0",
		"~ /etc/gshadow -rw-r----- 0:" + shadow(t),
		"~ /etc/passwd -rw-r--r-- 0:0",
		"+ /etc/sealgate drwxr-xr-x 0:0",
		"+ /etc/sealgate/anchors drwxr-xr-x 0:0",
		"+ /etc/sealgate/anchors/patches drwxr-xr-x 0:0",
		"+ /etc/sealgate/authorized_keys drwxr-xr-x 0:0",
		"~ /etc/shadow -rw-r----- 0:" + shadow(t),
		"+ " + dropin + " -rw-r--r-- 0:0",
		"+ /usr/bin/impctl -rwxr-xr-x 0:0",
		"+ /usr/bin/sealsh -rwxr-xr-x 0:0",
		"+ /usr/lib/systemd/system/sealgate-root.service -rw-r--r-- 0:0",
		"+ /usr/lib/systemd/system/sealgate-root.socket -rw-r--r-- 0:0",
		"+ /usr/lib/systemd/system/sealgate.service -rw-r--r-- 0:0",
		"+ /usr/lib/sysusers.d/sealgate.conf -rw-r--r-- 0:0",
		"+ /usr/sbin/sealgated -rwxr-xr-x 0:0",
		"+ /var/lib/sealgate drwx--x--x " + uid + ":" + gid,
		"+ /var/lib/sealgate-releases drwxr-xr-x 0:0",
	}
	mustBe(t, want)
	before, err := machine.Changes()
	if err != nil {
		t.Fatal(err)
	}
	if err := machine.Install(bin); err != nil {
		t.Fatal(err)
	}
	if after, _ := machine.Changes(); !slices.Equal(before, after) {
		t.Errorf("the second installation changed\n%s\nto\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	for range 2 {
		if out, err := machine.Make("uninstall"); err != nil || strings.Contains(out, "kept") {
			t.Error(out, err)
		}
		mustBe(t, nil)
	}
}

func shadow(t *testing.T) string {
	t.Helper()
	g, err := user.LookupGroup("shadow")
	if err != nil {
		t.Fatal(err)
	}
	return g.Gid
}

// The accounts are the same whichever tool the distribution has.
func TestAccounts(t *testing.T) {
	check := func(t *testing.T) {
		t.Helper()
		_, gid := id(t, "sealgate")
		if _, role := id(t, "sealgate-role"); role != gid {
			t.Errorf("the role's group is %s, not sealgate's %s", role, gid)
		}
		for _, name := range []string{"sealgate-admin", "sealgate-operator"} {
			if _, err := user.LookupGroup(name); err != nil {
				t.Error(err)
			}
		}
		passwd, err := os.ReadFile("/etc/passwd")
		if err != nil {
			t.Fatal(err)
		}
		for _, end := range []string{":Sealgate appliance:/:/usr/sbin/nologin\n", ":Sealgate role:/:/usr/sbin/nologin\n"} {
			if !strings.Contains(string(passwd), end) {
				t.Errorf("no account ends with %q", end)
			}
		}
	}
	t.Run("systemd-sysusers", func(t *testing.T) {
		install(t)
		check(t)
	})
	t.Run("useradd", func(t *testing.T) {
		const tool = "/usr/bin/systemd-sysusers"
		if err := os.Rename(tool, tool+".away"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Rename(tool+".away", tool) })
		if err := machine.Install(bin); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { machine.Make("uninstall", "PURGE=1") })
		check(t)
	})
}

// cover puts one file in another's place for the length of a test.
func cover(t *testing.T, path, with string) {
	t.Helper()
	if err := unix.Mount(with, path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
}

// An installation that would lock the owner out, or leave the seal open, takes
// its drop-in back and says why.
func TestSSHDThatDoesNotFit(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "sealgate.conf")
	if err := os.WriteFile(broken, []byte("Match Group sealgate-admin\n\tForceComand /usr/bin/sealsh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	source, err := filepath.Abs("../../deploy/sshd/sealgate.conf")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("/etc/ssh/sshd_config")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, config, dropin, says, hint string
	}{
		{"does not read it", strings.Replace(string(config), "Include ", "#Include ", 1), source, "sshd does not read " + dropin, "Include /etc/ssh/sshd_config.d/*.conf"},
		{"reads environments", "PermitUserEnvironment yes\n" + string(config), source, "users' files set the environment", "PermitUserEnvironment no"},
		{"is broken already", "Prot 22\n" + string(config), source, "broken already: /etc/ssh/sshd_config: line 1: Bad configuration option: Prot", "mend it"},
		{"does not know it", string(config), broken, "sshd does not take " + dropin + ": " + dropin + ": line 2: Bad configuration option: ForceComand", "OpenSSH 9.2 or later"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours := filepath.Join(t.TempDir(), "sshd_config")
			if err := os.WriteFile(ours, []byte(c.config), 0o644); err != nil {
				t.Fatal(err)
			}
			cover(t, "/etc/ssh/sshd_config", ours)
			cover(t, source, c.dropin)
			out, err := machine.Make("install", "BIN="+bin+"/")
			if err == nil || !strings.Contains(out, "sealgate: error: ") || !strings.Contains(out, c.says) || !strings.Contains(out, "sealgate: hint: ") || !strings.Contains(out, c.hint) {
				t.Errorf("it says %s, %v", out, err)
			}
			mustBe(t, nil)
		})
	}
	t.Run("anew", func(t *testing.T) {
		install(t)
		before, err := os.ReadFile(dropin)
		if err != nil {
			t.Fatal(err)
		}
		cover(t, source, broken)
		if out, err := machine.Make("install", "BIN="+bin+"/"); err == nil {
			t.Error(out)
		}
		if after, err := os.ReadFile(dropin); string(after) != string(before) {
			t.Errorf("the drop-in that worked became %s, %v", after, err)
		}
	})
}

// State and keys stay, and the accounts that own them; PURGE takes them too,
// and the administrators that lost their shell, but nobody else.
func TestStateStays(t *testing.T) {
	install(t)
	admin, err := peers.NewAccountFor("/usr/bin/sealsh", "/", "sealgate-admin")
	if err != nil {
		t.Fatal(err)
	}
	other, err := peers.NewAccountFor("/bin/sh", "/", "sealgate-operator")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Remove()
	if err := os.WriteFile("/var/lib/sealgate/appliance.json", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/etc/sealgate/authorized_keys/"+admin.Name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := machine.Make("uninstall")
	if err != nil || !strings.Contains(out, "kept, with the accounts: /var/lib/sealgate /etc/sealgate /etc/sealgate/authorized_keys; make uninstall PURGE=1 removes that too") {
		t.Error(out, err)
	}
	id(t, "sealgate")
	id(t, admin.Name)
	if out, err := machine.Make("uninstall", "PURGE=1"); err != nil {
		t.Error(out, err)
	}
	for _, name := range []string{admin.Name, "sealgate", "sealgate-role"} {
		if _, err := user.Lookup(name); err == nil {
			t.Errorf("the account %s is left", name)
		}
	}
	id(t, other.Name)
	if err := other.Remove(); err != nil {
		t.Error(err)
	}
}

// What runs is not pulled from under its users.
func TestUninstallWhileItRuns(t *testing.T) {
	install(t)
	before, err := machine.Changes()
	if err != nil {
		t.Fatal(err)
	}
	running := exec.Command("setpriv", "--reuid", "sealgate", "--regid", "sealgate", "--clear-groups", "sleep", "100")
	running.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { running.Process.Kill(); running.Wait() }()
	for exec.Command("pgrep", "-u", "sealgate").Run() != nil { // until setpriv is that far
	}
	out, err := machine.Make("uninstall", "PURGE=1")
	if err == nil || !strings.Contains(out, "error: the appliance runs\nsealgate: hint: ") {
		t.Errorf("it says %s, %v", out, err)
	}
	if after, _ := machine.Changes(); !slices.Equal(before, after) {
		t.Errorf("it left\n%s\nof\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
}

// A package's build gets files, and this machine nothing.
func TestDestdir(t *testing.T) {
	dir := t.TempDir()
	if out, err := machine.Make("install", "BIN="+bin+"/", "DESTDIR="+dir); err != nil {
		t.Fatal(out, err)
	}
	for _, name := range []string{"/usr/bin/sealsh", "/usr/sbin/sealgated", dropin, "/usr/lib/sysusers.d/sealgate.conf", "/var/lib/sealgate"} {
		if _, err := os.Stat(dir + name); err != nil {
			t.Error(err)
		}
	}
	mustBe(t, nil)
	if out, err := machine.Make("uninstall", "DESTDIR="+dir); err != nil {
		t.Fatal(out, err)
	}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() || strings.Contains(path, "sealgate") {
			t.Errorf("left over: %s, %v", path, err)
		}
		return nil
	})
}

func TestOnlyRootInstalls(t *testing.T) {
	dir, err := os.MkdirTemp("/usr", "deploy-") // others get through to there
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(os.Chmod(dir, 0o755), os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS("../../deploy"))); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", filepath.Join(dir, "deploy/setup"), "install")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil || string(out) != "sealgate: error: only root can install on this machine\n"+
		"sealgate: hint: use sudo, or DESTDIR=DIR to place the files elsewhere\n" {
		t.Errorf("it says %s, %v", out, err)
	}
}

// systemd understands every line of the units, and finds little exposed.
func TestUnits(t *testing.T) {
	install(t)
	dir := "/usr/lib/systemd/system/"
	out, err := exec.Command("systemd-analyze", "verify", dir+"sealgate.service", dir+"sealgate-root.service", dir+"sealgate-root.socket").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	for unit, tenths := range map[string]string{"sealgate.service": "20", "sealgate-root.service": "35"} {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold="+tenths, dir+unit).CombinedOutput()
		if err != nil {
			t.Errorf("%s is exposed: %v\n%s", unit, err, out)
		}
	}
	// A support bundle tells of processes with other uids than the daemon's.
	if unit, err := os.ReadFile(dir + "sealgate.service"); err != nil || regexp.MustCompile(`(?m)^(ProtectProc|ProcSubset)=`).Match(unit) {
		t.Errorf("the daemon does not see the role and the shells: %v", err)
	}
}

func TestScripts(t *testing.T) {
	out, err := exec.Command("shellcheck", "../../deploy/peers", "../../deploy/run", "../../deploy/setup").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
