// Package model declares the resources of a management server: what kinds of
// configuration objects there are, under which parent each lies, which of its
// fields name other objects or secrets, and which objects a fresh server holds.
//
// A resource is one Kind value. Whatever must know about resources (the store's
// references, the defaults, later the OpenAPI's validation) follows from the
// declarations, so a new resource is one declaration and no new plumbing. Documents
// name other objects by id, never by name, so renaming an object changes one row;
// they name secrets by id, and never hold them. Nothing here knows HTTP or SQL.
package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// RootID is the parent of objects that lie under nothing.
const RootID = "00000000-0000-0000-0000-000000000000"

// Kinds of what references can name besides objects.
const (
	SSLKey     = "sslKey"
	Credential = "credential"
)

// Kind declares one kind of configuration objects: how it is stored, what its
// documents hold, and where clients of the OpenAPI find it.
type Kind struct {
	Name   string // also the kind's column in the store
	Parent string // kind of the parent; "" is the root
	Title  string // what faults call it: "server group"

	Fields     []Field
	Views      []View
	Elements   []Element
	References []Reference // fields of the document that hold ids; those of Fields and Views are added
	Calls      []Reference // fields that hold names of others without a reference; Fields and Views declare them
	Defaults   []Default   // what a fresh server holds, with RootID or another default as parent
	Fresh      object      // what a new object's document holds before what is sent
	First      []First     // what each new object gets

	Path        string   // of one object, its name in the last braces; "" is none
	Aliases     []string // older paths of the same
	Methods     string   // of Path; "" is GET POST PUT DELETE
	List        string   // key of the list of names at the path above; "" is no list, "-" a list without a key
	Joined      bool     // the list is one string, with commas
	Whole       bool     // the list holds objects instead of names
	Brief       []string // fields of the objects in such a list; none is all
	Filters     []string // query parameters of the list: fields that must be equal
	MarkedName  bool     // names end in IDMark and the id of another object
	NameField   string   // field that shows the name
	ParentField string   // field that shows the parent's name
	Renames     bool     // PUT of NameField renames
	Numbered    bool     // names are whole numbers from 1
	Anywhere    bool     // paths begin at it, whatever parent it has
	Upsert      bool     // PUT creates what is missing
	Single      bool     // a parent has one at most, named Name: Path ends in the parent's name

	Missing  int // code: there is no such object
	Unread   int // code of a GET of it, where that is another
	Exists   int // code of a name that exists; 0 is 10005
	Kept     int // code of deleting a predefined one; 0 is 10030
	Most     int // objects under one parent; 0 is any number
	Bytes    int // of the documents of all under one parent; 0 is any number
	MaxName  int // bytes; 0 is MaxName
	LongName int // code of a longer one; 0 is 10086

	// Name says what is wrong with a new name, in words that fit after the value.
	ValidName func(string) error
	NameCode  int

	// Check says what is wrong with a document as a whole.
	Check func(name string, document map[string]any) []Fault

	// Stays says why an object of that name cannot be deleted from its parent; nil is
	// that it can.
	Stays func(parent map[string]any, name string) *Fault
	// Fits says what is wrong with a document under its parent's; it is asked when
	// either changes.
	Fits func(name string, document, parent map[string]any) []Fault

	// Settle adjusts a document to what was sent, before Check, and says what must not
	// be sent with the rest.
	Settle func(document, sent map[string]any) []Fault

	// Apart says what is wrong with having both of two objects under one parent; it
	// is asked when one of ApartBy is sent, or an object is new.
	Apart   func(name string, document map[string]any, otherName string, other map[string]any) *Fault
	ApartBy []string
}

// View is a path that shows some of an object's fields: GET reads them, PUT merges
// them.
type View struct {
	Path    string
	Methods string // "" is GET PUT
	Fields  []Field
}

// Element is a path of one entry of a list in an object's document; the last name in
// braces is the entry's.
type Element struct {
	Path    string
	Methods string // "" is GET POST PUT DELETE
	Title   string
	List    string // the list
	Key     string // the field of an entry that the path names
	Missing int    // code
	Exists  int    // code
	Upsert  bool   // PUT creates what is missing
	Rooted  bool   // keys begin with a slash, which the path may lack
}

// First is an object that each new one gets, and the field that names it.
type First struct{ Kind, Name, Field string }

// MaxName is the longest name in bytes, where a kind does not say less.
const MaxName = 250

// IDMark is between what people read in an object's name and the id that it ends in,
// so that it follows no renaming of the other.
const IDMark = "@"

// CutID cuts a name at its id. One without an id is all readable.
func CutID(name string) (readable, id string, ok bool) {
	if at := strings.LastIndex(name, IDMark); at >= 0 && len(name)-at-len(IDMark) == len(RootID) {
		return name[:at], name[at+len(IDMark):], true
	}
	return name, "", false
}

// All are the fields of a kind's documents.
func (k Kind) All() []Field {
	all := slices.Clone(k.Fields)
	for _, v := range k.Views {
		for _, f := range v.Fields {
			if !slices.ContainsFunc(all, func(have Field) bool { return have.Name == f.Name }) {
				all = append(all, f)
			}
		}
	}
	return all
}

// Reference is a field that names others by id.
type Reference struct {
	Field string   // names joined by dots; "[]" after a name means each entry of a list, "{}" each value of an object
	To    []string // kinds that it may name
	Weak  bool     // Field is a list at the top, which what is deleted leaves
}

// Default is an object that a fresh server holds.
type Default struct {
	Under    []string // names of its parents from the outermost in; none for the root
	Name     string
	Document any // marshals to a JSON object
}

// Kinds are all resources, parents before children.
var Kinds = complete(slices.Concat(siteKinds, gatewayKinds, atMost(mostShared, globalKinds), atMost(mostShared, policyKinds), systemKinds))

// atMost bounds how many there are of each kind that lies under the root.
func atMost(n int, kinds []Kind) []Kind {
	for i := range kinds {
		if kinds[i].Parent == "" {
			kinds[i].Most = n
		}
	}
	return kinds
}

// complete adds what fields declare of others.
func complete(kinds []Kind) []Kind {
	for i, k := range kinds {
		refs, calls := references(k.All(), "")
		kinds[i].References, kinds[i].Calls = slices.Concat(k.References, refs), calls
	}
	return kinds
}

// missingCode is the code of a reference that names no object of kinds.
func missingCode(kinds []string) int {
	for _, name := range kinds {
		if k := byName[name]; k.Missing != 0 {
			return k.Missing
		}
	}
	return CodeIllegal
}

// nouns words kinds.
func nouns(kinds []string) string {
	titles := make([]string, len(kinds))
	for i, name := range kinds {
		titles[i] = Title(name)
	}
	return strings.Join(titles, " or ")
}

// Title is what faults call a kind.
func Title(kind string) string {
	switch k := byName[kind]; {
	case k.Title != "":
		return k.Title
	case kind == SSLKey:
		return "SSL key"
	default:
		return kind
	}
}

var byName = func() map[string]Kind {
	m := make(map[string]Kind, len(Kinds))
	for _, k := range Kinds {
		if _, twice := m[k.Name]; twice {
			panic("model: two declarations of kind " + k.Name)
		}
		m[k.Name] = k
	}
	return m
}()

// Lookup returns the declaration of a kind.
func Lookup(name string) (Kind, error) {
	k, ok := byName[name]
	if !ok {
		return Kind{}, fmt.Errorf("there is no kind of object named %q", name)
	}
	return k, nil
}

// defaultSpace makes the ids of defaults: the same object has the same id on every
// server, so that a dump of one meets the defaults of another.
var defaultSpace = uuid.MustParse("5ea19a7e-0000-5000-8000-000000000001")

// DefaultID is the id of the default object of a kind with these names, from the
// outermost parent's to its own. Renaming the object later does not change it.
func DefaultID(kind string, names ...string) string {
	return uuid.NewSHA1(defaultSpace, []byte(kind+"\x00"+strings.Join(names, "\x00"))).String()
}
