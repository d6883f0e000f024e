package wordlist

import (
	"slices"
	"strings"
	"testing"
)

// plain does the same without a table.
func plain(words []string, text string, limit int) []string {
	var hits []string
	lower := []byte(text)
	for i, b := range lower {
		if 'A' <= b && b <= 'Z' {
			lower[i] += 'a' - 'A'
		}
	}
	for i := 0; i < len(text) && len(hits) < limit; {
		longest := 0
		for _, w := range words {
			if w = strings.ToLower(w); len(w) > longest && strings.HasPrefix(string(lower[i:]), w) {
				longest = len(w)
			}
		}
		if longest > 0 {
			hits = append(hits, text[i:i+longest])
		}
		i += max(longest, 1)
	}
	return hits
}

func FuzzFind(f *testing.F) {
	f.Add("he she his hers", "uSHErs hishe")
	f.Add("abcd bc c", "abcx abcd")
	f.Add("/etc/passwd passwd etc/", "GET /etc/PASSWD /etc/pass")
	f.Add("é ÀB", "xé àb ÀB")
	f.Fuzz(func(t *testing.T, list, text string) {
		words := strings.Fields(list)
		l := New(words)
		want := plain(words, text, 4)
		if got := l.Find(text, 4); !slices.Equal(got, want) {
			t.Errorf("%q in %q: %q, want %q", words, text, got, want)
		}
		if got := l.Contains(text); got != (len(want) > 0) {
			t.Errorf("%q in %q: %v", words, text, got)
		}
	})
}
