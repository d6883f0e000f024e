package gateway

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/waf"
)

// judges makes the engines of web services from snapshots. One whose policies have
// not changed is kept, and what all of them remember of clients goes on.
type judges struct {
	memory *waf.Memory

	mu     sync.Mutex
	kept   map[string]judge // by site, server group and web service
	groups ipGroups
}

type judge struct {
	policies [sha256.Size]byte
	engine   waf.Engine
}

// ipGroups are the IP groups of a snapshot, which may be large and are many web
// services'.
type ipGroups struct {
	of      *model.Snapshot
	entries map[string][]waf.IPEntry
	sums    map[string][sha256.Size]byte
}

func newJudges() *judges { return &judges{memory: waf.NewMemory(), kept: make(map[string]judge)} }

// engine is the judge of a web service.
func (j *judges) engine(s *model.Snapshot, service *model.SnapshotService) (waf.Engine, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.groups.of != s {
		groups, err := newIPGroups(s)
		if err != nil {
			return nil, err
		}
		j.groups = groups
	}
	policies, err := policiesOf(s, service, j.groups.entries)
	if err != nil {
		return nil, err
	}
	sum, err := j.groups.sum(&policies)
	if err != nil {
		return nil, err
	}
	key := service.Site + "\x00" + service.ServerGroup + "\x00" + service.Name
	if known, ok := j.kept[key]; ok && known.policies == sum {
		return known.engine, nil
	}
	engine, err := waf.New(policies, j.memory)
	if err != nil {
		return nil, err
	}
	j.kept[key] = judge{sum, engine}
	return engine, nil
}

func newIPGroups(s *model.Snapshot) (ipGroups, error) {
	g := ipGroups{s, make(map[string][]waf.IPEntry, len(s.IPGroups)), make(map[string][sha256.Size]byte, len(s.IPGroups))}
	for name, entries := range s.IPGroups {
		list := make([]waf.IPEntry, len(entries))
		for i, e := range entries {
			list[i] = waf.IPEntry(e)
		}
		text, err := json.Marshal(list)
		if err != nil {
			return g, err
		}
		g.entries[name], g.sums[name] = list, sha256.Sum256(text)
	}
	return g, nil
}

// sum tells policies apart.
func (g *ipGroups) sum(p *waf.Policies) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(p); err != nil {
		return sum, err
	}
	for _, name := range slices.Sorted(maps.Keys(p.IPGroups)) {
		of := g.sums[name]
		fmt.Fprintf(h, "%q %x\n", name, of)
	}
	h.Sum(sum[:0])
	return sum, nil
}

// policiesOf is what a web service is held to.
func policiesOf(s *model.Snapshot, service *model.SnapshotService, groups map[string][]waf.IPEntry) (waf.Policies, error) {
	p := waf.Policies{
		Dictionaries: make(map[string][]waf.Signature, len(s.Dictionaries)), IPGroups: make(map[string][]waf.IPEntry),
		Types: s.ParameterTypes, BodyLimit: s.Group.Limits.InspectedBytes, Responses: service.InspectResponses, FailOpen: s.Group.FailMode != model.FailClosed,
	}
	for name, signatures := range s.Dictionaries {
		list := []waf.Signature{}
		for _, d := range signatures {
			list = append(list, waf.Signature{Name: d.Name, Pattern: d.Pattern, SearchIn: d.SearchIn, Off: strings.EqualFold(d.Status, "disabled")})
		}
		p.Dictionaries[name] = list
	}
	for _, m := range s.DataMaskingGroups[service.DataMaskingGroup] {
		p.Masking = append(p.Masking, waf.Mask{Name: m.Name, Match: m.Match, Parameters: m.InParameters, Headers: m.InHeaders, Cookies: m.InCookies, Enabled: m.Enabled})
	}
	if len(service.Profiles) > 0 {
		p.Profiles = make(map[string]*waf.Profile, len(service.Profiles))
	}
	for application, document := range service.Profiles {
		profile := new(waf.Profile)
		if json.Unmarshal(document, profile) != nil {
			return p, fmt.Errorf("the profile of %q is not of the declared shape", application)
		}
		p.Profiles[application] = profile
	}
	for i := range s.Policies {
		if err := addPolicy(&p, &s.Policies[i], service); err != nil {
			return p, err
		}
	}
	for _, c := range asked(&p) {
		for _, name := range c.IPGroups {
			if entries, ok := groups[name]; ok {
				p.IPGroups[name] = entries
			}
		}
	}
	return p, nil
}

// asked are all criteria of policies.
func asked(p *waf.Policies) (all []waf.Criterion) {
	for _, rules := range p.Rules {
		for _, e := range rules.Exceptions {
			all = append(all, e.Predicates...)
		}
	}
	for _, custom := range p.Custom {
		all = append(all, custom.MatchCriteria...)
	}
	return all
}

// addPolicy adds a policy of a kind that the engine keeps. The others are the proxy's,
// or stored only.
func addPolicy(p *waf.Policies, policy *model.SnapshotPolicy, service *model.SnapshotService) error {
	if !policy.Covers(service) {
		return nil
	}
	var err error
	switch policy.Kind {
	case model.AppSignaturesPolicy, model.HTTPSignaturesPolicy, model.StreamPolicy, model.HTTPPolicy, model.HTTP2Policy, model.CorrelationPolicy, model.ProfilePolicy:
		rules := waf.RulePolicy{}
		err = json.Unmarshal(policy.Document, &rules)
		rules.Kind, rules.Name, rules.Applications = policy.Kind, policy.Name, policy.Applications(service)
		p.Rules = append(p.Rules, rules)
	case model.AppCustomPolicy, model.ServiceCustomPolicy:
		custom := waf.CustomPolicy{}
		err = json.Unmarshal(policy.Document, &custom)
		custom.Name, custom.Applications = policy.Name, policy.Applications(service)
		p.Custom = append(p.Custom, custom)
	}
	if err != nil {
		return fmt.Errorf("%s %q is not of the declared shape", policy.Kind, policy.Name)
	}
	return nil
}

// forget drops the judges of web services that a snapshot does not have.
func (j *judges) forget(s *model.Snapshot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key := range j.kept {
		if !slices.ContainsFunc(s.Services, func(w model.SnapshotService) bool { return w.Site+"\x00"+w.ServerGroup+"\x00"+w.Name == key }) {
			delete(j.kept, key)
		}
	}
}
