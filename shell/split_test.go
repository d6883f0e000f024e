package shell

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"", nil},
		{" \t ", nil},
		{"a  b\tc", []string{"a", "b", "c"}},
		{`'a b' "c d" e\ f`, []string{"a b", "c d", "e f"}},
		{`a"b c"'d e'f`, []string{"ab cd ef"}},
		{`'' "" x`, []string{"", "", "x"}},
		{`'\' '"' "'"`, []string{`\`, `"`, `'`}},
		{`"\"\\\x\'"`, []string{`"\\x\'`}},
		{`\a\\\'\"`, []string{`a\'"`}},
		{"a;b&c$d<e>f(g)`h`*~!#", []string{"a;b&c$d<e>f(g)`h`*~!#"}},
		{`'a|b' "|" \|`, []string{"a|b", "|", "|"}},
		{"für 日本 🙂", []string{"für", "日本", "🙂"}},
		{"--flag='a b' --x=\"y z\"", []string{"--flag=a b", "--x=y z"}},
	} {
		got, err := Split(c.line)
		if err != nil {
			t.Errorf("Split(%q): %v", c.line, err)
		} else if diff := cmp.Diff(Line{Words: c.want}, got); diff != "" {
			t.Errorf("Split(%q): %s", c.line, diff)
		}
	}
}

func TestSplitFilters(t *testing.T) {
	want := Line{[]string{"a", "x|y"}, [][]string{{"match", "b c"}, {"count"}}}
	for _, line := range []string{`a 'x|y' | match 'b c' | count`, `a x\|y|match "b c"|count`, "a\t\"x|y\"|\tmatch b\\ c |count  "} {
		got, err := Split(line)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Split(%q): %v %s", line, err, diff)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	for _, c := range []struct{ line, problem string }{
		{`echo "a`, `the " at column 6 is never closed`},
		{`a'`, `the ' at column 2 is never closed`},
		{`a \`, `the line ends in a backslash`},
		{`| count`, `nothing stands before the | at column 1`},
		{`status |`, `nothing stands behind the | at column 8`},
		{`ü || count`, `nothing stands behind the | at column 3`},
		{`a | 'b`, `the ' at column 5 is never closed`},
		{`"a\`, `the " at column 1 is never closed`},
		{"a\nb", `the line holds a line end at column 2`},
		{"a\rb", `the line holds a line end at column 2`},
		{"a\x00b", `the line holds a character that does not show (U+0000) at column 2`},
		{"ü\x1b", `the line holds a character that does not show (U+001B) at column 2`},
		{"a\x7f", `the line holds a character that does not show (U+007F) at column 2`},
		{"a\u009b", `the line holds a character that does not show (U+009B) at column 2`},
		{"a\u202eb", `the line holds a character that does not show (U+202E) at column 2`},
		{"a\u200bb", `the line holds a character that does not show (U+200B) at column 2`},
		{"\ufeffversion", `the line holds a character that does not show (U+FEFF) at column 1`},
		{"'a\tb'", `the line holds a character that does not show (U+0009) in a word`},
		{"a\xffb", `the line is not UTF-8: byte 0xff at column 2`},
		{strings.Repeat("x", MaxLine+1), `the line has 65537 bytes, at most 65536 are allowed`},
		{"x | " + strings.Repeat("x ", MaxWords), `the command has 257 words, at most 256 are allowed`},
		{strings.Repeat("x ", MaxWords+1), `the command has 257 words, at most 256 are allowed`},
	} {
		_, err := Split(c.line)
		e, ok := err.(*Error)
		if !ok || e.Problem != c.problem || e.Hint == "" || e.Exit != 2 {
			t.Errorf("Split(%.20q): %#v, want %q", c.line, err, c.problem)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{nil, ""},
		{[]string{"files", "list"}, "files list"},
		{[]string{"", "a b", "it's", `"`, `\`, `'"\`}, `'' 'a b' "it's" '"' '\' "'\"\\"`},
		{[]string{"--path=my file", "--pwd=", "--x=it's"}, `--path='my file' --pwd= --x="it's"`},
		{[]string{"?", "?x", "#x", "a?b", "http://h/?q"}, `? '?x' '#x' a?b http://h/?q`},
		{[]string{"$HOME", ";", "|"}, `$HOME ; '|'`},
	} {
		if got := Join(Line{Words: c.words}); got != c.want {
			t.Errorf("Join(%q) = %s, want %s", c.words, got, c.want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"", "a b", `'a b' "c\"d" e\ f`, "--x='a b'", "a\x00", "\u202e", `\`, `"`, "a\xff", "?", "#", "\t",
		"a | b", "a|b|c", "a || b", "|", `a '|' "|" \|`, "a 'b|c' | match 'd|e' | tail 3", "a|'", `--x="|"|y`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		l, err := Split(line)
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Exit != 2 || e.Hint == "" || filterLine(e.Problem+e.Hint) != e.Problem+e.Hint {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if len(l.Words) == 0 && len(l.Filters) > 0 {
			t.Fatalf("%q has filters and no command: %q", line, l.Filters)
		}
		if bars := strings.Count(line, "|"); len(l.Filters) > bars {
			t.Fatalf("%q has %d filters", line, len(l.Filters))
		}
		words := slices.Concat(append([][]string{l.Words}, l.Filters...)...)
		size := 0
		for _, w := range words {
			if size += len(w); filterLine(w) != w {
				t.Fatalf("word %q", w)
			}
		}
		if len(words) > MaxWords || size > len(line) {
			t.Fatalf("%d words of %d bytes from %d bytes", len(words), size, len(line))
		}
		for _, f := range l.Filters {
			if len(f) == 0 {
				t.Fatalf("%q has an empty filter", line)
			}
		}
		// The cursor at the end sees what Split sees.
		if cur := at([]rune(line), len([]rune(line))); !cur.inWord && len(words) > 0 {
			seen := *cur.words()
			*cur.words() = seen[:len(seen)-1]
			if !cmp.Equal(l, cur.line, cmpopts.EquateEmpty()) {
				t.Fatalf("%q splits into %q, and the cursor sees %q", line, l, cur.line)
			}
		}
		joined := Join(l)
		if len(joined) > MaxLine {
			return
		}
		again, err := Split(joined)
		if err != nil || !cmp.Equal(l, again) {
			t.Fatalf("%q joined as %q split as %q, %v", l, joined, again, err)
		}
	})
}
