package shell

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"sealgate/control"
)

// Limits of one command. They keep every request under control.MaxRequest in
// all but absurd cases, and the daemon's parser small.
const (
	MaxLine  = 64 << 10 // bytes
	MaxWords = 256
)

// Split cuts a line into words at blanks. Single quotes keep everything,
// double quotes keep everything but \" and \\, a backslash outside quotes keeps
// the next character. A bar outside quotes begins a filter, with or without
// blanks around it. Nothing is ever expanded: ; & $ < > ( ) ` * ~ ! # are plain
// characters.
func Split(line string) (Line, error) {
	if len(line) > MaxLine {
		return Line{}, &Error{control.ExitUsage, fmt.Sprintf("the line has %d bytes, at most %d are allowed", len(line), MaxLine), "make it shorter"}
	}
	if err := checkText(line); err != nil {
		return Line{}, err
	}
	s := scanLine([]rune(line))
	switch {
	case s.quote != 0:
		return Line{}, &Error{control.ExitUsage, fmt.Sprintf("the %c at column %d is never closed", s.quote, s.quoteAt+1),
			fmt.Sprintf(`close it, or write \%c for a plain one`, s.quote)}
	case s.escaped:
		return Line{}, &Error{control.ExitUsage, "the line ends in a backslash", `write \\ for a plain backslash`}
	}
	for i, bar := range s.bars {
		if i == 0 && bar.words == 0 {
			return Line{}, barError("nothing stands before", bar)
		}
		if bar.words == s.wordsBefore(i+1) {
			return Line{}, barError("nothing stands behind", bar)
		}
	}
	l := s.line()
	return l, l.check()
}

func barError(what string, b bar) error {
	return &Error{control.ExitUsage, fmt.Sprintf("%s the | at column %d", what, b.at+1),
		"write COMMAND | FILTER, and put quotes around a | that is text"}
}

// checkText refuses what a line may not hold; a tab is a blank.
func checkText(line string) error {
	column := 1
	for i, r := range line {
		if r == utf8.RuneError && !strings.HasPrefix(line[i:], "\uFFFD") {
			return &Error{control.ExitUsage, fmt.Sprintf("the line is not UTF-8: byte 0x%02x at column %d", line[i], column),
				"set the terminal, or the file that the line comes from, to UTF-8"}
		}
		if r != '\t' && hidden(r) {
			return hiddenError(r, fmt.Sprintf(" at column %d", column))
		}
		column++
	}
	return nil
}

// checkWords holds the limits on words that were not split here, too.
func checkWords(words []string) error {
	if len(words) > MaxWords {
		return &Error{control.ExitUsage, fmt.Sprintf("the command has %d words, at most %d are allowed", len(words), MaxWords),
			"put quotes around a value that has blanks"}
	}
	total := 0
	for _, w := range words {
		total += len(w)
		if !utf8.ValidString(w) {
			return &Error{control.ExitUsage, "a word is not UTF-8", "set the terminal to UTF-8"}
		}
		if i := strings.IndexFunc(w, hidden); i >= 0 {
			r, _ := utf8.DecodeRuneInString(w[i:])
			return hiddenError(r, " in a word")
		}
	}
	if total > MaxLine {
		return &Error{control.ExitUsage, fmt.Sprintf("the command has %d bytes, at most %d are allowed", total, MaxLine), "make it shorter"}
	}
	return nil
}

func hiddenError(r rune, where string) error {
	if r == '\n' || r == '\r' {
		return &Error{control.ExitUsage, "the line holds a line end" + where, "run one command at a time"}
	}
	return &Error{control.ExitUsage, fmt.Sprintf("the line holds a character that does not show (U+%04X)%s", r, where),
		"type it again by hand: pasted text may hide such characters"}
}

// shown is a stranger's word inside an error of ours.
func shown(word string) string { return `"` + cut(filterLine(word), 60) + `"` }

// scanned is a line, or its part before the cursor, cut into words.
type scanned struct {
	words   []word
	bars    []bar
	inWord  bool // the end of the text lies in the last word, not after a blank
	quote   rune // the quote that is open at the end, or 0
	quoteAt int  // where that one stands
	escaped bool // the text ends right after a backslash that keeps the next character
}

type word struct {
	text  string // without quotes
	start int    // where its first character or quote stands
}

// bar is an unquoted |.
type bar struct {
	at    int // where it stands
	words int // how many words stand before it
}

// wordsBefore is how many words stand before the i-th bar, or the end.
func (s *scanned) wordsBefore(i int) int {
	if i < len(s.bars) {
		return s.bars[i].words
	}
	return len(s.words)
}

// line sorts the words into command and filters.
func (s *scanned) line() Line {
	var l Line
	from := 0
	for i := range len(s.bars) + 1 {
		to := s.wordsBefore(i)
		var words []string
		for _, w := range s.words[from:to] {
			words = append(words, w.text)
		}
		if from = to; i == 0 {
			l.Words = words
		} else {
			l.Filters = append(l.Filters, words)
		}
	}
	return l
}

func scanLine(line []rune) scanned {
	var s scanned
	var text strings.Builder
	end := func() {
		if s.inWord {
			s.words[len(s.words)-1].text = text.String()
			text.Reset()
		}
	}
	for i := 0; i < len(line); i++ {
		r := line[i]
		if s.quote == 0 && separates(r) {
			end()
			s.inWord = false
			if r == '|' {
				s.bars = append(s.bars, bar{i, len(s.words)})
			}
			continue
		}
		if !s.inWord {
			s.inWord = true
			s.words = append(s.words, word{start: i})
		}
		switch {
		case r == s.quote:
			s.quote = 0
		case s.quote == 0 && (r == '\'' || r == '"'):
			s.quote, s.quoteAt = r, i
		case r == '\\' && s.keeps(line[i+1:]):
			if i++; i == len(line) {
				s.escaped = true
			} else {
				text.WriteRune(line[i])
			}
		default:
			text.WriteRune(r)
		}
	}
	end()
	return s
}

// keeps says whether a backslash before rest keeps a character, and is not one
// itself.
func (s *scanned) keeps(rest []rune) bool {
	switch s.quote {
	case '\'':
		return false
	case '"':
		return len(rest) > 0 && (rest[0] == '"' || rest[0] == '\\')
	}
	return true
}

func separates(r rune) bool { return blank(r) || r == '|' }

func blank(r rune) bool { return r == ' ' || r == '\t' }
