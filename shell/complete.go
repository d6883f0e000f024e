package shell

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sealgate/control"
)

// offer is what may stand under the cursor.
type offer struct {
	list   []control.Candidate
	more   int    // beyond those
	common string // where there are more: how all of them begin
}

// completed is what Tab does to a line.
type completed struct {
	line    []rune
	pos     int
	changed bool
	offer   offer // several: what a second Tab lists
}

// complete puts what the candidates agree on in place of the word before pos.
// What follows the cursor stays, unless the completion says the same.
func complete(line []rune, pos int, o offer) completed {
	cur := at(line, pos)
	o = o.usable()
	same := completed{line: line, pos: pos, offer: o}
	if len(o.list) == 0 {
		return same
	}
	value, final := o.list[0].Value, !o.list[0].Open
	if o.several() {
		value, final = o.prefix(), false
		if value == cur.last() || !strings.HasPrefix(value, cur.last()) {
			return same
		}
	}

	tail := line[pos:]
	rest, n := restOfWord(tail, cur.open)
	added := value[matching(value, cur.last()):]
	inside := n > 0 && !strings.HasSuffix(added, rest) && !strings.HasPrefix(added, rest)
	switch {
	case !inside:
		tail = tail[n:]
	case strings.HasPrefix(rest, added): // it stands there already
		tail = tail[utf8.RuneCountInString(added):]
	}
	final = final && !inside
	closed := final || len(tail) > 0 && (!inside || cur.open == 0)
	text := []rune(quoteWord(value, cur.quote, closed))
	if final {
		text = append(text, ' ')
		if len(tail) > 0 && blank(tail[0]) {
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
	return completed{line: out, pos: newPos, changed: true, offer: o}
}

func (o offer) several() bool { return len(o.list)+o.more > 1 }

// usable leaves out values that could not be typed.
func (o offer) usable() offer {
	o.list = slices.DeleteFunc(slices.Clone(o.list), func(c control.Candidate) bool {
		return checkWords([]string{c.Value}) != nil
	})
	if checkWords([]string{o.common}) != nil {
		o.common = ""
	}
	return o
}

// prefix is how all candidates begin.
func (o offer) prefix() string {
	if o.more > 0 {
		return o.common
	}
	prefix := o.list[0].Value
	for _, c := range o.list[1:] {
		prefix = prefix[:matching(prefix, c.Value)]
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
		case open == 0 && separates(r):
			return string(tail[:i]), i
		}
	}
	return string(tail), len(tail)
}

// maxListed is how many candidates are listed; nobody reads more.
const maxListed = 100

// text shows the candidates: one a line where there are descriptions, else
// in columns.
func (o offer) text(width int) string {
	candidates, more := o.list, o.more
	if over := len(candidates) - maxListed; over > 0 {
		candidates, more = candidates[:maxListed], more+over
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
