// Package wire reads the bodies of operations that are written by hand, as
// liberally as clients of the REST API need: "80" is 80, "false" is false, null is
// absent, and properties that nobody asks for do not matter.
package wire

import (
	"encoding/json"
	"errors"
	"strconv"

	"sealgate/daemon/mx/openapi"
)

// Fields are the properties of a body.
type Fields map[string]json.RawMessage

// Read reads a body; an empty one has no properties.
func Read(body []byte) (Fields, error) {
	if len(body) == 0 {
		return Fields{}, nil
	}
	var f Fields
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, openapi.Faultf(10002, "the body is not a JSON object")
	}
	for name, raw := range f {
		if string(raw) == "null" {
			delete(f, name)
		}
	}
	return f, nil
}

// Has says whether a property was sent.
func (f Fields) Has(name string) bool { return len(f[name]) > 0 }

// Text sets to to a property that was sent.
func (f Fields) Text(name string, to *string) error {
	return f.take(name, "a text", func(raw json.RawMessage) bool { return json.Unmarshal(raw, to) == nil })
}

// Bool sets to to a property that was sent.
func (f Fields) Bool(name string, to *bool) error {
	return f.take(name, "true or false", func(raw json.RawMessage) bool {
		if json.Unmarshal(raw, to) == nil {
			return true
		}
		var text string
		value, err := false, json.Unmarshal(raw, &text)
		if err == nil {
			value, err = strconv.ParseBool(text)
		}
		if err != nil {
			return false
		}
		*to = value
		return true
	})
}

// Texts sets to to a property that was sent; one text is a list of one.
func (f Fields) Texts(name string, to *[]string) error {
	return f.take(name, "a list of texts", func(raw json.RawMessage) bool {
		var one string
		if json.Unmarshal(raw, &one) == nil {
			*to = []string{one}
			return true
		}
		return json.Unmarshal(raw, to) == nil
	})
}

func (f Fields) take(name, what string, read func(json.RawMessage) bool) error {
	if f.Has(name) && !read(f[name]) {
		return openapi.Faultf(10002, "field %s must be %s", name, what)
	}
	return nil
}

// All is every fault of several steps as one error; an error that is no fault goes
// first.
func All(errs ...error) error {
	var all openapi.Faults
	for _, err := range errs {
		faults, ok := errors.AsType[openapi.Faults](err)
		if err != nil && !ok {
			return err
		}
		all = append(all, faults...)
	}
	if len(all) == 0 {
		return nil
	}
	return all
}
