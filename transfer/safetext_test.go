package transfer_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"sealgate/transfer"
)

func TestSafeText(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"230 Login successful.", "230 Login successful."},
		{"Grüße, 世界 🙂", "Grüße, 世界 🙂"},
		{"two\r\nlines\tand", "two  lines and"},
		{"\x1b]52;c;aGk=\x07", `\x1b]52;c;aGk=\x07`},
		{"\x1b[2J\x7f\x00", `\x1b[2J\x7f\x00`},
		{"\u009b31m", `\u009b31m`},
		{"\x9b31m\xff", `\x9b31m\xff`},
		{"a\u202etxt.exe\u2066", `a\u202etxt.exe\u2066`},
		{"pass\u200bword\u2060\ufeff", `pass\u200bword\u2060\ufeff`},
		{"\u2028\u2029\u00a0", `\u2028\u2029\u00a0`},
		{"\u034f\u115f\u3164\ufe0f\U000e0041", `\u034f\u115f\u3164\ufe0f\U000e0041`},
		{strings.Repeat("x", 400), strings.Repeat("x", 400)},
		{strings.Repeat("x", 401), strings.Repeat("x", 397) + "…"},
		{strings.Repeat("\x00", 401), strings.Repeat(`\x00`, 99) + "…"},
	} {
		if got := transfer.SafeText(test.text); got != test.want {
			t.Errorf("%q became %q, want %q", test.text, got, test.want)
		}
	}
}

func FuzzSafeText(f *testing.F) {
	f.Add("\x1b[31m\u202e\u200b\xff\n")
	f.Add(strings.Repeat("é\x80", 300))
	f.Fuzz(func(t *testing.T, text string) {
		got := transfer.SafeText(text)
		if len(got) > 400 || !utf8.ValidString(got) {
			t.Fatalf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
		for _, r := range got {
			if !unicode.IsPrint(r) || unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
				t.Fatalf("%q holds %U", got, r)
			}
		}
		if transfer.SafeText(got) != got {
			t.Fatalf("%q changes when it is made safe again", got)
		}
	})
}
