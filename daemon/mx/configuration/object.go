package configuration

import (
	"cmp"
	"encoding/json"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// addObjects adds what sites share and the group's services and policies name; what
// names others before those.
func (b *builder) addObjects() {
	s := b.Snapshot
	add(b, model.ErrorPagePolicy, &s.ErrorPagePolicies, func(o *store.Object) []model.ErrorPageRule {
		var d struct{ Rules []model.ErrorPageRule }
		b.read(o, &d)
		return d.Rules
	})
	add(b, model.URLRewriteGroup, &s.URLRewriteGroups, func(o *store.Object) []model.RewriteRule {
		var d struct{ Rules []model.RewriteRule }
		b.read(o, &d)
		return d.Rules
	})
	add(b, model.DataMaskingGroup, &s.DataMaskingGroups, func(o *store.Object) []model.DataMask {
		var d struct{ DataMaskingObjects []model.DataMask }
		b.read(o, &d)
		return d.DataMaskingObjects
	})
	add(b, model.Dictionary, &s.Dictionaries, b.signatures)
	add(b, model.ErrorPage, &s.ErrorPages, as[model.Page](b))
	add(b, model.SSLSettings, &s.SSLSettings, as[model.TLSSettings](b))
	add(b, model.ActionSet, &s.ActionSets, b.actionSet)
	add(b, model.ParameterType, &s.ParameterTypes, func(o *store.Object) string {
		var d struct{ RegularExpression string }
		b.read(o, &d)
		return d.RegularExpression
	})
	add(b, model.IPGroup, &s.IPGroups, func(o *store.Object) []model.IPEntry {
		var d struct{ Entries []model.IPEntry }
		b.read(o, &d)
		return d.Entries
	})
}

// add adds the wanted objects of a kind.
func add[T any](b *builder, kind string, to *map[string]T, value func(*store.Object) T) {
	for _, o := range b.under(model.RootID, kind) {
		if b.wanted[o.ID] {
			if *to == nil {
				*to = make(map[string]T)
			}
			(*to)[o.Name] = value(o)
		}
	}
}

// as reads an object as it is.
func as[T any](b *builder) func(*store.Object) T {
	return func(o *store.Object) T {
		var v T
		b.read(o, &v)
		return v
	}
}

// usualSyslog is the port of an action that does not say it.
const usualSyslog = 514

func (b *builder) actionSet(o *store.Object) model.ActionSetSettings {
	var set model.ActionSetSettings
	b.read(o, &set)
	for i := range set.Actions {
		a := &set.Actions[i]
		switch a.Type {
		case model.ActionIPBlock, model.ActionSessionBlock, model.ActionUserBlock:
			a.Seconds = cmp.Or(a.Seconds, model.UsualBlock)
		case model.ActionSyslog:
			a.Port = cmp.Or(a.Port, usualSyslog)
		}
	}
	return set
}

func (b *builder) signatures(dictionary *store.Object) []model.SignatureSettings {
	list := []model.SignatureSettings{}
	for _, o := range b.under(dictionary.ID, model.Signature) {
		s := model.SignatureSettings{Name: o.Name}
		b.read(o, &s)
		list = append(list, s)
	}
	return list
}

// wantTypes wants the parameter types that a profile calls by name without a
// reference.
func (b *builder) wantTypes(app *store.Object, profile json.RawMessage) {
	type parameters []struct{ Name, Type string }
	var d struct {
		WebProfileURLs []struct {
			URLFullPath string
			Parameters  parameters
		}
		PatternURLs []struct {
			Pattern    string
			Parameters parameters
		}
	}
	if json.Unmarshal(profile, &d) != nil {
		return // read has said it
	}
	want := func(at string, list parameters) {
		for _, p := range list {
			if p.Type != "" && !b.wantType(p.Type) {
				b.fault(faultf(app, "its profile says of the parameter %q of %s that it has the type %q, which is not there; create the type, or change the parameter", p.Name, at, p.Type))
			}
		}
	}
	for _, u := range d.WebProfileURLs {
		want(u.URLFullPath, u.Parameters)
	}
	for _, u := range d.PatternURLs {
		want(u.Pattern, u.Parameters)
	}
}

func (b *builder) wantType(name string) bool {
	for _, o := range b.under(model.RootID, model.ParameterType) {
		if o.Name == name {
			b.wanted[o.ID] = true
			return true
		}
	}
	return false
}
