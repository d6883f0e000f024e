package configuration

import (
	"encoding/json"
	"maps"
	"slices"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// addPolicies adds the policies that apply to web services of the group.
func (b *builder) addPolicies() {
	for _, kind := range slices.Sorted(maps.Keys(model.Policies)) {
		for _, o := range b.under(model.RootID, kind) {
			if to := b.appliesTo(o); len(to) > 0 {
				b.addPolicy(o, to)
			}
		}
	}
}

func (b *builder) appliesTo(policy *store.Object) []model.ApplyTo {
	var d struct {
		Places []string `json:"applyTo"`
	}
	if err := json.Unmarshal(policy.Document, &d); err != nil {
		b.fault(faultf(policy, "%w", err))
	}
	var list []model.ApplyTo
	for _, id := range d.Places {
		if b.places[id] {
			names := append(b.path(b.objects[id]), "", "", "")
			list = append(list, model.ApplyTo{Site: names[0], ServerGroup: names[1], Service: names[2], Application: names[3]})
		}
	}
	return list
}

func (b *builder) addPolicy(o *store.Object, to []model.ApplyTo) {
	p := model.SnapshotPolicy{Kind: o.Kind, Name: o.Name, ApplyTo: to}
	b.read(o, &p.Document)
	var d ruled
	if json.Unmarshal(p.Document, &d) == nil {
		b.wantSignatures(o, d)
		b.inspectResponses(&p, d)
	}
	b.Snapshot.Policies = append(b.Snapshot.Policies, p)
}

// ruled is what policies of different kinds have of rules and criteria.
type ruled struct {
	Rules []struct {
		Name    string
		Enabled bool
	}
	Exceptions    []struct{ Predicates []asked }
	MatchCriteria []asked
}

type asked struct{ Signatures []struct{ Name string } }

// wantSignatures wants the dictionaries of the signatures that criteria name. They
// are no references, so a signature may have gone.
func (b *builder) wantSignatures(policy *store.Object, d ruled) {
	criteria := d.MatchCriteria
	for _, e := range d.Exceptions {
		criteria = append(criteria, e.Predicates...)
	}
	for _, c := range criteria {
		for _, s := range c.Signatures {
			found := false
			for _, dictionary := range b.under(model.RootID, model.Dictionary) {
				if dictionary.Name == s.Name || slices.ContainsFunc(b.under(dictionary.ID, model.Signature), func(o *store.Object) bool { return o.Name == s.Name }) {
					b.wanted[dictionary.ID], found = true, true
				}
			}
			if !found {
				b.fault(faultf(policy, "a criterion names the signature %q, which no dictionary has; create it, or change the criterion", s.Name))
			}
		}
	}
}

// inspectResponses has the answers of the web services inspected to which a policy
// with such a rule applies.
func (b *builder) inspectResponses(p *model.SnapshotPolicy, d ruled) {
	for _, r := range d.Rules {
		if !r.Enabled || !slices.Contains(model.AboutAnswers, r.Name) {
			continue
		}
		for i := range b.Snapshot.Services {
			s := &b.Snapshot.Services[i]
			s.InspectResponses = s.InspectResponses || p.Covers(s)
		}
	}
}
