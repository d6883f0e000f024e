package openapi

import (
	"context"
	"net/http"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Read reads the fields that an operation takes from a body, as those of declared
// resources are read: liberally, and in strict mode nothing else.
func (c *Call) Read(ctx context.Context, fields []model.Field) (map[string]any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	r := model.Reading{Create: c.Request.Method == http.MethodPost}
	if c.api != nil {
		err := c.api.store.Read(ctx, func(q *store.Reader) (err error) {
			r.Strict, err = strictMode(ctx, q)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	document := make(map[string]any)
	r.Merge(document, fields, body)
	if len(r.Faults) > 0 {
		return nil, Faults(r.Faults)
	}
	return document, r.Err()
}
