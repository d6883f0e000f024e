package openapi

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// names finds what the references of one request name.
type names struct {
	ctx    context.Context
	q      reader
	chain  []store.Object // the object and what it lies in, from the outermost in
	tx     *store.Tx      // nil when reading
	sealer store.Sealer
	caller Caller
	known  map[string]store.Object

	signatures map[string]string // ids by name, of whichever dictionary; nil: not read yet
}

var _ model.Names = (*names)(nil)

// ID returns the id of what a client calls name.
func (n *names) ID(f model.Field, name string) (string, error) {
	under := model.RootID
	if f.Under != "" {
		i := slices.IndexFunc(n.chain, func(o store.Object) bool { return o.Kind == f.Under })
		if i < 0 {
			return "", model.ErrNoSuch
		}
		under = n.chain[i].ID
	}
	for _, kind := range f.To {
		id, err := n.find(under, kind, name)
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return id, err
		}
	}
	return "", model.ErrNoSuch
}

func (n *names) find(under, kind, name string) (string, error) {
	switch kind {
	case model.SSLKey:
		return n.findKey(under, name)
	case model.Signature:
		return n.findSignature(name)
	}
	o, err := n.q.Find(n.ctx, under, kind, name)
	return o.ID, err
}

// findSignature finds one in any dictionary.
func (n *names) findSignature(name string) (string, error) {
	if n.signatures == nil {
		list, err := n.q.All(n.ctx, model.Signature)
		if err != nil {
			return "", err
		}
		n.signatures = make(map[string]string, len(list))
		for _, o := range list {
			n.signatures[o.Name] = o.ID
		}
	}
	if id, ok := n.signatures[name]; ok {
		return id, nil
	}
	return "", store.ErrNotFound
}

func (n *names) findKey(under, name string) (string, error) {
	keys, err := n.q.SSLKeys(n.ctx, under)
	if err != nil {
		return "", err
	}
	for _, key := range keys {
		if key.Name == name {
			return key.ID, nil
		}
	}
	return "", store.ErrNotFound
}

// placeKinds are the kinds of the levels of the site tree.
var placeKinds = []string{model.Site, model.ServerGroup, model.WebService, model.WebApplication}

// PlaceID returns the id of what lies under names, from the site down.
func (n *names) PlaceID(path []string) (string, error) {
	parent := model.RootID
	for i, name := range path {
		kind, err := model.Lookup(placeKinds[i])
		if err != nil {
			return "", err
		}
		o, err := n.q.Find(n.ctx, parent, kind.Name, name)
		if err == nil && i == 0 && !n.caller.sees(name) {
			err = store.ErrNotFound
		}
		if errors.Is(err, store.ErrNotFound) {
			return "", &Fault{Code: kind.Missing, Description: fmt.Sprintf("there is no %s %q", kind.Title, short(name))}
		}
		if err != nil {
			return "", err
		}
		parent = o.ID
	}
	return parent, nil
}

// Name is what clients call the object, or SSL key, with an id.
func (n *names) Name(id string) (string, error) {
	o, err := n.get(id)
	return o.Name, err
}

// Place is where an object lies, from the site down.
func (n *names) Place(id string) ([]string, error) {
	var path []string
	for id != model.RootID {
		o, err := n.get(id)
		if err != nil || o.ID == "" {
			return nil, err
		}
		path = append(path, o.Name)
		id = o.ParentID
	}
	slices.Reverse(path)
	if len(path) > 0 && !n.caller.sees(path[0]) {
		return nil, nil
	}
	return path, nil
}

// get reads an object once for a request.
func (n *names) get(id string) (store.Object, error) {
	if o, ok := n.known[id]; ok {
		return o, nil
	}
	o, err := n.q.Get(n.ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		var key store.SSLKey
		if key, err = n.q.SSLKey(n.ctx, id); err == nil {
			o = store.Object{ID: id, ParentID: key.ServiceID, Kind: model.SSLKey, Name: key.Name}
		} else if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
	}
	if err != nil {
		return o, err
	}
	if n.known == nil {
		n.known = make(map[string]store.Object)
	}
	n.known[id] = o
	return o, nil
}

// Keep seals a secret.
func (n *names) Keep(secret string) (string, error) {
	if n.sealer == nil {
		return "", errors.New("this server cannot seal secrets")
	}
	return n.tx.AddCredential(n.ctx, store.Credential{Kind: store.ServerCredential, Name: store.NewID()}, n.sealer, []byte(secret))
}
