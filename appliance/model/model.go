// Package model declares the resources of a management server: what kinds of
// configuration objects there are, under which parent each lies, which of its
// fields name other objects or secrets, and which objects a fresh server holds.
//
// A resource is one Kind value. Whatever must know about resources (the store's
// references, the defaults, later the OpenAPI's validation) follows from the
// declarations, so a new resource is one declaration and no new plumbing. Documents
// name other objects by id, never by name, so renaming an object changes one row;
// they name secrets by id, and never hold them. Nothing here knows HTTP or SQL.
package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// RootID is the parent of objects that lie under nothing.
const RootID = "00000000-0000-0000-0000-000000000000"

// Kinds of what references can name besides objects.
const (
	SSLKey     = "sslKey"
	Credential = "credential"
)

// Kind declares one kind of configuration objects.
type Kind struct {
	Name       string      // also the kind's column in the store
	Parent     string      // kind of the parent; "" is the root
	References []Reference // fields of the document that hold ids
	Defaults   []Default   // what a fresh server holds, with RootID or another default as parent
}

// Reference is a field that names others by id.
type Reference struct {
	Field string   // names joined by dots; "[]" after a name means each entry of a list
	To    []string // kinds that it may name
}

// Default is an object that a fresh server holds.
type Default struct {
	Under    []string // names of its parents from the outermost in; none for the root
	Name     string
	Document any // marshals to a JSON object
}

// Kinds are all resources, parents before children.
var Kinds = slices.Concat(siteKinds, gatewayKinds, globalKinds, policyKinds, systemKinds)

var byName = func() map[string]Kind {
	m := make(map[string]Kind, len(Kinds))
	for _, k := range Kinds {
		if _, twice := m[k.Name]; twice {
			panic("model: two declarations of kind " + k.Name)
		}
		m[k.Name] = k
	}
	return m
}()

// Lookup returns the declaration of a kind.
func Lookup(name string) (Kind, error) {
	k, ok := byName[name]
	if !ok {
		return Kind{}, fmt.Errorf("there is no kind of object named %q", name)
	}
	return k, nil
}

// defaultSpace makes the ids of defaults: the same object has the same id on every
// server, so that a dump of one meets the defaults of another.
var defaultSpace = uuid.MustParse("5ea19a7e-0000-5000-8000-000000000001")

// DefaultID is the id of the default object of a kind with these names, from the
// outermost parent's to its own. Renaming the object later does not change it.
func DefaultID(kind string, names ...string) string {
	return uuid.NewSHA1(defaultSpace, []byte(kind+"\x00"+strings.Join(names, "\x00"))).String()
}
