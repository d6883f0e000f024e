package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// eventRow derives the columns of an event from its document, which is kept as it
// is.
//
// What our own encoder writes is read by shape, seven times as fast as by
// encoding/json; what looks different in any way goes to that.
func eventRow(t eventTable, line []byte) (row, error) {
	var event interface{ row(string) row }
	switch t.kind {
	case Alerts:
		event = new(Alert)
	case Violations:
		event = new(Violation)
	default:
		event = new(AuditRecord)
	}
	document := string(line)
	if !shapes[t.kind].read(document, reflect.ValueOf(event).Elem()) {
		if err := json.Unmarshal(line, event); err != nil {
			return row{}, fmt.Errorf("a line of table %s is no event: %w", t.name, notJSON(err))
		}
	}
	r := event.row(document)
	if r.values[0] == "" {
		return row{}, fmt.Errorf("a line of table %s has no id: %w", t.name, ErrInvalid)
	}
	return r, nil
}

// notJSON says what is wrong with JSON from elsewhere, without our names of types.
func notJSON(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("a %s stands in field %q: %w", wrong.Value, wrong.Field, ErrInvalid)
	}
	return fmt.Errorf("it is not JSON: %w", ErrInvalid)
}

// shape is what encoding/json writes of a struct: its fields in their order, some
// of them left out.
type shape []shapeField

type shapeField struct {
	key  string // with quotes and colon
	kind reflect.Kind
}

var shapes = map[Kind]shape{
	Alerts: shapeOf(reflect.TypeFor[Alert]()), Violations: shapeOf(reflect.TypeFor[Violation]()), Audit: shapeOf(reflect.TypeFor[AuditRecord]()),
}

func shapeOf(t reflect.Type) shape {
	var s shape
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		s = append(s, shapeField{strconv.Quote(name) + ":", t.Field(i).Type.Kind()})
	}
	return s
}

// read sets the texts and numbers of a struct from a document, and says whether it
// is in this shape down to the last byte. Lists of pairs it checks and leaves.
func (s shape) read(document string, into reflect.Value) bool {
	in := scan(document)
	if !in.take("{") {
		return false
	}
	first := true
	for i, field := range s {
		if !first && !strings.HasPrefix(string(in), ","+field.key) || first && !in.take(field.key) {
			continue
		}
		if !first {
			in = in[1+len(field.key):]
		}
		first = false
		switch field.kind {
		case reflect.String:
			text, ok := in.text()
			if !ok {
				return false
			}
			into.Field(i).SetString(text)
		case reflect.Int, reflect.Int64:
			n, ok := in.number()
			if !ok {
				return false
			}
			into.Field(i).SetInt(n)
		default:
			if !in.pairs() {
				return false
			}
		}
	}
	return !first && in == "}"
}

// scan is the rest of a document.
type scan string

func (in *scan) take(token string) bool {
	rest, ok := strings.CutPrefix(string(*in), token)
	if ok {
		*in = scan(rest)
	}
	return ok
}

// plain are the bytes of a text that stand for themselves.
var plain = func() (p [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		p[c] = c != '"' && c != '\\'
	}
	return p
}()

// text reads a string.
func (in *scan) text() (string, bool) {
	s := string(*in)
	if s == "" || s[0] != '"' {
		return "", false
	}
	i, simple := 1, true
	for {
		for i < len(s) && plain[s[i]] {
			i++
		}
		switch {
		case i >= len(s) || s[i] < ' ':
			return "", false
		case s[i] == '\\':
			i += 2
			simple = false
		case s[i] >= utf8.RuneSelf:
			if r, size := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError {
				i += size
				continue
			}
			return "", false
		default: // the end
			*in = scan(s[i+1:])
			if simple {
				return s[1:i], true
			}
			var text string
			err := json.Unmarshal([]byte(s[:i+1]), &text)
			return text, err == nil
		}
	}
}

// number reads an integer of at most eighteen digits.
func (in *scan) number() (int64, bool) {
	s := string(*in)
	i := 0
	if s != "" && s[0] == '-' {
		i = 1
	}
	begin := i
	var n int64
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		n = 10*n + int64(s[i]-'0')
	}
	if i == begin || i-begin > 18 || s[begin] == '0' && i-begin > 1 {
		return 0, false
	}
	*in = scan(s[i:])
	if begin == 1 {
		n = -n
	}
	return n, true
}

// pairs reads a list of pairs of texts.
func (in *scan) pairs() bool {
	if !in.take("[") {
		return false
	}
	if in.take("]") {
		return true
	}
	for {
		if !in.take("[") {
			return false
		}
		if _, ok := in.text(); !ok || !in.take(",") {
			return false
		}
		if _, ok := in.text(); !ok || !in.take("]") {
			return false
		}
		if in.take("]") {
			return true
		}
		if !in.take(",") {
			return false
		}
	}
}
