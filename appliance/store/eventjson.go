package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
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
	key    string // after a comma, with quotes and colon
	kind   reflect.Kind
	column bool // of a text: it is more than a part of the document
}

var shapes = map[Kind]shape{Alerts: shapeOf(new(Alert)), Violations: shapeOf(new(Violation)), Audit: shapeOf(new(AuditRecord))}

// shapeOf learns from the row of an event whose texts are their own names which of
// them become columns.
func shapeOf(event interface{ row(string) row }) shape {
	v := reflect.ValueOf(event).Elem()
	s := make(shape, v.NumField())
	for i := range s {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		s[i] = shapeField{key: "," + strconv.Quote(name) + ":", kind: v.Field(i).Kind()}
		if s[i].kind == reflect.String {
			v.Field(i).SetString(name)
		}
	}
	columns := event.row("").values
	for i := range s {
		s[i].column = s[i].kind == reflect.String && slices.Contains(columns, any(v.Field(i).String()))
	}
	return s
}

// read sets the numbers of a struct, and the texts that become columns, from a
// document, and says whether it is in this shape down to the last byte. All else it
// checks and leaves.
func (s shape) read(document string, into reflect.Value) bool {
	in := scan(document)
	if !in.take("{") {
		return false
	}
	first := 1 // the first field has no comma
	for i, field := range s {
		if !in.take(field.key[first:]) {
			continue
		}
		first = 0
		switch field.kind {
		case reflect.String:
			text, ok := in.text(field.column)
			if !ok {
				return false
			}
			if field.column {
				into.Field(i).SetString(text)
			}
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
	return first == 0 && in == "}"
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

// text reads a string. Unless it is wanted, what it returns has its escapes still.
func (in *scan) text(wanted bool) (string, bool) {
	s := string(*in)
	if s == "" || s[0] != '"' {
		return "", false
	}
	for i, escaped := 1, false; ; {
		for i < len(s) && plain[s[i]] {
			i++
		}
		switch {
		case i >= len(s) || s[i] < ' ':
			return "", false
		case s[i] == '"':
			*in = scan(s[i+1:])
			if !escaped || !wanted {
				return s[1:i], true
			}
			var text string
			err := json.Unmarshal([]byte(s[:i+1]), &text)
			return text, err == nil
		case s[i] == '\\':
			size := escape(s[i:])
			if size == 0 {
				return "", false
			}
			i += size
			escaped = true
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError {
				return "", false
			}
			i += size
		}
	}
}

// escape is how long the escape is that s begins with, 0 for none.
func escape(s string) int {
	if len(s) >= 2 && strings.IndexByte(`"\/bfnrt`, s[1]) >= 0 {
		return 2
	}
	if len(s) >= 6 && s[1] == 'u' {
		if _, err := strconv.ParseUint(s[2:6], 16, 16); err == nil {
			return 6
		}
	}
	return 0
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
		if _, ok := in.text(false); !ok || !in.take(",") {
			return false
		}
		if _, ok := in.text(false); !ok || !in.take("]") {
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
