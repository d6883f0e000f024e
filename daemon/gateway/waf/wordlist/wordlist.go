// Package wordlist finds the words of a list in a text, whatever the case of
// their ASCII letters, in one pass: Aho and Corasick's automaton as one dense
// table. The table is built when the first text comes.
package wordlist

import (
	"strings"
	"sync"
)

// List is words to look for. It serves many goroutines.
type List struct {
	words []string
	once  sync.Once

	class [256]uint8
	width int
	table []uint32 // by state*width+class: the next state, times width, with found set where words end
	depth []uint16 // by state: how much of the text it stands for
	ends  []uint16 // by state: the length of the longest word that ends there
	empty bool     // an empty word is everywhere
}

const found = 1 << 31

// New makes a list of words, each shorter than 64 KiB.
func New(words []string) *List {
	l := &List{}
	for _, w := range words {
		if w == "" {
			l.empty = true
			continue
		}
		l.words = append(l.words, strings.ToLower(w))
	}
	return l
}

// Contains says whether a word is in the text.
func (l *List) Contains(text string) bool {
	if l.empty {
		return true
	}
	l.once.Do(l.build)
	var at uint32
	for i := range len(text) {
		at = l.table[at+uint32(l.class[text[i]])]
		if at&found != 0 {
			return true
		}
	}
	return false
}

// Find returns up to limit words as they are in the text: from the left, the
// longest at each place, none over another.
func (l *List) Find(text string, limit int) []string {
	l.once.Do(l.build)
	var hits []string
	for from := 0; len(hits) < limit; {
		start, end := l.first(text, from)
		if start < 0 {
			if l.empty && hits == nil {
				hits = append(hits, "")
			}
			return hits
		}
		hits = append(hits, text[start:end])
		from = end
	}
	return hits
}

// first is the leftmost word at or behind from, the longest of those that begin there.
func (l *List) first(text string, from int) (start, end int) {
	start = -1
	var at uint32
	for i := from; i < len(text); i++ {
		at = l.table[at+uint32(l.class[text[i]])] &^ found
		state := at / uint32(l.width)
		if start >= 0 && i+1-int(l.depth[state]) > start {
			break // what follows begins further right
		}
		if n := int(l.ends[state]); n > 0 && (start < 0 || i+1-n <= start) {
			start, end = i+1-n, i+1
		}
	}
	return start, end
}

// build makes the table: a trie, breadth first completed with what the longest
// proper suffix leads to.
func (l *List) build() {
	l.classify()
	l.table = make([]uint32, l.width)
	l.depth, l.ends = []uint16{0}, []uint16{0}
	for _, w := range l.words {
		l.insert(w)
	}
	suffix := make([]uint32, len(l.depth))
	queue := []uint32{0}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		for c := range uint32(l.width) {
			cell := state*uint32(l.width) + c
			child := l.table[cell]
			if state == 0 {
				if child != 0 {
					queue = append(queue, child)
				}
				continue
			}
			back := l.table[suffix[state]*uint32(l.width)+c]
			if child == 0 {
				l.table[cell] = back
				continue
			}
			suffix[child] = back
			if l.ends[child] == 0 {
				l.ends[child] = l.ends[back]
			}
			queue = append(queue, child)
		}
	}
	for i, state := range l.table {
		flag := uint32(0)
		if l.ends[state] > 0 {
			flag = found
		}
		l.table[i] = state*uint32(l.width) | flag
	}
}

// classify gives each byte that is in a word a column; 0 is for all others.
func (l *List) classify() {
	l.width = 1
	for _, w := range l.words {
		for i := range len(w) {
			if l.class[w[i]] == 0 {
				l.class[w[i]] = uint8(l.width)
				l.width++
			}
		}
	}
	for b := 'A'; b <= 'Z'; b++ {
		l.class[b] = l.class[b-'A'+'a']
	}
}

func (l *List) insert(word string) {
	var at uint32
	for i := range len(word) {
		cell := at*uint32(l.width) + uint32(l.class[word[i]])
		if l.table[cell] == 0 {
			l.table[cell] = uint32(len(l.depth))
			l.table = append(l.table, make([]uint32, l.width)...)
			l.depth = append(l.depth, uint16(i+1))
			l.ends = append(l.ends, 0)
		}
		at = l.table[cell]
	}
	l.ends[at] = uint16(len(word))
}
