package shell

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// filterText makes text from the daemon safe for a terminal: newline and tab
// pass, everything else that a terminal may obey or hide is written as \u001b
// is, which also keeps JSON valid and equal.
func filterText(s string) string {
	return filter(s, func(r rune) bool { return r != '\n' && r != '\t' && hidden(r) })
}

// filterLine is filterText for what must stay on one line.
func filterLine(s string) string { return filter(s, hidden) }

func filter(s string, bad func(rune) bool) string {
	at := firstBad(s, bad)
	if at < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for at >= 0 {
		b.WriteString(s[:at])
		r, size := utf8.DecodeRuneInString(s[at:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\u%04x`, s[at])
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[at+size:]
		at = firstBad(s, bad)
	}
	b.WriteString(s)
	return b.String()
}

func firstBad(s string, bad func(rune) bool) int {
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c < 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if bad(r) || r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// hidden says that r is a control, or draws nothing, or turns the text around
// it: C0, C1, DEL, bidi controls, zero-width and other format runes, line and
// paragraph separators.
func hidden(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0:
		return true
	case r < 0xa0:
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// columns is how many columns s takes at most.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0x7f {
			n++ // may be a wide one
		}
	}
	return n
}

// wide says that r takes two columns.
func wide(r rune) bool {
	return r > 0x7f && unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana)
}

// cut shortens s to at most n columns.
func cut(s string, n int) string {
	if columns(s) <= n {
		return s
	}
	const dots = "..."
	if n <= len(dots) {
		return dots[:max(n, 0)]
	}
	used := len(dots)
	for i, r := range s {
		used += columns(string(r))
		if used > n {
			return s[:i] + dots
		}
	}
	return s
}
