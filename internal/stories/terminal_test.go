package stories

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

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

// echoes waits until the terminal shows what is typed and takes it line by line.
func (term *terminal) echoes() {
	term.t.Helper()
	for deadline := time.Now().Add(trial.Patience); ; time.Sleep(20 * time.Millisecond) {
		mode, err := unix.IoctlGetTermios(int(term.tty.Fd()), unix.TCGETS)
		if err != nil {
			term.t.Fatal(err)
		}
		if mode.Lflag&unix.ECHO != 0 && mode.Lflag&unix.ICANON != 0 {
			return
		}
		if time.Now().After(deadline) {
			term.t.Fatal("the terminal stays raw")
		}
	}
}

// makeRun is make run at a terminal.
func makeRun(t *testing.T) *terminal {
	t.Helper()
	cmd := exec.Command("make", "-s", "run")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "TERM=xterm")
	return startTerminal(t, cmd)
}

// nothingRuns wants no process of make run's appliances, shell and site, after the time
// that they take to end.
func nothingRuns(t *testing.T) {
	t.Helper()
	var left string
	for deadline := time.Now().Add(trial.Patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if left = ofRun(t, "", ""); left == "" {
			return
		}
	}
	t.Errorf("still running: %s", left)
}

// ofRun are the processes of make run of a program and an appliance, or of any.
func ofRun(t *testing.T, program, name string) string {
	t.Helper()
	home, err := filepath.Abs("../../.sealgate")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pgrep", "-f", program+".*"+regexp.QuoteMeta(home)+"/"+name).Output()
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// The README's first command, as a newcomer uses it: look, attack the site, see it
// blocked and told, complete, export to an SSH server of one's own, leave. Nothing runs
// afterwards.
func TestFirstSession(t *testing.T) {
	server := peers.SSHD(t, peers.SSHDConfig{})
	term := makeRun(t)
	term.expect(`management server mx1: +https://127\.0\.0\.1:\d+`)
	system := term.expect(`database system password: +(\S+)`)[1]
	site := term.expect(`gateway gw1: +(http://127\.0\.0\.1:\d+/), in front of a demonstration site`)[1]
	attack := term.expect(`\n(curl '[^\r\n]+)`)[1]
	violations := term.expect(`\n(curl -sk [^\r\n]+)`)[1]
	term.expect(`Sealgate \S+, management server mx1, sealed`)
	term.expect(`mx1> `)

	if page := paste(t, "curl -s "+site); !strings.Contains(page, "<h1>Demonstration site</h1>") {
		t.Errorf("the site is %s", page)
	}
	blocked := regexp.MustCompile(`This request was blocked.*Event (\w+)`).FindStringSubmatch(paste(t, attack))
	if blocked == nil {
		t.Fatalf("%s is not blocked", attack)
	}
	told := ""
	for deadline := time.Now().Add(trial.Patience); !strings.Contains(told, blocked[1]) && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		told = paste(t, violations)
	}
	for _, want := range []string{blocked[1], `"violationType":"SQL Injection"`, `"action":"block"`, `"gatewayName":"gw1"`} {
		if !strings.Contains(told, want) {
			t.Errorf("of the violation it is told %s, without %s", told, want)
		}
	}

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
	if err := term.cmd.Wait(); err != nil {
		t.Errorf("make run ends with %v\n%s", err, rest)
	}
	nothingRuns(t)
}

// paste is what a line prints in another terminal.
func paste(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.Command("bash", "-c", line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return string(out)
}

// However make run ends, nothing of it stays.
func TestRunLeavesNothing(t *testing.T) {
	kill := func(t *testing.T, signal, program, name string) {
		t.Helper()
		for range 600 {
			if pids := strings.Fields(ofRun(t, program, name)); len(pids) > 0 {
				if out, err := exec.Command("kill", append([]string{signal}, pids...)...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("there is no %s of %s", program, name)
	}
	script := func(t *testing.T, term *terminal, signal string) {
		t.Helper()
		if out, err := exec.Command("pkill", signal, "-P", strconv.Itoa(term.cmd.Process.Pid)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for name, end := range map[string]func(*testing.T, *terminal){
		"Ctrl-C while it starts": func(t *testing.T, term *terminal) {
			kill(t, "-0", "sealmint demo", "mx1")
			term.send("\x03")
		},
		"the gateway dies while it starts": func(t *testing.T, term *terminal) {
			kill(t, "-9", "sealgated run", "gw1")
			term.expect(`gw1 ended while it started:`)
		},
		"the shell is killed": func(t *testing.T, term *terminal) {
			term.expect(`mx1> `)
			kill(t, "-9", "sealsh", "mx1")
			term.echoes()
		},
		"the script is ended": func(t *testing.T, term *terminal) {
			term.expect(`mx1> `)
			script(t, term, "-TERM")
		},
		"the script is killed": func(t *testing.T, term *terminal) {
			term.expect(`mx1> `)
			script(t, term, "-KILL")
		},
		"the terminal is closed": func(t *testing.T, term *terminal) {
			term.expect(`mx1> `)
			if err := syscall.Kill(-term.cmd.Process.Pid, syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			term := makeRun(t)
			end(t, term)
			rest := term.rest()
			if err := term.cmd.Wait(); err == nil {
				t.Errorf("make run ends well\n%s", rest)
			}
			nothingRuns(t)
		})
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
