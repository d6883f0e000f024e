package openapi

import (
	"context"
	"net/http"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Emptying an IP group is written by hand: it is a DELETE that deletes no object.
func (a *API) ipGroupOperations() []Operation {
	r := a.at(model.IPGroup, "/v1/conf/ipGroups/{ipGroupName}")
	return []Operation{{Method: http.MethodDelete, Path: r.path + "/clear", Resource: model.IPGroup, Summary: "take all entries from an IP group",
		Codes: []int{10601}, Do: r.clear}}
}

func (r resource) clear(ctx context.Context, c *Call) (any, error) {
	return nil, r.write(ctx, c, r.summary("clear", c), func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, r.steps)
		if err != nil {
			return err
		}
		document, err := documentOf(chain[0])
		if err != nil {
			return err
		}
		document["entries"] = []any{}
		text, err := model.AppendJSON(nil, document)
		if err != nil {
			return err
		}
		return tx.Update(ctx, chain[0].ID, text)
	})
}
