package dfa

import (
	"regexp/syntax"
	"slices"
	"unicode"
)

// classes divides the runes into those that no instruction tells apart.
type classes struct {
	begins []rune // each class's first rune, ascending; several may stand for one class
	class  []uint16
	sample []rune      // a rune of each class
	single [256]uint16 // of the runes below 256
}

func classify(insts []syntax.Inst) classes {
	edges := []rune{0, '\n', '\n' + 1, '0', '9' + 1, 'A', 'Z' + 1, '_', '_' + 1, 'a', 'z' + 1}
	for i := range insts {
		edges = appendEdges(edges, &insts[i])
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	if edges[len(edges)-1] > unicode.MaxRune {
		edges = edges[:len(edges)-1]
	}
	c := classes{begins: edges}
	// Ranges that every instruction treats alike are one class.
	alike := map[string]uint16{}
	asking := runeInsts(insts)
	row := make([]byte, len(asking)+1)
	for _, first := range edges {
		row[0] = 0
		if first == '\n' {
			row[0] = 1
		} else if syntax.IsWordChar(first) {
			row[0] = 2
		}
		for i, inst := range asking {
			row[i+1] = 0
			if inst.MatchRune(first) {
				row[i+1] = 1
			}
		}
		id, ok := alike[string(row)]
		if !ok {
			id = uint16(len(c.sample))
			alike[string(row)] = id
			c.sample = append(c.sample, first)
		}
		c.class = append(c.class, id)
	}
	for r := range c.single {
		c.single[r] = uint16(c.of(rune(r)))
	}
	return c
}

// of is a rune's class.
func (c *classes) of(r rune) int {
	i, exact := slices.BinarySearch(c.begins, r)
	if !exact {
		i--
	}
	return int(c.class[i])
}

// runeInsts are the instructions that ask for a rune, each question once.
func runeInsts(insts []syntax.Inst) []*syntax.Inst {
	var out []*syntax.Inst
	seen := map[string]bool{}
	for i := range insts {
		inst := &insts[i]
		switch inst.Op {
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			key := string(rune(inst.Op)) + string(rune(inst.Arg)) + string(inst.Rune)
			if !seen[key] {
				seen[key] = true
				out = append(out, inst)
			}
		}
	}
	return out
}

// appendEdges appends the runes at which an instruction's answer may change.
func appendEdges(edges []rune, inst *syntax.Inst) []rune {
	switch inst.Op {
	case syntax.InstRune, syntax.InstRune1:
		if len(inst.Rune) == 1 {
			first := inst.Rune[0]
			edges = append(edges, first, first+1)
			if syntax.Flags(inst.Arg)&syntax.FoldCase != 0 {
				for r := unicode.SimpleFold(first); r != first; r = unicode.SimpleFold(r) {
					edges = append(edges, r, r+1)
				}
			}
			return edges
		}
		for i := 0; i+1 < len(inst.Rune); i += 2 {
			edges = append(edges, inst.Rune[i], inst.Rune[i+1]+1)
		}
	}
	return edges
}
