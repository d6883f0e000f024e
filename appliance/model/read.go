package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Names finds what references name, and how it is named.
type Names interface {
	Namer

	// ID returns the id of what a client calls name in a Named field, and ErrNoSuch where
	// there is none.
	ID(f Field, name string) (string, error)

	// PlaceID returns the id of what lies in the site tree under names, from the
	// site down, and a *Fault where one of them is missing.
	PlaceID(names []string) (string, error)

	// Keep stores a secret and returns its credential's id.
	Keep(secret string) (string, error)
}

// Namer knows how what references name is named.
type Namer interface {
	// Name is the reverse of Names.ID. It returns "" for an id that names nothing.
	Name(id string) (string, error)

	// Place is the reverse of Names.PlaceID.
	Place(id string) ([]string, error)
}

// ErrNoSuch means that a reference names nothing.
var ErrNoSuch = errors.New("names nothing")

// Error makes a fault an error.
func (f *Fault) Error() string { return fmt.Sprintf("IMP-%d: %s", f.Code, f.Description) }

// Reading turns what clients send into documents, and gathers all that is wrong
// with it.
//
// It is liberal with scalars: a number or true and false may come as strings, and
// null stands for absent.
type Reading struct {
	Names  Names
	Strict bool // refuse properties that are not declared
	Create bool // of a new object: Later fields are not taken, Required ones must be there
	Faults []Fault

	partial bool  // of an entry that may be merged with another
	err     error // of Names, not the client's
}

// Err is what kept the reading from being done, the client's faults apart.
func (r *Reading) Err() error { return r.err }

func (r *Reading) fault(code int, format string, args ...any) {
	const most = 100
	if len(r.Faults) < most {
		r.Faults = append(r.Faults, Fault{code, fmt.Sprintf(format, args...)})
	}
}

// Merge puts the properties of body that fields declare into a document.
func (r *Reading) Merge(document map[string]any, fields []Field, body map[string]any) {
	r.merge(document, fields, body, "")
}

func (r *Reading) merge(document map[string]any, fields []Field, body map[string]any, at string) {
	for _, f := range fields {
		sent, ok := body[f.Name]
		if f.ReadOnly || f.Later && r.Create {
			continue
		}
		if !ok || sent == nil {
			if ok && f.Null {
				r.unset(document, f)
			}
			continue
		}
		if value, ok := r.value(f, sent, document[f.Name], at+f.Name); ok {
			if value == "" && (f.Type == Named || f.Type == Secret) {
				r.unset(document, f)
			} else {
				document[f.Name] = value
			}
		}
	}
	if !r.partial {
		r.required(fields, document, at)
	}
	if r.Strict {
		r.unknown(fields, body, at)
	}
}

// required names what a document lacks, unless what was sent for it is at fault.
func (r *Reading) required(fields []Field, document map[string]any, at string) {
	for _, f := range fields {
		if f.Required == 0 || document[f.Name] != nil {
			continue
		}
		if !slices.ContainsFunc(r.Faults, func(fault Fault) bool { return strings.HasPrefix(fault.Description, at+f.Name) }) {
			r.fault(f.Required, "%s is missing", at+f.Name)
		}
	}
}

// unset makes a field name nobody. An entry that is merged with another says so.
func (r *Reading) unset(document map[string]any, f Field) {
	if r.partial {
		document[f.Name] = nil
	} else {
		delete(document, f.Name)
	}
}

func (r *Reading) unknown(fields []Field, body map[string]any, at string) {
	var names []string
	for name := range body {
		if !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name && !(f.Later && r.Create) }) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		r.fault(CodeUnknown, "property %s of the body is not known here; known are %s", shown(at+name), strings.Join(FieldNames(fields), ", "))
	}
}

// FieldNames are the names of fields.
func FieldNames(fields []Field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

// value reads one value; before is what the document has there.
func (r *Reading) value(f Field, sent, before any, at string) (any, bool) {
	switch f.Type {
	case Text:
		return r.text(f, sent, at)
	case Int:
		return r.number(f, sent, at)
	case Bool:
		return r.flag(sent, at)
	case List:
		return r.list(f, sent, before, at)
	case Record:
		return r.record(f, sent, at)
	case Map:
		return r.entries(f, sent, at)
	case Named:
		return r.ref(f, sent, at)
	case Place:
		return r.place(f, sent, at)
	case Secret:
		return r.secret(f, sent, at)
	default:
		return sent, true
	}
}

func (r *Reading) wrongType(at, want string, sent any) {
	r.fault(CodeShape, "%s must be %s, not %s", at, want, describe(sent))
}

func describe(sent any) string {
	switch v := sent.(type) {
	case string:
		return "the string " + shown(v)
	case json.Number:
		return "the number " + strings.Trim(shown(v.String()), `"`)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "null"
	}
}

// scalar is the text of a scalar.
func scalar(sent any) (string, bool) {
	switch v := sent.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

func (f Field) codeOr(code int) int {
	if f.Code != 0 {
		return f.Code
	}
	return code
}

func (r *Reading) text(f Field, sent any, at string) (any, bool) {
	s, ok := scalar(sent)
	if !ok {
		r.wrongType(at, "a string", sent)
		return nil, false
	}
	most := f.Max
	if most == 0 {
		most = MaxText
	}
	switch n := int64(len(s)); {
	case n > most || n < f.Min:
		r.fault(f.codeOr(CodeLength), "%s has %d bytes, allowed are %d to %d", at, n, f.Min, most)
		return nil, false
	case strings.ContainsRune(s, 0):
		r.fault(f.codeOr(CodeIllegal), "%s must not hold a NUL character", at)
		return nil, false
	case len(f.OneOf) > 0:
		i := slices.IndexFunc(f.OneOf, func(v string) bool { return strings.EqualFold(v, s) })
		if i < 0 {
			r.fault(f.codeOr(CodeIllegal), "%s is %s, must be %s", at, shown(s), choice(f.OneOf))
			return nil, false
		}
		return f.OneOf[i], true
	case f.Valid != nil:
		if err := f.Valid(s); err != nil {
			r.fault(f.codeOr(CodeIllegal), "%s is %s, %v", at, shown(s), err)
			return nil, false
		}
	case f.To != nil && s != "":
		_, ok := r.ref(f, s, at)
		return s, ok
	}
	return s, true
}

func (r *Reading) number(f Field, sent any, at string) (any, bool) {
	s, ok := scalar(sent)
	n, whole := wholeNumber(s)
	if !ok || !whole {
		r.wrongType(at, "a whole number", sent)
		return nil, false
	}
	if !n.IsInt64() || n.Int64() < f.Min || n.Int64() > f.Max {
		code := CodeHigh
		if n.Cmp(big.NewInt(f.Min)) < 0 {
			code = CodeLow
		}
		r.fault(f.codeOr(code), "%s is %s, must be %d to %d", at, strings.Trim(shown(s), `"`), f.Min, f.Max)
		return nil, false
	}
	return n.Int64(), true
}

// wholeNumber reads 80, " 80" and 80.0, and of large exponents nothing.
func wholeNumber(s string) (*big.Int, bool) {
	s = strings.TrimSpace(s)
	if len(s) > 64 {
		return nil, false
	}
	if n, ok := new(big.Int).SetString(s, 10); ok {
		return n, true
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v != float64(int64(v)) {
		return nil, false
	}
	return big.NewInt(int64(v)), true
}

func (r *Reading) flag(sent any, at string) (any, bool) {
	s, ok := scalar(sent)
	switch {
	case ok && strings.EqualFold(s, "true"):
		return true, true
	case ok && strings.EqualFold(s, "false"):
		return false, true
	}
	r.wrongType(at, "true or false", sent)
	return nil, false
}

func (r *Reading) record(f Field, sent any, at string) (any, bool) {
	body, ok := sent.(map[string]any)
	if !ok {
		r.wrongType(at, "an object", sent)
		return nil, false
	}
	faults := len(r.Faults)
	document := make(map[string]any, len(body))
	r.merge(document, f.Fields, body, at+".")
	return document, len(r.Faults) == faults
}

func (r *Reading) entries(f Field, sent any, at string) (any, bool) {
	body, ok := sent.(map[string]any)
	if !ok {
		r.wrongType(at, "an object", sent)
		return nil, false
	}
	if most := f.most(); int64(len(body)) > most {
		r.fault(CodeHigh, "%s has %d entries, at most %d are allowed", at, len(body), most)
		return nil, false
	}
	faults := len(r.Faults)
	document := make(map[string]any, len(body))
	for _, key := range sortedKeys(body) {
		if body[key] == nil {
			continue
		}
		if value, ok := r.value(*f.Of, body[key], nil, at+"."+key); ok {
			document[key] = value
		}
	}
	return document, len(r.Faults) == faults
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func (f Field) most() int64 {
	if f.Max == 0 {
		return MaxList
	}
	return f.Max
}

func (r *Reading) ref(f Field, sent any, at string) (any, bool) {
	name, ok := sent.(string)
	if !ok {
		r.wrongType(at, "a name", sent)
		return nil, false
	}
	if name == "" {
		return "", true
	}
	id, err := r.Names.ID(f, name)
	if errors.Is(err, ErrNoSuch) {
		r.fault(f.codeOr(missingCode(f.To)), "%s is %s, there is no such %s", at, shown(name), nouns(f.To))
		return nil, false
	}
	return id, r.check(err)
}

func (r *Reading) place(f Field, sent any, at string) (any, bool) {
	body, ok := sent.(map[string]any)
	if !ok {
		r.wrongType(at, "an object", sent)
		return nil, false
	}
	var names []string
	for _, level := range f.Fields {
		name, _ := body[level.Name].(string)
		if name == "" {
			break
		}
		names = append(names, name)
	}
	if r.Strict {
		r.unknown(f.Fields, body, at+".")
	}
	if len(names) < 2 || !slices.Contains(f.To, placeKinds[len(names)-1]) {
		levels := FieldNames(f.Fields)[:slices.Index(placeKinds, f.To[len(f.To)-1])+1]
		r.fault(f.codeOr(CodeMandatory), "%s must name a %s by %s, and nothing below", at, nouns(f.To), strings.Join(levels, ", "))
		return nil, false
	}
	id, err := r.Names.PlaceID(names)
	var fault *Fault
	if errors.As(err, &fault) {
		r.fault(fault.Code, "%s: %s", at, fault.Description)
		return nil, false
	}
	return id, r.check(err)
}

// placeKinds are the kinds of the levels of a place.
var placeKinds = []string{Site, ServerGroup, WebService, WebApplication}

func (r *Reading) secret(f Field, sent any, at string) (any, bool) {
	s, ok := r.text(f, sent, at)
	if !ok || s == "" {
		return "", ok
	}
	id, err := r.Names.Keep(s.(string))
	return id, r.check(err)
}

// check notes an error that is not the client's.
func (r *Reading) check(err error) bool {
	if err != nil && r.err == nil {
		r.err = err
	}
	return err == nil
}
