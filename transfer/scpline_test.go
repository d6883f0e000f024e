package transfer

import (
	"bufio"
	"strings"
	"testing"
)

func FuzzSCPLine(f *testing.F) {
	for _, line := range []string{"0644 10 name\n", "0644 10 \n", "0644 -1 x\n", "0644 99999999999999999999 x\n", "x y z\n", "", strings.Repeat("x", maxSCPLine+1)} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line, err := scpLine(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		if len(line) > maxSCPLine || strings.Contains(line, "\n") {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
		if size, err := scpSize(line); err == nil && size < 0 {
			t.Errorf("%q has size %d", line, size)
		}
	})
}

// A name stays one word, whatever it holds.
func FuzzQuoted(f *testing.F) {
	for _, name := range []string{"plain", "it's", "''", "$(x)", "\\'"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		var word strings.Builder
		inside := false
		for text := quoted(name); text != ""; {
			switch {
			case text[0] == '\'':
				inside, text = !inside, text[1:]
			case inside:
				word.WriteByte(text[0])
				text = text[1:]
			case strings.HasPrefix(text, `\'`):
				word.WriteByte('\'')
				text = text[2:]
			default:
				t.Fatalf("%q is open at %q", name, text)
			}
		}
		if inside || word.String() != name {
			t.Errorf("%q became %q", name, word.String())
		}
	})
}
