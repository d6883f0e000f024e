package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// list reads a list. One whose entries carry operations is changed entry by entry,
// one with Keys is merged by them, and any other takes the place of what was.
func (r *Reading) list(f Field, sent, before any, at string) (any, bool) {
	body, ok := sent.([]any)
	if !ok {
		// SDKs send a list of one as its entry.
		if f.Of.Type == Record || f.Of.Type == Place || f.Of.Type == List {
			r.wrongType(at, "a list", sent)
			return nil, false
		}
		if _, ok := scalar(sent); !ok {
			r.wrongType(at, "a list", sent)
			return nil, false
		}
		body = []any{sent}
	}
	if most := f.most(); int64(len(body)) > most || int64(len(body)) < f.Min {
		r.fault(f.codeOr(CodeLength), "%s has %d entries, allowed are %d to %d", at, len(body), f.Min, most)
		return nil, false
	}
	faults := len(r.Faults)
	old, _ := before.([]any)
	list := slices.Clone(old)
	if f.Changes == 0 && len(f.Keys) == 0 {
		list = nil
	}
	if f.Changes < 0 && !slices.ContainsFunc(body, hasOperation) {
		list = nil
	}
	list = r.apply(f, list, body, at)
	if int64(len(list)) > f.most() {
		r.fault(CodeLength, "%s would have %d entries, at most %d are allowed", at, len(list), f.most())
	}
	if list == nil {
		list = []any{}
	}
	return list, len(r.Faults) == faults
}

func hasOperation(entry any) bool {
	object, _ := entry.(map[string]any)
	return object["operation"] != nil
}

// apply reads the entries of body into list.
func (r *Reading) apply(f Field, list, body []any, at string) []any {
	index := make(map[string]int, len(list))
	for i, entry := range list {
		index[f.identity(entry)] = i
	}
	sent := make(map[string]bool)
	gone := make(map[int]bool)
	for i, entry := range body {
		at := fmt.Sprintf("%s[%d]", at, i)
		op, ok := r.operation(f, entry, at)
		if !ok {
			continue
		}
		value, ok := r.entry(f, entry, at)
		if !ok || value == "" && f.Of.Type == Named {
			continue
		}
		if !f.tells() {
			list = append(list, value)
			continue
		}
		id := f.identity(value)
		if sent[id] && f.Twice != 0 {
			r.fault(f.Twice, "%s names %s twice", at, f.keyed(value))
			continue
		}
		sent[id] = true
		j, there := index[id]
		there = there && !gone[j]
		switch {
		case op == OpRemove && there:
			gone[j] = true
		case (op == OpRemove || op == OpUpdate) && !there:
			r.fault(f.Absent, "%s: %s is not there, so it cannot be changed with operation %s", at, f.keyed(value), op)
		case there:
			list[j] = merged(list[j], value)
		default:
			r.missing(f, value, at)
			index[id] = len(list)
			list = append(list, value)
		}
	}
	kept := list[:0]
	for i, entry := range list {
		if !gone[i] {
			kept = append(kept, entry)
		}
	}
	return kept
}

// entry reads an entry. What it lacks may be in the one that it is merged with.
func (r *Reading) entry(f Field, sent any, at string) (any, bool) {
	if object, ok := sent.(map[string]any); ok && f.Operations() {
		object = maps.Clone(object)
		delete(object, "operation")
		sent = object
	}
	if f.tells() {
		before := r.partial
		r.partial = true
		defer func() { r.partial = before }()
	}
	return r.value(*f.Of, sent, nil, at)
}

// missing names what a new entry lacks.
func (r *Reading) missing(f Field, entry any, at string) {
	if object, ok := entry.(map[string]any); ok {
		r.required(f.Of.Fields, object, at+".")
	}
}

// tells reports whether entries are told apart.
func (f Field) tells() bool { return f.Changes != 0 || len(f.Keys) > 0 }

// operation reads what is done with an entry.
func (r *Reading) operation(f Field, entry any, at string) (string, bool) {
	if !f.Operations() {
		return OpAdd, true
	}
	object, ok := entry.(map[string]any)
	if !ok {
		r.wrongType(at, "an object", entry)
		return "", false
	}
	op, _ := object["operation"].(string)
	operations := []string{OpAdd, OpUpdate, OpRemove}
	switch {
	case slices.Contains(operations, strings.ToLower(op)):
		if r.Create {
			return OpAdd, true
		}
		return strings.ToLower(op), true
	case op != "":
		r.fault(CodeIllegal, "%s.operation is %s, must be %s", at, shown(op), choice(operations))
		return "", false
	case r.Create || f.Changes <= 0:
		return OpAdd, true
	default:
		r.fault(f.Changes, "%s.operation is missing, must be %s", at, choice(operations))
		return "", false
	}
}

// identity tells entries apart: by the values of Keys, or as a whole.
func (f Field) identity(entry any) string {
	object, ok := entry.(map[string]any)
	if !ok || len(f.Keys) == 0 {
		return identityOf(entry)
	}
	values := make([]any, len(f.Keys))
	for i, key := range f.Keys {
		values[i] = object[key]
	}
	return identityOf(values)
}

func identityOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// keyed names an entry in a description.
func (f Field) keyed(entry any) string {
	object, _ := entry.(map[string]any)
	var words []string
	for _, key := range f.Keys {
		if v := object[key]; v != nil {
			words = append(words, fmt.Sprintf("%s %s", key, shown(fmt.Sprint(v))))
		}
	}
	if len(words) == 0 {
		return "the entry"
	}
	return strings.Join(words, ", ")
}

// merged is an entry with the properties that were sent.
func merged(old, sent any) any {
	was, ok := old.(map[string]any)
	is, also := sent.(map[string]any)
	if !ok || !also {
		return sent
	}
	m := make(map[string]any, len(was)+len(is))
	for key, value := range was {
		m[key] = value
	}
	for key, value := range is {
		m[key] = value
	}
	return m
}
