package waf

import (
	"context"
	"fmt"
	"slices"

	"sealgate/daemon/gateway/waf/crs"
)

// engine is one web service's, over a rule set that all services share.
type engine struct {
	rules  *crs.Set
	core   map[int][]*decision      // by core rule
	own    map[string][]*decision   // by dictionary
	checks []checked                // of HTTP protocol policies
	known  map[string][]*decision   // by rule of web profile policies
	custom [inResponse + 1][]custom // by the stage at which they can be asked

	uninspected []*decision // of the rule of that name

	scanners []scanner
	profiles map[string]*profiled
	mask     *Masker
	memory   *Memory

	limit     int64
	work      int
	responses bool
	open      bool
	trace     func(int, string)
}

type checked struct {
	check
	decision *decision
	limit    int
}

type custom struct {
	*decision
	criteria []criterion
	once     bool // one alert per session
}

// compiler is what compiling one web service's policies needs.
type compiler struct {
	groups       map[string]addresses
	dictionaries map[string][]Signature
	wanted       map[string]bool // dictionaries and signatures that something asks for
	memory       *Memory
	policy       string // being compiled, kind and name
	counts       int    // criteria of it that count
}

// begin begins with a policy.
func (k *compiler) begin(kind, name string) { k.policy, k.counts = kind+"\x00"+name, 0 }

// New compiles policies. Engines of later configurations share the Memory, so
// that counts go on. An error names the policy and what is wrong with it; where
// it is ErrUnsupported, the policy is not one that can be kept.
func New(p Policies, m *Memory) (Engine, error) {
	k := &compiler{groups: map[string]addresses{}, dictionaries: p.Dictionaries, wanted: map[string]bool{}, memory: m}
	e := &engine{core: map[int][]*decision{}, own: map[string][]*decision{}, known: map[string][]*decision{}, profiles: map[string]*profiled{},
		memory: m, limit: orDefault(p.BodyLimit, DefaultBodyLimit), work: int(orDefault(int64(p.Work), DefaultWork)), responses: p.Responses, open: p.FailOpen, trace: p.Trace}
	for name, entries := range p.IPGroups {
		if err := k.group(name, entries); err != nil {
			return nil, err
		}
	}
	var err error
	if e.rules, err = crs.Load(crs.Options{Paranoia: max(1, p.Paranoia), Responses: p.Responses, Setup: p.Setup}); err != nil {
		return nil, err
	}
	for i := range p.Rules {
		if err := e.add(k, &p.Rules[i]); err != nil {
			return nil, fmt.Errorf("%s %q: %w", p.Rules[i].Kind, p.Rules[i].Name, err)
		}
	}
	for i := range p.Custom {
		if err := e.addCustom(k, &p.Custom[i]); err != nil {
			return nil, fmt.Errorf("custom policy %q: %w", p.Custom[i].Name, err)
		}
	}
	for application, profile := range p.Profiles {
		if e.profiles[application], err = compileProfile(profile, p.Types); err != nil {
			return nil, fmt.Errorf("profile of %q: %w", application, err)
		}
	}
	if e.scanners, err = scanners(p.Dictionaries, k.wanted); err != nil {
		return nil, err
	}
	e.mask, err = NewMasker(p.Masking)
	return e, err
}

func orDefault(n, usual int64) int64 {
	if n > 0 {
		return n
	}
	return usual
}

// add compiles a policy that switches rules.
func (e *engine) add(k *compiler, p *RulePolicy) error {
	k.begin(p.Kind, p.Name)
	decisions, err := p.decide(k)
	if err != nil {
		return err
	}
	for i, d := range decisions {
		known := false
		switch p.Kind {
		case Protocol:
			if known, err = e.addCheck(p, d, checks); err != nil {
				return err
			}
		case HTTP2:
			if known, err = e.addCheck(p, d, http2Checks); err != nil {
				return err
			}
			known = known || slices.Contains(refusedBefore, d.rule)
		case WebProfile:
			if known = slices.Contains(profileRules, d.rule) || slices.Contains(storedRules, d.rule); known {
				e.known[d.rule] = append(e.known[d.rule], d)
			}
		case ApplicationSignatures, ProtocolSignatures, StreamSignatures, Correlation:
		default:
			return fmt.Errorf("a policy of this kind: %w", ErrUnsupported)
		}
		if p.Kind != WebProfile && p.Kind != HTTP2 && e.addCore(d) {
			known = true
		}
		if _, own := k.dictionaries[d.rule]; own && p.Kind != WebProfile && p.Kind != Protocol && p.Kind != HTTP2 {
			e.own[d.rule] = append(e.own[d.rule], decisions[i])
			k.wanted[d.rule] = true
			known = true
		}
		if !known {
			return fmt.Errorf("rule %q: %w", d.rule, ErrUnsupported)
		}
	}
	return nil
}

func (e *engine) addCheck(p *RulePolicy, d *decision, checks map[string]check) (bool, error) {
	c, ok := checks[d.rule]
	if !ok {
		if d.rule == uninspected {
			e.uninspected = append(e.uninspected, d)
		}
		return d.rule == uninspected, nil
	}
	usual := c.limit
	if d.rule == bodyTooLong {
		usual = int(e.limit)
	}
	i := slices.IndexFunc(p.Rules, func(r PolicyRule) bool { return r.Name == d.rule })
	limit, err := limitOf(p.Rules[i], usual)
	e.checks = append(e.checks, checked{c, d, limit})
	return true, err
}

// addCore puts a decision behind the core rules of its name.
func (e *engine) addCore(d *decision) bool {
	numbers := coreRules[d.rule]
	for id, rule := range e.rules.Rules {
		if rule.Severity != "" && behind(numbers, rule) {
			e.core[id] = append(e.core[id], d)
		}
	}
	return numbers != nil
}

func (e *engine) addCustom(k *compiler, p *CustomPolicy) error {
	if !p.Enabled || len(p.MatchCriteria) == 0 {
		return nil
	}
	k.begin("custom", p.Name)
	level, err := severity(p.Severity)
	if err != nil {
		return err
	}
	block, err := blocks(p.Action)
	if err != nil {
		return err
	}
	criteria, err := k.criteria(p.MatchCriteria)
	if err != nil {
		return err
	}
	at := inHeaders
	for _, c := range criteria {
		at = max(at, c.stage)
	}
	e.custom[at] = append(e.custom[at], custom{
		&decision{policy: p.Name, rule: p.Name, severity: level, follow: p.FollowedAction, block: block, page: p.DisplayPage,
			silent: level == "noAlert", applications: p.Applications}, criteria, p.OneAlertPerSession})
	return nil
}

// Begin begins with a request.
func (e *engine) Begin(ctx context.Context, r Request) Transaction {
	t := &transaction{engine: e, request: r}
	t.tx = e.rules.Begin(ctx, r.ID, e.work)
	t.view = &view{request: &t.request, tx: t.tx, found: map[string]bool{}, counted: map[*Criterion]bool{}}
	return t
}
