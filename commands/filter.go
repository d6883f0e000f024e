package commands

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"

	"sealgate/control"
)

// Limits of output filters. A filter holds no more than maxHeld bytes; a line
// that is longer is treated in pieces of that size.
const (
	maxFilters = 16
	maxRegex   = 512    // bytes
	maxProgram = 500    // instructions of a compiled regular expression: a small one can ask for millions
	maxTail    = 10_000 // lines
	maxHeld    = 4 << 20
)

// filterKind is one of the closed list of what may stand behind a |.
type filterKind struct {
	name, value, help string
	make              func(value string) (stage, error)
}

var filterKinds = []filterKind{
	{"match", "REGEX", "only lines that match", func(v string) (stage, error) { return newMatch(v, true) }},
	{"except", "REGEX", "only lines that do not match", func(v string) (stage, error) { return newMatch(v, false) }},
	{"count", "", "how many lines", func(string) (stage, error) { return new(count), nil }},
	{"tail", "N", "the last N lines", newTail},
	{"json", "", "as one JSON object, as --json", nil},
}

func filterNamed(name string) *filterKind {
	for i := range filterKinds {
		if filterKinds[i].name == name {
			return &filterKinds[i]
		}
	}
	return nil
}

// filtersHint names what there is.
func filtersHint() string {
	var names []string
	for _, k := range filterKinds {
		names = append(names, strings.TrimSpace(k.name+" "+k.value))
	}
	return "the filters are " + strings.Join(names, ", ") + "; a | that is text is written in quotes"
}

// stage is a filter at work on lines, each with its line end, which the last
// may lack.
type stage interface {
	line(line string, next func(string))
	end(next func(string))
}

// newStages reads the filters of a line. What follows an unquoted | may be the
// rest of a password, so an error repeats nothing of it.
func newStages(filters [][]string) ([]stage, error) {
	if len(filters) > maxFilters {
		return nil, usage(filtersHint(), "%d filters are too many, at most %d are allowed", len(filters), maxFilters)
	}
	var stages []stage
	for i, words := range filters {
		where := fmt.Sprintf("filter %d", i+1)
		if len(words) == 0 {
			return nil, usage(filtersHint(), "%s is missing", where)
		}
		kind := filterNamed(words[0])
		if kind == nil {
			return nil, usage(filtersHint(), "%s, behind the |, is none that there is: nothing else is run there", where)
		}
		where += ", " + kind.name + ","
		switch takes := len(words) - 1; {
		case kind.value == "" && takes > 0:
			return nil, usage(filtersHint(), "%s takes no value", where)
		case kind.value != "" && takes != 1:
			return nil, usage("put quotes around a value with blanks: | "+kind.name+" '"+kind.value+"'", "%s takes one %s", where, kind.value)
		case kind.make == nil:
			continue
		}
		s, err := kind.make(strings.Join(words[1:], ""))
		if err != nil {
			return nil, usage("| "+kind.name+" "+kind.value+": "+kind.help, "%s does not hold: %v", where, err)
		}
		stages = append(stages, s)
	}
	return stages, nil
}

// filtersJSON says whether a filter asks for JSON.
func filtersJSON(filters [][]string) bool {
	for _, words := range filters {
		if len(words) == 1 && words[0] == "json" {
			return true
		}
	}
	return false
}

// redactFilters keeps what is known to be a filter. A regular expression is
// kept as file names are: it is there to be seen in an audit.
func redactFilters(filters [][]string) [][]string {
	var out [][]string
	for _, words := range filters {
		kept := []string{hidden}
		if len(words) > 0 && filterNamed(words[0]) != nil {
			kept = words
		}
		out = append(out, kept)
	}
	return out
}

// filterSkeleton is what a log keeps of filters in a line that did not parse.
func filterSkeleton(filters [][]string) []string {
	var out []string
	for _, words := range filters[:min(len(filters), maxFilters)] {
		name := "…"
		if len(words) > 0 && filterNamed(words[0]) != nil {
			name = words[0]
		}
		out = append(out, "|", name)
	}
	return out
}

// filtered passes what a command says through its filters.
type filtered struct {
	control.UI
	ctx context.Context // nobody reads on when it ends

	mu     sync.Mutex
	stages []stage
	held   []byte // the beginning of a line
	ready  strings.Builder
}

// Text filters standard output and leaves the rest.
func (f *filtered) Text(stream control.Stream, text string) {
	if stream != control.Out {
		f.UI.Text(stream, text)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for text != "" {
		n := strings.IndexByte(text, '\n') + 1
		if n == 0 {
			n = len(text)
		}
		n = min(n, maxHeld-len(f.held))
		f.held, text = append(f.held, text[:n]...), text[n:]
		if f.held[len(f.held)-1] == '\n' || len(f.held) == maxHeld {
			f.pass(0, string(f.held))
			f.held = f.held[:0]
		}
	}
	f.flush()
}

// pass hands a line to the i-th filter, or to the reader behind the last.
func (f *filtered) pass(i int, line string) {
	if f.ctx.Err() != nil {
		return
	}
	if i == len(f.stages) {
		f.ready.WriteString(line)
		return
	}
	f.stages[i].line(line, func(line string) { f.pass(i+1, line) })
}

func (f *filtered) flush() {
	f.UI.Text(control.Out, f.ready.String())
	f.ready.Reset()
}

// end is the end of the output.
func (f *filtered) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.held) > 0 {
		f.pass(0, string(f.held))
	}
	for i, s := range f.stages {
		s.end(func(line string) { f.pass(i+1, line) })
	}
	f.flush()
}

type match struct {
	re   *regexp.Regexp
	want bool
}

func newMatch(value string, want bool) (stage, error) {
	if len(value) > maxRegex {
		return nil, fmt.Errorf("the regular expression has %d bytes, at most %d are allowed", len(value), maxRegex)
	}
	parsed, err := syntax.Parse(value, syntax.Perl)
	if bad, ok := errors.AsType[*syntax.Error](err); ok {
		return nil, errors.New(bad.Code.String() + " in the regular expression")
	}
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if len(program.Inst) > maxProgram {
		return nil, errors.New("the regular expression repeats too much")
	}
	re, err := regexp.Compile(value)
	return match{re, want}, err
}

func (m match) line(line string, next func(string)) {
	if m.re.MatchString(strings.TrimSuffix(line, "\n")) == m.want {
		next(line)
	}
}

func (match) end(func(string)) {}

type count int

func (c *count) line(string, func(string)) { *c++ }

func (c *count) end(next func(string)) { next(strconv.Itoa(int(*c)) + "\n") }

// tail keeps the newest lines in a ring, and of lines that are long no more
// than maxHeld bytes, but always one.
type tail struct {
	ring  []string
	most  int
	first int // the oldest in ring
	bytes int
}

func newTail(value string) (stage, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxTail {
		return nil, fmt.Errorf("not a number from 1 to %d", maxTail)
	}
	return &tail{most: n}, nil
}

func (t *tail) line(line string, _ func(string)) {
	t.ring = append(t.ring, line)
	t.bytes += len(line)
	for n := len(t.ring) - t.first; n > 1 && (n > t.most || t.bytes > maxHeld); n-- {
		t.bytes -= len(t.ring[t.first])
		t.ring[t.first] = ""
		t.first++
	}
	if t.first > t.most {
		t.ring = append(t.ring[:0], t.ring[t.first:]...)
		t.first = 0
	}
}

func (t *tail) end(next func(string)) {
	for _, line := range t.ring[t.first:] {
		next(line)
	}
}

// filterOffer completes behind a |.
func filterOffer(words []string) control.Result {
	var list []control.Candidate
	if len(words) == 1 {
		for _, k := range filterKinds {
			list = append(list, control.Candidate{Value: k.name, Help: k.help})
		}
		list = withPrefix(list, words[0])
	}
	return control.Result{Candidates: list}
}

// filterHelp is one line for each filter.
func filterHelp() string {
	var list []control.Candidate
	for _, k := range filterKinds {
		list = append(list, control.Candidate{Value: strings.TrimSpace("| " + k.name + " " + k.value), Help: k.help})
	}
	return columns(list)
}

// nextFilter explains what may stand behind a |.
func nextFilter(words []string) string {
	if kind := filterNamed(words[0]); kind != nil && len(words) == 2 && kind.value != "" {
		return kind.value + ": " + kind.help + filterLimits[kind.value] + "\n"
	}
	return columns(filterOffer(words).Candidates)
}

var filterLimits = map[string]string{
	"REGEX": fmt.Sprintf(" this RE2 expression, of at most %d bytes; (?i) in front ignores case", maxRegex),
	"N":     fmt.Sprintf(", at most %d", maxTail),
}
