package shell

import (
	"bytes"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// key is one press: a printable rune, one of the control codes below, or a
// special key. A paste is one key, so that nothing in it can act.
type key struct {
	r     rune
	paste string // for keyPaste
}

// Control codes that mean something to the shell. Everything else below the
// space is dropped where it comes in: Ctrl-Z would stop the parent too, NUL reads
// as an end of file, and Ctrl-T makes the line editor crash on a line of one
// character.
const (
	ctrlA     = 1
	ctrlB     = 2
	ctrlC     = 3
	ctrlD     = 4
	ctrlE     = 5
	ctrlF     = 6
	ctrlG     = 7
	ctrlH     = 8
	keyTab    = 9
	keyLF     = 10
	ctrlK     = 11
	ctrlL     = 12
	keyEnter  = 13
	ctrlN     = 14
	ctrlP     = 16
	ctrlR     = 18
	ctrlS     = 19
	ctrlU     = 21
	ctrlW     = 23
	ctrlY     = 25
	keyEsc    = 27
	backspace = 127
)

const usefulControls = 1<<ctrlA | 1<<ctrlB | 1<<ctrlC | 1<<ctrlD | 1<<ctrlE | 1<<ctrlF | 1<<ctrlG | 1<<ctrlH |
	1<<keyTab | 1<<keyLF | 1<<ctrlK | 1<<ctrlL | 1<<keyEnter | 1<<ctrlN | 1<<ctrlP | 1<<ctrlR | 1<<ctrlS |
	1<<ctrlU | 1<<ctrlW | 1<<ctrlY

// Special keys are private-use runes; the same runes from a keyboard are
// dropped.
const (
	keyDelete rune = 0xf700 + iota
	keyPaste
	keyWordLeft
	keyWordRight
	keyWordDelete
	keyWordRubout
)

const (
	maxPaste = MaxLine
	// escWait is after how long an escape is the key and not the start of a
	// sequence. A network may well stand still in the midst of a paste, and what comes
	// after it must not act: only a person's Ctrl-C, pasteWait after the last byte, ends
	// a paste that has no end.
	escWait   = 500 * time.Millisecond
	pasteWait = 2 * time.Second
)

// decoder turns the bytes of a terminal into keys. It is the only place where
// escape sequences are read: known keys come out as themselves, the rest not
// at all.
type decoder struct {
	state decoderState
	seq   []byte // parameters of a sequence, bytes of a rune
	paste []byte
	over  bool // the paste is too long to keep
	last  time.Time
}

type decoderState uint8

const (
	ground decoderState = iota
	inRune
	afterEsc
	inCSI
	inSS3
	inString // OSC, DCS and their kind: a terminal's answers, dropped
	afterBracket
	inPaste
)

// feed takes one byte that arrived at now and returns the keys it completes.
func (d *decoder) feed(c byte, now time.Time) []key {
	silence := now.Sub(d.last)
	d.last = now
	switch {
	case d.state == inPaste && c == ctrlC && silence > pasteWait:
		d.endPaste()
	case d.state != ground && d.state != inRune && d.state != inPaste && silence > escWait:
		d.reset()
	}
	if d.state == inPaste {
		return d.feedPaste(c)
	}
	if c < ' ' || c == 0x7f && d.state != afterEsc {
		return d.control(c)
	}
	switch d.state {
	case ground, inRune:
		return d.text(c)
	case afterEsc:
		return d.escape(c)
	case inCSI:
		return d.csi(c)
	case inSS3:
		d.reset()
		return cursorKey(c, nil)
	case afterBracket: // the Linux console's F1 to F5
		d.reset()
	case inString: // until a control ends it
	}
	return nil
}

func (d *decoder) reset() { d.state, d.seq = ground, d.seq[:0] }

// control ends whatever sequence stands open: Ctrl-C always works.
func (d *decoder) control(c byte) []key {
	d.reset()
	switch {
	case c == keyEsc:
		d.state = afterEsc
	case c == keyLF:
		return []key{{r: keyEnter}}
	case c == backspace, c < ' ' && usefulControls&(1<<c) != 0:
		return []key{{r: rune(c)}}
	}
	return nil
}

func (d *decoder) text(c byte) []key {
	if d.state == inRune && !continuation(c) {
		d.reset() // the rune before is broken
	}
	if c < utf8.RuneSelf {
		return []key{{r: rune(c)}}
	}
	d.state = inRune
	d.seq = append(d.seq, c)
	if !utf8.FullRune(d.seq) {
		return nil
	}
	r, _ := utf8.DecodeRune(d.seq)
	d.reset()
	if !typeable(r) {
		return nil
	}
	return []key{{r: r}}
}

func continuation(c byte) bool { return c&0xc0 == 0x80 }

func typeable(r rune) bool {
	return r != utf8.RuneError && !hidden(r) && !unicode.Is(unicode.Co, r)
}

func (d *decoder) escape(c byte) []key {
	d.reset()
	switch c {
	case '[':
		d.state = inCSI
	case 'O':
		d.state = inSS3
	case ']', 'P', 'X', '^', '_':
		d.state = inString
	case 'b':
		return []key{{r: keyWordLeft}}
	case 'f':
		return []key{{r: keyWordRight}}
	case 'd':
		return []key{{r: keyWordDelete}}
	case backspace:
		return []key{{r: keyWordRubout}}
	}
	return nil
}

const maxSequence = 32

func (d *decoder) csi(c byte) []key {
	if c < 0x40 || c > 0x7e {
		if len(d.seq) < maxSequence {
			d.seq = append(d.seq, c)
		}
		return nil
	}
	params := strings.Split(string(d.seq), ";")
	d.reset()
	switch {
	case c == '[' && params[0] == "":
		d.state = afterBracket
		return nil
	case c != '~':
		return cursorKey(c, params)
	}
	switch params[0] {
	case "1", "7":
		return []key{{r: ctrlA}}
	case "4", "8":
		return []key{{r: ctrlE}}
	case "3":
		return []key{{r: keyDelete}}
	case "200":
		d.state = inPaste
	}
	return nil
}

// cursorKey is what ends in a letter: arrows, Home and End. With Ctrl or Alt the
// arrows move by words.
func cursorKey(c byte, params []string) []key {
	byWord := len(params) > 1 && (params[1] == "5" || params[1] == "3")
	var r rune
	switch c {
	case 'A':
		r = ctrlP
	case 'B':
		r = ctrlN
	case 'C':
		if r = ctrlF; byWord {
			r = keyWordRight
		}
	case 'D':
		if r = ctrlB; byWord {
			r = keyWordLeft
		}
	case 'H':
		r = ctrlA
	case 'F':
		r = ctrlE
	default:
		return nil
	}
	return []key{{r: r}}
}

const pasteEnd = "\x1b[201~"

func (d *decoder) feedPaste(c byte) []key {
	if len(d.paste) >= maxPaste { // keep what is needed to see the end
		d.over = true
		d.paste = append(d.paste[:0], d.paste[len(d.paste)-len(pasteEnd):]...)
	}
	d.paste = append(d.paste, c)
	if !bytes.HasSuffix(d.paste, []byte(pasteEnd)) {
		return nil
	}
	d.paste = d.paste[:len(d.paste)-len(pasteEnd)]
	return d.endPaste()
}

// tooLongPaste stands for a paste that was not kept: half a command would be
// worse than none. No real paste holds a newline.
const tooLongPaste = "\n"

func (d *decoder) endPaste() []key {
	text := cleanPaste(string(d.paste))
	if d.over {
		text = tooLongPaste
	}
	d.paste, d.over = d.paste[:0], false
	d.reset()
	return []key{{r: keyPaste, paste: text}}
}

// cleanPaste drops what may not be typed. A line end inside becomes a space, so
// a pasted script is one line to look at and not a row of commands that run.
func cleanPaste(s string) string {
	s = strings.TrimRight(s, "\r\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !typeable(r):
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}
