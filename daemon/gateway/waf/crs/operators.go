package crs

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"

	"sealgate/daemon/gateway/waf/dfa"
	"sealgate/daemon/gateway/waf/wordlist"
)

// Names under which our operators stand in the rules' text.
const (
	rxOperator     = "sealgateRx"
	pmOperator     = "sealgatePm"
	pmFileOperator = "sealgatePmFromFile"
	sqliOperator   = "sealgateSqli"
	gateOperator   = "sealgateGate"
	decideOperator = "sealgateDecide"
)

func init() {
	plugins.RegisterOperator(rxOperator, newRx)
	plugins.RegisterOperator(pmOperator, newPm)
	plugins.RegisterOperator(pmFileOperator, newPmFromFile)
	plugins.RegisterOperator(sqliOperator, newSqli)
	plugins.RegisterOperator(gateOperator, newGate)
	plugins.RegisterOperator(decideOperator, newDecide)
}

// replaceOperators puts our operators in the place of Coraza's, chain included.
func (d *directive) replaceOperators() {
	switch d.operator {
	case "rx":
		if isText(d.argument) {
			d.operator = rxOperator
		}
	case "pm":
		d.operator = pmOperator
	case "pmFromFile", "pmf":
		d.operator = pmFileOperator
	case "detectSQLi":
		d.operator = sqliOperator
	}
	for i := range d.chain {
		d.chain[i].replaceOperators()
	}
}

// flags are those that Coraza puts before every expression.
const flags = "(?sm)"

var hexEscape = regexp.MustCompile(`\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,2})\})`)

// isText says whether an expression matches runes. One that names bytes which
// are no text stays with Coraza, which reads it as bytes.
func isText(expression string) bool {
	return utf8.ValidString(hexEscape.ReplaceAllStringFunc(expression, func(escape string) string {
		n, err := strconv.ParseUint(strings.Trim(escape[2:], "{}"), 16, 8)
		if err != nil {
			return escape
		}
		return string([]byte{byte(n)})
	}))
}

// setApart gives the rule, and what is chained to it, transformations of its
// own, so that Coraza's cache of transformed values never serves it: that cache
// goes by a value's place in a map's random order, and mixes up the values of a
// parameter that comes more than once.
func (d *directive) setApart() {
	if through := d.transformations(); len(through) > 0 {
		kept := slices.DeleteFunc(d.list(), func(a string) bool { return strings.HasPrefix(a, "t:") })
		d.actions = strings.Join(append(kept, alone(), "t:"+strings.Join(through, ",t:")), ",")
	}
	for i := range d.chain {
		d.chain[i].setApart()
	}
}

// aparts counts the names that alone has given out.
var aparts atomic.Int64

// alone is an action that changes nothing, under a name that nobody else has.
func alone() string {
	name := fmt.Sprintf("sealgate%d", aparts.Add(1))
	plugins.RegisterTransformation(name, func(s string) (string, bool, error) { return s, false, nil })
	return "t:none,t:" + name
}

// shared keeps what operators compile, by their arguments, for all sets: the
// arguments are those of the embedded rules, so they are few.
var shared sync.Map

func share[T any](key string, make func() (T, error)) (T, error) {
	if found, ok := shared.Load(key); ok {
		return found.(T), nil
	}
	made, err := make()
	if err != nil {
		return made, err
	}
	kept, _ := shared.LoadOrStore(key, made)
	return kept.(T), nil
}

// rx is Coraza's @rx, which asks an automaton first.
type rx struct {
	set *dfa.Set
	re  *regexp.Regexp
}

func newRx(o plugintypes.OperatorOptions) (plugintypes.Operator, error) {
	return share("rx "+o.Arguments, func() (*rx, error) {
		re, err := regexp.Compile(flags + o.Arguments)
		if err != nil {
			return nil, err
		}
		set, err := dfa.Compile(flags + o.Arguments)
		return &rx{set, re}, err
	})
}

// regexpWork is what regexp does for a byte, beside what an automaton does.
const regexpWork = 40

func (r *rx) Evaluate(tx plugintypes.TransactionState, value string) bool {
	s := stateOf(tx)
	matched, known, work := r.set.Match(value)
	s.spend(work + 1)
	if known && (!matched || !tx.Capturing()) {
		return matched
	}
	s.spend(regexpWork * len(value))
	if !tx.Capturing() {
		return r.re.MatchString(value)
	}
	at := r.re.FindStringSubmatchIndex(value)
	for i := 0; i < len(at)/2 && i < 9; i++ {
		group := ""
		if at[2*i] >= 0 {
			group = value[at[2*i]:at[2*i+1]]
		}
		tx.CaptureField(i, group)
	}
	return at != nil
}

// pm is Coraza's @pm.
type pm struct{ words *wordlist.List }

func newPm(o plugintypes.OperatorOptions) (plugintypes.Operator, error) {
	return sharedWords(o.Arguments)
}

func sharedWords(argument string) (pm, error) {
	return share("pm "+argument, func() (pm, error) { return pm{wordlist.New(strings.Split(argument, " "))}, nil })
}

func newPmFromFile(o plugintypes.OperatorOptions) (plugintypes.Operator, error) {
	return sharedFile(o.Root, o.Arguments)
}

func sharedFile(files fs.FS, name string) (pm, error) {
	return share("file "+name, func() (pm, error) {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return pm{}, err
		}
		var words []string
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				words = append(words, line)
			}
		}
		return pm{wordlist.New(words)}, nil
	})
}

func (p pm) Evaluate(tx plugintypes.TransactionState, value string) bool {
	stateOf(tx).spend(len(value) + 1)
	if !p.words.Contains(value) {
		return false
	}
	if tx.Capturing() {
		for i, word := range p.words.Find(value, 10) {
			tx.CaptureField(i, word)
		}
	}
	return true
}
