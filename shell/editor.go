package shell

import (
	"io"
	"sync"

	"github.com/chzyer/readline"

	"sealgate/control"
)

// editor is the line editor: chzyer/readline, kept away from what makes it
// crash, hang or leak (v1.5.1). It runs in goroutines of its own, where a panic
// ends the process, so:
//
//   - it reads only what [decoder] lets through, no escape sequence but three;
//   - it never draws candidates: Tab, ?, Delete, Ctrl-W and paste act here, on the
//     line, and the editor sees a key that does nothing (Ctrl-G);
//   - its width is always more than the prompt's: the cursor's way home never
//     ends otherwise;
//   - its history is built anew for every line, because a line that was
//     changed after Up is kept as typed, whatever is saved, secrets included;
//   - search needs a history.
type editor struct {
	rl   *readline.Instance
	keys *keyboard
	act  actions

	width     func() int // of the terminal, now
	rescue    func()     // deferred where the editor's goroutine runs our code
	resized   func()     // the editor's own reaction
	lastWidth int

	mu     sync.Mutex // the editor's goroutine and the session's touch what follows
	prompt string
	past   []string
	line   []rune
	pos    int

	// Of the editor's goroutine alone: what the key at hand does.
	action func(line []rune, pos int) ([]rune, int, bool)
	tabs   int  // how many times Tab was pressed in a row
	helped bool // ? was answered on an empty line, and nothing typed since
}

// actions are the questions that a line raises before it is entered.
type actions struct {
	candidates func(words []string) []control.Candidate
	help       func(words []string) string
}

// maxEdited is in characters: each key draws the whole line again.
const maxEdited = 8192

const maxHistory = 500

func newEditor(keys *keyboard, out io.Writer, width func() int, rescue func(), act actions) (*editor, error) {
	e := &editor{keys: keys, act: act, width: width, rescue: rescue}
	rl, err := readline.NewEx(&readline.Config{
		Stdin:                  keys,
		Stdout:                 out,
		Stderr:                 out,
		HistoryLimit:           maxHistory + 2,
		DisableAutoSaveHistory: true,
		AutoComplete:           nothing{},
		Listener:               e,
		FuncFilterInputRune:    e.filter,
		FuncGetWidth:           e.safeWidth,
		FuncOnWidthChanged:     func(f func()) { e.resized = f },
		FuncIsTerminal:         func() bool { return true },
		FuncMakeRaw:            func() error { return nil }, // the session's, for its whole life
		FuncExitRaw:            func() error { return nil },
		InterruptPrompt:        "^C",
		EOFPrompt:              "^D",
	})
	if err != nil {
		return nil, err
	}
	e.rl = rl
	return e, nil
}

// nothing is the editor's own completion, which is not used.
type nothing struct{}

func (nothing) Do([]rune, int) ([][]rune, int) { return nil, 0 }

// readLine asks for one line. The error is io.EOF at the end, or
// readline.ErrInterrupt.
func (e *editor) readLine(prompt string) (string, error) {
	e.mu.Lock()
	e.prompt = fitPrompt(prompt, e.width())
	e.rl.SetPrompt(e.prompt)
	e.rl.ResetHistory()
	for _, line := range e.past {
		e.rl.SaveHistory(line)
	}
	e.mu.Unlock()
	e.fitWidth()

	e.keys.edit(true)
	line, err := e.rl.Readline()
	e.keys.edit(false)
	if e.keys.cutOff() {
		return "", io.EOF // what stood there was never entered
	}
	return line, err
}

// remember puts a line, free of secrets, into the history.
func (e *editor) remember(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.past); line == "" || n > 0 && e.past[n-1] == line {
		return
	}
	e.past = append(e.past, line)
	if over := len(e.past) - maxHistory; over > 0 {
		e.past = append(e.past[:0], e.past[over:]...)
	}
}

const shortPrompt = "> "

// fitPrompt leaves room to type.
func fitPrompt(prompt string, width int) string {
	if columns(prompt) > width-minWidth/2 {
		return shortPrompt
	}
	return prompt
}

// safeWidth keeps the width above the prompt's: with a prompt of one full line
// the editor would look for the cursor for ever.
func (e *editor) safeWidth() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return min(max(e.width(), minWidth, columns(e.prompt)+1), maxWidth)
}

// fitWidth follows a change of the window. The editor would do it in a third
// goroutine, in the middle of drawing.
func (e *editor) fitWidth() {
	if w := e.safeWidth(); w != e.lastWidth {
		e.lastWidth = w
		e.resized()
	}
}

// filter sees each key before the editor. What it does not leave to the editor
// becomes an action, done in OnChange.
func (e *editor) filter(r rune) (rune, bool) {
	defer e.rescue()
	e.fitWidth()
	e.action = nil
	e.mu.Lock()
	line, pos, empty := e.line, e.pos, len(e.past) == 0
	e.mu.Unlock()
	searching := e.rl.Operation.IsSearchMode()
	tabs, helped := e.tabs, e.helped
	e.tabs, e.helped = 0, false

	switch {
	case r == 0: // the end
		return r, true
	case r == keyPaste:
		text := []rune(e.keys.takePaste())
		e.action = func(line []rune, pos int) ([]rune, int, bool) { return e.paste(line, pos, text) }
	case r == keyDelete:
		e.action = deleteUnder
	case searching:
		return r, true
	case r == keyTab:
		e.tabs = tabs + 1
		e.action = e.tab
	case r == '?' && at(line, pos).atWordStart():
		e.helped = len(line) == 0
		e.action = e.help
	case r == ' ' && helped:
		// "? export-local", as older manuals have it: without its question mark
		// the line would run the command instead of explaining it.
		e.action = func([]rune, int) ([]rune, int, bool) { return []rune("? "), 2, true }
	case r == ctrlW || r == readline.MetaBackspace:
		e.action = rubout // the editor's own takes what follows the cursor, too
	case (r == ctrlR || r == ctrlS) && empty:
		e.action = none
	case r >= ' ' && r != backspace && len(line) >= maxEdited:
		e.action = e.bell
	default:
		return r, true
	}
	return ctrlG, true
}

// OnChange is called by the editor when a key is done, with the line as it is.
func (e *editor) OnChange(line []rune, pos int, _ rune) ([]rune, int, bool) {
	defer e.rescue()
	if e.action == nil {
		e.note(line, pos)
		return nil, 0, false
	}
	line, pos, changed := e.action(line, pos)
	e.action = nil
	e.note(line, pos)
	return line, pos, changed
}

func (e *editor) note(line []rune, pos int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.line, e.pos = append([]rune{}, line...), pos
}

func none(line []rune, pos int) ([]rune, int, bool) { return line, pos, false }

func (e *editor) bell(line []rune, pos int) ([]rune, int, bool) {
	e.rl.Terminal.Bell()
	return line, pos, false
}

func deleteUnder(line []rune, pos int) ([]rune, int, bool) {
	if pos >= len(line) {
		return line, pos, false
	}
	return append(line[:pos], line[pos+1:]...), pos, true
}

// rubout deletes the word before the cursor, up to a blank.
func rubout(line []rune, pos int) ([]rune, int, bool) {
	from := pos
	for from > 0 && blank(line[from-1]) {
		from--
	}
	for from > 0 && !blank(line[from-1]) {
		from--
	}
	return append(line[:from], line[pos:]...), from, from < pos
}

func (e *editor) paste(line []rune, pos int, text []rune) ([]rune, int, bool) {
	if string(text) == tooLongPaste || len(line)+len(text) > maxEdited {
		e.show("sealgate: error: the pasted text is too long for a line and was left out\n")
		return line, pos, false
	}
	out := append([]rune{}, line[:pos]...)
	out = append(out, text...)
	return append(out, line[pos:]...), pos + len(text), true
}

// tab completes at the first press and lists at the second.
func (e *editor) tab(line []rune, pos int) ([]rune, int, bool) {
	c := complete(line, pos, e.act.candidates(at(line, pos).words))
	switch {
	case c.changed:
		return c.line, c.pos, true
	case e.tabs < 2 || len(c.choices) < 2:
		return e.bell(line, pos)
	}
	e.show(e.prompt + string(line) + "\n" + list(c.choices, e.safeWidth()))
	return line, pos, false
}

func (e *editor) help(line []rune, pos int) ([]rune, int, bool) {
	e.show(e.prompt + string(line[:pos]) + "?\n" + e.act.help(at(line, pos).words))
	return line, pos, false
}

// show prints in place of the line, which the editor draws again below.
func (e *editor) show(text string) {
	io.WriteString(e.rl.Stdout(), text)
}
