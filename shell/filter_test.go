package shell

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFilter(t *testing.T) {
	for _, c := range []struct{ in, text, line string }{
		{"plain\ttext\n", "plain\ttext\n", `plain\u0009text\u000a`},
		{"\x1b[2J\r\x00\x7f", `\u001b[2J\u000d\u0000\u007f`, `\u001b[2J\u000d\u0000\u007f`},
		{"\u009b1m", `\u009b1m`, `\u009b1m`},
		{"\u202e\u2066\u200b\u200d\ufeff\u00ad\u2028", `\u202e\u2066\u200b\u200d\ufeff\u00ad\u2028`, `\u202e\u2066\u200b\u200d\ufeff\u00ad\u2028`},
		{"\U000e0041", `\udb40\udc41`, `\udb40\udc41`},
		{"a\xff\xc0b", `a\u00ff\u00c0b`, `a\u00ff\u00c0b`},
		{"für 日本 🙂 \ufffd", "für 日本 🙂 \ufffd", "für 日本 🙂 \ufffd"},
	} {
		if got := filterText(c.in); got != c.text {
			t.Errorf("filterText(%q) = %q, want %q", c.in, got, c.text)
		}
		if got := filterLine(c.in); got != c.line {
			t.Errorf("filterLine(%q) = %q, want %q", c.in, got, c.line)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"", "a\x1b[31m", "\u202e", "\xff", hostile, "\U000e0041"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := filterText(s)
		if !utf8.ValidString(out) || filterText(out) != out {
			t.Fatalf("%q became %q", s, out)
		}
		if strings.IndexFunc(filterLine(s), hidden) >= 0 {
			t.Fatalf("%q keeps something hidden", s)
		}
		// Inside JSON the escapes mean the same text.
		before, err := json.Marshal(s)
		if err != nil || !utf8.ValidString(s) {
			return
		}
		var after string
		if err := json.Unmarshal([]byte(filterText(string(before))), &after); err != nil || after != s {
			t.Fatalf("JSON %s: %q, %v", before, after, err)
		}
	})
}
