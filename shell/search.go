package shell

import "strings"

// search is Ctrl-R: the newest line of the history that holds what is typed.
type search struct {
	pattern string
	found   int    // in the history; its length for the line that was there before
	line    []rune // that one
	pos     int
	prompt  string // of the editor
}

const searchPrompt = "search: "

func (e *editor) startSearch() {
	if len(e.past) == 0 {
		return
	}
	e.search = &search{found: len(e.past), line: e.buf.Runes(), pos: e.buf.Pos(), prompt: e.prompt}
	e.drawSearch()
}

// searching takes a key while a search is on, and says whether that is all.
func (e *editor) searching(k key) bool {
	s := e.search
	switch {
	case k.r == ctrlR:
		e.find(s.found-1, -1)
	case k.r == ctrlS:
		e.find(s.found+1, +1)
	case k.r == backspace || k.r == ctrlH:
		if r := []rune(s.pattern); len(r) > 0 {
			s.pattern = string(r[:len(r)-1])
			e.find(len(e.past)-1, -1)
		}
	case k.r == ctrlC || k.r == ctrlG:
		e.endSearch()
		e.buf.SetWithIdx(s.pos, s.line)
	case typeable(k.r) && len(s.pattern) < maxEdited:
		s.pattern += string(k.r)
		e.find(min(s.found, len(e.past)-1), -1)
	default: // any other key takes what was found, and acts on it
		e.endSearch()
		return false
	}
	return true
}

// find looks from i on, in steps.
func (e *editor) find(i, step int) {
	for ; i >= 0 && i < len(e.past); i += step {
		if strings.Contains(e.past[i], e.search.pattern) {
			e.search.found = i
			e.drawSearch()
			return
		}
	}
	e.bell()
	e.drawSearch()
}

// drawSearch shows the pattern in place of the prompt, and what was found.
func (e *editor) drawSearch() {
	s := e.search
	prompt := searchPrompt + cut(s.pattern, max(e.width()/2-len(searchPrompt), 1)) + ": "
	e.setPrompt(fitPrompt(prompt, e.width()))
	line, pos := s.line, s.pos
	if s.found < len(e.past) {
		line = []rune(e.past[s.found])
		if pos = strings.Index(e.past[s.found], s.pattern); pos >= 0 {
			pos = len([]rune(e.past[s.found][:pos]))
		} else {
			pos = len(line)
		}
	}
	e.buf.SetWithIdx(pos, line)
}

func (e *editor) endSearch() {
	if e.search.found < len(e.past) {
		e.at = e.search.found
	}
	prompt := e.search.prompt
	e.search = nil
	e.setPrompt(prompt)
	e.buf.Refresh(nil)
}
