package shell

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"sealgate/control"
)

// completed is what Tab does to a line.
type completed struct {
	line    []rune
	pos     int
	changed bool
	choices []control.Candidate // more than one: what a second Tab lists
}

// complete puts what the candidates agree on in place of the word before pos.
// What follows the cursor stays, unless the completion says the same.
func complete(line []rune, pos int, candidates []control.Candidate) completed {
	cur := at(line, pos)
	candidates = usable(candidates)
	same := completed{line: line, pos: pos, choices: candidates}
	if len(candidates) == 0 {
		return same
	}
	value, final := candidates[0].Value, !candidates[0].Open
	if len(candidates) > 1 {
		value, final = commonPrefix(candidates), false
		if value == cur.last() || !strings.HasPrefix(value, cur.last()) {
			return same
		}
	}

	tail := line[pos:]
	rest, n := restOfWord(tail, cur.open)
	inside := n > 0 && !strings.HasSuffix(value[matching(value, cur.last()):], rest)
	if !inside {
		tail = tail[n:]
	}
	final = final && !inside
	closed := final || len(tail) > 0 && (!inside || cur.open == 0)
	text := []rune(quoteWord(value, cur.quote, closed))
	if final {
		text = append(text, ' ')
		if len(tail) > 0 {
			tail = tail[1:]
		}
	}
	out := append([]rune{}, line[:cur.start]...)
	out = append(out, text...)
	newPos := len(out)
	out = append(out, tail...)
	if string(out) == string(line) && newPos == pos {
		return same
	}
	return completed{line: out, pos: newPos, changed: true, choices: candidates}
}

// usable leaves out values that could not be typed.
func usable(candidates []control.Candidate) []control.Candidate {
	var ok []control.Candidate
	for _, c := range candidates {
		if checkWords([]string{c.Value}) == nil {
			ok = append(ok, c)
		}
	}
	return ok
}

func commonPrefix(candidates []control.Candidate) string {
	prefix := candidates[0].Value
	for _, c := range candidates[1:] {
		n := matching(prefix, c.Value)
		prefix = prefix[:n]
	}
	return prefix
}

// matching is the length of what a and b have in common at their start, in
// whole runes.
func matching(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) {
		r, size := utf8.DecodeRuneInString(a[n:])
		s, _ := utf8.DecodeRuneInString(b[n:])
		if r != s {
			break
		}
		n += size
	}
	return n
}

// restOfWord is what stands between the cursor and the end of its word, and how
// many characters that takes, a closing quote included.
func restOfWord(tail []rune, open rune) (rest string, n int) {
	for i, r := range tail {
		switch {
		case open != 0 && r == open:
			return string(tail[:i]), i + 1
		case open == 0 && blank(r):
			return string(tail[:i]), i
		}
	}
	return string(tail), len(tail)
}

// maxListed is how many candidates are listed; nobody reads more.
const maxListed = 100

// list shows the candidates: one a line where there are descriptions, else
// in columns.
func list(candidates []control.Candidate, width int) string {
	more := 0
	if len(candidates) > maxListed {
		candidates, more = candidates[:maxListed], len(candidates)-maxListed
	}
	widest, described := 0, false
	for _, c := range candidates {
		widest = max(widest, columns(c.Value))
		described = described || c.Help != ""
	}
	var b strings.Builder
	if described {
		left := min(widest, max(width/2, minWidth))
		for _, c := range candidates {
			value := filterLine(c.Value)
			line := value
			if c.Help != "" {
				line = pad(value, left) + "  " + filterLine(c.Help)
			}
			b.WriteString("  " + cut(line, max(width-3, columns(value))) + "\n")
		}
	} else {
		perLine := max(1, (width-1)/(widest+2))
		for i, c := range candidates {
			b.WriteString("  ")
			if (i+1)%perLine == 0 || i == len(candidates)-1 {
				b.WriteString(filterLine(c.Value) + "\n")
			} else {
				b.WriteString(pad(filterLine(c.Value), widest))
			}
		}
	}
	if more > 0 {
		fmt.Fprintf(&b, "  ... and %d more: type a few letters first\n", more)
	}
	return b.String()
}

func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-columns(s)))
}
