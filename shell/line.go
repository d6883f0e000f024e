package shell

import "strings"

// Line is a command and its output's filters: what stands before, between and
// behind the unquoted bars of a line.
type Line struct {
	Words   []string
	Filters [][]string
}

func (l Line) empty() bool { return len(l.Words) == 0 && len(l.Filters) == 0 }

// Join writes l as a line that [Split] cuts into the same words.
func Join(l Line) string {
	parts := []string{joinWords(l.Words)}
	for _, f := range l.Filters {
		parts = append(parts, joinWords(f))
	}
	return strings.Join(parts, " | ")
}

func joinWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quoteWord(w, 0, true)
	}
	return strings.Join(quoted, " ")
}

// check holds the limits of a line that was not split here, too.
func (l Line) check() error {
	words := l.Words
	for _, f := range l.Filters {
		words = append(words[:len(words):len(words)], f...)
	}
	return checkWords(words)
}
