package stories

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sealgate/internal/trial"
)

// unsealedAppliance is one whose licence binds nothing.
func unsealedAppliance(t *testing.T) *trial.Appliance {
	t.Helper()
	app := newAppliance(t)
	vendor := filepath.Join(t.TempDir(), "vendor")
	mint := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(filepath.Join(bin, "sealmint"), args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	mint("keygen", "--out", vendor)
	if out, err := exec.Command("install", "-D", "-m", "644", vendor+".pub", filepath.Join(app.Home, "anchors", "vendor.pub")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Stop(); err != nil {
			t.Errorf("the daemon ends with %v", err)
		}
	})
	if out, err := app.Run("unlock " + mint("license", "--key", vendor+".key", "--feature", "unseal")); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return app
}

// A login at a terminal is a real login shell, with job control. The appliance's
// prompt is one word away, and no loop. Sealing shows at the next login.
func TestUnsealedTerminal(t *testing.T) {
	app := unsealedAppliance(t)
	login := func(args ...string) *terminal {
		t.Helper()
		cmd := trial.Installed(bin, app.Home, "-sealsh", args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TERM=xterm", "HOME=" + t.TempDir(), "SHELL=/usr/bin/sealsh"}
		return startTerminal(t, cmd)
	}
	term := login()
	term.send("shopt -q login_shell && echo $0 $SHELL $TERM; PS1='real\\$ '\r")
	term.expect(`-bash /bin/bash xterm\r\n`)
	term.expect(`real# `)
	term.send("sh -c 'echo going; exec sleep 60'\r")
	term.expect(`going\r\n`)
	term.send("\x1a")
	term.expect(`Stopped +sh -c`)
	term.send("kill %1; " + filepath.Join(bin, "sealsh") + "\r")
	term.expect(`Sealgate \S+, management server mx1, unsealed`)
	term.expect(`mx1> `)
	term.send("uname\r")
	term.expect(`unknown command "uname"`)
	term.expect(`mx1> `)
	term.send("impctl seal\r")
	term.expect(`sealed; sessions that have a shell keep it until they end`)
	term.expect(`mx1> `)
	term.send("exit\r")
	term.expect(`real# `)
	term.send("exit\r")
	term.rest()
	if err := term.cmd.Wait(); err != nil {
		t.Errorf("the shell ends with %v", err)
	}

	again := login()
	again.expect(`Sealgate \S+, management server mx1, sealed`)
	again.expect(`mx1> `)
	again.send("exit\r")
	again.rest()
}

// sshd forces sealsh through the login shell: that is a login, too.
func TestUnsealedForcedLogin(t *testing.T) {
	app := unsealedAppliance(t)
	cmd := trial.Installed(bin, app.Home, "sealsh", "-c", "/usr/bin/sealsh")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TERM=xterm", "HOME=" + t.TempDir()}
	term := startTerminal(t, cmd)
	term.send("echo is $0\r")
	term.expect(`is -bash\r\n`)
}
