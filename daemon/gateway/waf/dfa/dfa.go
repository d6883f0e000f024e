// Package dfa says which of many regular expressions match a text, in one pass
// and in time linear in the text. It answers yes or no, never where: who needs
// the place asks regexp, after a yes.
//
// The automaton is built while it is used, from the programs of regexp/syntax,
// and shared by all goroutines. Its memory is bounded: when it is full it
// begins anew, and a text that would fill it again and again is given up on.
package dfa

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

const (
	// memory is how many bytes the states of one automaton may take, about.
	memory = 256 << 10
	// patience is how many transitions one text may add beyond one for every
	// eight bytes of it.
	patience = 8 << 10
	// BuildWork is what adding a transition costs, in bytes of text passed over.
	BuildWork = 1 << 10
)

// Set matches the expressions that it was compiled from.
type Set struct {
	program program
	classes classes
	begin   []uint32 // where every expression begins, again at each place of the text
	cache   atomic.Pointer[cache]
	bytes   bool
	stride  int // transitions of a state: one a class and one for the end of the text
}

// Compile makes a set of expressions in the syntax of regexp. Their numbers are
// their places.
func Compile(expressions ...string) (*Set, error) { return compile(false, expressions) }

// CompileBytes is Compile for expressions that match bytes: a byte of the text
// is the rune of that number, whatever stands beside it.
func CompileBytes(expressions ...string) (*Set, error) { return compile(true, expressions) }

func compile(bytes bool, expressions []string) (*Set, error) {
	s := &Set{bytes: bytes}
	for id, expression := range expressions {
		parsed, err := syntax.Parse(expression, syntax.Perl)
		if err != nil {
			return nil, err
		}
		prog, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			return nil, err
		}
		s.begin = append(s.begin, s.program.add(prog, uint32(id)))
	}
	s.classes = classify(s.program.insts)
	s.stride = len(s.classes.sample) + 1
	s.cache.Store(s.fresh())
	return s, nil
}

// state is a set of places in the program, before the next rune is known.
type state struct {
	next  []atomic.Pointer[state]
	at    []uint32 // sorted; the beginnings are not among them
	prev  kind
	hits  []uint32 // expressions that matched up to here
	stops bool     // hits is not empty
}

type cache struct {
	mu     sync.Mutex
	states map[string]*state
	bytes  int
	first  *state
	begun  map[int]step // what the beginnings lead to, by kind and class
	walk   walker
}

func (s *Set) fresh() *cache {
	c := &cache{states: map[string]*state{}, begun: map[int]step{}}
	c.walk.init(len(s.program.insts))
	c.first = s.intern(c, step{}, atBegin)
	return c
}

// Match says whether any expression matches. known is false when the set gave
// up; work counts the bytes passed over, with BuildWork for each transition
// that was added.
func (s *Set) Match(text string) (matched, known bool, work int) {
	return s.run(text, nil)
}

// Scan calls hit for the expressions that match, perhaps more than once each.
func (s *Set) Scan(text string, hit func(id uint32)) (known bool, work int) {
	_, known, work = s.run(text, hit)
	return known, work
}

func (s *Set) run(text string, hit func(uint32)) (matched, known bool, work int) {
	c := s.cache.Load()
	r := runner{set: s, cache: c, left: patience + len(text)/8}
	at := c.first
	single := &s.classes.single
	for i := 0; i < len(text); {
		var class int
		if b := text[i]; b < utf8.RuneSelf || s.bytes {
			class = int(single[b])
			i++
		} else {
			char, size := utf8.DecodeRuneInString(text[i:])
			class = s.classes.of(char)
			i += size
		}
		next := at.next[class].Load()
		if next == nil {
			if next = r.build(at, class); next == nil {
				return false, false, i + r.built*BuildWork
			}
		}
		at = next
		if at.stops {
			if hit == nil {
				return true, true, i + r.built*BuildWork
			}
			for _, id := range at.hits {
				hit(id)
			}
		}
	}
	end := at.next[s.stride-1].Load()
	if end == nil {
		if end = r.build(at, s.stride-1); end == nil {
			return false, false, len(text) + r.built*BuildWork
		}
	}
	if hit != nil {
		for _, id := range end.hits {
			hit(id)
		}
	}
	return end.stops, true, len(text) + r.built*BuildWork
}

// runner is one text's way through the automaton.
type runner struct {
	set    *Set
	cache  *cache
	left   int // transitions that it may still add
	built  int
	resets int
}

// build finds where a class leads from a state, nil when the text asks for too much.
func (r *runner) build(at *state, class int) *state {
	if r.left--; r.left < 0 {
		return nil
	}
	r.built++
	s, c := r.set, r.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if next := at.next[class].Load(); next != nil {
		return next
	}
	if c.bytes > memory {
		if r.resets++; r.resets > 1 {
			return nil
		}
		// Those who are on their way keep what they hold of the old one.
		renewed := s.fresh()
		s.cache.CompareAndSwap(c, renewed)
		r.cache = renewed
		renewed.mu.Lock()
		defer renewed.mu.Unlock()
		c = renewed
		at = s.intern(c, step{at: at.at, hits: at.hits}, at.prev)
	}
	next := s.intern(c, s.step(c, at, class), s.kindOf(class))
	at.next[class].Store(next)
	return next
}

// step is what lies behind one rune.
type step struct {
	at, hits []uint32
}

// step walks from a state, and from the beginnings, over a class.
func (s *Set) step(c *cache, at *state, class int) step {
	key := int(at.prev)*s.stride + class
	begun, ok := c.begun[key]
	if !ok {
		begun = s.over(c, s.begin, at.prev, class)
		c.begun[key] = begun
	}
	if len(at.at) == 0 {
		return begun
	}
	own := s.over(c, at.at, at.prev, class)
	own.at = union(own.at, begun.at)
	own.hits = union(own.hits, begun.hits)
	return own
}

func union(a, b []uint32) []uint32 {
	a = append(a, b...)
	slices.Sort(a)
	return slices.Compact(a)
}

// intern finds or makes the state that a step ends in.
func (s *Set) intern(c *cache, to step, prev kind) *state {
	key := make([]byte, 0, 4*(len(to.at)+len(to.hits))+2)
	key = append(key, byte(prev), byte(len(to.hits)))
	for _, id := range to.hits {
		key = binary.LittleEndian.AppendUint32(key, id)
	}
	for _, pc := range to.at {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	if found, ok := c.states[string(key)]; ok {
		return found
	}
	made := &state{next: make([]atomic.Pointer[state], s.stride), at: to.at, prev: prev, hits: to.hits, stops: len(to.hits) > 0}
	c.states[string(key)] = made
	c.bytes += 8*s.stride + 4*len(to.at) + len(key) + 160
	return made
}
