// Package transform holds the transformations that the core rules apply to
// values, each with the result that Coraza's has, and without an allocation
// where nothing changes. A fuzz test holds each to Coraza's.
package transform

import (
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// By are the transformations by their names in rules.
var By = map[string]func(string) string{
	"base64Decode":       base64Decode,
	"cmdLine":            cmdLine,
	"compressWhitespace": compressWhitespace,
	"cssDecode":          cssDecode,
	"escapeSeqDecode":    escapeSeqDecode,
	"htmlEntityDecode":   htmlEntityDecode,
	"jsDecode":           jsDecode,
	"length":             func(s string) string { return strconv.Itoa(len(s)) },
	"lowercase":          lowercase,
	"normalizePath":      normalizePath,
	"normalizePathWin":   normalizePathWin,
	"removeCommentsChar": removeCommentsChar,
	"removeNulls":        removeNulls,
	"removeWhitespace":   removeWhitespace,
	"replaceComments":    replaceComments,
	"urlDecodeUni":       urlDecodeUni,
	"utf8toUnicode":      utf8ToUnicode,
}

func htmlEntityDecode(s string) string {
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	return html.UnescapeString(s)
}

func removeNulls(s string) string {
	if strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\x00", "")
}

func lowercase(s string) string { return strings.ToLower(s) }

// removeWhitespace drops spaces of all scripts. Bytes that are no UTF-8 become U+FFFD where anything is dropped.
func removeWhitespace(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == utf8.RuneError }) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// utf8ToUnicode writes characters beyond ASCII as %uXXXX.
func utf8ToUnicode(s string) string {
	first := strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
	if first < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)+8), s[:first]...)
	for _, r := range s[first:] {
		if r < utf8.RuneSelf {
			out = append(out, byte(r))
			continue
		}
		digits := strconv.FormatUint(uint64(r), 16)
		out = append(out, "%u0000"[:max(2, 6-len(digits))]...)
		out = append(out, digits...)
	}
	return string(out)
}

func hex(b byte) (int, bool) {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0'), true
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10, true
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10, true
	}
	return 0, false
}

// digits reads up to n hexadecimal digits and says how many there were.
func digits(s string, n int) (value, read int) {
	for read < n && read < len(s) {
		d, ok := hex(s[read])
		if !ok {
			break
		}
		value, read = value<<4|d, read+1
	}
	return value, read
}

// urlDecodeUni decodes %XX, %uXXXX and +, and leaves what is no encoding.
func urlDecodeUni(s string) string {
	first := strings.IndexAny(s, "%+")
	if first < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:first]...)
	for i := first; i < len(s); {
		switch c := s[i]; {
		case c == '+':
			out = append(out, ' ')
			i++
			continue
		case c != '%':
			out = append(out, c)
			i++
			continue
		}
		if i+1 < len(s) && (s[i+1] == 'u' || s[i+1] == 'U') {
			code, n := digits(s[i+2:], 4)
			if n < 4 {
				out = append(out, s[i:i+2]...)
				i += 2
				continue
			}
			out = append(out, fit(rune(code)))
			i += 6
			continue
		}
		if code, n := digits(s[i+1:], 2); n == 2 {
			out = append(out, byte(code))
			i += 3
			continue
		}
		out = append(out, '%')
		i++
	}
	return string(out)
}

// fit is the byte that a character becomes.
func fit(r rune) byte {
	if b, ok := bestFit[r]; ok {
		return b
	}
	low := byte(r)
	if low > 0 && low < 0x5f && r>>8 == 0xff {
		low += 0x20 // a full-width form
	}
	return low
}

// escapes are what letters behind a backslash stand for.
var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

func octal(b byte) bool { return '0' <= b && b <= '7' }

func jsDecode(s string) string { return unescape(s, jsEscape) }

func escapeSeqDecode(s string) string { return unescape(s, cEscape) }

// unescape decodes with escape, which is given what is behind a backslash, and says
// how much of it makes a byte.
func unescape(s string, escape func(string) (byte, int)) string {
	first := strings.IndexByte(s, '\\')
	if first < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:first]...)
	for i := first; i < len(s); {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			i++
			continue
		}
		b, n := escape(s[i+1:])
		out = append(out, b)
		i += 1 + n
	}
	return string(out)
}

// jsEscape is an escape of JavaScript.
func jsEscape(s string) (byte, int) {
	switch {
	case s[0] == 'u' && len(s) > 1 && s[1] == '{':
		if code, n := digits(s[2:], 6); n > 0 && 2+n < len(s) && s[2+n] == '}' {
			b := byte(code)
			if code >= 0xff01 && code <= 0xff5e {
				b += 0x20
			}
			return b, n + 3
		}
	case s[0] == 'u':
		if code, n := digits(s[1:], 4); n == 4 {
			b := byte(code)
			if b > 0 && b < 0x5f && code>>8 == 0xff {
				b += 0x20
			}
			return b, 5
		}
	case s[0] == 'x':
		if code, n := digits(s[1:], 2); n == 2 {
			return byte(code), 3
		}
	case octal(s[0]):
		n := 1
		for n < 3 && n < len(s) && octal(s[n]) {
			n++
		}
		if n == 3 && s[0] > '3' {
			n = 2
		}
		code, _ := strconv.ParseUint(s[:n], 8, 8)
		return byte(code), n
	}
	if b, ok := escapes[s[0]]; ok {
		return b, 1
	}
	return s[0], 1
}

// cEscape is an escape of C.
func cEscape(s string) (byte, int) {
	if b, ok := escapes[s[0]]; ok {
		return b, 1
	}
	if code, read := digits(s[1:], 2); (s[0] == 'x' || s[0] == 'X') && read == 2 {
		return byte(code), 3
	}
	if !octal(s[0]) {
		return s[0], 1
	}
	n := 1
	for n < 3 && n < len(s) && octal(s[n]) {
		n++
	}
	code, _ := strconv.ParseUint(s[:n], 8, 16)
	return byte(code), n
}

func cssDecode(s string) string {
	first := strings.IndexByte(s, '\\')
	if first < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:first]...)
	for i := first; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i++; i == len(s) {
			break
		}
		code, n := digits(s[i:], 6)
		switch {
		case n > 0:
			r := rune(code)
			if r == 0 {
				r = utf8.RuneError
			}
			if r >= 0xff01 && r <= 0xff5e {
				r -= 0xfee0
			}
			out = utf8.AppendRune(out, r)
			i += n - 1
			if i+1 < len(s) && strings.IndexByte(" \f\n\t\r\v", s[i+1]) >= 0 {
				i++
			}
		case s[i] == '\n':
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}

// cmdLine undoes what shells overlook: quotes, carets and backslashes go,
// separators are one space and none before / or (, and letters are small.
func cmdLine(s string) string {
	first := strings.IndexFunc(s, func(r rune) bool { return 'A' <= r && r <= 'Z' || strings.ContainsRune("\"'\\^ ,;\t\r\n/(", r) })
	if first < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:first]...)
	space := false
	for i := first; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\'', '\\', '^':
		case ' ', ',', ';', '\t', '\r', '\n':
			if !space {
				out = append(out, ' ')
			}
			space = true
		case '/', '(':
			if space {
				out = out[:len(out)-1]
			}
			space = false
			out = append(out, c)
		default:
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			space = false
			out = append(out, c)
		}
	}
	return string(out)
}

func latinSpace(r rune) bool {
	switch r {
	case '\t', '\n', '\v', '\f', '\r', ' ', 0x85, 0xa0:
		return true
	}
	return false
}

func compressWhitespace(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return latinSpace(r) || r == utf8.RuneError }) < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	space := false
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if latinSpace(r) || s[i] == 0xa0 {
			if !space {
				out = append(out, ' ')
			}
			space = true
		} else {
			space = false
			out = append(out, s[i:i+size]...)
		}
		i += size
	}
	return string(out)
}

// replaceComments puts a space for each C comment, also for one that does not end.
func replaceComments(s string) string {
	if !strings.Contains(s, "/*") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "/*")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte(' ')
		if _, s, found = strings.Cut(rest, "*/"); !found {
			return b.String()
		}
	}
}

var commentMarks = []string{"/*", "*/", "<!--", "-->", "--", "#"}

func removeCommentsChar(s string) string {
	if !strings.ContainsAny(s, "/*-#<") {
		return s
	}
	out := make([]byte, 0, len(s))
next:
	for i := 0; i < len(s); {
		for _, mark := range commentMarks {
			if strings.HasPrefix(s[i:], mark) {
				i += len(mark)
				continue next
			}
		}
		out = append(out, s[i])
		i++
	}
	return string(out)
}

func normalizePath(s string) string {
	if s == "" {
		return s
	}
	clean := path.Clean(s)
	switch {
	case clean == ".":
		return ""
	case s[len(s)-1] == '/':
		return clean + "/"
	}
	return clean
}

// normalizePathWin is normalizePath for paths that Windows reads: backslashes
// are slashes, streams of the last component and trailing dots and spaces go.
func normalizePathWin(s string) string {
	if s == "" {
		return s
	}
	return withoutTrailing(withoutStream(normalizePath(strings.ReplaceAll(s, `\`, "/"))))
}

func withoutStream(s string) string {
	drive := ""
	if len(s) >= 2 && s[1] == ':' && ('a' <= s[0] && s[0] <= 'z' || 'A' <= s[0] && s[0] <= 'Z') {
		drive, s = s[:2], s[2:]
	}
	s, slashed := strings.CutSuffix(s, "/")
	last := s[strings.LastIndexByte(s, '/')+1:]
	if colon := strings.IndexByte(last, ':'); colon >= 0 {
		s = s[:len(s)-len(last)+colon]
	}
	if slashed {
		s += "/"
	}
	return drive + s
}

func withoutTrailing(s string) string {
	components := strings.Split(s, "/")
	kept, changed := components[:0:0], false
	for _, c := range components {
		if strings.Trim(c, ".") == "" {
			kept = append(kept, c)
			continue
		}
		trimmed := strings.TrimRight(c, ". ")
		changed = changed || trimmed != c
		if trimmed != "" {
			kept = append(kept, trimmed)
		}
	}
	if !changed {
		return s
	}
	return strings.Join(kept, "/")
}

// base64Decode decodes up to what is no base64.
func base64Decode(s string) string {
	if s == "" {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	bits, n := 0, 0
decode:
	for i := range len(s) {
		c := s[i]
		var v int
		switch {
		case c == '\r' || c == '\n':
			continue
		case 'A' <= c && c <= 'Z':
			v = int(c - 'A')
		case 'a' <= c && c <= 'z':
			v = int(c-'a') + 26
		case '0' <= c && c <= '9':
			v = int(c-'0') + 52
		case c == '+':
			v = 62
		case c == '/':
			v = 63
		default:
			break decode
		}
		bits, n = bits<<6|v, n+1
		if n == 4 {
			b.Write([]byte{byte(bits >> 16), byte(bits >> 8), byte(bits)})
			bits, n = 0, 0
		}
	}
	switch n {
	case 2:
		b.WriteByte(byte(bits >> 4))
	case 3:
		b.Write([]byte{byte(bits >> 10), byte(bits >> 2)})
	}
	return b.String()
}
