// Package crs compiles the OWASP Core Rule Set for Coraza so that most rules
// are never looked at.
//
// What a paranoia level leaves out is left out of the text. Of the rest, rules
// that look at the same values after the same transformations are gathered, and
// one automaton says of a value which of them can match (package dfa). Rules
// that can match nowhere in a request are removed from its transaction before
// their phase begins; Coraza evaluates the others as ever, so that what matches,
// and with what, is Coraza's answer. A gate that is unsure lets through.
package crs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/debuglog"
	"github.com/corazawaf/coraza/v3/experimental"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
)

// Options say what to compile.
type Options struct {
	Paranoia  int    // 1 to 4: rules above are left out
	Stock     bool   // the rules as they stand, with Coraza's operators, for comparison
	Ungated   bool   // Coraza's operators, and every rule evaluated: the oracle of tests
	Responses bool   // bodies of responses are looked at
	Setup     string // SecLang that stands before the rules, of tests
}

// Rule is what is known of a rule beside its match.
type Rule struct {
	ID       int
	File     string // REQUEST-942-APPLICATION-ATTACK-SQLI
	Severity string // CRITICAL, ERROR, WARNING, NOTICE; empty for rules that only set up
	Message  string // as written, with its macros
	Response bool   // about the response
	Depth    int    // rules chained to it
}

// Set is a compiled rule set. It serves all web services and goroutines.
type Set struct {
	Rules map[int]Rule
	waf   coraza.WAF
	gates *gates
}

// BodyLimit is the most of a body that a transaction takes, in bytes. Who has
// more keeps the rest back.
const BodyLimit = 13107200

// ArgumentLimit is how many parameters of a kind are looked at. The parser of multipart
// bodies knows no limit.
const ArgumentLimit = 2000

var (
	mu       sync.Mutex
	compiled = map[Options]*Set{}
)

// Load compiles the rule set, or returns what an earlier call with the same options compiled.
func Load(o Options) (*Set, error) {
	mu.Lock()
	defer mu.Unlock()
	if s := compiled[o]; s != nil {
		return s, nil
	}
	s, err := compile(o)
	if err != nil {
		return nil, fmt.Errorf("compile the core rule set: %w", err)
	}
	compiled[o] = s
	return s, nil
}

// engine is how Coraza is set up. It only ever says what matches: whether that
// blocks is not its to decide.
const engine = `SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRequestBodyLimit 13107201
SecRequestBodyInMemoryLimit 13107201
SecRequestBodyLimitAction ProcessPartial
SecRequestBodyJsonDepthLimit 64
SecArgumentsLimit %d
SecResponseBodyAccess %s
SecResponseBodyLimit 524288
SecResponseBodyLimitAction ProcessPartial
SecAuditEngine Off
`

// parsers choose how a body is read, and say when it cannot be. An answer is read whatever
// its type: the transaction's owner chooses which ones it is given.
const parsers = `SecRule REQUEST_HEADERS:Content-Type "^(?:application/(?:[a-z0-9.-]+[+])?|text/)xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "^application/[a-z0-9.-]+[+]json" "id:200006,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecAction "id:200007,phase:3,t:none,pass,nolog,ctl:forceResponseBodyVariable=On"
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,t:none,log,pass,msg:'The body cannot be read',logdata:'%{reqbody_error_msg}',severity:CRITICAL"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,t:none,log,pass,msg:'The multipart body is malformed',severity:CRITICAL"
SecRule ARGUMENTS_LIMIT_REACHED "@eq 1" "id:200004,phase:2,t:none,log,pass,msg:'More parameters than are looked at',severity:CRITICAL"
`

// level sets the paranoia level before the rules' own initialisation.
const level = `SecDefaultAction "phase:1,log,noauditlog,pass"
SecDefaultAction "phase:2,log,noauditlog,pass"
SecDefaultAction "phase:3,log,noauditlog,pass"
SecDefaultAction "phase:4,log,noauditlog,pass"
SecDefaultAction "phase:5,log,noauditlog,pass"
SecAction "id:900000,phase:1,pass,t:none,nolog,setvar:tx.blocking_paranoia_level=%[1]d,setvar:tx.detection_paranoia_level=%[1]d,setvar:tx.crs_setup_version=4250"
`

func compile(o Options) (*Set, error) {
	all, err := directives(o)
	if err != nil {
		return nil, err
	}
	s := &Set{Rules: map[int]Rule{}}
	for i := range all {
		s.note(&all[i])
	}
	onOff := map[bool]string{true: "On", false: "Off"}
	var text strings.Builder
	fmt.Fprintf(&text, engine, ArgumentLimit, onOff[o.Responses])
	if o.Stock {
		text.WriteString(parsers + fmt.Sprintf(level, o.Paranoia) + o.Setup + "Include @owasp_crs/*.conf\n")
	} else {
		if !o.Ungated {
			s.gates = gather(all)
			text.WriteString(s.gates.text)
		}
		for i := range all {
			if !o.Ungated {
				all[i].replaceOperators()
			}
			all[i].setApart()
			text.WriteString(all[i].String())
		}
	}
	s.waf, err = coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(root{coreruleset.FS, s.gates}).
		WithDebugLogger(logger{}).WithDirectives(text.String()))
	return s, err
}

// directives are all that remains at a paranoia level.
func directives(o Options) ([]directive, error) {
	before := fmt.Sprintf(level, o.Paranoia) + o.Setup
	all, err := parseText(parsers + before)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(coreruleset.FS, "@owasp_crs/*.conf")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file, err := read(coreruleset.FS, name)
		if err != nil {
			return nil, err
		}
		if strings.Contains(name, "INITIALIZATION") && !o.Ungated {
			file = preset(file, before)
		}
		all = append(all, atLevel(file, o.Paranoia)...)
	}
	return slices.DeleteFunc(all, func(d directive) bool {
		return d.name == "SecRuleUpdateTargetById" && !slices.ContainsFunc(all, d.updates)
	}), nil
}

func parseText(text string) ([]directive, error) {
	var all []directive
	for line := range strings.Lines(text) {
		d, err := parse(strings.TrimSpace(line))
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// atLevel drops what a file's paranoia gates would skip, the gates, and what
// compares the level itself with a higher one.
func atLevel(file []directive, paranoia int) []directive {
	var kept []directive
	skipping := map[int]string{} // by phase, the marker up to which
	for _, d := range file {
		if d.name == "SecMarker" {
			for phase, marker := range skipping {
				if strings.Trim(d.rest, `"`) == marker {
					delete(skipping, phase)
				}
			}
		}
		if d.id != 0 && skipping[d.phase] != "" {
			continue
		}
		level, about := d.aboutLevel()
		switch {
		case about && d.operator == "lt" && d.value("skipAfter") != "":
			if level > paranoia {
				skipping[d.phase] = d.value("skipAfter")
			}
		case about && d.operator == "ge" && level > paranoia:
		default:
			kept = append(kept, d)
		}
	}
	return kept
}

// aboutLevel says whether a rule asks for the paranoia level, and for which.
func (d *directive) aboutLevel() (level int, about bool) {
	level, err := strconv.Atoi(d.argument)
	return level, err == nil && !d.negated &&
		(slices.Equal(d.targets, []string{"TX:DETECTION_PARANOIA_LEVEL"}) || slices.Equal(d.targets, []string{"TX:BLOCKING_PARANOIA_LEVEL"}))
}

// presets is the action that stands for the initialisation.
const presets = 900001

// preset makes one action of the initialisation rules that each set a variable
// which nobody has set before. before is the text that came earlier.
func preset(file []directive, before string) []directive {
	action := directive{name: "SecAction", id: presets, phase: 1, actions: fmt.Sprintf("id:%d,phase:1,pass,t:none,nolog", presets)}
	at := -1
	kept := file[:0:0]
	for _, d := range file {
		name, counted := "", d.operator == "eq" && d.argument == "0" && len(d.targets) == 1 && len(d.chain) == 0
		if counted {
			name, counted = strings.CutPrefix(d.targets[0], "&TX:")
		}
		if !counted || d.value("setvar") == "" {
			kept = append(kept, d)
			continue
		}
		if at < 0 {
			at = len(kept)
			kept = append(kept, action)
		}
		if !strings.Contains(before, "setvar:tx."+name+"=") {
			kept[at].actions += ",setvar:'" + d.value("setvar") + "'"
		}
	}
	return kept
}

func (s *Set) note(d *directive) {
	if d.id == 0 {
		return
	}
	name := strings.TrimSuffix(path.Base(d.file), ".conf")
	s.Rules[d.id] = Rule{ID: d.id, File: name, Severity: d.value("severity"), Message: d.value("msg"),
		Response: strings.HasPrefix(name, "RESPONSE-"), Depth: len(d.chain)}
}

// updates says whether a directive changes the targets of another.
func (d directive) updates(other directive) bool {
	id, _, _ := strings.Cut(d.rest, " ")
	return id == strconv.Itoa(other.id)
}

// root is the file system that operators read lists from; it also brings them
// the gates of the set that is being compiled.
type root struct {
	fs.FS
	gates *gates
}

// Open finds lists beside the rules that name them.
func (r root) Open(name string) (fs.File, error) {
	if f, err := r.FS.Open(name); err == nil {
		return f, nil
	}
	return r.FS.Open(path.Join("@owasp_crs", name))
}

// Transaction is Coraza's, for one goroutine at a time.
type Transaction struct {
	types.Transaction
	plugintypes.TransactionState
	state *state
}

// ErrBudget is what a transaction panics with when its work is used up. It is
// to be closed then.
var ErrBudget = errors.New("the inspection's budget is used up")

// Begin begins a transaction with an amount of work, in bytes that an automaton passes over.
func (s *Set) Begin(ctx context.Context, id string, work int) *Transaction {
	tx := s.waf.(experimental.WAFWithOptions).NewTransactionWithOptions(experimental.Options{ID: id, Context: ctx})
	t := &Transaction{Transaction: tx, TransactionState: tx.(plugintypes.TransactionState)}
	t.state = stateOf(t.TransactionState)
	t.state.begin(s.gates, work)
	return t
}

// ID and DebugLogger are in both halves.
func (t *Transaction) ID() string                   { return t.Transaction.ID() }
func (t *Transaction) DebugLogger() debuglog.Logger { return t.Transaction.DebugLogger() }

// Request is what a transaction is told before the body.
type Request struct {
	ClientIP, ServerIP       string
	ClientPort, ServerPort   int
	Method, URI, Proto, Host string
	Header                   map[string][]string
}

// Headers evaluates the rules about the request line and the headers.
func (t *Transaction) Headers(r *Request) {
	t.ProcessConnection(r.ClientIP, r.ClientPort, r.ServerIP, r.ServerPort)
	t.ProcessURI(r.URI, r.Method, r.Proto)
	for name, values := range r.Header {
		for _, value := range values {
			t.AddRequestHeader(name, value)
		}
	}
	if r.Host != "" || r.Proto != "HTTP/1.0" { // without it, HTTP/1.1 never comes here
		t.AddRequestHeader("Host", r.Host)
		name, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			name = r.Host
		}
		t.SetServerName(name)
	}
	t.ProcessRequestHeaders()
}

// Body evaluates the rules about the body, which was written with WriteRequestBody.
func (t *Transaction) Body() error {
	_, err := t.ProcessRequestBody()
	return err
}

// Held is what was written of the body, whatever its parser made of it.
func (t *Transaction) Held() (string, error) {
	if text := t.Variables().RequestBody().Get(); text != "" {
		return text, nil
	}
	in, err := t.RequestBodyReader()
	if err != nil {
		return "", err
	}
	held, err := io.ReadAll(in)
	return string(held), err
}

// Rules for bodies that cannot be read, and for multipart bodies that are malformed. One
// that was cut may be both.
const (
	Unreadable = 200002
	Malformed  = 200003
)

// ReadAsText has a body looked at as text whose parser would refuse it because
// its end is missing. It is for before Body.
func (t *Transaction) ReadAsText() {
	processor := t.Variables().RequestBodyProcessor()
	switch processor.Get() {
	case "JSON", "XML":
		processor.(settable).Set("URLENCODED")
	}
}

// TooManyParts has a multipart body looked at as text, and the rules know why. It is for
// before Body.
func (t *Transaction) TooManyParts() {
	t.Variables().RequestBodyProcessor().(settable).Set("URLENCODED")
	t.Variables().ArgumentsLimitReached().(settable).Set("1")
}

// Unreadable has the rules know that the body cannot be read. It is for before Body.
func (t *Transaction) Unreadable() { t.Variables().RequestBodyError().(settable).Set("1") }

type settable interface{ Set(string) }

// Spend takes away from the transaction's work what its owner did.
func (t *Transaction) Spend(work int) { t.state.spend(work) }
