package aws

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// object is an element of an answer with elements in it, by their names: a string, an
// object, or a list of either. Lists are elements that hold only "item" or "member".
type object map[string]any

// maxDepth is how deep elements may lie in each other.
const maxDepth = 32

var errTooDeep = fmt.Errorf("the answer is deeper than %d elements", maxDepth)

// decode reads an answer: what is in its outermost element.
func decode(r io.Reader) (object, error) {
	d := xml.NewDecoder(r)
	d.Strict = true
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil, errors.New("the answer is not XML")
		}
		if err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		if _, ok := token.(xml.StartElement); !ok {
			continue
		}
		value, err := element(d, 1)
		if err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		content, ok := value.(object)
		if !ok {
			return nil, errors.New("the answer holds nothing")
		}
		return content, nil
	}
}

// element reads to the end of the one that has begun.
func element(d *xml.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	var text strings.Builder
	var content object
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			value, err := element(d, depth+1)
			if err != nil {
				return nil, err
			}
			if content == nil {
				content = object{}
			}
			content.add(t.Name.Local, value)
		case xml.EndElement:
			return finished(content, text.String()), nil
		}
	}
}

// add keeps elements of the same name as a list.
func (o object) add(name string, value any) {
	before, ok := o[name]
	switch list, isList := before.([]any); {
	case isListed(name):
		o[name] = append(list, value)
	case !ok:
		o[name] = value
	case isList:
		o[name] = append(list, value)
	default:
		o[name] = []any{before, value}
	}
}

func isListed(name string) bool { return name == "item" || name == "member" }

// finished is an element's value: its list, what is in it, or its text.
func finished(content object, text string) any {
	if content == nil {
		return text
	}
	if len(content) == 1 {
		for name, value := range content {
			if isListed(name) {
				return value
			}
		}
	}
	return content
}

func (o object) text(name string) string {
	s, _ := o[name].(string)
	return s
}

// list is what name holds, where that is objects.
func (o object) list(name string) []object {
	values, _ := o[name].([]any)
	var list []object
	for _, v := range values {
		if each, ok := v.(object); ok {
			list = append(list, each)
		}
	}
	return list
}

// object is what name holds, empty where it holds none.
func (o object) object(name string) object {
	inner, _ := o[name].(object)
	return inner
}
