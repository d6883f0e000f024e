package shell

import (
	"context"
	"io"
	"sync"

	"golang.org/x/sys/unix"

	"sealgate/control"
)

const (
	minimalPrompt = "sealgate> "
	pasteOn       = "\x1b[?2004h" // the terminal marks pasted text
	pasteOff      = "\x1b[?2004l"
)

// session is a person at the prompt.
type session struct {
	dialer
	console *console
	std     Streams
	keys    *keyboard
	editor  *editor
	prompt  string
	greeted bool

	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	now    *running
	asking bool // a question waits for its answer
	ended  int  // the exit status that a signal asks for
}

// interact reads and runs commands until the person leaves.
func interact(d dialer, con *console, std Streams) int {
	s := &session{dialer: d, console: con, std: std, keys: newKeyboard(), prompt: minimalPrompt}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer s.cancel()
	restore, err := rawMode(std.In)
	if err != nil {
		return con.fail(err)
	}
	// The keyboard's goroutine stays in its read for as long as the process
	// lives; the terminal is given back around it.
	defer restore()
	defer io.WriteString(std.Out, pasteOff)
	io.WriteString(std.Out, pasteOn)
	stop := onSignal(s.signal)
	defer stop()
	rescue := func() {
		if p := recover(); p != nil {
			io.WriteString(std.Out, pasteOff)
			restore()
			panic(p)
		}
	}
	go func() {
		defer rescue()
		s.keys.pump(std.In, func() { s.signal(unix.SIGHUP) })
	}()

	width := func() int { return terminalWidth(std.Out) }
	if s.editor, err = newEditor(s.keys, std.Out, width, rescue, actions{s.candidates, s.help}); err != nil {
		return con.fail(err)
	}
	return s.loop()
}

func (s *session) loop() int {
	if res := s.greet(true); res.Leave {
		return res.Exit & 0xff
	}
	for {
		line, err := s.editor.readLine(s.prompt)
		if exit, ended := s.over(); ended {
			return exit
		}
		if err == io.EOF {
			return control.ExitDone
		}
		if err != nil {
			continue // Ctrl-C: a new line
		}
		words, err := Split(line)
		if err != nil {
			s.console.fail(err)
			continue
		}
		if !s.greeted {
			if res := s.greet(len(words) == 0); res.Leave {
				return res.Exit & 0xff
			}
		}
		if len(words) == 0 {
			continue
		}
		exit, leave := s.run(words)
		if ended, yes := s.over(); yes {
			return ended
		}
		if leave {
			return exit
		}
	}
}

// greet asks for banner and prompt. A silent daemon is told of where nothing else
// would say so.
func (s *session) greet(aloud bool) control.Result {
	text, res, err := s.quickly(control.OpGreet, nil)
	if err != nil {
		if aloud && s.ctx.Err() == nil {
			s.console.fail(err)
		}
		return control.Result{}
	}
	s.greeted = true
	s.console.text(control.Out, text)
	s.console.finish(res, nil)
	s.take(res)
	return res
}

func (s *session) take(res control.Result) {
	if res.Prompt != "" {
		s.prompt = filterLine(res.Prompt)
	}
}

// run runs one command and says whether it ends the session.
func (s *session) run(words []string) (exit int, leave bool) {
	r := start(s.ctx, s.console, nil)
	r.answer = func(ctx context.Context, q control.Question) (string, error) {
		s.keys.forget()
		s.ask(true)
		defer s.ask(false)
		return typist{s.keys.next, s.interrupt}.ask(ctx, s.console, q)
	}
	s.mu.Lock()
	s.now = r
	s.mu.Unlock()
	undo := s.keys.onInterrupt(func() bool { s.interrupt(); return true })
	res, err := r.run(s.dialer, words, true, terminalWidth(s.std.Out))
	undo()
	s.mu.Lock()
	s.now = nil
	s.mu.Unlock()
	exit = s.console.finish(res, err)
	if len(res.History) > 0 && checkWords(res.History) == nil {
		s.editor.remember(Join(res.History))
	}
	s.take(res)
	return exit, err == nil && res.Leave
}

func (s *session) ask(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking = on
}

// interrupt is Ctrl-C while a command runs.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return
	}
	mark := "^C\n"
	if s.asking {
		mark = "^C" // the question ends its own line
	}
	s.console.note(mark)
	s.now.interrupt()
}

// signal ends the session, except SIGINT, which somebody sent instead of
// typing Ctrl-C.
func (s *session) signal(sig unix.Signal) {
	if sig == unix.SIGINT {
		s.interrupt()
		return
	}
	s.mu.Lock()
	if s.ended == 0 {
		s.ended = exitBySignal(sig)
	}
	s.mu.Unlock()
	s.cancel()
	s.keys.end()
}

func (s *session) over() (exit int, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended, s.ended != 0
}

// candidates answers Tab, help answers ?. A daemon that does not answer at
// once gives nothing: the line matters more.
func (s *session) candidates(words []string) []control.Candidate {
	_, res, err := s.quickly(control.OpComplete, words)
	if err != nil {
		return nil
	}
	return res.Candidates
}

func (s *session) help(words []string) string {
	text, res, err := s.quickly(control.OpHelp, words)
	switch {
	case err != nil:
		text = "sealgate: error: " + err.Error() + "\n"
	case res.Error != "":
		text += "sealgate: error: " + filterLine(res.Error) + "\n"
	}
	text = filterText(text)
	if text != "" && text[len(text)-1] != '\n' {
		text += "\n"
	}
	return text
}

func (s *session) quickly(op control.Op, words []string) (string, control.Result, error) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	// Ctrl-C gives up the answer, and then clears the line as ever.
	defer s.keys.onInterrupt(func() bool { cancel(); return false })()
	return s.quick(ctx, control.Request{
		Op: op, Words: words, Terminal: true, Width: terminalWidth(s.std.Out),
	})
}
