package openapi

import (
	"context"
	"errors"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// handOver has inbound rules name another gateway's alias of the same name, where they
// name one that goes with o, a gateway or an alias. For the rules it is the same
// alias, so a gateway can go as long as another one of its group has it.
func handOver(ctx context.Context, tx *store.Tx, o store.Object) error {
	var going []store.Object
	gateway := o
	var err error
	switch o.Kind {
	case model.Gateway:
		going, err = tx.List(ctx, o.ID, model.Alias)
	case model.Alias:
		going = []store.Object{o}
		gateway, err = tx.Get(ctx, o.ParentID)
	}
	if err != nil {
		return err
	}
	for _, alias := range going {
		if err := handOverAlias(ctx, tx, gateway, alias); err != nil {
			return err
		}
	}
	return nil
}

func handOverAlias(ctx context.Context, tx *store.Tx, gateway, alias store.Object) error {
	uses, err := tx.InUseBy(ctx, alias.ID)
	if err != nil || len(uses) == 0 {
		return err
	}
	gateways, err := tx.List(ctx, gateway.ParentID, model.Gateway)
	if err != nil {
		return err
	}
	for _, other := range gateways {
		if other.ID == gateway.ID {
			continue
		}
		same, err := tx.Find(ctx, other.ID, model.Alias, alias.Name)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		return renameAlias(ctx, tx, uses, same)
	}
	return nil
}

// renameAlias has inbound rules name an alias.
func renameAlias(ctx context.Context, tx *store.Tx, uses []store.Use, alias store.Object) error {
	for _, use := range uses {
		rule, err := tx.Get(ctx, use.ID)
		if err != nil {
			return err
		}
		document, err := documentOf(rule)
		if err != nil {
			return err
		}
		document["aliasName"] = alias.ID
		text, err := model.AppendJSON(nil, document)
		if err != nil {
			return err
		}
		if err := tx.Update(ctx, rule.ID, text); err != nil {
			return err
		}
		if err := tx.Rename(ctx, rule.ID, readable(rule.Name)+idMark+alias.ID); err != nil {
			return err
		}
	}
	return nil
}
