package shell

import (
	"context"
	"io"
	"sync"
	"time"

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
	console  *console
	std      Streams
	keys     *keyboard
	patience *patience
	editor   *editor
	prompt   string
	greeted  bool

	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	now    *running
	asking bool // a question waits for its answer
	ended  bool
	exit   int // with this status
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
	defer take(func() { io.WriteString(std.Out, pasteOff) })()
	defer endInOrder()
	io.WriteString(std.Out, pasteOn)
	stop := onSignal(s.signal)
	defer stop()
	spawn(func() { s.keys.pump(std.In, func() { s.signal(unix.SIGHUP) }) })

	s.patience = &patience{keys: s.keys.next, warn: s.warn, spent: func() { s.end(control.ExitDone) }}
	width := func() int { return terminalWidth(std.Out) }
	s.editor = newEditor(s.patience.next, std.Out, width, actions{s.candidates, s.help, s.paged, s.lineLost})
	return s.loop()
}

func (s *session) loop() int {
	if res := s.greet(true); res.Leave {
		return res.Exit & 0xff
	}
	for {
		text, err := s.editor.readLine(s.ctx, s.prompt)
		if exit, ended := s.over(); ended {
			return exit
		}
		if err == io.EOF {
			return control.ExitDone
		}
		if err != nil {
			continue // Ctrl-C: a new line
		}
		line, err := Split(text)
		if err != nil {
			s.console.fail(err)
			continue
		}
		if !s.greeted {
			if res := s.greet(line.empty()); res.Leave {
				return res.Exit & 0xff
			}
		}
		if line.empty() {
			continue
		}
		exit, leave := s.run(line)
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
	text, res, err := s.quickly(control.OpGreet, Line{})
	if err != nil {
		if aloud && s.ctx.Err() == nil {
			s.console.fail(err)
		}
		return control.Result{}
	}
	s.greeted = true
	s.patience.set(time.Duration(max(res.Idle, 0)) * time.Second)
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
func (s *session) run(line Line) (exit int, leave bool) {
	r := start(s.ctx, s.console, nil)
	r.pages = s.newPager()
	r.answer = func(ctx context.Context, q control.Question) (string, error) {
		s.keys.forget()
		s.ask(true)
		defer s.ask(false)
		return typist{s.patience.next, s.interrupt}.ask(ctx, s.console, q)
	}
	s.mu.Lock()
	s.now = r
	s.mu.Unlock()
	undo := s.keys.onInterrupt(func() bool { s.interrupt(); return true })
	res, err := r.run(s.dialer, s.request(control.OpRun, line))
	undo()
	r.pages.end()
	s.mu.Lock()
	s.now = nil
	s.mu.Unlock()
	exit = s.console.finish(res, err)
	if said := (Line{res.History, res.Filters}); len(said.Words) > 0 && said.check() == nil {
		s.editor.remember(Join(said))
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
	s.end(exitBySignal(sig))
}

// end ends the session, whatever it waits for.
func (s *session) end(exit int) {
	s.mu.Lock()
	if !s.ended {
		s.ended, s.exit = true, exit
	}
	s.mu.Unlock()
	s.cancel()
	s.keys.end()
}

func (s *session) over() (exit int, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exit, s.ended
}

// warn says something that nobody asked for.
func (s *session) warn(text string) {
	text = "sealgate: " + text + "\n"
	if s.editor.waiting {
		s.editor.say(text)
		return
	}
	s.console.note("\r\x1b[K" + text)
}

func (s *session) lineLost() {
	s.console.complain("the line editor failed, and this line is lost", "type it again in another way, or paste it")
}

// candidates answers Tab, help answers ?. A daemon that does not answer at
// once gives nothing: the line matters more.
func (s *session) candidates(line Line) offer {
	_, res, err := s.quickly(control.OpComplete, line)
	if err != nil {
		return offer{}
	}
	return offer{res.Candidates, max(res.More, 0), res.Common}
}

func (s *session) help(line Line) string {
	text, res, err := s.quickly(control.OpHelp, line)
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

func (s *session) quickly(op control.Op, line Line) (string, control.Result, error) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	// Ctrl-C gives up the answer, and then clears the line as ever.
	defer s.keys.onInterrupt(func() bool { cancel(); return false })()
	return s.quick(ctx, s.request(op, line))
}

func (s *session) request(op control.Op, line Line) control.Request {
	return control.Request{
		Op: op, Words: line.Words, Filters: line.Filters, Prompt: true, Terminal: true, Width: terminalWidth(s.std.Out),
	}
}
