package dfa

import "regexp/syntax"

// kind is what an assertion can see of a rune.
type kind uint8

const (
	atBegin kind = iota // before the first rune
	other
	word
	newline
	atEnd // behind the last rune; only of the next rune
)

// program is the instructions of all expressions. Match instructions hold the
// expression's number in Arg.
type program struct {
	insts []syntax.Inst
}

// add appends an expression's program and says where it begins.
func (p *program) add(prog *syntax.Prog, id uint32) uint32 {
	base := uint32(len(p.insts))
	for _, inst := range prog.Inst {
		inst.Out += base
		switch inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			inst.Arg += base
		case syntax.InstMatch:
			inst.Arg = id
		}
		p.insts = append(p.insts, inst)
	}
	return base + uint32(prog.Start)
}

// walker holds what walking needs, for one walk at a time.
type walker struct {
	seen, out   []uint32 // generation in which an instruction was met, before and behind the rune
	generation  uint32
	stack, list []uint32
	hits        []uint32
}

func (w *walker) init(instructions int) {
	w.seen, w.out = make([]uint32, instructions), make([]uint32, instructions)
}

// over walks from instructions over a rune of a class and lists, sorted, what
// has to be asked of the rune behind it, and which expressions matched before it.
func (s *Set) over(c *cache, from []uint32, prev kind, class int) step {
	w := &c.walk
	w.generation++
	w.list, w.hits = w.list[:0], w.hits[:0]
	holds := conditions(prev, s.nextKind(class))
	w.stack = append(w.stack[:0], from...)
	for len(w.stack) > 0 {
		pc := w.stack[len(w.stack)-1]
		w.stack = w.stack[:len(w.stack)-1]
		if w.seen[pc] == w.generation {
			continue
		}
		w.seen[pc] = w.generation
		inst := &s.program.insts[pc]
		switch inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			w.stack = append(w.stack, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			w.stack = append(w.stack, inst.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^holds == 0 {
				w.stack = append(w.stack, inst.Out)
			}
		case syntax.InstMatch:
			w.hits = append(w.hits, inst.Arg)
		case syntax.InstFail:
		default:
			if class < len(s.classes.sample) && inst.MatchRune(s.classes.sample[class]) {
				s.behind(w, inst.Out)
			}
		}
	}
	return step{at: union(nil, w.list), hits: union(nil, w.hits)}
}

// behind lists what an instruction leads to without knowing the next rune.
func (s *Set) behind(w *walker, pc uint32) {
	if w.out[pc] == w.generation {
		return
	}
	w.out[pc] = w.generation
	inst := &s.program.insts[pc]
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		s.behind(w, inst.Out)
		s.behind(w, inst.Arg)
	case syntax.InstCapture, syntax.InstNop:
		s.behind(w, inst.Out)
	case syntax.InstFail:
	default:
		w.list = append(w.list, pc)
	}
}

// conditions are the assertions that hold between two runes.
func conditions(prev, next kind) syntax.EmptyOp {
	var ops syntax.EmptyOp
	if prev == atBegin {
		ops |= syntax.EmptyBeginText | syntax.EmptyBeginLine
	}
	if prev == newline {
		ops |= syntax.EmptyBeginLine
	}
	if next == atEnd {
		ops |= syntax.EmptyEndText | syntax.EmptyEndLine
	}
	if next == newline {
		ops |= syntax.EmptyEndLine
	}
	if (prev == word) != (next == word) {
		return ops | syntax.EmptyWordBoundary
	}
	return ops | syntax.EmptyNoWordBoundary
}

func (s *Set) nextKind(class int) kind {
	if class == s.stride-1 {
		return atEnd
	}
	return s.kindOf(class)
}

// kindOf is the kind of a class; behind the end nothing is asked any more.
func (s *Set) kindOf(class int) kind {
	if class == s.stride-1 {
		return other
	}
	switch r := s.classes.sample[class]; {
	case r == '\n':
		return newline
	case syntax.IsWordChar(r):
		return word
	}
	return other
}
