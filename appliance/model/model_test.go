package model_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/model"
)

func TestParentsAndReferencesAreDeclared(t *testing.T) {
	seen := map[string]bool{"": true}
	for _, k := range model.Kinds {
		if !seen[k.Parent] {
			t.Errorf("%s lies under %q, which is not declared before it", k.Name, k.Parent)
		}
		seen[k.Name] = true
	}
	for _, k := range model.Kinds {
		for _, r := range k.References {
			for _, to := range r.To {
				if !seen[to] && to != model.SSLKey && to != model.Credential {
					t.Errorf("%s.%s may name a %q, which is not declared", k.Name, r.Field, to)
				}
			}
			if len(r.To) == 0 || strings.Contains(r.Field, "[].[]") {
				t.Errorf("%s.%s is not a reference", k.Name, r.Field)
			}
		}
	}
}

func TestDefaultsAreInOrder(t *testing.T) {
	list, err := model.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{model.RootID: true}
	for _, d := range list {
		if !there[d.ParentID] {
			t.Errorf("%s %q comes before its parent", d.Kind, d.Name)
		}
		if there[d.ID] {
			t.Errorf("%s %q is there twice", d.Kind, d.Name)
		}
		if !model.IsDefault(d.ID) {
			t.Errorf("%s %q is not known as a default", d.Kind, d.Name)
		}
		kind, err := model.Lookup(d.Kind)
		if err != nil {
			t.Fatal(err)
		}
		refs, err := kind.Refs(d.Document)
		if err != nil {
			t.Error(err)
		}
		for _, ref := range refs {
			if !there[ref.ID] {
				t.Errorf("%s %q names in %s what does not exist yet", d.Kind, d.Name, ref.Field)
			}
		}
		there[d.ID] = true
	}
	// Every type of security policy has a default.
	for _, kind := range []string{model.FirewallPolicy, model.HTTP2Policy, model.HTTPPolicy, model.HTTPSignaturesPolicy, model.SnippetPolicy, model.StreamPolicy,
		model.AppCustomPolicy, model.AppSignaturesPolicy, model.CorrelationPolicy, model.ProfilePolicy, model.ServiceCustomPolicy} {
		if !slices.ContainsFunc(list, func(d model.DefaultObject) bool { return d.Kind == kind }) {
			t.Errorf("there is no default %s", kind)
		}
	}
}

func TestRefs(t *testing.T) {
	kind := model.Kind{Name: "test", References: []model.Reference{
		{Field: "one", To: []string{"a"}}, {Field: "many[]", To: []string{"b"}}, {Field: "rules[].deep.ids[]", To: []string{"c"}},
	}}
	refs, err := kind.Refs([]byte(`{"one":"1","many":["3","2","3",""],"rules":[{"deep":{"ids":["4"]}},{"deep":null},{}],"other":"9"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []model.Ref{
		{Field: "one", ID: "1", To: []string{"a"}}, {Field: "many[]", ID: "2", To: []string{"b"}}, {Field: "many[]", ID: "3", To: []string{"b"}},
		{Field: "rules[].deep.ids[]", ID: "4", To: []string{"c"}},
	}
	if diff := cmp.Diff(want, refs); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
	for _, document := range []string{`{}`, `{"one":null,"many":null,"rules":[]}`, `{"one":""}`} {
		if refs, err := kind.Refs([]byte(document)); err != nil || len(refs) != 0 {
			t.Errorf("%s: %v, %v; want nobody", document, refs, err)
		}
	}
	for _, document := range []string{``, `null`, `[]`, `{"one":1}`, `{"many":"x"}`, `{"many":[{}]}`, `{"rules":[[]]}`} {
		if refs, err := kind.Refs([]byte(document)); err == nil {
			t.Errorf("%s was taken for %v", document, refs)
		}
	}
}

// As many objects as the API takes are as many as a snapshot may hold.
func TestASnapshotHoldsWhatTheAPITakes(t *testing.T) {
	most := 0
	for _, k := range model.Kinds {
		if k.Parent == "" {
			most += k.Most
		}
	}
	s := model.Snapshot{IPGroups: make(map[string][]model.IPEntry)}
	for n := range most {
		s.IPGroups[strconv.Itoa(n)] = nil
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
}
