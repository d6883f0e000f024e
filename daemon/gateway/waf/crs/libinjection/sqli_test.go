package libinjection

import (
	"math/rand/v2"
	"strings"
	"testing"

	coraza "github.com/corazawaf/libinjection-go"
)

// Texts made at random from a fixed seed are judged as Coraza's library judges them. Each ends with a
// byte that is nowhere else in it, so that no part of it is its end as well.
func TestAnswersAreTheLibrarys(t *testing.T) {
	parts := []string{"'", "'", `"`, `"`, "`", `\`, `\'`, `\"`, "''", `""`, "1", "a", " ", ",", ";", "(", ")", "=", "+", "-- ", "#", "/*", "*/", " or ", " and ", " union select ",
		" from ", "@@", "n'", "u&'", "q'(", "x'0f'", "sleep(5)", "user()", "\n", "{", ":", "e'"}
	random := rand.New(rand.NewPCG(3, 5))
	found := 0
	for range 200_000 {
		var b strings.Builder
		for range 1 + random.IntN(14) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		b.WriteString("z")
		got, print := IsSQLi(b.String())
		want, printed := coraza.IsSQLi(b.String())
		if got != want || print != printed {
			t.Errorf("%q: %v %q, want %v %q", b.String(), got, print, want, printed)
		}
		if got {
			found++
		}
	}
	if found < 1000 {
		t.Errorf("%d attacks", found)
	}
}

// A quote at the end is escaped by the backslash before it, whatever the text has before.
func TestEscapedQuoteAtTheEnd(t *testing.T) {
	for text, closed := range map[string]bool{`'a`: false, `'a'`: true, `'a\'`: false, `'a\\'`: true, `'a''b\'`: false, `'a''b\\'`: true, `'a\'b\'`: false} {
		var s sqliState
		sqliInit(&s, text, 0)
		if s.tokenize(); (s.current.strClose != byteNull) != closed {
			t.Errorf("%s: closed %v, want %v", text, !closed, closed)
		}
	}
}
