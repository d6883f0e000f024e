package shell

// cursor is a line as Tab and ? see it.
type cursor struct {
	line   Line // the words before the cursor, the last one being what stands under it ("" after a blank)
	start  int  // where that last word begins in the line
	open   rune // the quote that is open at the cursor, or 0
	quote  rune // that one, or else the one that the word began with
	inWord bool // the cursor touches the end of a word, or stands in one
}

// at looks at the part of the line before pos. A quote that is not closed yet
// is no error here.
func at(line []rune, pos int) cursor {
	pos = min(max(pos, 0), len(line))
	s := scanLine(line[:pos])
	c := cursor{start: pos, open: s.quote, quote: s.quote, inWord: s.inWord}
	c.line = s.line()
	if !s.inWord {
		words := c.words()
		*words = append(*words, "")
		return c
	}
	c.start = s.words[len(s.words)-1].start
	if first := line[c.start]; c.quote == 0 && (first == '"' || first == '\'') {
		c.quote = first
	}
	return c
}

// atWordStart says that a ? typed here asks for help: in a word, in a URL or
// in quotes it is text.
func (c cursor) atWordStart() bool { return !c.inWord }

// words are those of the command or filter that the cursor is in.
func (c *cursor) words() *[]string {
	if n := len(c.line.Filters); n > 0 {
		return &c.line.Filters[n-1]
	}
	return &c.line.Words
}

// last is the word under the cursor, as far as the cursor.
func (c cursor) last() string {
	words := *c.words()
	return words[len(words)-1]
}
