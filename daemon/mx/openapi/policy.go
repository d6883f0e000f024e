package openapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// What applies to a place in the site tree is written by hand: policies name
// places, and these paths ask the other way round.
func (a *API) policyOperations() []Operation {
	var list []Operation
	policies := []model.Field{{Name: "som", Type: model.Bool}, {Name: "adc", Type: model.Bool}, {Name: "system", Type: model.Bool}, {Name: "policy-type"}, {Name: "policy-name"}}
	for _, kind := range []string{model.ServerGroup, model.WebService, model.WebApplication} {
		k, err := model.Lookup(kind)
		if err != nil {
			panic(err)
		}
		r := resource{API: a, kind: k, path: k.Path, steps: stepsTo(kind, k.Path)}
		list = append(list, Operation{Method: http.MethodGet, Path: k.Path + "/securityPolicies", Resource: kind, Summary: "list the security policies that apply to " + article(k.Title),
			Out: policies, BareOut: true, Codes: r.missingCodes(), Do: r.securityPolicies})
	}
	for place, policy := range map[string]string{model.WebService: model.ServiceCustomPolicy, model.WebApplication: model.AppCustomPolicy} {
		k, err := model.Lookup(place)
		if err != nil {
			panic(err)
		}
		r := resource{API: a, kind: k, path: k.Path, steps: stepsTo(place, k.Path)}
		list = append(list, Operation{Method: http.MethodPost, Path: k.Path + "/" + policySegment[policy] + "/{policyName}", Resource: policy,
			Summary: "apply a custom policy to " + article(k.Title), Codes: append(r.missingCodes(), 10033), Do: r.apply(policy)})
	}
	return list
}

// policySegment is how paths call the kinds of custom policies.
var policySegment = map[string]string{model.ServiceCustomPolicy: "webServiceCustomPolicies", model.AppCustomPolicy: "webApplicationCustomPolicies"}

// applied is one entry of a list of security policies.
type applied struct {
	SOM    bool   `json:"som"`
	ADC    bool   `json:"adc"`
	System bool   `json:"system"` // it came with the product
	Type   string `json:"policy-type"`
	Name   string `json:"policy-name"`
}

// securityPolicies are those that name the place, or what it lies in.
func (r resource) securityPolicies(ctx context.Context, c *Call) (any, error) {
	list := []applied{}
	err := r.store.Read(ctx, func(q *store.Reader) error {
		chain, err := c.locate(ctx, q, r.steps)
		if err != nil {
			return err
		}
		for _, o := range chain {
			uses, err := q.InUseBy(ctx, o.ID)
			if err != nil {
				return err
			}
			for _, use := range uses {
				entry := applied{System: model.IsDefault(use.ID), Type: model.Policies[use.Kind], Name: use.Name}
				if entry.Type != "" && use.Field == model.AppliesTo+"[]" && !slices.Contains(list, entry) {
					list = append(list, entry)
				}
			}
		}
		return nil
	})
	return list, err
}

// apply adds a place to what a policy applies to.
func (r resource) apply(policy string) func(context.Context, *Call) (any, error) {
	return func(ctx context.Context, c *Call) (any, error) {
		return nil, r.write(ctx, c, "apply a policy to "+r.kind.Title+" "+c.named(r.steps[len(r.steps)-1]), func(tx *store.Tx) error {
			chain, err := c.locate(ctx, tx, r.steps)
			if err != nil {
				return err
			}
			o, err := tx.Find(ctx, model.RootID, policy, c.Path["policyName"])
			if errors.Is(err, store.ErrNotFound) {
				return Faultf(10033, "there is no %s %q", model.Title(policy), short(c.Path["policyName"]))
			}
			if err != nil {
				return err
			}
			document, err := documentOf(o)
			if err != nil {
				return err
			}
			list, _ := document[model.AppliesTo].([]any)
			if id := chain[len(chain)-1].ID; !slices.Contains(list, any(id)) {
				document[model.AppliesTo] = append(list, id)
			}
			text, err := model.AppendJSON(nil, document)
			if err != nil {
				return err
			}
			return tx.Update(ctx, o.ID, text)
		})
	}
}
