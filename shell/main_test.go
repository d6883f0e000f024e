package shell

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/control"
)

// The tests drive the real programs against a real control server, whose
// commands are the ones below.

var bin string // where sealsh and impctl are

func TestMain(m *testing.M) {
	if where := os.Getenv("SEAL_CRASH"); where != "" {
		crashing(where)
	}
	dir, err := os.MkdirTemp("", "sealsh")
	if err != nil {
		panic(err)
	}
	bin = dir
	build := exec.Command("go", "build", "-o", dir, "sealgate/cmd/sealsh", "sealgate/cmd/impctl")
	build.Stderr = os.Stderr
	if os.Getenv("GOFLAGS") == "" {
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "the programs do not build:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// appliance is a daemon in a test.
type appliance struct {
	home string
	stop context.CancelFunc
	idle int // seconds

	mu        sync.Mutex
	runs      []control.Request
	hung      chan struct{} // takes a value when Tab hangs
	cancelled chan string   // the first word of each command that was cancelled
}

func newAppliance(t testing.TB) *appliance {
	t.Helper()
	home, err := os.MkdirTemp("", "seal") // short: a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	os.Mkdir(filepath.Join(home, "run"), 0o755)
	return &appliance{home: home, hung: make(chan struct{}, 16), cancelled: make(chan string, 16), stop: func() {}}
}

func startAppliance(t testing.TB) *appliance {
	t.Helper()
	a := newAppliance(t)
	a.start(t)
	return a
}

func (a *appliance) start(t testing.TB) {
	t.Helper()
	path := socketIn(a.home)
	os.Remove(path)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	srv := control.Server{Handler: control.HandlerFunc(a.serve), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	done := make(chan struct{})
	go func() { srv.Serve(ctx, ln); close(done) }()
	a.stop = func() { cancel(); <-done }
	t.Cleanup(func() { a.stop() })
}

// ran is what the daemon was asked to run, a line for each command.
func (a *appliance) ran() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lines []string
	for _, r := range a.runs {
		b, _ := json.Marshal(r.Words)
		line := string(b)
		for _, f := range r.Filters {
			b, _ = json.Marshal(f)
			line += " | " + string(b)
		}
		lines = append(lines, line)
	}
	return lines
}

func (a *appliance) lastRequest() control.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.runs) == 0 {
		return control.Request{}
	}
	return a.runs[len(a.runs)-1]
}

const hostile = "a\x1b[2Jb\x1b]52;c;Zm9v\x07c\u009b31md\u202ee\u200bf\rg\x7fh\ttab\n"

func (a *appliance) serve(ctx context.Context, _ control.Peer, req control.Request, s *control.Session) control.Result {
	switch req.Op {
	case control.OpGreet:
		s.Text(control.Out, "Welcome to the test appliance\n")
		return control.Result{Prompt: "mx> ", Idle: a.idle}
	case control.OpComplete:
		if len(req.Filters) > 0 {
			return control.Result{Candidates: filterCompletions(req.Filters)}
		}
		if req.Words[0] == "many" {
			return many(req.Words[len(req.Words)-1])
		}
		if req.Words[0] == "hang" {
			a.hung <- struct{}{}
			<-ctx.Done()
		}
		return control.Result{Candidates: completions(req.Words)}
	case control.OpHelp:
		b, _ := json.Marshal(req.Words)
		s.Text(control.Out, "HELP "+string(b)+"\n")
		return control.Result{}
	}
	a.mu.Lock()
	a.runs = append(a.runs, req)
	a.mu.Unlock()
	res := a.command(ctx, req, s)
	if ctx.Err() != nil {
		a.cancelled <- req.Words[0]
	}
	return res
}

func (a *appliance) command(ctx context.Context, req control.Request, s *control.Session) control.Result {
	words := req.Words
	done := control.Result{History: words, Filters: req.Filters}
	interrupted := control.Result{Exit: control.ExitInterrupted, Error: "interrupted before the end", History: words}
	switch words[0] {
	case "version":
		s.Text(control.Out, "test 1.0\n")
	case "impctl", "echo":
		b, _ := json.Marshal(words)
		s.Text(control.Out, "RAN "+string(b)+"\n")
	case "lines":
		n, _ := strconv.Atoi(words[1])
		for i := range n {
			s.Text(control.Out, fmt.Sprintf("line %d\n", i+1))
		}
		s.Text(control.Err, "that was all\n")
	case "endless":
		for i := 0; ctx.Err() == nil; i++ {
			s.Text(control.Out, fmt.Sprintf("line %d\n", i+1))
		}
		return interrupted
	case "partial":
		s.Text(control.Out, "no line end")
	case "fail":
		return control.Result{Exit: control.ExitTransfer, Error: "cannot send\nto \x1b[31mhost", Hint: "try \u202eagain", History: words}
	case "slow":
		for i := int64(0); i < 1200; i++ {
			s.Progress(control.Progress{Label: "uploading", Unit: "B", Done: i << 20, Total: 1200 << 20})
			select {
			case <-ctx.Done():
				return interrupted
			case <-time.After(25 * time.Millisecond):
			}
		}
	case "short": // progress, then text
		for i := int64(0); i < 12; i++ {
			s.Progress(control.Progress{Label: "counting", Done: i, Total: 12})
			time.Sleep(25 * time.Millisecond)
		}
		s.Text(control.Out, "counted\n")
	case "stubborn":
		<-ctx.Done()
		s.Text(control.Err, "stubborn goes on\n")
		time.Sleep(3 * time.Second)
	case "secret":
		text, err := s.Ask(ctx, control.Question{Prompt: "Password: ", Secret: true})
		if err != nil {
			return control.Result{Exit: control.ExitFailed, Error: "no password: " + err.Error()}
		}
		s.Text(control.Out, fmt.Sprintf("GOT %d\n", len(text)))
		a.mu.Lock()
		a.runs = append(a.runs, control.Request{Words: []string{"answer", text}})
		a.mu.Unlock()
		return control.Result{History: []string{"secret", "--pwd", "-"}}
	case "confirm":
		text, err := s.Ask(ctx, control.Question{Prompt: "Are you sure? ", Confirm: true})
		if err != nil {
			return control.Result{Exit: control.ExitUsage, Error: err.Error()}
		}
		s.Text(control.Out, "ANSWER "+text+"\n")
	case "login":
		return control.Result{History: []string{"login", "***"}}
	case "hostile":
		s.Text(control.Out, hostile)
		s.Text(control.Err, hostile)
	case "crash":
		panic("on purpose")
	case "prompt":
		done.Prompt = words[1]
	case "exit":
		return control.Result{Leave: true, Exit: 7}
	default:
		return control.Result{Exit: control.ExitUsage, Error: "unknown command " + words[0], Hint: "help lists the commands", History: words}
	}
	return done
}

func filterCompletions(filters [][]string) []control.Candidate {
	last := filters[len(filters)-1]
	var some []control.Candidate
	for _, name := range []string{"match", "count"} {
		if len(last) == 1 && strings.HasPrefix(name, last[0]) {
			some = append(some, control.Candidate{Value: name})
		}
	}
	return some
}

// many are ten thousand candidates, of which the first hundred are told.
func many(partial string) control.Result {
	res := control.Result{Common: "dump_0", More: 9_900}
	for i := range 100 {
		res.Candidates = append(res.Candidates, control.Candidate{Value: fmt.Sprintf("dump_0%04d", i), Help: "a dump"})
	}
	if !strings.HasPrefix(res.Common, partial) {
		return control.Result{}
	}
	return res
}

func completions(words []string) []control.Candidate {
	last := words[len(words)-1]
	all := []control.Candidate{
		{Value: "echo", Help: "says its words"}, {Value: "export-local", Help: "into the folder"},
		{Value: "export-remote", Help: "to a server"}, {Value: "version"},
	}
	if len(words) > 1 {
		all = []control.Candidate{
			{Value: "my file"}, {Value: "my folder/", Open: true}, {Value: "it's"}, {Value: "--pwd=", Open: true},
			{Value: "--mode=active"}, {Value: "--mode=so so"}, {Value: "plain"}, {Value: "evil\x1b[2J"}, {Value: "evil\nversion"},
		}
	}
	var some []control.Candidate
	for _, c := range all {
		if strings.HasPrefix(c.Value, last) {
			some = append(some, c)
		}
	}
	return some
}
