package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Wire appends a document as clients read it: the declared fields in their order,
// with names where the document holds ids. Absent fields are left out, except
// those that are declared to be null then.
func Wire(b []byte, fields []Field, document []byte, names Namer) ([]byte, error) {
	b = append(b, '{')
	b, err := WireFields(b, fields, document, names)
	return append(b, '}'), err
}

// WireFields is Wire without the braces. It begins with a comma where b does not
// end in a brace.
func WireFields(b []byte, fields []Field, document []byte, names Namer) ([]byte, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(document, &raw); err != nil {
		return nil, fmt.Errorf("a stored document is damaged: %w", err)
	}
	for _, f := range fields {
		start := len(b)
		if len(b) > 0 && b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, f.Name...)
		b = append(b, '"', ':')
		written, some, err := f.wire(b, raw[f.Name], names)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		if b = written; !some {
			b = b[:start]
		}
	}
	return b, nil
}

// wire appends one value; some is false where there is nothing to write.
func (f Field) wire(b []byte, raw json.RawMessage, names Namer) (_ []byte, some bool, err error) {
	if len(raw) == 0 || bytes.Equal(raw, null) {
		switch {
		case f.Null:
			return append(b, null...), true, nil
		case f.Default != nil:
			text, err := json.Marshal(f.Default)
			return append(b, text...), true, err
		}
		return b, false, nil
	}
	if f.plain() {
		return append(b, raw...), true, nil
	}
	switch f.Type {
	case Named:
		return wireRef(b, raw, names)
	case Place:
		return f.wirePlace(b, raw, names)
	case List:
		return f.wireList(b, raw, names)
	case Map:
		return f.wireMap(b, raw, names)
	case Record:
		b, err = Wire(b, f.Fields, raw, names)
		return b, true, err
	default: // a Secret
		return b, false, nil
	}
}

var null = []byte("null")

func wireRef(b []byte, raw json.RawMessage, names Namer) ([]byte, bool, error) {
	var id string
	if err := json.Unmarshal(raw, &id); err != nil {
		return nil, false, err
	}
	name, err := names.Name(id)
	if err != nil || name == "" {
		return b, false, err
	}
	b, err = AppendJSON(b, name)
	return b, true, err
}

func (f Field) wirePlace(b []byte, raw json.RawMessage, names Namer) ([]byte, bool, error) {
	var id string
	if err := json.Unmarshal(raw, &id); err != nil {
		return nil, false, err
	}
	path, err := names.Place(id)
	if err != nil || len(path) == 0 {
		return b, false, err
	}
	b = append(b, '{')
	for i, name := range path[:min(len(path), len(f.Fields))] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, f.Fields[i].Name...)
		b = append(b, '"', ':')
		if b, err = AppendJSON(b, name); err != nil {
			return nil, false, err
		}
	}
	return append(b, '}'), true, nil
}

func (f Field) wireList(b []byte, raw json.RawMessage, names Namer) ([]byte, bool, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, false, err
	}
	b = append(b, '[')
	for _, entry := range list {
		start := len(b)
		if b[len(b)-1] != '[' {
			b = append(b, ',')
		}
		written, some, err := f.Of.wire(b, entry, names)
		if err != nil {
			return nil, false, err
		}
		if b = written; !some {
			b = b[:start]
		}
	}
	return append(b, ']'), true, nil
}

func (f Field) wireMap(b []byte, raw json.RawMessage, names Namer) ([]byte, bool, error) {
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, false, err
	}
	b = append(b, '{')
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		start := len(b)
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		var err error
		if b, err = AppendJSON(b, key); err != nil {
			return nil, false, err
		}
		written, some, err := f.Of.wire(append(b, ':'), entries[key], names)
		if err != nil {
			return nil, false, err
		}
		if b = written; !some {
			b = b[:start]
		}
	}
	return append(b, '}'), true, nil
}

// AppendJSON appends a value as JSON, with <, > and & as they are.
func AppendJSON(b []byte, v any) ([]byte, error) {
	buffer := bytes.NewBuffer(b)
	e := json.NewEncoder(buffer)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
