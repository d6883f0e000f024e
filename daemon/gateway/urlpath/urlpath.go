// Package urlpath says which path a request's target names, so that whoever compares
// paths compares the same ones. Servers do not agree on that: what one takes for a
// letter, a slash or a parameter another one does not. Canonical is the reading of the
// server that decodes, merges and drops the most; Ambiguous says of which targets
// others have another reading that could matter.
//
// Nothing here changes what a server is sent.
package urlpath

import (
	"strings"
	"unicode/utf8"
)

// Canonical is the path of a target in origin form: percent-decoded once, a backslash
// for a slash, slashes merged, dot segments resolved, and parameters of segments
// (;jsessionid=1) dropped. A percent sign and a question mark that are part of the path
// stay encoded, so that a canonical path is its own.
func Canonical(target string) string {
	path, _, _ := strings.Cut(target, "?")
	if path == "*" || plain(path) {
		return path
	}
	names := strings.Split(decode(path), "/")
	kept, last := names[:0], ""
	for _, name := range names {
		last, _, _ = strings.Cut(name, ";")
		switch last {
		case "", ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, last)
		}
	}
	canonical := "/" + strings.Join(kept, "/")
	if len(kept) > 0 && (last == "" || last == "." || last == "..") {
		canonical += "/"
	}
	return canonical
}

// Prefix is what canonical paths begin with that have the prefix: its last segment need
// not be a whole one. The empty prefix is that of all.
func Prefix(prefix string) string {
	if prefix == "" {
		return ""
	}
	path := decode(strings.ReplaceAll(prefix, "?", "%3F"))
	at := strings.LastIndexByte(path, '/') + 1
	begun, _, _ := strings.Cut(path[at:], ";")
	return Canonical(path[:at]) + begun
}

// Ambiguous says whether servers read different paths of a target: it has an escape that
// is none, or one of a slash, backslash, percent sign or control character, a backslash,
// a fragment, a segment that leads up, or bytes that are no UTF-8, or begins with two
// slashes, behind which some look for an authority.
func Ambiguous(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	if plain(path) {
		return false
	}
	if strings.HasPrefix(path, "//") {
		return true
	}
	for i := 0; i < len(path); i++ {
		c, escaped := path[i], false
		if c == '%' {
			if c, escaped = escape(path[i:]); !escaped {
				return true
			}
			i += 2
		}
		if c < ' ' || c == 0x7f || c == '\\' || escaped && (c == '/' || c == '%') || !escaped && c == '#' {
			return true
		}
	}
	path = decode(path)
	if !utf8.ValidString(path) {
		return true
	}
	for name := range strings.SplitSeq(path, "/") {
		if name, _, _ = strings.Cut(name, ";"); name == ".." {
			return true
		}
	}
	return false
}

// plain says of most paths that there is but one reading, and that they are canonical.
func plain(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c < ' ' || c >= 0x7f || c == '%' || c == ';' || c == '\\' || c == '#':
			return false
		case (c == '/' || c == '.') && i > 0 && path[i-1] == '/':
			return false
		}
	}
	return true
}

// decode undoes percent-encoding, once.
func decode(path string) string {
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if decoded, ok := escape(path[i:]); ok {
				c = decoded
				i += 2
			}
		}
		switch c {
		case '%':
			b.WriteString("%25")
		case '?':
			b.WriteString("%3F")
		case '\\':
			b.WriteByte('/')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escape is the byte that the escape stands for that s begins with.
func escape(s string) (c byte, ok bool) {
	if len(s) < 3 {
		return '%', false
	}
	high, ok := digit(s[1])
	low, ok2 := digit(s[2])
	if !ok || !ok2 {
		return '%', false
	}
	return high<<4 | low, true
}

func digit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
