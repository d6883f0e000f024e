package openapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// resource is a declared kind at one of its paths.
type resource struct {
	*API
	kind  model.Kind
	path  string
	steps []step
	loose bool // what lies in an object is compared with it by the caller
}

// declared are the operations that follow from the declarations.
func (a *API) declared() []Operation {
	var list []Operation
	for _, k := range model.Kinds {
		if k.Path != "" {
			for _, path := range slices.Concat([]string{k.Path}, k.Aliases) {
				list = append(list, resource{API: a, kind: k, path: path, steps: stepsTo(k.Name, path)}.operations()...)
			}
		}
		for _, v := range k.Views {
			list = append(list, resource{API: a, kind: k, path: v.Path, steps: stepsTo(k.Name, v.Path)}.view(v)...)
		}
		for _, e := range k.Elements {
			list = append(list, newElement(a, k, e).operations()...)
		}
	}
	return list
}

func has(methods, method, usual string) bool {
	if methods == "" {
		methods = usual
	}
	return slices.Contains(strings.Fields(methods), method)
}

func (r resource) operations() []Operation {
	const usual = "GET POST PUT DELETE"
	var list []Operation
	add := func(method string, op Operation) {
		if has(r.kind.Methods, method, usual) {
			op.Method, op.Path, op.Resource = method, r.path, r.kind.Name
			list = append(list, op)
		}
	}
	shown := r.shown()
	taken := slices.DeleteFunc(slices.Clone(r.kind.Fields), func(f model.Field) bool { return f.Later })
	add(http.MethodGet, Operation{Summary: "read " + article(r.kind.Title), Out: shown, Codes: r.unreadCodes(), Do: r.get(r.kind.Fields)})
	add(http.MethodPost, Operation{Summary: "create " + article(r.kind.Title), In: taken, Codes: append(r.missingCodes(), r.exists()), Do: r.create})
	add(http.MethodPut, Operation{Summary: "change " + article(r.kind.Title), In: shown, Codes: r.missingCodes(), Do: r.change(r.kind.Fields)})
	add(http.MethodDelete, Operation{Summary: "delete " + article(r.kind.Title), Codes: append(r.missingCodes(), r.kept(), model.CodeInUse), Do: r.remove})
	if r.kind.List != "" {
		list = append(list, r.lister())
	}
	return list
}

// shown are the fields that clients read of an object.
func (r resource) shown() []model.Field {
	shown := slices.Clone(r.kind.Fields)
	if r.kind.NameField != "" {
		name := model.Field{Name: r.kind.NameField}
		if r.kind.Numbered {
			name.Type, name.Min, name.Max = model.Int, 1, maxNumber
		}
		shown = append(shown, name)
	}
	if r.kind.ParentField != "" {
		shown = append(shown, model.Field{Name: r.kind.ParentField, ReadOnly: true})
	}
	return shown
}

// brief are the fields that lists of whole objects show.
func (r resource) brief() []model.Field {
	if r.kind.Brief == nil {
		return r.kind.Fields
	}
	return slices.DeleteFunc(slices.Clone(r.kind.Fields), func(f model.Field) bool { return !slices.Contains(r.kind.Brief, f.Name) })
}

func (r resource) missingCodes() []int {
	var codes []int
	for _, s := range r.steps {
		if s.kind.Missing != 0 {
			codes = append(codes, s.kind.Missing)
		}
	}
	return codes
}

// unreadCodes are the missingCodes of a GET.
func (r resource) unreadCodes() []int {
	codes := r.missingCodes()
	if r.kind.Unread != 0 {
		codes[len(codes)-1] = r.kind.Unread
	}
	return codes
}

func (r resource) exists() int {
	if r.kind.Exists != 0 {
		return r.kind.Exists
	}
	return model.CodeExists
}

func (r resource) kept() int {
	if r.kind.Kept != 0 {
		return r.kind.Kept
	}
	return model.CodeDefault
}

func (r resource) lister() Operation {
	path := r.path[:strings.LastIndex(r.path, "/")]
	entry := model.Field{Type: model.Text}
	if r.kind.Whole {
		of := r
		of.kind.Fields = r.brief()
		entry = model.Field{Type: model.Record, Fields: of.shown()}
	}
	out := model.Field{Name: r.kind.List, Type: model.List, Of: &entry}
	if r.kind.Joined {
		out = model.Field{Name: r.kind.List}
	}
	op := Operation{Method: http.MethodGet, Path: path, Resource: r.kind.Name, Summary: "list the " + r.kind.Title + " objects", Query: r.kind.Filters, Do: r.list}
	if op.Out = []model.Field{out}; r.kind.List == "-" {
		op.Out, op.BareOut = entry.Fields, true
	}
	return op
}

func (r resource) view(v model.View) []Operation {
	var list []Operation
	if has(v.Methods, http.MethodGet, "GET PUT") {
		list = append(list, Operation{Method: http.MethodGet, Path: v.Path, Resource: r.kind.Name, Summary: "read a part of " + article(r.kind.Title),
			Out: v.Fields, Codes: r.missingCodes(), Do: r.get(v.Fields)})
	}
	if has(v.Methods, http.MethodPut, "GET PUT") {
		list = append(list, Operation{Method: http.MethodPut, Path: v.Path, Resource: r.kind.Name, Summary: "change a part of " + article(r.kind.Title),
			In: v.Fields, Codes: r.missingCodes(), Do: r.change(v.Fields)})
	}
	return list
}

// reading is how the references of a call are named.
func (a *API) reading(ctx context.Context, c *Call, q reader, chain []store.Object) *names {
	tx, _ := q.(*store.Tx)
	return &names{ctx: ctx, q: q, chain: chain, tx: tx, sealer: a.sealer, caller: c.Caller}
}

func (r resource) get(fields []model.Field) func(context.Context, *Call) (any, error) {
	view := !slices.EqualFunc(fields, r.kind.Fields, func(a, b model.Field) bool { return a.Name == b.Name })
	return func(ctx context.Context, c *Call) (any, error) {
		var answer json.RawMessage
		err := r.store.Read(ctx, func(q *store.Reader) error {
			chain, err := c.locate(ctx, q, r.steps)
			if err != nil {
				return err
			}
			o, err := r.live(chain[len(chain)-1])
			if err != nil {
				return err
			}
			answer, err = r.wire(nil, o, fields, !view, r.reading(ctx, c, q, chain))
			return err
		})
		return answer, err
	}
}

// wire appends an object as clients read it.
func (r resource) wire(b []byte, o store.Object, fields []model.Field, named bool, n model.Names) ([]byte, error) {
	b = append(b, '{')
	if named && r.kind.NameField != "" {
		b = append(b, '"')
		b = append(b, r.kind.NameField...)
		b = append(b, '"', ':')
		if r.kind.Numbered {
			b = append(b, o.Name...)
		} else {
			var err error
			if b, err = model.AppendJSON(b, o.Name); err != nil {
				return nil, err
			}
		}
	}
	if named && r.kind.ParentField != "" {
		parent, err := n.Name(o.ParentID)
		if err != nil {
			return nil, err
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, r.kind.ParentField...)
		b = append(b, '"', ':')
		if b, err = model.AppendJSON(b, parent); err != nil {
			return nil, err
		}
	}
	b, err := model.WireFields(b, fields, o.Document, n)
	return append(b, '}'), err
}

func (r resource) list(ctx context.Context, c *Call) (any, error) {
	var answer json.RawMessage
	err := r.store.Read(ctx, func(q *store.Reader) error {
		chain, err := c.locate(ctx, q, r.steps[:len(r.steps)-1])
		if err != nil {
			return err
		}
		parent := model.RootID
		if len(chain) > 0 {
			parent = chain[len(chain)-1].ID
		}
		if r.kind.Whole {
			answer, err = r.objects(ctx, c, q, chain, parent)
		} else {
			answer, err = r.names(ctx, c, q, parent)
		}
		return err
	})
	return answer, err
}

func (r resource) names(ctx context.Context, c *Call, q reader, parent string) (json.RawMessage, error) {
	names, err := q.Names(ctx, parent, r.kind.Name)
	if err != nil {
		return nil, err
	}
	if r.kind.Name == model.Site {
		names = slices.DeleteFunc(names, func(name string) bool { return !c.Caller.sees(name) })
	}
	var v any = append([]string{}, names...)
	if r.kind.Joined {
		v = strings.Join(names, ",")
	}
	return r.keyed(v)
}

// keyed puts a list under its key.
func (r resource) keyed(v any) (json.RawMessage, error) {
	if r.kind.List != "-" {
		v = map[string]any{r.kind.List: v}
	}
	return model.AppendJSON(nil, v)
}

func (r resource) objects(ctx context.Context, c *Call, q reader, chain []store.Object, parent string) (json.RawMessage, error) {
	list, err := q.List(ctx, parent, r.kind.Name)
	if err != nil {
		return nil, err
	}
	if r.kind.Numbered {
		slices.SortFunc(list, func(a, b store.Object) int { return priority(a) - priority(b) })
	}
	entries := []json.RawMessage{}
	n := r.reading(ctx, c, q, chain)
	for _, o := range list {
		if ok, err := c.matches(o, r.kind.Filters); err != nil || !ok {
			if err != nil {
				return nil, err
			}
			continue
		}
		entry, err := r.wire(nil, o, r.brief(), true, n)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return r.keyed(entries)
}

func priority(o store.Object) int {
	n, err := strconv.Atoi(o.Name)
	if err != nil {
		return 0
	}
	return n
}

// matches reports whether an object has the values that the query asks for.
func (c *Call) matches(o store.Object, filters []string) (bool, error) {
	var document map[string]any
	for _, field := range filters {
		if !c.Query.Has(field) {
			continue
		}
		if document == nil {
			if err := json.Unmarshal(o.Document, &document); err != nil {
				return false, err
			}
		}
		if fmt.Sprint(document[field]) != c.Query.Get(field) {
			return false, nil
		}
	}
	return true, nil
}

// write runs fn as one write of the caller's.
func (a *API) write(ctx context.Context, c *Call, summary string, fn func(*store.Tx) error) error {
	_, err := a.store.Write(ctx, store.Change{Author: c.Caller.Name, Summary: summary}, fn)
	return err
}

// summary words a write for the history.
func (r resource) summary(verb string, c *Call) string {
	last := r.steps[len(r.steps)-1]
	return strings.TrimSpace(verb + " " + r.kind.Title + " " + c.named(last))
}

func (r resource) create(ctx context.Context, c *Call) (any, error) {
	return r.createIn(ctx, c, func(tx *store.Tx, chain []store.Object, body map[string]any) (err error) {
		last := r.steps[len(r.steps)-1]
		name := c.Path[last.vars[0]]
		if r.kind.Numbered {
			if name, err = numberOf(last.vars[0], name); err != nil {
				return err
			}
		}
		_, err = r.add(ctx, c, tx, chain, name, body, r.kind.Fresh)
		return err
	})
}

// createIn has add create an object of what was sent, below the objects that the path
// names.
func (r resource) createIn(ctx context.Context, c *Call, add func(tx *store.Tx, chain []store.Object, body map[string]any) error) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	return nil, r.write(ctx, c, r.summary("create", c), func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, r.steps[:len(r.steps)-1])
		if err != nil {
			return err
		}
		return add(tx, chain, body)
	})
}

// add creates an object under the last of chain, with the fields of preset that
// clients do not send.
func (r resource) add(ctx context.Context, c *Call, tx *store.Tx, chain []store.Object, name string, body, preset map[string]any) (store.Object, error) {
	o := store.Object{ParentID: model.RootID, Kind: r.kind.Name, Name: name}
	if len(chain) > 0 {
		o.ParentID = chain[len(chain)-1].ID
	}
	faults := r.checkName(name)
	if _, err := tx.Find(ctx, o.ParentID, o.Kind, name); err == nil {
		faults = append(faults, Fault{Code: r.exists(), Description: fmt.Sprintf("%s %q exists already%s", r.kind.Title, short(readable(name)), inside(chain))})
	}
	room, err := r.room(ctx, tx, o)
	if err != nil {
		return o, err
	}
	faults = append(faults, room...)
	document, err := fresh(preset)
	if err != nil {
		return o, err
	}
	more, err := r.merge(ctx, c, tx, chain, o, document, r.kind.Fields, body, true)
	if err != nil {
		return o, err
	}
	if faults = append(faults, more...); len(faults) > 0 {
		return o, faults
	}
	if o.Document, err = model.AppendJSON(nil, document); err != nil {
		return o, err
	}
	if o.ID, err = tx.Create(ctx, o); err != nil {
		return o, err
	}
	return o, r.first(ctx, tx, o, document)
}

// room says whether there may be one more beside a new object.
func (r resource) room(ctx context.Context, q reader, o store.Object) (Faults, error) {
	if r.kind.Most == 0 {
		return nil, nil
	}
	names, err := q.Names(ctx, o.ParentID, o.Kind)
	if err != nil || len(names) < r.kind.Most {
		return nil, err
	}
	return Faults{{Code: model.CodeLong, Description: fmt.Sprintf("there are %d of the kind %s already, at most %d are allowed", len(names), r.kind.Title, r.kind.Most)}}, nil
}

// size says whether a document that grows is too much beside its siblings'.
func (r resource) size(ctx context.Context, q reader, o store.Object, document map[string]any) (Faults, error) {
	if r.kind.Bytes == 0 {
		return nil, nil
	}
	text, err := model.AppendJSON(nil, document)
	if err != nil || len(text) <= len(o.Document) {
		return nil, err
	}
	siblings, err := q.List(ctx, o.ParentID, o.Kind)
	if err != nil {
		return nil, err
	}
	total := len(text)
	for _, s := range siblings {
		if s.Name != o.Name {
			total += len(s.Document)
		}
	}
	if total <= r.kind.Bytes {
		return nil, nil
	}
	return Faults{{Code: model.CodeLong, Description: fmt.Sprintf("all of the kind %s would have %d bytes, at most %d are allowed", r.kind.Title, total, r.kind.Bytes)}}, nil
}

// fresh copies a document, in the form in which one is read.
func fresh(preset map[string]any) (map[string]any, error) {
	text, err := model.AppendJSON(nil, preset)
	if err != nil || preset == nil {
		return make(map[string]any), err
	}
	return documentOf(store.Object{Document: text})
}

// first makes the objects that each new one gets.
func (r resource) first(ctx context.Context, tx *store.Tx, o store.Object, document map[string]any) error {
	for _, f := range r.kind.First {
		id, err := tx.Create(ctx, store.Object{ParentID: o.ID, Kind: f.Kind, Name: f.Name})
		if err != nil {
			return err
		}
		document[f.Field] = id
	}
	if len(r.kind.First) == 0 {
		return nil
	}
	text, err := model.AppendJSON(nil, document)
	if err != nil {
		return err
	}
	return tx.Update(ctx, o.ID, text)
}

// checkName says what is wrong with a new name.
func (r resource) checkName(name string) Faults {
	most, code, field := r.kind.MaxName, r.kind.LongName, r.nameWord()
	if most == 0 {
		most = model.MaxName
	}
	if code == 0 {
		code = model.CodeLong
	}
	switch {
	case name == "":
		return Faults{{Code: model.CodeEmpty, Description: field + " must not be empty"}}
	case len(name) > most:
		return Faults{{Code: code, Description: fmt.Sprintf("%s has %d bytes, at most %d are allowed", field, len(name), most)}}
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return Faults{{Code: model.CodeIllegal, Description: fmt.Sprintf("%s is %q, must not hold control characters", field, short(name))}}
	case r.kind.ValidName != nil:
		if err := r.kind.ValidName(name); err != nil {
			code := r.kind.NameCode
			if code == 0 {
				code = model.CodeIllegal
			}
			return Faults{{Code: code, Description: fmt.Sprintf("%s is %q, %v", field, short(name), err)}}
		}
	}
	return nil
}

// article puts the word before a title that it takes.
func article(title string) string {
	if strings.ContainsAny(title[:1], "aeioAEIO") || strings.HasPrefix(title, "HTTP") || strings.HasPrefix(title, "SSL") {
		return "an " + title
	}
	return "a " + title
}

func (r resource) nameWord() string {
	if r.kind.NameField != "" {
		return r.kind.NameField
	}
	return "the name of " + article(r.kind.Title)
}

// merge puts what was sent into a document and says what is wrong with the result.
func (r resource) merge(ctx context.Context, c *Call, tx *store.Tx, chain []store.Object, o store.Object, document map[string]any, fields []model.Field, body map[string]any, create bool) (Faults, error) {
	strict, err := strictMode(ctx, tx)
	if err != nil {
		return nil, err
	}
	sent := body
	if r.kind.NameField != "" {
		sent = make(map[string]any, len(body))
		for key, value := range body {
			if key != r.kind.NameField {
				sent[key] = value
			}
		}
	}
	reading := &model.Reading{Names: r.reading(ctx, c, tx, chain), Strict: strict, Create: create}
	attachedTo := document["networkInterface"]
	reading.Merge(document, fields, sent)
	if err := reading.Err(); err != nil {
		return nil, err
	}
	faults := Faults(reading.Faults)
	if r.kind.Settle != nil {
		faults = append(faults, r.kind.Settle(document, sent)...)
	}
	if r.kind.Check != nil {
		faults = append(faults, r.kind.Check(o.Name, document)...)
	}
	faults = append(faults, r.attached(o, attachedTo, document)...)
	more, err := fits(ctx, tx, r.kind, o, document)
	if err != nil {
		return nil, err
	}
	faults = append(faults, more...)
	if more, err = r.size(ctx, tx, o, document); err != nil {
		return nil, err
	}
	faults = append(faults, more...)
	if !r.loose {
		if more, err = holds(ctx, tx, r.kind, o, document); err != nil {
			return nil, err
		}
		faults = append(faults, more...)
	}
	if r.kind.Apart != nil && (create || slices.ContainsFunc(r.kind.ApartBy, func(field string) bool { return body[field] != nil })) {
		more, err := r.apart(ctx, tx, o, document)
		return append(faults, more...), err
	}
	return faults, nil
}

// fits compares an object with its parent.
func fits(ctx context.Context, q reader, k model.Kind, o store.Object, document map[string]any) (Faults, error) {
	if k.Fits == nil {
		return nil, nil
	}
	parent, err := q.Get(ctx, o.ParentID)
	if err != nil {
		return nil, err
	}
	above, err := documentOf(parent)
	if err != nil {
		return nil, err
	}
	return k.Fits(o.Name, document, above), nil
}

// holds compares what lies in an object with it.
func holds(ctx context.Context, q reader, k model.Kind, o store.Object, document map[string]any) (Faults, error) {
	var faults Faults
	for _, inside := range model.Kinds {
		if inside.Parent != k.Name || inside.Fits == nil || o.ID == "" {
			continue
		}
		list, err := q.List(ctx, o.ID, inside.Name)
		if err != nil {
			return nil, err
		}
		for _, child := range list {
			below, err := documentOf(child)
			if err != nil {
				return nil, err
			}
			faults = append(faults, inside.Fits(child.Name, below, document)...)
		}
	}
	return faults, nil
}

// apart compares an object with its siblings.
func (r resource) apart(ctx context.Context, q reader, o store.Object, document map[string]any) (Faults, error) {
	siblings, err := q.List(ctx, o.ParentID, o.Kind)
	if err != nil {
		return nil, err
	}
	var faults Faults
	for _, s := range siblings {
		if s.ID == o.ID || s.Name == o.Name {
			continue
		}
		other, err := documentOf(s)
		if err != nil {
			return nil, err
		}
		if f := r.kind.Apart(o.Name, document, s.Name, other); f != nil {
			faults = append(faults, *f)
		}
	}
	return faults, nil
}

// documentOf reads a stored document.
func documentOf(o store.Object) (map[string]any, error) {
	c := Call{Body: o.Document}
	return c.Object()
}

func (r resource) change(fields []model.Field) func(context.Context, *Call) (any, error) {
	view := !slices.EqualFunc(fields, r.kind.Fields, func(a, b model.Field) bool { return a.Name == b.Name })
	return func(ctx context.Context, c *Call) (any, error) {
		body, err := c.Object()
		if err != nil {
			return nil, err
		}
		return nil, r.write(ctx, c, r.summary("change", c), func(tx *store.Tx) error {
			chain, err := c.locate(ctx, tx, r.steps)
			if r.kind.Upsert && len(chain) == len(r.steps)-1 && isFault(err, r.kind.Missing) {
				_, err := r.add(ctx, c, tx, chain, c.Path[r.steps[len(chain)].vars[0]], body, r.kind.Fresh)
				return err
			}
			if err != nil {
				return err
			}
			return r.update(ctx, c, tx, chain, fields, body, !view)
		})
	}
}

// update merges what was sent into the last of chain.
func (r resource) update(ctx context.Context, c *Call, tx *store.Tx, chain []store.Object, fields []model.Field, body map[string]any, named bool) error {
	o := chain[len(chain)-1]
	document, err := documentOf(o)
	if err != nil {
		return err
	}
	var faults Faults
	name := o.Name
	if sent, ok := body[r.kind.NameField].(string); ok && named && r.kind.Renames && sent != o.Name {
		name = sent
		faults = r.rename(ctx, tx, o, name)
	}
	more, err := r.merge(ctx, c, tx, chain, o, document, fields, body, false)
	if err != nil {
		return err
	}
	if faults = append(faults, more...); len(faults) > 0 {
		return faults
	}
	text, err := model.AppendJSON(nil, document)
	if err != nil {
		return err
	}
	if o.ID == "" {
		o.Document = text
		_, err = tx.Create(ctx, o)
		return err
	}
	if err := tx.Update(ctx, o.ID, text); err != nil || name == o.Name {
		return err
	}
	return tx.Rename(ctx, o.ID, name)
}

func (r resource) rename(ctx context.Context, q reader, o store.Object, name string) Faults {
	faults := r.checkName(name)
	if _, err := q.Find(ctx, o.ParentID, o.Kind, name); err == nil {
		faults = append(faults, Fault{Code: r.exists(), Description: fmt.Sprintf("%s is %q, which exists already", r.kind.NameField, short(name))})
	}
	return faults
}

func (r resource) remove(ctx context.Context, c *Call) (any, error) {
	return nil, r.write(ctx, c, r.summary("delete", c), func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, r.steps)
		if err != nil {
			return err
		}
		o := chain[len(chain)-1]
		if r.kind.Stays != nil {
			parent, err := documentOf(chain[len(chain)-2])
			if err != nil {
				return err
			}
			if f := r.kind.Stays(parent, o.Name); f != nil {
				return Faults{*f}
			}
		}
		if err := r.stopped(o); err != nil {
			return err
		}
		gone := []string{o.Name}
		if o.Kind == model.Dictionary {
			signatures, err := tx.Names(ctx, o.ID, model.Signature)
			if err != nil {
				return err
			}
			gone = append(gone, signatures...)
		}
		if err = handOver(ctx, tx, o); err == nil {
			err = tx.Delete(ctx, o.ID)
		}
		if err == nil {
			err = r.notCalled(ctx, c, tx, o, gone)
		}
		if errors.Is(err, store.ErrPredefined) {
			return Faultf(r.kept(), "%s %q is predefined, so it cannot be deleted", r.kind.Title, short(o.Name))
		}
		return err
	})
}

// notCalled refuses to delete what documents call by one of the names that are gone,
// unless they find another one of the name.
func (r resource) notCalled(ctx context.Context, c *Call, tx *store.Tx, o store.Object, gone []string) error {
	used := &store.InUseError{Kind: o.Kind, Name: o.Name}
	n := r.reading(ctx, c, tx, nil)
	for _, k := range model.Kinds {
		for _, call := range k.Calls {
			if !slices.Contains(call.To, o.Kind) {
				continue
			}
			callers, err := tx.All(ctx, k.Name)
			if err != nil {
				return err
			}
			for _, caller := range callers {
				missed, err := misses(n, caller, call, gone)
				if err != nil {
					return err
				}
				if missed {
					used.By = append(used.By, store.Use{ID: caller.ID, Kind: caller.Kind, Name: caller.Name, Field: call.Field})
				}
			}
		}
	}
	if len(used.By) > 0 {
		return used
	}
	return nil
}

// misses says whether an object calls by a name that is gone what is nowhere else.
func misses(n *names, caller store.Object, call model.Reference, gone []string) (bool, error) {
	called, err := call.Called(caller.Document)
	if err != nil {
		return false, err
	}
	for _, name := range called {
		if !slices.Contains(gone, name) {
			continue
		}
		_, err := n.ID(model.Field{To: call.To}, name)
		if errors.Is(err, model.ErrNoSuch) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}
