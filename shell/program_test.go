package shell

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sealgate/control"
)

// listenAndDie is a daemon that ends as soon as it was asked to run something.
func listenAndDie(t *testing.T, a *appliance) <-chan struct{} {
	t.Helper()
	ln, err := net.Listen("unix", socketIn(a.home))
	if err != nil {
		t.Fatal(err)
	}
	died := make(chan struct{})
	go func() {
		defer close(died)
		defer ln.Close()
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 1024)
			n, _ := conn.Read(buf)
			conn.Close()
			if bytes.Contains(buf[:n], []byte(`"run"`)) {
				return
			}
		}
	}()
	t.Cleanup(func() { ln.Close() })
	return died
}

type ending struct {
	exit     int
	out, err string
}

// program runs sealsh or impctl without a terminal.
func program(t *testing.T, stdin string, env []string, name string, args ...string) ending {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, name), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Env = append([]string{"GODEBUG=http2debug=2", "COLUMNS=5"}, env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ending{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	home := []string{"--home", a.home}
	const unknown = "sealgate: error: unknown command nonsense\nsealgate: hint: help lists the commands\n"
	for _, c := range []struct {
		name    string
		program string
		args    []string
		env     []string
		stdin   string
		want    ending
	}{
		{name: "one command", args: []string{"-c", "version"}, want: ending{out: "test 1.0\n"}},
		{name: "an empty one", args: []string{"-c", ""}},
		{name: "blanks", args: []string{"-c", " \t "}},
		{name: "unknown", args: []string{"-c", "nonsense"}, want: ending{2, "", unknown}},
		{name: "separators are words", args: []string{"-c", "echo a;version && $(id) '|' `x` > /tmp/f"},
			want: ending{out: `RAN ["echo","a;version","\u0026\u0026","$(id)","|","` + "`x`" + `","\u003e","/tmp/f"]` + "\n"}},
		{name: "a question mark at the end", args: []string{"-c", "echo ?"}, want: ending{out: `RAN ["echo","?"]` + "\n"}},
		{name: "unclosed quote", args: []string{"-c", "echo 'a"},
			want: ending{2, "", "sealgate: error: the ' at column 6 is never closed\nsealgate: hint: close it, or write \\' for a plain one\n"}},
		{name: "newline", args: []string{"-c", "version\nversion"},
			want: ending{2, "", "sealgate: error: the line holds a line end at column 8\nsealgate: hint: run one command at a time\n"}},
		{name: "escape", args: []string{"-c", "echo \x1b[2J"},
			want: ending{2, "", "sealgate: error: the line holds a character that does not show (U+001B) at column 6\nsealgate: hint: type it again by hand: pasted text may hide such characters\n"}},
		{name: "hostile text", args: []string{"-c", "hostile"}, want: ending{0,
			`a\u001b[2Jb\u001b]52;c;Zm9v\u0007c\u009b31md\u202ee\u200bf\u000dg\u007fh` + "\ttab\n",
			`a\u001b[2Jb\u001b]52;c;Zm9v\u0007c\u009b31md\u202ee\u200bf\u000dg\u007fh` + "\ttab\n"}},
		{name: "progress is not for pipes", args: []string{"-c", "short"}, want: ending{out: "counted\n"}},
		{name: "a text without its line end", args: []string{"-c", "partial"}, want: ending{out: "no line end"}},
		{name: "secret from standard input", args: []string{"-c", "secret"}, stdin: "hunter2\nnext line\n", want: ending{out: "GOT 7\n"}},
		{name: "secret without its line end", args: []string{"-c", "secret"}, stdin: "hunter2", want: ending{out: "GOT 7\n"}},
		{name: "no secret", args: []string{"-c", "secret"},
			want: ending{1, "", "sealgate: error: no password: standard input ended before the answer\n"}},
		{name: "confirmation", args: []string{"-c", "confirm"}, stdin: "yes\n",
			want: ending{2, "", "sealgate: error: this needs an answer at a terminal\n"}},
		{name: "crash", args: []string{"-c", "crash"},
			want: ending{1, "", "sealgate: error: the command crashed; the appliance goes on\nsealgate: hint: the daemon's log holds the details\n"}},
		{name: "leave", args: []string{"-c", "exit"}, want: ending{exit: 7}},

		{name: "a script", stdin: "# a comment\n\nversion\r\n  # another\necho '#' x # y\nnonsense\nversion",
			want: ending{0, "test 1.0\n" + `RAN ["echo","#","x","#","y"]` + "\ntest 1.0\n", unknown}},
		{name: "the last status of a script", stdin: "version\nnonsense\n", want: ending{2, "test 1.0\n", unknown}},
		{name: "a script that leaves", stdin: "exit\nversion\n", want: ending{exit: 7}},
		{name: "a script with a secret", stdin: "secret\nhunter2\nversion\n", want: ending{out: "GOT 7\ntest 1.0\n"}},
		{name: "a script with a Tab and Ctrl-C", stdin: "vers\tion\nversion\x03\nversion\n",
			want: ending{0, "test 1.0\n", "sealgate: error: unknown command vers\nsealgate: hint: help lists the commands\n" +
				"sealgate: error: the line holds a character that does not show (U+0003) at column 8\nsealgate: hint: type it again by hand: pasted text may hide such characters\n"}},
		{name: "a line without end", stdin: strings.Repeat("x", 200000) + "\nversion\n",
			want: ending{0, "test 1.0\n", "sealgate: error: a line of standard input is too long\nsealgate: hint: at most 65536 bytes are allowed\n"}},

		{name: "forced command", env: []string{"SSH_ORIGINAL_COMMAND=echo 'a b'"}, want: ending{out: `RAN ["echo","a b"]` + "\n"}},
		{name: "forced through the login shell", args: []string{"-c", "/usr/bin/sealsh"}, env: []string{"SSH_ORIGINAL_COMMAND=version"},
			want: ending{out: "test 1.0\n"}},
		{name: "forced, no command", args: []string{"-c", "/usr/bin/sealsh"}, stdin: "version\n", want: ending{out: "test 1.0\n"}},
		{name: "a command beside the original one", args: []string{"-c", "version"}, env: []string{"SSH_ORIGINAL_COMMAND=nonsense"},
			want: ending{out: "test 1.0\n"}},
		{name: "sealsh in sealsh", args: []string{"-c", "sealsh -c version"},
			want: ending{2, "", "sealgate: error: sealsh does not start sealsh\nsealgate: hint: leave out the words before the command\n"}},
		{name: "unknown argument", args: []string{"-x\x1b"},
			want: ending{2, "", "sealgate: error: unknown argument \"-x\\u001b\"\nsealgate: hint: " + usage + "\n"}},
		{name: "version of the program", args: []string{"--version"}, want: ending{out: "sealsh dev\n"}},

		{name: "impctl", program: "impctl", args: []string{"server", "a b", "--home", "x"}, want: ending{out: `RAN ["impctl","server","a b","--home","x"]` + "\n"}},
		{name: "impctl alone", program: "impctl", want: ending{out: `RAN ["impctl"]` + "\n"}},
		{name: "impctl --version is a command", program: "impctl", args: []string{"--version"}, want: ending{out: `RAN ["impctl","--version"]` + "\n"}},
		{name: "impctl with a newline", program: "impctl", args: []string{"a\nb"},
			want: ending{2, "", "sealgate: error: the line holds a line end in a word\nsealgate: hint: run one command at a time\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := "sealsh"
			if c.program != "" {
				name = c.program
			}
			got := program(t, c.stdin, c.env, name, append(home[:2:2], c.args...)...)
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestNoDaemon(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	for _, args := range [][]string{{"sealsh", "-c", "version"}, {"impctl", "server", "status"}} {
		got := program(t, "", nil, args[0], append([]string{"--home", a.home}, args[1:]...)...)
		if got.exit != 1 || got.out != "" ||
			!strings.HasPrefix(got.err, "sealgate: error: the appliance does not answer: no daemon listens at "+a.home) ||
			!strings.Contains(got.err, "\nsealgate: hint: it may just be starting") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	listenAndDie(t, a)
	got := program(t, "", nil, "sealsh", "--home", a.home, "-c", "version")
	if got.exit != 1 || !strings.HasPrefix(got.err, "sealgate: error: the appliance stopped answering before the command ended\n") {
		t.Errorf("%+v", got)
	}
}

func TestOriginIsPassedOn(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	program(t, "", []string{"SSH_CONNECTION=192.0.2.1 5 192.0.2.2 22\x1b"}, "sealsh", "--home", a.home, "-c", "version")
	if r := a.lastRequest(); r.Origin != `192.0.2.1 5 192.0.2.2 22\u001b` || r.Terminal || r.Width != 0 {
		t.Errorf("%+v", r)
	}
}

func TestFullDiskUnderStandardOutput(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	cmd := exec.Command(filepath.Join(bin, "sealsh"), "--home", a.home, "-c", "version")
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = full, &errs
	cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(errs.String(), "standard output takes no more") {
		t.Errorf("exit status %d, %q", cmd.ProcessState.ExitCode(), errs.String())
	}
}

func TestSignalsCancel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		signal syscall.Signal
		exit   int
	}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}, {syscall.SIGHUP, 129}} {
		for _, script := range []bool{false, true} {
			t.Run(c.signal.String(), func(t *testing.T) {
				t.Parallel()
				a := startAppliance(t)
				cmd := exec.Command(filepath.Join(bin, "sealsh"), "--home", a.home, "-c", "slow")
				if script {
					cmd = exec.Command(filepath.Join(bin, "sealsh"), "--home", a.home)
					cmd.Stdin = strings.NewReader("slow\nversion\n")
				}
				var errs bytes.Buffer
				cmd.Stderr = &errs
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				want(t, a, `["slow"]`)
				cmd.Process.Signal(c.signal)
				cmd.Wait()
				if code := cmd.ProcessState.ExitCode(); code != c.exit {
					t.Errorf("exit status %d, want %d", code, c.exit)
				}
				if errs.String() != "sealgate: error: interrupted before the end\n" {
					t.Errorf("standard error %q", errs.String())
				}
				if got := <-a.cancelled; got != "slow" {
					t.Errorf("%s was cancelled", got)
				}
				want(t, a, `["slow"]`)
			})
		}
	}
}

func TestSignalWhileWaitingForALine(t *testing.T) {
	t.Parallel()
	a := startAppliance(t)
	cmd := exec.Command(filepath.Join(bin, "sealsh"), "--home", a.home)
	stdin, _ := cmd.StdinPipe()
	defer stdin.Close()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Write([]byte("version\n"))
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 143 {
		t.Errorf("exit status %d", code)
	}
}

// The shell knows no command and no appliance.
func TestImports(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "sealgate/cmd/sealsh", "sealgate/cmd/impctl").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		switch {
		case strings.HasPrefix(dep, "sealgate/cmd/"), dep == "sealgate/shell", dep == "sealgate/control",
			dep == "github.com/chzyer/readline", strings.HasPrefix(dep, "golang.org/x/sys/"):
		case strings.Contains(strings.SplitN(dep, "/", 2)[0], "."), strings.HasPrefix(dep, "sealgate/"),
			dep == "net/http", dep == "regexp", strings.HasPrefix(dep, "crypto/"):
			t.Errorf("the shell depends on %s", dep)
		}
	}
	if control.Version == "" {
		t.Error("no version")
	}
}

// A daemon that refuses without reading is heard.
func TestRefusedBeforeTheRequestIsRead(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	ln, err := net.Listen("unix", socketIn(a.home))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			const answer = `{"result":{"exit":1,"error":"full","hint":"later"}}`
			conn.Write(append([]byte{0, 0, 0, byte(len(answer))}, answer...))
			conn.Close()
		}
	}()
	for range 20 {
		got := program(t, "", nil, "sealsh", "--home", a.home, "-c", "version")
		if want := (ending{1, "", "sealgate: error: full\nsealgate: hint: later\n"}); got != want {
			t.Fatalf("%+v", got)
		}
	}
}
