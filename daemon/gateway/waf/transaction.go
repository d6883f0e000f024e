package waf

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/corazawaf/coraza/v3/types"

	"sealgate/daemon/gateway/waf/crs"
)

// transaction is one request and its answer.
type transaction struct {
	engine  *engine
	request Request
	tx      *crs.Transaction
	view    *view

	coding string // of the body
	packed []byte // of a body with a coding, until it is whole
	odd    bool   // nobody can tell what a server reads in it
	secret *bool  // something in the body may be a secret's name; nil: nobody asked

	read  bool     // the body is
	later []func() // what waits for that

	seen    int // of Coraza's matches
	score   [2]int
	matches []Match
	blocked *Match
	broken  bool // by the budget or a fault: nothing more is looked at
	closed  bool
}

// uninspected is the rule, of HTTP protocol policies, for what could not be
// inspected: its budget was used up, or a rule failed. The fail mode decides, so that
// the rule's action and exceptions say nothing.
const uninspected = "Inspection Not Completed"

// Headers judges the request line, the headers and the URL's parameters.
func (t *transaction) Headers() Verdict {
	return t.guard(func() {
		r := &t.request
		t.coding = codingOf(r.Header)
		t.tx.Headers(&crs.Request{ClientIP: r.ClientIP.Unmap().String(), ClientPort: r.ClientPort, ServerIP: r.ServerIP.Unmap().String(),
			ServerPort: r.ServerPort, Method: r.Method, URI: r.URI, Proto: r.Proto, Host: r.Host, Header: r.Header})
		t.judge(inHeaders)
	})
}

// Body takes a piece of the body.
func (t *transaction) Body(p []byte) Verdict {
	return t.guard(func() {
		seen := p[:max(0, min(int64(len(p)), t.engine.limit-t.view.length))]
		t.view.length += int64(len(p))
		if t.coding == "" {
			t.write(seen)
		} else {
			t.packed = append(t.packed, seen...)
		}
	})
}

// write has the rules look at a piece of the body's text.
func (t *transaction) write(p []byte) {
	if t.view.begins == 0 {
		t.view.begins = firstByte(p)
	}
	t.tx.WriteRequestBody(p)
}

// EndBody judges the body, and what had to wait for it. It is to be called also
// when there is none.
func (t *transaction) EndBody() Verdict {
	return t.guard(func() {
		if len(t.packed) > 0 {
			t.unpack()
		}
		if t.cut() {
			t.tx.ReadAsText()
		}
		t.view.held, t.secret = nil, nil // of what had come when the head was judged
		t.readings()
		if err := t.tx.Body(); err != nil {
			panic(err)
		}
		t.read = true
		for i := range t.engine.scanners {
			t.engine.scanners[i].scan(t.view, t.tx.Spend, t.sign)
		}
		if profile := t.engine.profiles[t.request.Application]; profile != nil {
			profile.violations(t.view, t.tx.Spend, func(rule string, at place) {
				for _, d := range t.engine.known[rule] {
					t.add(d, "", rule, at)
				}
			})
		}
		t.judge(inRequest)
	})
}

// unreadable has the rules know that the body cannot be read.
func (t *transaction) unreadable() {
	t.odd = true
	t.tx.Unreadable()
}

// cut says whether the body was longer than what is looked at.
func (t *transaction) cut() bool { return max(t.view.length, t.view.plain) > t.engine.limit }

// Response judges the status and the headers of the answer.
func (t *transaction) Response(status int, h http.Header) Verdict {
	return t.guard(func() {
		t.view.status = status
		for name, values := range h {
			for _, value := range values {
				t.tx.AddResponseHeader(name, value)
			}
		}
		t.tx.ProcessResponseHeaders(status, t.request.Proto)
		t.judge(inResponse)
	})
}

// ResponseBody takes a piece of the answer's body, and judges it when enough of
// it has come. The last piece is empty.
func (t *transaction) ResponseBody(p []byte) Verdict {
	return t.guard(func() {
		if !t.engine.responses {
			return
		}
		if len(p) > 0 {
			t.tx.WriteResponseBody(p)
		} else if _, err := t.tx.ProcessResponseBody(); err != nil {
			panic(err)
		}
		t.collect()
	})
}

// Close ends the transaction and says what matched.
func (t *transaction) Close() []Match {
	if t.closed {
		return t.matches
	}
	t.closed = true
	t.guard(func() {
		t.tx.ProcessLogging()
		t.collect()
		t.settle()
	})
	t.tx.Close()
	return t.matches
}

// guard runs one step. Whatever breaks in it breaks this request alone, and
// the engine's fail mode says what becomes of it.
func (t *transaction) guard(step func()) (v Verdict) {
	if t.broken {
		return t.verdict()
	}
	defer func() {
		if fault := recover(); fault != nil {
			t.fail(fault)
		}
		v = t.verdict()
	}()
	step()
	return v
}

func (t *transaction) fail(fault any) {
	t.broken = true
	message := "a rule failed"
	if err, ok := fault.(error); ok && errors.Is(err, crs.ErrBudget) {
		message = err.Error()
		t.collect() // what matched until then counts
		t.settle()
	}
	decisions := t.engine.uninspected
	if len(decisions) == 0 {
		decisions = []*decision{{rule: uninspected, severity: "high"}}
	}
	for _, d := range decisions {
		m := d.match()
		m.Message, m.Block = message, !t.engine.open
		t.report(m, d.silent)
	}
}

func (t *transaction) verdict() Verdict {
	if t.blocked == nil {
		return Verdict{}
	}
	return Verdict{Block: true, Status: http.StatusForbidden, Rule: t.blocked}
}

// judge asks everything that can be asked at a stage.
func (t *transaction) judge(at stage) {
	t.collect()
	if at == inRequest {
		t.settle()
	}
	for i := range t.engine.checks {
		c := &t.engine.checks[i]
		if c.stage != at {
			continue
		}
		if where, found := c.finds(t.view, c.limit); found {
			t.unlessWaits(c.decision.waits(), func() { t.add(c.decision, "", c.decision.rule, where) })
		}
	}
	for i := range t.engine.custom[at] {
		c := &t.engine.custom[at][i]
		if !c.applies(t.view) || !t.view.some(c.criteria) {
			continue
		}
		m := c.match()
		m.ID, m.Message, m.Target, m.Value = c.policy, "custom policy", "REQUEST_URI", t.engine.mask.URI(t.request.URI)
		t.report(m, c.silent || c.once && !t.firstAlert(c.policy))
	}
}

// alertTime is how long a session's one alert is the only one.
const alertTime = time.Hour

func (t *transaction) firstAlert(policy string) bool {
	return t.engine.memory.First("alert\x00"+t.view.where()+"\x00"+policy+"\x00"+t.view.session(), alertTime)
}

// sign notes an own signature.
func (t *transaction) sign(s ownSignature, at place) {
	t.view.found[s.dictionary], t.view.found[s.signature] = true, true
	for _, d := range t.engine.own[s.dictionary] {
		t.add(d, s.signature, s.signature, at)
	}
}

// add notes a match that blocks by itself when its rule does.
func (t *transaction) add(d *decision, signature, message string, at place) {
	if !d.applies(t.view) {
		return
	}
	m := d.match()
	m.ID, m.Signature, m.Message = message, signature, message
	t.mask(&m, at)
	t.report(m, d.silent)
}

const (
	// mostMatches is how many matches of one request are told.
	mostMatches = 200
	// longestValue is how many bytes of what matched are.
	longestValue = 1 << 10
)

func (t *transaction) report(m Match, silent bool) {
	m.Item, m.Value = m.Item[:min(len(m.Item), longestValue)], m.Value[:min(len(m.Value), longestValue)]
	if !silent && len(t.matches) < mostMatches {
		t.matches = append(t.matches, m)
	}
	if m.Block && t.blocked == nil {
		t.blocked = &m
	}
}

// collect notes what Coraza found since.
func (t *transaction) collect() {
	all := t.tx.MatchedRules()
	for ; t.seen < len(all); t.seen++ {
		m := all[t.seen]
		if t.engine.trace != nil {
			t.engine.trace(m.Rule().ID(), m.ErrorLog())
		}
		rule, ok := t.engine.rules.Rules[m.Rule().ID()]
		if !ok || rule.Severity == "" || t.cut() && (rule.ID == crs.Malformed || rule.ID == crs.Unreadable && !t.odd) {
			continue
		}
		for name, numbers := range coreRules {
			if behind(numbers, rule) {
				t.view.found[name] = true
			}
		}
		t.unlessWaits(slices.ContainsFunc(t.engine.core[rule.ID], (*decision).waits), func() { t.core(rule, m) })
	}
}

// unlessWaits decides about a match at once, or, where it waits for the body, then.
func (t *transaction) unlessWaits(waits bool, decide func()) {
	if waits && !t.read {
		t.later = append(t.later, decide)
		return
	}
	decide()
}

// settle decides what waited.
func (t *transaction) settle() {
	later := t.later
	t.later = nil
	for _, decide := range later {
		decide()
	}
}

// core notes a core rule's match for each policy that has its dictionary.
// Blocking goes by the score of the rules that may block.
func (t *transaction) core(rule crs.Rule, m types.MatchedRule) {
	counted := false
	for _, d := range t.engine.core[rule.ID] {
		if !d.applies(t.view) {
			continue
		}
		side, threshold := 0, requestThreshold
		if rule.Response {
			side, threshold = 1, responseThreshold
		}
		if d.block && !counted {
			counted = true
			t.score[side] += weights[rule.Severity] * deepest(m, rule.Depth)
		}
		found, id := d.match(), strconv.Itoa(rule.ID)
		found.ID, found.Signature, found.Message = id, id, m.Message()
		found.Block = d.block && t.score[side] >= threshold
		if data := m.MatchedDatas(); len(data) > 0 {
			t.maskDerived(&found, data)
		}
		t.report(found, d.silent)
	}
}

// deepest counts the values that the last rule of a chain matched: for each of
// them, the core rules add to their score.
func deepest(m types.MatchedRule, depth int) int {
	n := 0
	for _, data := range m.MatchedDatas() {
		if data.ChainLevel() == depth {
			n++
		}
	}
	return max(n, 1)
}
