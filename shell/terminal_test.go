package shell

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// enough is how long tests wait for what comes in a moment where nothing else runs.
const enough = time.Minute

// person is somebody at a terminal where sealsh runs.
type person struct {
	t      *testing.T
	master *os.File
	tty    *os.File // kept open, to look at its settings afterwards
	cmd    *exec.Cmd
	before unix.Termios
	exited chan struct{}

	mu   sync.Mutex
	out  bytes.Buffer
	seen int // how much of out was expected already
}

func sitDown(t *testing.T, a *appliance, args ...string) *person {
	t.Helper()
	return sitDownAt(t, a, 80, args...)
}

func sitDownAt(t *testing.T, a *appliance, columns int, args ...string) *person {
	t.Helper()
	p := newPerson(t, columns)
	p.starts(exec.Command(filepath.Join(bin, "sealsh"), append([]string{"--home", a.home}, args...)...))
	return p
}

// sitDownWith starts another program.
func sitDownWith(t *testing.T, cmd *exec.Cmd, env ...string) *person {
	t.Helper()
	p := newPerson(t, 80)
	p.starts(cmd, env...)
	return p
}

func newPerson(t *testing.T, columns int) *person {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: uint16(columns)})
	master = pollable(t, master)
	p := &person{t: t, master: master, tty: tty, exited: make(chan struct{})}
	p.before = p.termios()
	return p
}

func (p *person) starts(cmd *exec.Cmd, env ...string) {
	t := p.t
	t.Helper()
	p.cmd = cmd
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.tty, p.tty, p.tty
	p.cmd.Env = append([]string{"TERM=xterm", "GODEBUG=", "COLUMNS=3"}, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.watch()
	go func() { p.cmd.Wait(); close(p.exited) }()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		p.master.Close()
		p.tty.Close()
		if t.Failed() {
			out := p.output()
			t.Logf("the terminal saw: ...%q", out[max(0, len(out)-800):])
		}
	})
}

// pollable is f as a file that can be closed while it is read.
func pollable(t *testing.T, f *os.File) *os.File {
	t.Helper()
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

func (p *person) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
		p.mu.Lock()
		p.out.Write(buf[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *person) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func (p *person) types(keys string) {
	p.t.Helper()
	if _, err := io.WriteString(p.master, keys); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits for text after what was seen before.
func (p *person) sees(text string) {
	p.t.Helper()
	for end := time.Now().Add(enough); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		out := p.output()
		if i := strings.Index(out[p.seen:], text); i >= 0 {
			p.seen += i + len(text)
			return
		}
	}
	p.t.Fatalf("never saw %q after %q", text, p.output()[p.seen:])
}

// enters runs a line and waits for the next prompt.
func (p *person) enters(line string) {
	p.t.Helper()
	p.types(line + "\r")
	p.sees("\r\n")
	p.sees("mx> ")
}

func (p *person) exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(enough):
		p.t.Fatal("sealsh does not end")
		return 0
	}
}

func (p *person) termios() unix.Termios {
	t, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *t
}

func (p *person) findsTerminalRestored() {
	p.t.Helper()
	if diff := cmp.Diff(p.before, p.termios()); diff != "" {
		p.t.Errorf("the terminal was changed: %s", diff)
	}
	if strings.Contains(p.output(), pasteOn) {
		p.seen = 0
		p.sees(pasteOff)
	}
}

func want(t *testing.T, a *appliance, lines ...string) {
	t.Helper()
	for end := time.Now().Add(enough); len(a.ran()) < len(lines) && time.Now().Before(end); {
		time.Sleep(2 * time.Millisecond)
	}
	if diff := cmp.Diff(lines, a.ran()); diff != "" {
		t.Errorf("the daemon was asked to run (-want +got):\n%s", diff)
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("Welcome to the test appliance\r\n")
	p.sees("mx> ")
	p.enters("echo 'a b' \"c\\\"d\" e\\ f ;& $HOME `x` <>")
	p.enters("partial")
	p.enters("prompt gw>\\ mx>\\ ")
	p.enters("fail")
	p.types("exit\r")
	if code := p.exit(); code != 7 {
		t.Errorf("exit status %d, want 7", code)
	}
	want(t, a, `["echo","a b","c\"d","e f",";\u0026","$HOME","`+"`x`"+`","\u003c\u003e"]`, `["partial"]`, `["prompt","gw\u003e mx\u003e "]`, `["fail"]`, `["exit"]`)
	if r := a.lastRequest(); !r.Terminal || !r.Prompt || r.Width != 80 {
		t.Errorf("request says terminal %v, prompt %v, width %d", r.Terminal, r.Prompt, r.Width)
	}
	out := p.output()
	for _, s := range []string{"no line end\r\n", "gw> mx> ",
		`sealgate: error: cannot send\u000ato \u001b[31mhost` + "\r\n", `sealgate: hint: try \u202eagain` + "\r\n"} {
		if !strings.Contains(out, s) {
			t.Errorf("the terminal never showed %q", s)
		}
	}
	p.findsTerminalRestored()
}

func TestTab(t *testing.T) {
	t.Parallel()
	const left, home = "\x1b[D", "\x1b[H"
	for _, c := range []struct{ name, keys, want string }{
		{"unique", "ver\t", `["version"]`},
		{"unique then another word", "ec\tx", `["echo","x"]`},
		{"ambiguous", "exp\tl\tx", `["export-local","x"]`},
		{"nothing fits", "zz\t", `["zz"]`},
		{"value with a blank", "echo 'my fi\t", `["echo","my file"]`},
		{"double quotes kept", `echo "my fi` + "\tx", `["echo","my file","x"]`},
		{"backslash", `echo my\ fi` + "\tx", `["echo","my file","x"]`},
		{"blank in the common part", "echo m\ti\tx", `["echo","my file","x"]`},
		{"open value", "echo 'my fo\tx'", `["echo","my folder/x"]`},
		{"apostrophe", "echo it\tx", `["echo","it's","x"]`},
		{"flag and value", "echo --p\tx", `["echo","--pwd=x"]`},
		{"flag with quoted value", "echo --mode=s\tx", `["echo","--mode=so so","x"]`},
		{"mid-line", "ech foo" + strings.Repeat(left, 4) + "\t", `["echo","foo"]`},
		{"in a word", "verion" + strings.Repeat(left, 3) + "\t", `["version"]`},
		{"in a word with a slip", "verson" + strings.Repeat(left, 2) + "\t", `["version"]`},
		{"at the start of a word", "version" + strings.Repeat(left, 5) + "\tx", `["version","x"]`},
		{"common part that stands there", "export-l" + strings.Repeat(left, 5) + "\t\x05\tx", `["export-local","x"]`},
		{"in closed quotes", `echo "my fi" z` + strings.Repeat(left, 3) + "\t", `["echo","my file","z"]`},
		{"at the start", " foo" + home + "ech\t", `["echo","foo"]`},
		{"hostile values are left out", "echo evil\t", `["echo","evil"]`},
		{"double quotes, open value", `echo "my fo` + "\tx\"", `["echo","my folder/x"]`},
		{"in the middle of quotes", `echo "my fil" z` + strings.Repeat(left, 4) + "\t", `["echo","my file","z"]`},
		{"a filter", "echo x | ma\ty", `["echo","x"] | ["match","y"]`},
		{"a filter that is glued", "echo x|cou\t", `["echo","x"] | ["count"]`},
		{"a word before a filter", "ver | count" + strings.Repeat(left, 8) + "\t", `["version"] | ["count"]`},
		{"a word glued to a filter", "ver|count" + strings.Repeat(left, 6) + "\t", `["version"] | ["count"]`},
		{"a bar in quotes", "echo 'a | ma\t'", `["echo","a | ma"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := startAppliance(t)
			p := sitDown(t, a)
			p.sees("mx> ")
			p.enters(c.keys)
			want(t, a, c.want)
		})
	}
}

func TestTabLists(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("exp\t")
	p.sees("export-")
	p.types("\t")
	p.sees("mx> export-\r\n  export-local   into the folder\r\n  export-remote  to a server\r\n")
	p.sees("mx> export-")
	p.enters("local")
	want(t, a, `["export-local"]`)
}

// A daemon that never answers Tab costs the completion, and Ctrl-C does not wait for it.
func TestTabNeverHangs(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("hang x\ty\r")
	<-a.hung
	ran := []string{`["hang","xy"]`}
	want(t, a, ran...)
	p.sees("mx> ")
	// A machine with more to do may be slow once, and not again and again.
	for try := 0; ; try++ {
		p.types("hang x\t")
		<-a.hung
		began := time.Now()
		p.types("\x03z\r") // gives up the completion and clears the line
		ran = append(ran, `["z"]`)
		want(t, a, ran...)
		if time.Since(began) < quickWait/2 {
			return
		}
		if try == 9 {
			t.Fatal("Ctrl-C waits for the daemon")
		}
	}
}

func TestQuestionMark(t *testing.T) {
	t.Parallel()
	const left = "\x1b[D"
	for _, c := range []struct {
		name, keys string
		help       string // "" for none
		want       string
	}{
		{"after a blank", "echo ?x", `HELP ["echo",""]`, `["echo","x"]`},
		{"mid-line", "echo foo" + strings.Repeat(left, 3) + "?", `HELP ["echo",""]`, `["echo","foo"]`},
		{"on an empty line", "?version", `HELP [""]`, `["version"]`},
		{"as older manuals have it", "? version", `HELP [""]`, `["?","version"]`},
		{"in a word", "echo a?b", "", `["echo","a?b"]`},
		{"in a URL", "echo http://h/p?q=1", "", `["echo","http://h/p?q=1"]`},
		{"in quotes", "echo '?' \"x ?\"", "", `["echo","?","x ?"]`},
		{"kept by a backslash", `echo \?`, "", `["echo","?"]`},
		{"pasted", "\x1b[200~echo ?\x1b[201~", "", `["echo","?"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := startAppliance(t)
			p := sitDown(t, a)
			p.sees("mx> ")
			p.types(c.keys)
			if c.help != "" {
				p.sees(c.help + "\r\n")
			}
			p.types("\r")
			want(t, a, c.want)
			if c.help == "" && strings.Contains(p.output(), "HELP") {
				t.Error("help was shown")
			}
		})
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")

	p.types("not entered\x03")
	p.sees("^C")
	p.sees("mx> ")

	p.types("slow\r")
	p.sees("%  ")
	p.types("\x03")
	p.sees("^C")
	p.sees("sealgate: error: interrupted before the end\r\n")
	p.sees("mx> ")
	if got := <-a.cancelled; got != "slow" {
		t.Errorf("%s was cancelled", got)
	}

	p.types("stubborn\r")
	want(t, a, `["slow"]`, `["stubborn"]`)
	p.types("\x03")
	p.sees("stubborn goes on\r\n")
	p.types("\x03") // a second one does not wait
	p.sees("sealgate: error: interrupted; the appliance did not say in time")
	p.sees("mx> ")

	p.types("secret\r")
	p.sees("Password: ")
	p.types("half a passw\x03")
	p.sees("sealgate: error: no password")
	p.sees("mx> ")

	p.enters("version")
	if strings.Contains(p.output(), "half a passw") {
		t.Error("a secret was echoed")
	}
}

func TestControlKeys(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("\x1b[3~")                                               // Delete on an empty line is not Ctrl-D
	p.types("\x12\x03")                                              // search without a history
	p.enters("ver\x00\x1a\x16\x1c\x0f\x11\x18sion")                  // NUL, Ctrl-Z, Ctrl-V and others are nothing
	p.enters("a\x14b")                                               // Ctrl-T on one character
	p.enters("e\x1b]0;title\x07cho \x1b[31;5u\x1b[99~\x1bz\u009bmx") // foreign sequences
	p.enters("echo one\x1b[D\x1b[D\x1b[D\x17\x1b[F")                 // Ctrl-W at the second word
	p.enters("echo xone\x1b[D\x1b[D\x1b[D\x1b[D\x1b[3~")             // Delete
	p.enters("echo \u65e5\u672c\x7fx\x01\x05y")                      // wide runes
	p.types("\x04")
	if code := p.exit(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	want(t, a, `["version"]`, `["ab"]`, `["echo","mx"]`, `["one"]`, `["echo","one"]`, `["echo","日xy"]`)
	p.findsTerminalRestored()
}

func TestPaste(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("\x1b[200~echo a\r\nversion\nfail\t\x03\x1b[31mx\x00\u202e\r\n\x1b[201~")
	p.sees("echo a version fail")
	time.Sleep(50 * time.Millisecond)
	want(t, a)
	p.enters("")
	want(t, a, `["echo","a","version","fail","[31mx"]`)

	p.types("\x1b[200~" + strings.Repeat("x", 100000) + "\x1b[201~")
	p.sees("too long")
	p.enters("version")
	want(t, a, `["echo","a","version","fail","[31mx"]`, `["version"]`)
}

func TestHistory(t *testing.T) {
	t.Parallel()
	const up = "\x1b[A"
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.enters("login s3cret")
	p.enters("echo 'a b'")
	p.enters(up)
	p.enters(up + up) // login ***
	// A line that is changed after Up must not be kept as it was typed.
	p.enters(up + "\x17\x7fother")
	p.enters(up + up)
	p.enters("\x12log\x05") // Ctrl-R
	want(t, a, `["login","s3cret"]`, `["echo","a b"]`, `["echo","a b"]`, `["login","***"]`,
		`["loginother"]`, `["login","***"]`, `["login","***"]`)
}

func TestEditedHistoryLeaksNothing(t *testing.T) {
	t.Parallel()
	const up = "\x1b[A"
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.enters("login x")
	p.enters("version")
	p.types(up + up + "\x7f\x7f\x7ftopsecret\r")
	want(t, a, `["login","x"]`, `["version"]`, `["login","topsecret"]`)
	p.sees("topsecret\r\n")
	p.sees("mx> ")
	before := len(p.output())
	p.types(up + up + up + up + "\x1b[B\x1b[B\x1b[B\x1b[B\x12top\x03")
	p.enters("version")
	if strings.Contains(p.output()[before:], "topsecret") {
		t.Error("the secret is in the history")
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("secret\rtyped too early")
	p.sees("Password: ")
	quiet := len(p.output())
	p.types("x\x15hunner\x7f\x7fter2\x1b[200~ \u00fc\r\n\x1b[201~")
	time.Sleep(50 * time.Millisecond)
	if out := p.output()[quiet:]; out != "" {
		t.Errorf("something was shown while the secret was typed: %q", out)
	}
	p.types("\r")
	p.sees("GOT 11")
	p.sees("mx> ")
	p.enters("\x1b[A\x01\x04\x04\x04\x04\x04\x04echo")
	want(t, a, `["secret"]`, `["answer","hunnter2 ü"]`, `["echo","--pwd","-"]`)
	for _, s := range []string{"hunn", "typed too early"} {
		if strings.Contains(p.output(), s) {
			t.Errorf("%q was shown", s)
		}
	}

	p.types("confirm\r")
	p.sees("Are you sure? ")
	p.types("yez\x7fs\r")
	p.sees("yez\b \bs\r\nANSWER yes\r\n")
	p.types("secret\r")
	p.sees("Password: ")
	p.types("\x04")
	p.sees("sealgate: error: no password: no answer was given\r\n")
}

func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	begin := time.Now()
	p.enters("short")
	most := 1 + int(time.Since(begin)/redrawEvery)
	out := p.output()
	if !regexp.MustCompile(`\rcounting +\d+%  \d+ of 12`).MatchString(out) {
		t.Error("no progress was shown")
	}
	if !strings.Contains(out, "\r\x1b[Kcounted\r\n") {
		t.Error("progress was not cleared before the text")
	}
	if n := strings.Count(out, "counting"); n > most {
		t.Errorf("progress was drawn %d times, at most %d can be 100 ms apart", n, most)
	}
}

func TestTypedAheadIsKept(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("short\recho one\recho tw")
	p.sees("counted")
	p.sees("echo tw")
	p.enters("o")
	want(t, a, `["short"]`, `["echo","one"]`, `["echo","two"]`)
}

func TestWidths(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{0, 1, 5, 20, 500, 65535} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			t.Parallel()
			a := startAppliance(t)
			p := sitDownAt(t, a, columns)
			p.sees("> ")
			p.types("exp\t\t" + "l\tsome words that are longer than the line\x01?\x05 \x1b[D\x1b[D\t\t\r")
			want(t, a, `["export-local","some","words","that","are","longer","than","the","line"]`)
			wantWidth := map[int]int{0: 80, 1: 20, 5: 20, 20: 20, 500: 500, 65535: 500}[columns]
			if got := a.lastRequest().Width; got != wantWidth {
				t.Errorf("the daemon was told of %d columns, want %d", got, wantWidth)
			}
			p.types("exit\r")
			if code := p.exit(); code != 7 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

func TestPromptAsWideAsTheTerminal(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDownAt(t, a, 80)
	p.sees("mx> ")
	p.types("prompt 'administrator@mx-1.example.com> '\r") // 34 columns
	p.sees("example.com> ")
	p.types("some words")
	for _, w := range []uint16{34, 17, 35, 33, 68, 1} {
		pty.Setsize(p.master, &pty.Winsize{Rows: 24, Cols: w})
		p.types("\x1b[D\x1b[Dx")
	}
	p.types("\x15\x0bexit\r")
	if code := p.exit(); code != 7 {
		t.Errorf("exit status %d", code)
	}
}

func TestResizeStorm(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	for i := range 300 {
		pty.Setsize(p.master, &pty.Winsize{Rows: uint16(i % 7), Cols: uint16(i * 37 % 90)})
		p.types(string("ab \t?\x1b[D"[i%8]))
	}
	p.types("\x03exit\r")
	if code := p.exit(); code != 7 {
		t.Errorf("exit status %d", code)
	}
	p.findsTerminalRestored()
}

func TestDaemonAbsentAtStart(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	p := sitDown(t, a)
	p.sees("sealgate: error: the appliance does not answer: no daemon listens at " + a.home)
	p.sees("sealgate: hint: ")
	p.sees("sealgate> ")
	p.types("version\r")
	p.sees("sealgate: error: the appliance does not answer")
	p.sees("sealgate> ")
	a.start(t)
	p.types("version\r")
	p.sees("Welcome to the test appliance\r\n")
	p.sees("test 1.0\r\n")
	p.sees("mx> ")
	want(t, a, `["version"]`)
}

// A daemon that accepts and says nothing costs two seconds, not the session.
func TestDaemonHangs(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	ln, err := net.Listen("unix", socketIn(a.home)) // never accepts
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := sitDown(t, a)
	p.sees("sealgate: error: the appliance does not answer: it is running, but gave no answer within 2s\r\n")
	p.sees("sealgate> ")
	p.types("\x04")
	if code := p.exit(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	p.findsTerminalRestored()
}

func TestDaemonDies(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	die := listenAndDie(t, a)
	p := sitDown(t, a)
	p.sees("sealgate> ")
	p.types("slow\r")
	<-die
	p.sees("sealgate: error: the appliance stopped answering before the command ended\r\n")
	p.sees("sealgate: hint: ")
	p.sees("sealgate> ")
	a.start(t)
	p.types("crash\r")
	p.sees("sealgate: error: the command crashed; the appliance goes on")
	p.sees("mx> ")
	p.enters("version")
}

func TestTerminalIsPutBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(*person)
		exit int
	}{
		{"Ctrl-D", func(p *person) { p.types("\x04") }, 0},
		{"SIGTERM at the prompt", func(p *person) { p.types("half a line"); p.cmd.Process.Signal(syscall.SIGTERM) }, 143},
		{"SIGHUP at the prompt", func(p *person) { p.cmd.Process.Signal(syscall.SIGHUP) }, 129},
		{"SIGQUIT at the prompt", func(p *person) { p.cmd.Process.Signal(syscall.SIGQUIT) }, 131},
		{"SIGTERM in a command", func(p *person) { p.types("slow\r"); p.sees("%"); p.cmd.Process.Signal(syscall.SIGTERM) }, 143},
		{"SIGTERM at a question", func(p *person) { p.types("secret\r"); p.sees("word: "); p.cmd.Process.Signal(syscall.SIGTERM) }, 143},
		{"SIGINT and SIGTSTP are not the end", func(p *person) {
			p.cmd.Process.Signal(syscall.SIGINT)
			p.cmd.Process.Signal(syscall.SIGTSTP)
			p.enters("version")
			p.types("exit\r")
		}, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := startAppliance(t)
			p := sitDown(t, a)
			p.sees("mx> ")
			c.end(p)
			if code := p.exit(); code != c.exit {
				t.Errorf("exit status %d, want %d", code, c.exit)
			}
			p.findsTerminalRestored()
			for _, line := range a.ran() {
				if strings.Contains(line, "half") {
					t.Error("a line that was never entered has run")
				}
			}
		})
	}
}

// A connection that drops in the middle of a line must not run that line.
func TestHangUp(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a)
	p.sees("mx> ")
	p.types("version")
	p.sees("version")
	p.tty.Close()
	p.master.Close()
	if code := p.exit(); code != 129 {
		t.Errorf("exit status %d", code)
	}
	want(t, a)
}

// At a terminal, sealsh -c leaves the terminal alone but for a question.
func TestCommandAtATerminal(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	p := sitDown(t, a, "-c", "secret")
	p.sees("Password: ")
	p.types("hunter2\r")
	p.sees("GOT 7")
	if code := p.exit(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	p.findsTerminalRestored()

	p = sitDown(t, a, "-c", "secret")
	p.sees("Password: ")
	p.types("hunt\x03")
	p.sees("sealgate: error: no password")
	p.exit()
	p.findsTerminalRestored()

	if r := a.lastRequest(); r.Prompt {
		t.Error("a command of -c claims to be typed at the prompt")
	}

	p = sitDown(t, a, "-c", "slow")
	p.sees("%")
	p.types("\x03") // the terminal's own SIGINT
	p.sees("sealgate: error: interrupted before the end\r\n")
	if code := p.exit(); code != 130 {
		t.Errorf("exit status %d", code)
	}
	p.findsTerminalRestored()
}
