package waf

import (
	"errors"
	"fmt"
	"slices"
)

// Kinds of policies with rules, by the names that the OpenAPI has for them.
const (
	ApplicationSignatures = "webApplicationSignaturesPolicy"
	ProtocolSignatures    = "httpProtocolSignaturesPolicy"
	StreamSignatures      = "streamSignaturesPolicy"
	Protocol              = "httpProtocolPolicy"
	HTTP2                 = "http2ProtocolPolicy"
	Correlation           = "webCorrelationPolicy"
	WebProfile            = "webProfilePolicy"
)

// Policies are what one web service is held to. The fields of the policies are
// those of the OpenAPI, with names where the store has ids.
type Policies struct {
	Rules        []RulePolicy
	Custom       []CustomPolicy
	Dictionaries map[string][]Signature // the dictionaries' own signatures
	IPGroups     map[string][]IPEntry   `json:"-"` // those that criteria name
	Masking      []Mask
	Types        map[string]string   // parameter types: name to regular expression
	Profiles     map[string]*Profile // by web application

	Paranoia  int   // of the core rules, 1 to 4; 0 is 1
	BodyLimit int64 // bytes of a body that are looked at, DefaultBodyLimit for 0
	Work      int   // of one request, DefaultWork for 0
	Responses bool  // bodies of responses are looked at
	FailOpen  bool  // what cannot be inspected passes

	// Setup is SecLang before the core rules, and Trace is told of each of them
	// that matched, also of those that only set something up: for the rules' own cases.
	Setup string
	Trace func(id int, line string) `json:"-"`
}

const (
	// DefaultBodyLimit is how many bytes of a body are looked at.
	DefaultBodyLimit = 1 << 20
	// DefaultWork is a request's budget. A unit is a byte that an automaton
	// passes over, some nanoseconds; bodies of 1 MiB need up to 90 Mi of it.
	DefaultWork = 200 << 20
)

// RulePolicy is a policy that switches rules.
type RulePolicy struct {
	Kind, Name   string
	Rules        []PolicyRule      `json:"rules"`
	Exceptions   []PolicyException `json:"exceptions"`
	DisplayPage  bool              `json:"displayResponsePage"`
	InAlerts     bool              `json:"displayResponsePageInAlerts"` // the same, of a correlation policy
	Applications []string          // that it applies to; none is all
}

// PolicyRule is one rule of a policy. A rule of signatures has its dictionary's name.
type PolicyRule struct {
	Name           string         `json:"name"`
	Enabled        bool           `json:"enabled"`
	Severity       string         `json:"severity"`
	Action         string         `json:"action"`
	FollowedAction string         `json:"followedAction"`
	Parameters     map[string]any `json:"parameters"`
}

// PolicyException takes a rule back where all its predicates hold. No name stands for every rule.
type PolicyException struct {
	RuleName   string      `json:"ruleName"`
	Comment    string      `json:"comment"`
	Predicates []Criterion `json:"predicates"`
}

// CustomPolicy matches where all its criteria hold. Without any it matches nothing.
type CustomPolicy struct {
	Name               string
	Enabled            bool        `json:"enabled"`
	OneAlertPerSession bool        `json:"oneAlertPerSession"`
	DisplayPage        bool        `json:"displayResponsePage"`
	Severity           string      `json:"severity"`
	Action             string      `json:"action"`
	FollowedAction     string      `json:"followedAction"`
	MatchCriteria      []Criterion `json:"matchCriteria"`
	Applications       []string
}

// Signature is a pattern of a dictionary.
type Signature struct {
	Name     string
	Pattern  string   `json:"pattern"`  // a regular expression
	SearchIn []string `json:"searchIn"` // urls, parameters, headers, cookies, body; none is all
	Off      bool     `json:"off"`      // it matches nothing, and may be named
}

// IPEntry is an entry of an IP group.
type IPEntry struct {
	Type           string `json:"type"` // single, range, network
	IPAddressFrom  string `json:"ipAddressFrom"`
	IPAddressTo    string `json:"ipAddressTo"`
	NetworkAddress string `json:"networkAddress"`
	CIDRMask       int    `json:"cidrMask"`
}

// ErrUnsupported says that a policy wants what is not known here.
var ErrUnsupported = errors.New("not supported")

// decision is what follows from a match, whatever kind of policy decided it.
type decision struct {
	policy, rule     string
	severity, follow string
	block, page      bool
	silent           bool // noAlert: nobody is told
	applications     []string
	exceptions       []exception
}

type exception struct {
	rule       string
	predicates []criterion
}

// waits says whether an exception asks for what is known only when the body is read.
func (d *decision) waits() bool {
	return slices.ContainsFunc(d.exceptions, func(e exception) bool {
		return (e.rule == "" || e.rule == d.rule) && slices.ContainsFunc(e.predicates, func(c criterion) bool { return c.stage > inHeaders })
	})
}

// applies says whether the decision holds for a request.
func (d *decision) applies(v *view) bool {
	if len(d.applications) > 0 && !slices.Contains(d.applications, v.request.Application) {
		return false
	}
	for _, e := range d.exceptions {
		if (e.rule == "" || e.rule == d.rule) && v.each(e.predicates) {
			return false
		}
	}
	return true
}

func (d *decision) match() Match {
	return Match{Policy: d.policy, Rule: d.rule, Severity: d.severity, FollowedAction: d.follow, Block: d.block, DisplayPage: d.page}
}

func severity(s string) (string, error) {
	switch s {
	case "high", "medium", "low", "informative", "noAlert":
		return s, nil
	}
	return "", fmt.Errorf("severity %q is none of high, medium, low, informative, noAlert", s)
}

func blocks(action string) (bool, error) {
	switch action {
	case "block":
		return true, nil
	case "none", "":
		return false, nil
	}
	return false, fmt.Errorf("action %q is neither none nor block", action)
}

// decide compiles what a policy's enabled rules decide.
func (p *RulePolicy) decide(c *compiler) ([]*decision, error) {
	var exceptions []exception
	for _, e := range p.Exceptions {
		predicates, err := c.criteria(e.Predicates)
		if err != nil {
			return nil, fmt.Errorf("an exception of %q: %w", e.RuleName, err)
		}
		for _, predicate := range predicates {
			if predicate.stage > inRequest {
				return nil, fmt.Errorf("an exception of %q: an answer cannot take back what a request did: %w", e.RuleName, ErrUnsupported)
			}
		}
		exceptions = append(exceptions, exception{e.RuleName, predicates})
	}
	var out []*decision
	for _, r := range p.Rules {
		if !r.Enabled {
			continue
		}
		level, err := severity(r.Severity)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", r.Name, err)
		}
		block, err := blocks(r.Action)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", r.Name, err)
		}
		out = append(out, &decision{policy: p.Name, rule: r.Name, severity: level, follow: r.FollowedAction, block: block,
			page: p.DisplayPage || p.InAlerts, silent: level == "noAlert", applications: p.Applications, exceptions: exceptions})
	}
	return out, nil
}
