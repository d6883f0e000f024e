package openapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// element is a path of one entry of a list in an object's document.
type element struct {
	resource
	model.Element
	list model.Field
	name string // of the entry, in the path
}

func newElement(a *API, k model.Kind, e model.Element) element {
	i := slices.IndexFunc(k.Fields, func(f model.Field) bool { return f.Name == e.List })
	vars := braces(e.Path)
	object := e.Path[:strings.LastIndex(e.Path, "/")]
	return element{resource{API: a, kind: k, path: e.Path, steps: stepsTo(k.Name, object)}, e, k.Fields[i], vars[len(vars)-1]}
}

func (e element) operations() []Operation {
	var list []Operation
	add := func(method string, op Operation) {
		if has(e.Methods, method, "GET POST PUT DELETE") {
			op.Method, op.Path, op.Resource = method, e.Path, e.kind.Name
			op.Codes = append(e.missingCodes(), e.Missing)
			list = append(list, op)
		}
	}
	fields := e.list.Of.Fields
	add(http.MethodGet, Operation{Summary: "read one " + e.Title + " of " + article(e.kind.Title), Out: fields, Do: e.get})
	add(http.MethodPost, Operation{Summary: "add " + article(e.Title) + " to " + article(e.kind.Title), In: fields, Do: e.post})
	add(http.MethodPut, Operation{Summary: "change " + article(e.Title) + " of " + article(e.kind.Title), In: fields, Do: e.put})
	add(http.MethodDelete, Operation{Summary: "take " + article(e.Title) + " from " + article(e.kind.Title), Do: e.remove})
	return list
}

// key is how the document calls the entry of a path.
func (e element) key(c *Call) string {
	key := c.Path[e.name]
	if e.Rooted && !strings.HasPrefix(key, "/") {
		key = "/" + key
	}
	return key
}

func (e element) index(list []any, key string) int {
	return slices.IndexFunc(list, func(entry any) bool {
		object, _ := entry.(map[string]any)
		return object[e.Key] == key
	})
}

func (e element) absent(c *Call, chain []store.Object) error {
	return Faultf(e.Missing, "there is no %s %q%s", e.Title, short(e.key(c)), inside(chain))
}

// found is what a path of an entry leads to.
type found struct {
	chain    []store.Object
	document map[string]any // of the last
	list     []any          // in it
	at       int            // of the entry in the list; -1 is none
}

func (e element) find(ctx context.Context, c *Call, q reader) (f found, err error) {
	if f.chain, err = c.locate(ctx, q, e.steps); err != nil {
		return f, err
	}
	f.document, err = documentOf(f.chain[len(f.chain)-1])
	f.list, _ = f.document[e.List].([]any)
	f.at = e.index(f.list, e.key(c))
	return f, err
}

// present is find of an entry that must be there.
func (e element) present(ctx context.Context, c *Call, q reader) (found, error) {
	f, err := e.find(ctx, c, q)
	if err == nil && f.at < 0 {
		err = e.absent(c, f.chain)
	}
	return f, err
}

func (e element) get(ctx context.Context, c *Call) (any, error) {
	var answer json.RawMessage
	err := e.store.Read(ctx, func(q *store.Reader) error {
		f, err := e.present(ctx, c, q)
		if err != nil {
			return err
		}
		text, err := model.AppendJSON(nil, f.list[f.at])
		if err != nil {
			return err
		}
		answer, err = model.Wire(nil, e.list.Of.Fields, text, e.reading(ctx, c, q, f.chain))
		return err
	})
	return answer, err
}

func (e element) post(ctx context.Context, c *Call) (any, error) {
	return e.edit(ctx, c, "add", func(f found, _ map[string]any) error {
		if f.at >= 0 {
			return Faultf(e.Exists, "%s %q exists already", e.Title, short(e.key(c)))
		}
		return nil
	})
}

func (e element) put(ctx context.Context, c *Call) (any, error) {
	return e.edit(ctx, c, "change", func(f found, body map[string]any) error {
		if f.at < 0 {
			if e.Upsert {
				return nil
			}
			return e.absent(c, f.chain)
		}
		name, ok := body[e.Key].(string)
		if !ok || name == e.key(c) {
			return nil
		}
		if e.index(f.list, name) >= 0 {
			return Faultf(e.Exists, "%s is %q, which exists already", e.Key, short(name))
		}
		f.list[f.at].(map[string]any)[e.Key] = name
		return nil
	})
}

// edit has prepare look at what is there, and then merges the body into it.
func (e element) edit(ctx context.Context, c *Call, verb string, prepare func(f found, body map[string]any) error) (any, error) {
	sent, err := c.Object()
	if err != nil {
		return nil, err
	}
	return nil, e.write(ctx, c, e.summary(verb+" "+e.Title+" of", c), func(tx *store.Tx) error {
		f, err := e.find(ctx, c, tx)
		if err != nil {
			return err
		}
		body := without(sent)
		if s, ok := body[e.Key].(string); verb == "add" || !ok || s == "" {
			body[e.Key] = e.key(c)
		}
		if err := prepare(f, body); err != nil {
			return err
		}
		if f.chain[len(f.chain)-1].Document, err = model.AppendJSON(nil, f.document); err != nil {
			return err
		}
		return e.update(ctx, c, tx, f.chain, []model.Field{e.list}, map[string]any{e.List: []any{body}}, false)
	})
}

func (e element) remove(ctx context.Context, c *Call) (any, error) {
	return nil, e.write(ctx, c, e.summary("take "+article(e.Title)+" from", c), func(tx *store.Tx) error {
		f, err := e.present(ctx, c, tx)
		if err != nil {
			return err
		}
		f.document[e.List] = slices.Delete(f.list, f.at, f.at+1)
		text, err := model.AppendJSON(nil, f.document)
		if err != nil {
			return err
		}
		return tx.Update(ctx, f.chain[len(f.chain)-1].ID, text)
	})
}
