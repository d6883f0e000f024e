// Package configuration makes what the gateways of a group are told, a
// model.Snapshot, of the objects in the store.
//
// It promises that the same rows make the same bytes, that a snapshot holds what
// the group's gateways need and nothing of other groups, that it names everything
// by the names of one moment, and that it is valid. A group that cannot be told
// what its objects say is an error that names the object; other groups are not
// touched by it. It reads no secret: who delivers a snapshot gives its private
// keys, sealed to the gateway, to Built.For.
package configuration

import (
	"context"
	"fmt"
	"slices"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Reading is the whole configuration at one revision. Several goroutines may build
// from it.
type Reading struct {
	Revision int64

	objects  map[string]*store.Object
	children map[family][]*store.Object // in the order of their names
	keys     map[string]store.SSLKey
	certs    map[string][]store.SSLKey // by web service, in the order of their names
}

// Read reads the configuration.
func Read(ctx context.Context, s *store.Store) (r *Reading, err error) {
	err = s.Read(ctx, func(q *store.Reader) error {
		r, err = read(ctx, q)
		return err
	})
	return r, err
}

// family are the objects of one kind under one parent.
type family struct{ parent, kind string }

func read(ctx context.Context, q *store.Reader) (*Reading, error) {
	r := &Reading{children: make(map[family][]*store.Object), keys: make(map[string]store.SSLKey), certs: make(map[string][]store.SSLKey)}
	var err error
	if r.Revision, err = q.Revision(ctx); err != nil {
		return nil, err
	}
	objects, err := q.Objects(ctx)
	if err != nil {
		return nil, err
	}
	r.objects = make(map[string]*store.Object, len(objects))
	for i := range objects {
		o := &objects[i]
		r.objects[o.ID] = o
		in := family{o.ParentID, o.Kind}
		r.children[in] = append(r.children[in], o)
	}
	keys, err := q.AllSSLKeys(ctx)
	for _, k := range keys {
		r.keys[k.ID] = k
		r.certs[k.ServiceID] = append(r.certs[k.ServiceID], k)
	}
	return r, err
}

// Groups are the ids of the gateway groups, in the order of their names.
func (r *Reading) Groups() []string {
	var ids []string
	for _, o := range r.under(model.RootID, model.GatewayGroup) {
		ids = append(ids, o.ID)
	}
	return ids
}

// GroupName is what a gateway group is called.
func (r *Reading) GroupName(id string) string {
	if o := r.objects[id]; o != nil {
		return o.Name
	}
	return ""
}

// under are the objects of a kind under a parent, in the order of their names.
func (r *Reading) under(parent, kind string) []*store.Object {
	return r.children[family{parent, kind}]
}

// path are the names from the root down to an object.
func (r *Reading) path(o *store.Object) []string {
	names := []string{o.Name}
	for o = r.objects[o.ParentID]; o != nil; o = r.objects[o.ParentID] {
		names = append(names, o.Name)
	}
	slices.Reverse(names)
	return names
}

// faultf is what is wrong with an object.
func faultf(o *store.Object, format string, args ...any) error {
	return fmt.Errorf("%s %q: %w", model.Title(o.Kind), o.Name, fmt.Errorf(format, args...))
}
