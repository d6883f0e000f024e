package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Ref is one reference found in a document.
type Ref struct {
	Field string   // as declared
	ID    string   // whom it names
	To    []string // kinds that it may name
}

// Refs lists whom a document of this kind names. Absent, null and empty fields name
// nobody; a field of another shape than declared is an error. The same id in the
// same field counts once.
func (k Kind) Refs(document []byte) ([]Ref, error) {
	var root map[string]any
	if err := json.Unmarshal(document, &root); err != nil || root == nil {
		return nil, fmt.Errorf("the document of a %s must be a JSON object", k.Name)
	}
	var refs []Ref
	for _, r := range k.References {
		ids, err := collect(root, strings.Split(r.Field, "."), nil)
		if err != nil {
			return nil, fmt.Errorf("field %s of a %s: %w", r.Field, k.Name, err)
		}
		slices.Sort(ids)
		for _, id := range slices.Compact(ids) {
			refs = append(refs, Ref{Field: r.Field, ID: id, To: r.To})
		}
	}
	return refs, nil
}

// Called are the names by which a document of the field's kind calls others.
func (r Reference) Called(document []byte) ([]string, error) {
	var root any
	if err := json.Unmarshal(document, &root); err != nil {
		return nil, err
	}
	return collect(root, strings.Split(r.Field, "."), nil)
}

// Forget takes an id out of a document's field, which is a Weak reference.
func Forget(document []byte, field, id string) ([]byte, error) {
	var root map[string]json.RawMessage
	if err := json.Unmarshal(document, &root); err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(field, "[]")
	var ids []string
	if err := json.Unmarshal(root[name], &ids); err != nil {
		return nil, err
	}
	list, err := json.Marshal(slices.DeleteFunc(ids, func(s string) bool { return s == id }))
	if err != nil {
		return nil, err
	}
	root[name] = list
	return AppendJSON(nil, root)
}

// weak reports whether a field is a Weak reference.
func (k Kind) weak(field string) bool {
	return slices.ContainsFunc(k.References, func(r Reference) bool { return r.Field == field && r.Weak })
}

// IsWeak reports whether what is deleted leaves a field, instead of being kept by it.
func IsWeak(kind, field string) bool { return byName[kind].weak(field) }

var errShape = errors.New("is not of the declared shape")

// collect appends the ids at path below value to ids.
func collect(value any, path []string, ids []string) ([]string, error) {
	if value == nil {
		return ids, nil
	}
	if len(path) == 0 {
		id, ok := value.(string)
		if !ok {
			return nil, errShape
		}
		if id == "" {
			return ids, nil
		}
		return append(ids, id), nil
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errShape
	}
	if name, isMap := strings.CutSuffix(path[0], "{}"); isMap {
		return collectMap(object[name], path[1:], ids)
	}
	name, isList := strings.CutSuffix(path[0], "[]")
	if !isList {
		return collect(object[name], path[1:], ids)
	}
	if object[name] == nil {
		return ids, nil
	}
	list, ok := object[name].([]any)
	if !ok {
		return nil, errShape
	}
	for _, entry := range list {
		var err error
		if ids, err = collect(entry, path[1:], ids); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// Redirect is the document with each id that it names replaced by what to says of
// it; an id that to has "" for is taken out. Nothing else changes but the order of
// fields.
func (k Kind) Redirect(document []byte, to func(id string) string) ([]byte, error) {
	numbers := json.NewDecoder(bytes.NewReader(document))
	numbers.UseNumber() // as they are written
	var root any
	if err := numbers.Decode(&root); err != nil {
		return nil, fmt.Errorf("the document of a %s must be a JSON object", k.Name)
	}
	for _, r := range k.References {
		root = redirected(root, strings.Split(r.Field, "."), to)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(root); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// redirected is value with the ids at path below it replaced; nil stands for an id
// that is taken out.
func redirected(value any, path []string, to func(string) string) any {
	if len(path) == 0 {
		id, ok := value.(string)
		if !ok || id == "" {
			return value
		}
		if id = to(id); id == "" {
			return nil
		}
		return id
	}
	object, ok := value.(map[string]any)
	if !ok {
		return value
	}
	if name, isMap := strings.CutSuffix(path[0], "{}"); isMap {
		entries, _ := object[name].(map[string]any)
		for key, entry := range entries {
			if entries[key] = redirected(entry, path[1:], to); entries[key] == nil {
				delete(entries, key)
			}
		}
		return value
	}
	name, isList := strings.CutSuffix(path[0], "[]")
	switch list, _ := object[name].([]any); {
	case !isList && object[name] != nil:
		object[name] = redirected(object[name], path[1:], to)
	case isList && list != nil:
		kept := make([]any, 0, len(list))
		for _, entry := range list {
			if entry = redirected(entry, path[1:], to); entry != nil {
				kept = append(kept, entry)
			}
		}
		object[name] = kept
	}
	return value
}

func collectMap(value any, path []string, ids []string) ([]string, error) {
	entries, ok := value.(map[string]any)
	if !ok && value != nil {
		return nil, errShape
	}
	for _, entry := range entries {
		var err error
		if ids, err = collect(entry, path, ids); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
