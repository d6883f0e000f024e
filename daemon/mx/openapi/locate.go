package openapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// reader is what a reading and a write of the store have in common.
type reader interface {
	Get(ctx context.Context, id string) (store.Object, error)
	Find(ctx context.Context, parent, kind, name string) (store.Object, error)
	List(ctx context.Context, parent, kind string) ([]store.Object, error)
	All(ctx context.Context, kind string) ([]store.Object, error)
	Names(ctx context.Context, parent, kind string) ([]string, error)
	InUseBy(ctx context.Context, id string) ([]store.Use, error)
	SSLKey(ctx context.Context, id string) (store.SSLKey, error)
	SSLKeys(ctx context.Context, service string) ([]store.SSLKey, error)
}

// step is one object on the way that a path describes.
type step struct {
	kind model.Kind
	vars []string // the names in braces that find it
}

// finders find kinds for which a name is not enough.
var finders = map[string]func(ctx context.Context, q reader, parent string, values []string, query url.Values) (store.Object, error){
	model.InboundRule: findInbound,
	model.ProtectedIP: findProtectedIP,
}

// varsOf is how many names in braces find an object of a kind.
func varsOf(k model.Kind) int {
	switch {
	case k.Single:
		return 0
	case k.Name == model.InboundRule:
		return 3
	default:
		return 1
	}
}

// stepsTo are the objects that a path of a kind names, from the outermost in. It
// panics where the names in the path do not fit the kind's parents.
func stepsTo(kind, path string) []step {
	vars := braces(path)
	var steps []step
	for name := kind; ; {
		k, err := model.Lookup(name)
		if err != nil {
			panic(err)
		}
		n := varsOf(k)
		if n > len(vars) {
			panic(fmt.Sprintf("openapi: path %s has no name for a %s", path, name))
		}
		steps = append(steps, step{k, vars[len(vars)-n:]})
		vars = vars[:len(vars)-n]
		if k.Parent == "" || k.Anywhere {
			break
		}
		name = k.Parent
	}
	if len(vars) > 0 {
		panic(fmt.Sprintf("openapi: path %s has %v besides its objects", path, vars))
	}
	slices.Reverse(steps)
	return steps
}

// locate finds the objects of steps, each below the one before. Sites that the
// caller may not see do not exist for it.
func (c *Call) locate(ctx context.Context, q reader, steps []step) ([]store.Object, error) {
	chain := make([]store.Object, 0, len(steps))
	parent := model.RootID
	for _, s := range steps {
		o, err := c.find(ctx, q, parent, s)
		if err == nil && s.kind.Name == model.Site && !c.Caller.sees(o.Name) {
			err = store.ErrNotFound
		}
		if errors.Is(err, store.ErrNotFound) {
			return chain, c.missing(s, chain)
		}
		if err != nil {
			return chain, err
		}
		chain = append(chain, o)
		parent = o.ID
	}
	return chain, nil
}

func (c *Call) find(ctx context.Context, q reader, parent string, s step) (store.Object, error) {
	values := make([]string, len(s.vars))
	for i, name := range s.vars {
		values[i] = c.Path[name]
	}
	if find := finders[s.kind.Name]; find != nil {
		return find(ctx, q, parent, values, c.Query)
	}
	switch {
	case s.kind.Single:
		o, err := q.Find(ctx, parent, s.kind.Name, s.kind.Name)
		if errors.Is(err, store.ErrNotFound) {
			return store.Object{ParentID: parent, Kind: s.kind.Name, Name: s.kind.Name, Document: []byte("{}")}, nil
		}
		return o, err
	case s.kind.Anywhere && s.kind.Parent != "":
		return findAnywhere(ctx, q, s.kind, values[0])
	case s.kind.Numbered:
		name, err := numberOf(s.vars[0], values[0])
		if err != nil {
			return store.Object{}, err
		}
		return q.Find(ctx, parent, s.kind.Name, name)
	default:
		return q.Find(ctx, parent, s.kind.Name, values[0])
	}
}

// findAnywhere finds an object whose parent the path does not tell. Its parents lie
// under the root.
func findAnywhere(ctx context.Context, q reader, k model.Kind, name string) (store.Object, error) {
	parents, err := q.List(ctx, model.RootID, k.Parent)
	if err != nil {
		return store.Object{}, err
	}
	for _, parent := range parents {
		o, err := q.Find(ctx, parent.ID, k.Name, name)
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return o, err
		}
	}
	return store.Object{}, store.ErrNotFound
}

// maxNumber is the highest priority.
const maxNumber = 1 << 30

// numberOf is the name of a numbered object.
func numberOf(what, value string) (string, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxNumber {
		return "", Faultf(10016, "%s is %q, must be a whole number, 1 to %d", what, short(value), maxNumber)
	}
	return strconv.Itoa(n), nil
}

// missing is the fault of an object that is not there.
func (c *Call) missing(s step, chain []store.Object) error {
	code := s.kind.Missing
	if s.kind.Unread != 0 && c.Operation.Method == http.MethodGet {
		code = s.kind.Unread
	}
	if code == 0 {
		code = 10016
	}
	return Faultf(code, "there is no %s %s%s", s.kind.Title, c.named(s), inside(chain))
}

func (c *Call) named(s step) string {
	words := make([]string, len(s.vars))
	for i, name := range s.vars {
		words[i] = strconv.Quote(short(c.Path[name]))
	}
	return strings.Join(words, ", ")
}

// inside words where something lies.
func inside(chain []store.Object) string {
	if len(chain) == 0 {
		return ""
	}
	last := chain[len(chain)-1]
	return fmt.Sprintf(" in %s %q", model.Title(last.Kind), short(readable(last.Name)))
}
