package openapi

import (
	"context"
	"errors"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// strictMode reports whether unknown properties are refused.
func strictMode(ctx context.Context, q reader) (bool, error) {
	o, err := q.Find(ctx, model.RootID, model.StrictMode, model.StrictMode)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	document, err := documentOf(o)
	return document["mode"] == "true" || document["mode"] == "on", err
}
