package openapi

import (
	"context"
	"errors"
	"net/http"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// The creation of a host-to-application mapping is written by hand: its path names
// the web application, which is a field, before the priority.
func (a *API) mappingOperations() []Operation {
	k, err := model.Lookup(model.HostMapping)
	if err != nil {
		panic(err)
	}
	r := resource{API: a, kind: k, path: k.Path, steps: stepsTo(model.HostMapping, k.Path)}
	return []Operation{{
		Method: http.MethodPost, Path: servicePath + "/hostToAppMappings/{webApplicationName}/{priority}", Resource: model.HostMapping,
		Summary: "create a host-to-application mapping", In: k.Fields[:2], Codes: []int{10006, 10008, 10014, 10015, 10016, 10017, 10022, 10212},
		Do: r.createMapping,
	}}
}

func (r resource) createMapping(ctx context.Context, c *Call) (any, error) {
	return r.createIn(ctx, c, func(tx *store.Tx, chain []store.Object, body map[string]any) error {
		name, err := numberOf("priority", c.Path["priority"])
		if err != nil {
			return err
		}
		app, err := tx.Find(ctx, chain[len(chain)-1].ID, model.WebApplication, c.Path["webApplicationName"])
		if errors.Is(err, store.ErrNotFound) {
			return Faultf(10014, "there is no web application %q%s", short(c.Path["webApplicationName"]), inside(chain))
		}
		if err != nil {
			return err
		}
		_, err = r.add(ctx, c, tx, chain, name, without(body, "application"), map[string]any{"application": app.ID})
		return err
	})
}
