package shell

import (
	"context"
	"errors"
	"io"

	"github.com/chzyer/readline"
)

// editor edits one line. The buffer and its drawing are chzyer/readline's
// (v1.5.1); its loop is not used: that one lives in goroutines of its own, where
// a panic ends the process. Here every key is handled in the goroutine of
// readLine, so a panic costs the line and nothing else.
//
// What the buffer cannot take is kept from it: the width is always more than
// the prompt's, or the cursor's way home would never end.
type editor struct {
	next  func(context.Context) (key, error)
	out   io.Writer
	width func() int // of the terminal, now
	act   actions

	buf    *readline.RuneBuffer
	prompt string // as it is drawn

	past   []string
	at     int    // the line of past that is shown; len(past) is the one being typed
	draft  []rune // that one, while another is shown
	search *search
	tabs   int  // how many times Tab was pressed in a row
	helped bool // ? was answered on an empty line, and nothing typed since

	waiting bool // for a key: the line is drawn, and may be drawn again
}

// actions are the questions that a line raises before it is entered.
type actions struct {
	candidates func(Line) offer
	help       func(Line) string
	show       func(string) // text that may be longer than the screen
	failed     func()       // the editor crashed
}

const (
	maxEdited  = 4096 // characters: each key draws the whole line again, in quadratic time
	maxHistory = 500
	bell       = "\a"
)

var errLineLost = errors.New("the line editor failed")

func newEditor(next func(context.Context) (key, error), out io.Writer, width func() int, act actions) *editor {
	e := &editor{next: next, out: out, width: width, act: act}
	e.renew()
	return e
}

// plain draws the line as it is.
type plain struct{}

func (plain) Paint(line []rune, _ int) []rune { return line }

// renew makes an empty buffer. Its configuration is not initialised as the
// library would: that starts reading standard input.
func (e *editor) renew() {
	e.buf = readline.NewRuneBuffer(e.out, "", &readline.Config{Painter: plain{}, ForceUseInteractive: true}, defaultWidth)
}

// readLine asks for one line. The error is io.EOF at the end, or errInterrupt.
func (e *editor) readLine(ctx context.Context, prompt string) (string, error) {
	e.at, e.draft, e.search, e.tabs, e.helped = len(e.past), nil, nil, 0, false
	e.buf.Reset()
	e.setPrompt(fitPrompt(prompt, e.width()))
	e.buf.Refresh(nil)
	for {
		e.waiting = true
		k, err := e.next(ctx)
		e.waiting = false
		if err != nil {
			return "", io.EOF // what stands there was never entered
		}
		line, done, err := e.guarded(k)
		switch {
		case err == errLineLost:
			e.act.failed()
			e.renew()
			return "", errInterrupt
		case err != nil:
			return "", err
		case done:
			return line, nil
		}
	}
}

// guarded handles one key, whatever the buffer does.
func (e *editor) guarded(k key) (line string, done bool, err error) {
	defer func() {
		if recover() != nil {
			err = errLineLost
		}
	}()
	e.fitWidth()
	return e.press(k)
}

// remember puts a line, free of secrets, into the history.
func (e *editor) remember(line string) {
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

// setPrompt changes what stands before the line, with the next drawing.
func (e *editor) setPrompt(prompt string) {
	e.buf.Clean()
	e.prompt = prompt
	e.buf.SetPrompt(prompt)
	e.fitWidth()
}

// safeWidth keeps the width above the prompt's: with a prompt of one full line
// the buffer would look for the cursor for ever.
func (e *editor) safeWidth() int {
	return min(max(e.width(), minWidth, columns(e.prompt)+1), maxWidth)
}

// fitWidth follows a change of the window.
func (e *editor) fitWidth() { e.buf.OnWidthChange(e.safeWidth()) }

// press handles one key. done says that it entered the line.
func (e *editor) press(k key) (line string, done bool, err error) {
	tabs, helped := e.tabs, e.helped
	e.tabs, e.helped = 0, false
	if e.search != nil && e.searching(k) {
		return "", false, nil
	}
	switch k.r {
	case keyEnter:
		e.leave("")
		return string(e.buf.Reset()), true, nil
	case ctrlC:
		e.leave("^C")
		return "", false, errInterrupt
	case ctrlD:
		if e.buf.Len() == 0 {
			e.leave("^D")
			return "", false, io.EOF
		}
		e.buf.Delete()
	case keyTab:
		e.tabs = tabs + 1
		e.tab()
	case keyPaste:
		e.paste([]rune(k.paste))
	case '?':
		e.question()
	case ' ':
		if helped {
			// "? export-local", as older manuals have it: without its question mark
			// the line would run the command instead of explaining it.
			e.buf.WriteRune('?')
		}
		e.insert(' ')
	default:
		e.edit(k.r)
	}
	return "", false, nil
}

// leave ends the drawing of this line.
func (e *editor) leave(mark string) {
	e.buf.MoveToLineEnd()
	io.WriteString(e.out, mark+"\n")
}

// edit handles the keys that do one thing to the buffer.
func (e *editor) edit(r rune) {
	switch r {
	case ctrlA:
		e.buf.MoveToLineStart()
	case ctrlE:
		e.buf.MoveToLineEnd()
	case ctrlB:
		e.buf.MoveBackward()
	case ctrlF:
		e.buf.MoveForward()
	case keyWordLeft:
		e.buf.MoveToPrevWord()
	case keyWordRight:
		e.buf.MoveToNextWord()
	case ctrlP:
		e.recall(e.at - 1)
	case ctrlN:
		e.recall(e.at + 1)
	case ctrlH, backspace:
		e.buf.Backspace()
	case keyDelete:
		e.buf.Delete()
	case keyWordDelete:
		e.buf.DeleteWord()
	case keyWordRubout, ctrlW:
		e.rubout()
	case ctrlK:
		e.buf.Kill()
	case ctrlU:
		e.buf.KillFront()
	case ctrlY:
		e.yank()
	case ctrlL:
		readline.ClearScreen(e.out)
		e.buf.Refresh(nil)
	case ctrlR, ctrlS:
		e.startSearch()
	default:
		e.insert(r)
	}
}

// recall shows a line of the history. What is changed there is not kept: the
// history holds lines as they were saved, without secrets.
func (e *editor) recall(i int) {
	if i < 0 || i > len(e.past) {
		e.bell()
		return
	}
	if e.at == len(e.past) {
		e.draft = e.buf.Runes()
	}
	if e.at = i; i == len(e.past) {
		e.buf.Set(e.draft)
		return
	}
	e.buf.Set([]rune(e.past[i]))
}

func (e *editor) insert(r rune) {
	switch {
	case !typeable(r):
	case e.buf.Len() >= maxEdited:
		e.bell()
	default:
		e.buf.WriteRune(r)
	}
}

// yank puts back what was killed. Killing and yanking in turn would double the
// line each time.
func (e *editor) yank() {
	line, pos := e.buf.Runes(), e.buf.Pos()
	if e.buf.Yank(); e.buf.Len() > maxEdited {
		e.buf.SetWithIdx(pos, line)
		e.bell()
	}
}

func (e *editor) bell() { io.WriteString(e.out, bell) }

// rubout deletes the word before the cursor, up to a blank.
func (e *editor) rubout() {
	line, pos := e.buf.Runes(), e.buf.Pos()
	from := pos
	for from > 0 && blank(line[from-1]) {
		from--
	}
	for from > 0 && !blank(line[from-1]) {
		from--
	}
	e.buf.SetWithIdx(from, append(line[:from], line[pos:]...))
}

func (e *editor) paste(text []rune) {
	if string(text) == tooLongPaste || e.buf.Len()+len(text) > maxEdited {
		e.say("sealgate: error: the pasted text is too long for a line and was left out\n")
		return
	}
	e.buf.WriteRunes(text)
}

// tab completes at the first press and lists at the second.
func (e *editor) tab() {
	line, pos := e.buf.Runes(), e.buf.Pos()
	c := complete(line, pos, e.act.candidates(at(line, pos).line))
	switch {
	case c.changed:
		e.buf.SetWithIdx(c.pos, c.line)
	case e.tabs < 2 || !c.offer.several():
		e.bell()
	default:
		e.say(e.prompt + string(line) + "\n" + c.offer.text(e.safeWidth()))
	}
}

// question is a ? key: at the start of a word it asks for help.
func (e *editor) question() {
	line, pos := e.buf.Runes(), e.buf.Pos()
	cur := at(line, pos)
	if !cur.atWordStart() {
		e.insert('?')
		return
	}
	e.helped = len(line) == 0
	e.say(e.prompt + string(line[:pos]) + "?\n" + e.act.help(cur.line))
}

// say prints in place of the line, which is drawn again below.
func (e *editor) say(text string) {
	e.buf.Clean()
	e.act.show(text)
	e.buf.Refresh(nil)
}
