package stories

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"

	"sealgate/internal/peers"
	"sealgate/internal/trial"
)

// terminal is a program at a pseudo-terminal.
type terminal struct {
	t      *testing.T
	tty    *os.File
	cmd    *exec.Cmd
	screen *trial.Screen
}

func startTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close(); cmd.Process.Kill() })
	return &terminal{t: t, tty: tty, cmd: cmd, screen: trial.NewScreen(tty)}
}

// expect waits for a pattern and returns what its groups matched.
func (term *terminal) expect(pattern string) []string {
	term.t.Helper()
	found, err := term.screen.Expect(pattern)
	if err != nil {
		term.t.Fatal(err)
	}
	return found
}

// until waits for text, and returns what was shown before it and with it.
func (term *terminal) until(text string) string {
	term.t.Helper()
	return term.expect("(?s)^.*?" + regexp.QuoteMeta(text))[0]
}

// rest is everything until the program ends.
func (term *terminal) rest() string { return term.screen.Rest() }

func (term *terminal) send(keys string) {
	term.t.Helper()
	if _, err := term.tty.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// The README's first command, as a newcomer uses it: look, complete, export to
// an SSH server of one's own, leave. Nothing runs afterwards.
func TestFirstSession(t *testing.T) {
	server := peers.SSHD(t, peers.SSHDConfig{})
	cmd := exec.Command("make", "-s", "run")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "TERM=xterm")
	term := startTerminal(t, cmd)
	term.expect(`management address: +https://127\.0\.0\.1:\d+`)
	system := term.expect(`database system password: +(\S+)`)[1]
	term.expect(`Sealgate \S+, management server mx1, sealed`)
	term.expect(`mx1> `)

	term.send("exp\t")
	term.expect(`export-`)
	term.send("\t")
	term.expect(`export-local +export the database`)
	term.send("r\t")
	term.expect(`export-remote `)
	term.send("?")
	term.expect(`--protocol +how to send it`)
	term.send("--proto\ts\t --us\t" + server.User + " --password - --pwd - --encryptpwd - " + server.Addr + server.Root + "/\r")
	term.expect(`password on the server: `)
	term.send(server.Password + "\r")
	term.expect(`database system password: `)
	term.send(system + "\r")
	term.expect(`password to encrypt the dump with: `)
	term.send("Dump-pw-17\r")
	term.expect(`the same again: `)
	term.send("Dump-pw-17\r")
	term.expect(`the host key of \S+ is not known`)
	term.expect(`ssh-ed25519 SHA256:`)
	term.expect(`accept and keep it\? \(yes/no\) `)
	term.send("yes\r")
	term.expect(`mx1_\d+_\d+\.tgz: .* rows in .*, sent to scp://`)
	term.expect(`mx1> `)
	sent, _ := filepath.Glob(server.Root + "/*")
	if len(sent) != 1 || !strings.HasSuffix(sent[0], ".tgz") {
		t.Fatalf("the server has %v", sent)
	}
	if err := trial.AgeDecrypt(sent[0], filepath.Join(t.TempDir(), "dump.tgz"), "Dump-pw-17"); err != nil {
		t.Error(err)
	}

	// History has the line without its secrets, and none were shown.
	term.send("\x1b[A")
	term.expect(`export-remote --protocol scp --user ` + server.User + ` --password - `)
	term.send("\x03")
	term.expect(`mx1> `)
	term.send("exit\r")
	rest := term.rest()
	if err := cmd.Wait(); err != nil {
		t.Errorf("make run ends with %v\n%s", err, rest)
	}
	home, err := filepath.Abs("../../.sealgate")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("pgrep", "-f", "sealgated run --home "+home).Output(); err == nil {
		t.Errorf("still running: %s", out)
	}
}

// Progress is shown at a terminal, and Ctrl-C comes back to the prompt.
func TestInterruptAtThePrompt(t *testing.T) {
	app := filledAppliance(t, "0.1")
	term := startTerminal(t, exec.Command(filepath.Join(bin, "sealsh"), "--home", app.Home))
	term.expect(`mx1> `)
	term.send("export-local --pwd " + trial.System + "\r")
	term.expect(`exporting .*%.*/s`)
	term.send("\x03")
	term.expect(`error: interrupted`)
	term.expect(`mx1> `)
	if left, _ := os.ReadDir(app.Home + "/exports"); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	term.send("version\r")
	term.expect(`Sealgate dev`)
	term.expect(`mx1> `)
	term.send("\x04")
	term.rest()
	if err := term.cmd.Wait(); err != nil {
		t.Errorf("Ctrl-D ends with %v", err)
	}
}

func filledAppliance(t *testing.T, scale string) *trial.Appliance {
	t.Helper()
	app, err := trial.New(bin, filepath.Join(t.TempDir(), "home"), "mx", "mx1")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(filepath.Join(bin, "sealmint"), "seed", "--home", app.Home, "--scale", scale).CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%w: %s", err, out))
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Stop(); err != nil {
			t.Errorf("the daemon ends with %v", err)
		}
	})
	return app
}
