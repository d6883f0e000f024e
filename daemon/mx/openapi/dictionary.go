package openapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Dictionaries and signatures are written by hand: some paths name the group of a
// dictionary, which is no object, and those that come with the product do not
// change.

// The groups of dictionaries.
const (
	predefined  = "predefined"
	userDefined = "userDefined"
)

func groupOf(o store.Object) string {
	if model.IsDefault(o.ID) {
		return predefined
	}
	return userDefined
}

const (
	dictionaryPath = "/v1/conf/dictionaries/{dictionaryName}"
	signaturePath  = "/v1/conf/signatures/{dictionaryName}/{signatureName}"
	inGroup        = "/{dictionaryGroup}"
)

type dictionaries struct{ dictionary, signature resource }

func (a *API) dictionaryOperations() []Operation {
	d := dictionaries{a.at(model.Dictionary, dictionaryPath), a.at(model.Signature, signaturePath)}
	text := model.Field{}
	lists := model.Field{Name: "dictionaries", Type: model.Map, Of: &model.Field{Type: model.List, Of: &text}}
	fields := append(slices.Clone(d.dictionary.kind.Fields), model.Field{Name: "signatures", Type: model.List, Of: &text})
	grouped := "/v1/conf/signatures" + inGroup + "/{dictionaryName}/{signatureName}"
	return []Operation{
		{Method: http.MethodGet, Path: "/v1/conf/dictionaries", Summary: "list the dictionaries by group", Out: []model.Field{lists}, Do: d.list},
		{Method: http.MethodGet, Path: "/v1/conf/dictionaries" + inGroup + "/{dictionaryName}", Summary: "read a dictionary", Out: fields, Codes: []int{10016, 10801}, Do: d.get},
		{Method: http.MethodPost, Path: dictionaryPath, Summary: "create a dictionary", In: fields, Codes: []int{10005, 10016}, Do: d.create},
		{Method: http.MethodDelete, Path: dictionaryPath, Summary: "delete a dictionary with its signatures", Codes: []int{10801, 13004}, Do: d.dictionary.unlessPredefined(13004, d.dictionary.remove)},
		{Method: http.MethodGet, Path: grouped, Summary: "read a signature", Out: d.signature.kind.Fields, Codes: []int{10016, 10801, 13013}, Do: d.inGroup(d.signature.get(d.signature.kind.Fields))},
		{Method: http.MethodPut, Path: grouped, Summary: "change a signature", In: d.signature.kind.Fields, Codes: []int{10016, 10801, 13013, 13014},
			Do: d.inGroup(d.signature.unlessPredefined(13014, d.signature.change(d.signature.kind.Fields)))},
		{Method: http.MethodPost, Path: signaturePath, Summary: "create a signature", In: d.signature.kind.Fields, Codes: []int{10801, 13103, 13104, 13110, 13111},
			Do: d.dictionary.unlessPredefined(13111, d.signature.create)},
		{Method: http.MethodDelete, Path: signaturePath, Summary: "delete a signature", Codes: []int{10801, 13005, 13013}, Do: d.signature.unlessPredefined(13005, d.signature.remove)},
	}
}

// unlessPredefined refuses to do something to what comes with the product.
func (r resource) unlessPredefined(code int, do func(context.Context, *Call) (any, error)) func(context.Context, *Call) (any, error) {
	return func(ctx context.Context, c *Call) (any, error) {
		err := r.store.Read(ctx, func(q *store.Reader) error {
			chain, err := c.locate(ctx, q, r.steps)
			if err != nil {
				return err
			}
			if o := chain[len(chain)-1]; model.IsDefault(o.ID) {
				return Faultf(code, "%s %q is predefined, so it does not change", r.kind.Title, short(o.Name))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		return do(ctx, c)
	}
}

// find finds the dictionary of a path that names its group.
func (d dictionaries) find(ctx context.Context, c *Call, q reader) ([]store.Object, error) {
	group := c.Path["dictionaryGroup"]
	if group != predefined && group != userDefined {
		return nil, Faultf(10016, "dictionaryGroup is %q, must be %s or %s", short(group), predefined, userDefined)
	}
	chain, err := c.locate(ctx, q, d.dictionary.steps)
	if err == nil && groupOf(chain[0]) != group {
		err = Faultf(10801, "there is no dictionary %q in group %s", short(chain[0].Name), group)
	}
	return chain, err
}

func (d dictionaries) inGroup(do func(context.Context, *Call) (any, error)) func(context.Context, *Call) (any, error) {
	return func(ctx context.Context, c *Call) (any, error) {
		err := d.dictionary.store.Read(ctx, func(q *store.Reader) error {
			_, err := d.find(ctx, c, q)
			return err
		})
		if err != nil {
			return nil, err
		}
		return do(ctx, c)
	}
}

func (d dictionaries) list(ctx context.Context, _ *Call) (any, error) {
	groups := map[string][]string{predefined: {}, userDefined: {}}
	err := d.dictionary.store.Read(ctx, func(q *store.Reader) error {
		list, err := q.List(ctx, model.RootID, model.Dictionary)
		for _, o := range list {
			groups[groupOf(o)] = append(groups[groupOf(o)], o.Name)
		}
		return err
	})
	return map[string]any{"dictionaries": groups}, err
}

func (d dictionaries) get(ctx context.Context, c *Call) (any, error) {
	var answer json.RawMessage
	err := d.dictionary.store.Read(ctx, func(q *store.Reader) error {
		chain, err := d.find(ctx, c, q)
		if err != nil {
			return err
		}
		names, err := q.Names(ctx, chain[0].ID, model.Signature)
		if err != nil {
			return err
		}
		list, err := model.AppendJSON([]byte(`{"signatures":`), append([]string{}, names...))
		if err != nil {
			return err
		}
		answer, err = model.WireFields(list, d.dictionary.kind.Fields, chain[0].Document, d.dictionary.reading(ctx, c, q, chain))
		answer = append(answer, '}')
		return err
	})
	return answer, err
}

// create makes a dictionary without signatures: each has a path of its own.
func (d dictionaries) create(ctx context.Context, c *Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	if list, _ := body["signatures"].([]any); len(list) > 0 {
		return nil, Faultf(10016, "signatures must be empty or absent: each is created with POST %s", signaturePath)
	}
	text, err := model.AppendJSON(nil, without(body, "signatures"))
	if err != nil {
		return nil, err
	}
	c.Body = text
	return d.dictionary.create(ctx, c)
}
