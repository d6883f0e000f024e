package crs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"

	"sealgate/daemon/gateway/waf/dfa"
	"sealgate/daemon/gateway/waf/transform"
)

// gates say which rules can match.
type gates struct {
	text  string // the gates as rules, to stand before all others
	rules []gated
	trees []*tree   // by the argument of their rule
	order []ordered // every rule, by id
}

// gated is a rule that is removed unless a gate says that it can match.
type gated struct {
	directive
	place uint32
}

// tree is one rule of ours: what its targets' values are taken through, each
// step once, and who looks at the result.
type tree struct {
	gates []*gate
	steps []step
}

type step struct {
	transform func(string) string
	name      string
	tree      *tree
}

// gate speaks for rules that look at the same values.
type gate struct {
	automata []automaton
	lists    []listed
}

// automaton speaks for the rules of its patterns.
type automaton struct {
	set   *dfa.Set
	rules []uint32
}

type listed struct {
	pm
	rule uint32
}

type ordered struct {
	id, phase int
	gated     int // place among the gated; -1 when the rule is none of them
}

// key is what rules of one gate have in common.
type key struct {
	phase   int
	target  string
	through string
}

// fixed are the collections that no rule writes to, so that what a gate sees
// before a phase is what the rule will see.
var fixed = map[string]bool{
	"ARGS": true, "ARGS_NAMES": true, "ARGS_GET": true, "ARGS_GET_NAMES": true, "ARGS_POST": true, "ARGS_POST_NAMES": true,
	"REQUEST_COOKIES": true, "REQUEST_COOKIES_NAMES": true, "REQUEST_HEADERS": true, "REQUEST_HEADERS_NAMES": true,
	"REQUEST_FILENAME": true, "REQUEST_BASENAME": true, "REQUEST_URI": true, "REQUEST_URI_RAW": true, "REQUEST_LINE": true,
	"REQUEST_BODY": true, "REQUEST_METHOD": true, "REQUEST_PROTOCOL": true, "QUERY_STRING": true, "XML": true,
	"FILES": true, "FILES_NAMES": true, "MULTIPART_PART_HEADERS": true,
	"RESPONSE_BODY": true, "RESPONSE_HEADERS": true,
}

// gather finds the rules that gates can speak for, and makes the gates.
func gather(all []directive) *gates {
	g := new(gates)
	members := map[key][]uint32{}
	var keys []key
	counted := map[int]int{} // by phase, rules that a skip counts and that must stay for it
	for _, d := range all {
		if d.id == 0 {
			continue
		}
		place := -1
		stays := counted[d.phase] > 0
		if stays {
			counted[d.phase]--
		}
		if n, err := strconv.Atoi(d.value("skip")); err == nil {
			counted[d.phase], stays = n, true
		}
		if !stays && d.gateable() {
			place = len(g.rules)
			rule := gated{d, uint32(place)}
			g.rules = append(g.rules, rule)
			for _, k := range d.keys() {
				if members[k] == nil {
					keys = append(keys, k)
				}
				members[k] = append(members[k], rule.place)
			}
		}
		g.order = append(g.order, ordered{d.id, d.phase, place})
	}
	slices.SortFunc(g.order, func(a, b ordered) int { return a.id - b.id })
	g.emit(keys, members)
	return g
}

// gateable says whether a rule matches nothing when its own operator matches no value.
func (d *directive) gateable() bool {
	if d.name != "SecRule" || d.negated {
		return false
	}
	switch d.operator {
	case "rx", "pm", "pmFromFile":
	default:
		return false
	}
	for _, name := range d.transformations() {
		if transform.By[name] == nil {
			return false
		}
	}
	for _, t := range d.targets {
		name, _, _ := strings.Cut(strings.TrimPrefix(t, "!"), ":")
		if !fixed[name] {
			return false
		}
	}
	return true
}

// keys are a rule's targets one by one. What a rule leaves out of a collection
// belongs to that collection. A rule that looks at every stage of its
// transformations wants each of them.
func (d *directive) keys() []key {
	chain := d.transformations()
	first := len(chain)
	if d.has("multiMatch") {
		first = 0
	}
	var out []key
	for _, target := range d.targets {
		if target[0] == '!' {
			continue
		}
		name, _, _ := strings.Cut(target, ":")
		for _, t := range d.targets {
			if strings.HasPrefix(t, "!"+name+":") {
				target += "|" + t
			}
		}
		for n := first; n <= len(chain); n++ {
			out = append(out, key{d.phase, target, strings.Join(chain[:n], ",")})
		}
	}
	return out
}

// emit makes a gate for each set of rules that want the same values, a tree for
// all that is wanted of a target, and one rule for targets with the same tree.
func (g *gates) emit(keys []key, members map[key][]uint32) {
	gateOf := map[string]*gate{}
	type class struct {
		phase int
		wants string
	}
	trees, wants := map[string]*tree{}, map[string]string{}
	var phased []string // phase and target, in order
	for _, k := range keys {
		rules := fmt.Sprint(k.through, members[k])
		if gateOf[rules] == nil {
			gateOf[rules] = g.gate(members[k])
		}
		at := strconv.Itoa(k.phase) + " " + k.target
		if trees[at] == nil {
			trees[at] = new(tree)
			phased = append(phased, at)
		}
		trees[at].add(k.through, gateOf[rules])
		wants[at] += rules + ";"
	}
	targets := map[class][]string{}
	var classes []class
	of := map[class]*tree{}
	for _, at := range phased {
		phase, target, _ := strings.Cut(at, " ")
		number, _ := strconv.Atoi(phase)
		c := class{number, wants[at]}
		if targets[c] == nil {
			classes = append(classes, c)
			of[c] = trees[at]
		}
		targets[c] = append(targets[c], target)
	}
	var b strings.Builder
	phases := map[int]bool{}
	for i, c := range classes {
		phases[c.phase] = true
		g.trees = append(g.trees, of[c])
		fmt.Fprintf(&b, "SecRule %s \"@%s %d\" \"id:%d,phase:%d,pass,nolog,t:none\"\n", strings.Join(targets[c], "|"), gateOperator, i, 100+i, c.phase)
	}
	for phase := range 5 {
		if phases[phase] {
			fmt.Fprintf(&b, "SecRule UNIQUE_ID \"@%s %d\" \"id:%d,phase:%d,pass,nolog,t:none\"\n", decideOperator, phase, 10+phase, phase)
		}
	}
	g.text = b.String()
}

// add puts a gate behind a chain of transformations.
func (t *tree) add(through string, g *gate) {
	for name := range strings.SplitSeq(through, ",") {
		if name == "" {
			break
		}
		i := slices.IndexFunc(t.steps, func(s step) bool { return s.name == name })
		if i < 0 {
			i = len(t.steps)
			t.steps = append(t.steps, step{transform.By[name], name, new(tree)})
		}
		t = t.steps[i].tree
	}
	t.gates = append(t.gates, g)
}

func (g *gates) gate(rules []uint32) *gate {
	made := new(gate)
	var text, bytes automaton
	var patterns, bytePatterns []string
	for _, r := range rules {
		switch d := &g.rules[r]; {
		case d.operator == "rx" && isText(d.argument):
			patterns = append(patterns, flags+d.argument)
			text.rules = append(text.rules, r)
		case d.operator == "rx":
			bytePatterns = append(bytePatterns, d.argument)
			bytes.rules = append(bytes.rules, r)
		case d.operator == "pm":
			words, _ := sharedWords(d.argument)
			made.lists = append(made.lists, listed{words, r})
		default:
			words, err := sharedFile(root{FS: coreruleset.FS}, d.argument)
			if err != nil {
				panic(err) // the file is embedded
			}
			made.lists = append(made.lists, listed{words, r})
		}
	}
	made.add(text, dfa.Compile, patterns)
	made.add(bytes, dfa.CompileBytes, bytePatterns)
	return made
}

func (g *gate) add(a automaton, compile func(...string) (*dfa.Set, error), patterns []string) {
	if patterns == nil {
		return
	}
	var err error
	if a.set, err = compile(patterns...); err != nil {
		panic(err) // the patterns are embedded
	}
	g.automata = append(g.automata, a)
}

func newGate(o plugintypes.OperatorOptions) (plugintypes.Operator, error) {
	i, err := strconv.Atoi(o.Arguments)
	if err != nil {
		return nil, err
	}
	return o.Root.(root).gates.trees[i], nil
}

// Evaluate notes which rules can match because of value. It matches never.
func (t *tree) Evaluate(tx plugintypes.TransactionState, value string) bool {
	t.pass(stateOf(tx), value)
	return false
}

func (t *tree) pass(s *state, value string) {
	for _, g := range t.gates {
		g.pass(s, value)
	}
	for _, next := range t.steps {
		s.spend(len(value) + 1)
		next.tree.pass(s, next.transform(value))
	}
}

func (g *gate) pass(s *state, value string) {
	for _, a := range g.automata {
		known, work := a.set.Scan(value, func(pattern uint32) { s.hit(a.rules[pattern]) })
		s.spend(work + 1)
		if !known {
			for _, rule := range a.rules {
				s.hit(rule)
			}
		}
	}
	for _, l := range g.lists {
		s.spend(len(value) + 1)
		if l.words.Contains(value) {
			s.hit(l.rule)
		}
	}
}

// decide removes the rules of a phase that no gate has spoken for.
type decide struct {
	gates *gates
	phase int
}

func newDecide(o plugintypes.OperatorOptions) (plugintypes.Operator, error) {
	phase, err := strconv.Atoi(o.Arguments)
	return decide{o.Root.(root).gates, phase}, err
}

// remover is what a transaction of Coraza's can do beside its interface.
type remover interface {
	RemoveRuleByIDRange(start, end int)
}

// Evaluate removes ranges of ids as long as they go. What belongs to earlier
// phases is done and may be within.
func (d decide) Evaluate(tx plugintypes.TransactionState, _ string) bool {
	s, transaction := stateOf(tx), tx.(remover)
	first, last := 0, 0
	flush := func() {
		if first != 0 {
			transaction.RemoveRuleByIDRange(first, last)
		}
		first = 0
	}
	for i := range d.gates.order {
		o := &d.gates.order[i]
		switch {
		case o.phase < d.phase:
		case o.phase == d.phase && o.gated >= 0 && !s.isHit(o.gated):
			if first == 0 {
				first = o.id
			}
			last = o.id
		default:
			flush()
		}
	}
	flush()
	return false
}
