package model

import "slices"

// Type is the form of a field's value.
type Type int

// The types.
const (
	Text   Type = iota
	Int         // a whole number
	Bool        // true or false
	List        // entries are Of
	Record      // an object of Fields
	Map         // an object of any names; values are Of
	Any         // JSON as it is
	Named       // clients say a name, documents hold an id
	Place       // clients say the names of a place in the site tree, documents hold an id
	Secret      // clients write it and never read it; documents hold a credential's id
)

// Field is one field of a resource.
type Field struct {
	Name     string
	Type     Type
	Of       *Field  // of a List or Map; its Name is empty
	Fields   []Field // of a Record, or the names of a Place from the site down
	Min, Max int64   // of an Int; bytes of a Text, where Max 0 is MaxText; entries of a List, where 0 is MaxList
	OneOf    []string
	Valid    func(string) error // of a Text: what is wrong with it, in words that fit after the value

	To    []string // kinds that a Named or Place may name, or that a Text calls by their names without a reference
	Under string   // kind of the ancestor below which a Named's target lies; "" is the root

	Default  any  // what clients read where the document has nothing
	Null     bool // written as null when unset
	Later    bool // is not part of what POST takes
	ReadOnly bool // clients only read it

	Code     int // of an illegal value; 0 is 10016, or what the kind of To declares
	Required int // code where a creation lacks it; 0: may be absent

	Keys    []string // of a List: fields that tell entries apart; entries are merged by them
	Leaves  bool     // of a List with Keys: an entry that carries "operation" remove goes
	Changes int      // of a List: entries carry "operation" on PUT; the code where it is missing, negative where a list without any replaces what was
	Weak    bool     // of a List of Place: what is deleted leaves the list, instead of being kept by it
	Absent  int      // code of an update or removal of an entry that is not there
	Twice   int      // code of two entries with the same Keys; 0: the later one counts
}

// Bounds of values that a declaration does not bound more closely.
const (
	MaxText = 4096   // bytes
	MaxList = 10_000 // entries
)

// Bounds of what the gateways of a group are told, where more would not be taken.
const (
	mostShared   = 1000            // objects of one kind that sites share
	maxIPEntries = MaxSnapshot / 2 // bytes of all IP groups
)

// Operations of entries in lists that are changed entry by entry.
const (
	OpAdd    = "add"
	OpUpdate = "update"
	OpRemove = "remove"
)

func text(name string) Field   { return Field{Name: name, Type: Text} }
func flag(name string) Field   { return Field{Name: name, Type: Bool} }
func number(name string) Field { return Field{Name: name, Type: Int, Max: 1<<31 - 1} }
func anything(name string) Field {
	return Field{Name: name, Type: Any}
}
func record(name string, fields ...Field) Field {
	return Field{Name: name, Type: Record, Fields: fields}
}

// list is a list of entries; records is one of records.
func list(name string, of Field) Field { return Field{Name: name, Type: List, Of: &of} }
func records(name string, fields ...Field) Field {
	return list(name, record("", fields...))
}
func texts(name string) Field                { return list(name, text("")) }
func mapOf(name string, of Field) Field      { return Field{Name: name, Type: Map, Of: &of} }
func ref(name string, to ...string) Field    { return Field{Name: name, Type: Named, To: to} }
func refs(name string, to ...string) Field   { return list(name, ref("", to...)) }
func secretField(name string) Field          { return Field{Name: name, Type: Secret} }
func (f Field) oneOf(values ...string) Field { f.OneOf = values; return f }
func (f Field) within(min, max int64) Field  { f.Min, f.Max = min, max; return f }
func (f Field) calls(to ...string) Field     { f.To = to; return f }
func (f Field) under(kind string) Field      { f.Under = kind; return f }
func (f Field) otherwise(v any) Field        { f.Default = v; return f }
func (f Field) code(code int) Field          { f.Code = code; return f }
func (f Field) required(code int) Field      { f.Required = code; return f }
func (f Field) later() Field                 { f.Later = true; return f }
func (f Field) readOnly() Field              { f.ReadOnly = true; return f }
func (f Field) by(keys ...string) Field      { f.Keys = keys; return f }

func (f Field) nullable() Field { f.Null = true; return f }

// twice makes two entries with the same Keys a fault.
func (f Field) twice(code int) Field { f.Twice = code; return f }

func (f Field) valid(check func(string) error) Field { f.Valid = check; return f }

// leaves lets entries go that carry operation remove; others are merged.
func (f Field) leaves(absent int) Field {
	f.Leaves, f.Absent = true, absent
	return f
}

// Operations reports whether the entries of a list may carry an operation.
func (f Field) Operations() bool { return f.Changes != 0 || f.Leaves }

// changes makes a list one whose entries say on PUT what is done with each.
func (f Field) changes(missing, absent int) Field {
	f.Changes, f.Absent = missing, absent
	return f
}

// ports is a list of ports.
func ports(name string) Field {
	return list(name, Field{Type: Int, Min: 1, Max: 65535, Code: 10020}).within(0, 256)
}

func port(name string) Field { return Field{Name: name, Type: Int, Min: 1, Max: 65535, Code: 10020} }

// place names something in the site tree; keys are the names of its levels.
func place(to []string, keys ...string) Field {
	f := Field{Type: Place, To: to}
	for _, key := range keys {
		f.Fields = append(f.Fields, text(key))
	}
	return f
}

// plain reports whether clients read a field as the document has it.
func (f Field) plain() bool {
	switch f.Type {
	case Named, Place, Secret:
		return false
	case List, Map:
		return f.Of.plain()
	case Record:
		return !slices.ContainsFunc(f.Fields, func(f Field) bool { return !f.plain() || f.Null || f.Default != nil })
	default:
		return true
	}
}

// references lists the references that fields declare, and calls what they call by
// name.
func references(fields []Field, prefix string) (refs, calls []Reference) {
	for _, f := range fields {
		r, c := f.references(prefix + f.Name)
		refs, calls = append(refs, r...), append(calls, c...)
	}
	return refs, calls
}

func (f Field) references(path string) (refs, calls []Reference) {
	switch f.Type {
	case Named, Place:
		return []Reference{{Field: path, To: f.To}}, nil
	case Secret:
		return []Reference{{Field: path, To: []string{Credential}}}, nil
	case Text:
		if f.To != nil {
			return nil, []Reference{{Field: path, To: f.To}}
		}
		return nil, nil
	case List:
		refs, calls = f.Of.references(path + "[]")
		for i := range refs {
			refs[i].Weak = f.Weak
		}
		return refs, calls
	case Map:
		return f.Of.references(path + "{}")
	case Record:
		return references(f.Fields, path+".")
	default:
		return nil, nil
	}
}

// Codes are those of the faults that values of fields may have, besides the ones that
// values of any field may.
func Codes(fields []Field) (codes []int) {
	for _, f := range fields {
		codes = append(codes, f.codes()...)
	}
	return slices.DeleteFunc(codes, func(code int) bool { return code == 0 })
}

func (f Field) codes() []int {
	codes := []int{f.Code, f.Required, max(f.Changes, -f.Changes), f.Absent, f.Twice}
	if f.Code == 0 && f.To != nil {
		codes = append(codes, missingCode(f.To))
	}
	if f.Of != nil {
		codes = append(codes, f.Of.codes()...)
	}
	return append(codes, Codes(f.Fields)...)
}
