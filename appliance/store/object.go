package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sealgate/appliance/model"
)

// Object is one configuration object.
type Object struct {
	ID       string
	ParentID string // model.RootID for an object under nothing
	Kind     string
	Name     string
	Document json.RawMessage // a JSON object; references are ids
	Created  time.Time
	Updated  time.Time
	Revision int64 // the last one that touched it
}

// MaxName is the longest name in bytes.
const MaxName = 1024

// queries are the reads that work inside and outside of a write.
type queries struct{ q querier }

const objectColumns = "id, parent_id, kind, name, document, created, updated, revision"

func scanObject(scan func(...any) error, o *Object) error {
	var document string
	var created, updated int64
	if err := scan(&o.ID, &o.ParentID, &o.Kind, &o.Name, &document, &created, &updated, &o.Revision); err != nil {
		return err
	}
	o.Document = json.RawMessage(document)
	o.Created, o.Updated = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	return nil
}

// Get returns the object with an id.
func (s *Store) Get(ctx context.Context, id string) (Object, error) {
	return queries{s.reader}.Get(ctx, id)
}

// Find returns the object of a kind with a name under a parent.
func (s *Store) Find(ctx context.Context, parent, kind, name string) (Object, error) {
	return queries{s.reader}.Find(ctx, parent, kind, name)
}

// List returns the objects of a kind under a parent, in byte order of their names.
func (s *Store) List(ctx context.Context, parent, kind string) ([]Object, error) {
	return queries{s.reader}.List(ctx, parent, kind)
}

// InUseBy returns who refers to an object, an SSL key or a credential.
func (s *Store) InUseBy(ctx context.Context, id string) ([]Use, error) {
	return queries{s.reader}.InUseBy(ctx, id)
}

// Get returns the object with an id.
func (q queries) Get(ctx context.Context, id string) (Object, error) {
	var o Object
	err := scanObject(q.q.QueryRowContext(ctx, "SELECT "+objectColumns+" FROM objects WHERE id = $1", id).Scan, &o)
	if errors.Is(err, sql.ErrNoRows) {
		return Object{}, fmt.Errorf("object %q: %w", id, ErrNotFound)
	}
	return o, err
}

// Find returns the object of a kind with a name under a parent.
func (q queries) Find(ctx context.Context, parent, kind, name string) (Object, error) {
	var o Object
	row := q.q.QueryRowContext(ctx, "SELECT "+objectColumns+" FROM objects WHERE parent_id = $1 AND kind = $2 AND name = $3", parent, kind, name)
	err := scanObject(row.Scan, &o)
	if errors.Is(err, sql.ErrNoRows) {
		return Object{}, fmt.Errorf("%s %q: %w", kind, name, ErrNotFound)
	}
	return o, err
}

// List returns the objects of a kind under a parent, in byte order of their names.
func (q queries) List(ctx context.Context, parent, kind string) ([]Object, error) {
	rows, err := q.q.QueryContext(ctx, "SELECT "+objectColumns+" FROM objects WHERE parent_id = $1 AND kind = $2 ORDER BY name", parent, kind)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(o *Object) error { return scanObject(rows.Scan, o) })
}

// children returns the objects of every kind under a parent.
func (q queries) children(ctx context.Context, parent string) ([]Object, error) {
	rows, err := q.q.QueryContext(ctx, "SELECT "+objectColumns+" FROM objects WHERE parent_id = $1 ORDER BY id", parent)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(o *Object) error { return scanObject(rows.Scan, o) })
}

// Create adds an object under o.ParentID and returns its id, a fresh one unless
// o.ID gives it.
func (t *Tx) Create(ctx context.Context, o Object) (string, error) {
	if o.ID == "" {
		o.ID = NewID()
	}
	kind, err := model.Lookup(o.Kind)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := checkName(o.Kind, o.Name); err != nil {
		return "", err
	}
	if o.Document, err = compact(o.Kind, o.Name, o.Document); err != nil {
		return "", err
	}
	if err := t.checkParent(ctx, kind, o); err != nil {
		return "", err
	}
	_, err = t.tx.ExecContext(ctx, "INSERT INTO objects ("+objectColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		o.ID, o.ParentID, o.Kind, o.Name, string(o.Document), t.at, t.at, t.number)
	if isDuplicate(err) {
		return "", fmt.Errorf("%s %q: %w", o.Kind, o.Name, ErrExists)
	}
	if err != nil {
		return "", err
	}
	t.record(o.Kind, o.ID, nil, stateOf(o))
	return o.ID, t.refer(ctx, kind, o)
}

func (t *Tx) checkParent(ctx context.Context, kind model.Kind, o Object) error {
	parent, err := t.Get(ctx, o.ParentID)
	if err != nil {
		return fmt.Errorf("parent of %s %q: %w", o.Kind, o.Name, err)
	}
	want := kind.Parent
	if want == "" {
		want = "root"
	}
	if parent.Kind != want {
		return fmt.Errorf("%s %q: its parent must be a %s, not a %s: %w", o.Kind, o.Name, want, parent.Kind, ErrInvalid)
	}
	return nil
}

// Update gives an object another document.
func (t *Tx) Update(ctx context.Context, id string, document json.RawMessage) error {
	return t.change(ctx, id, func(o *Object) (err error) {
		o.Document, err = compact(o.Kind, o.Name, document)
		return err
	})
}

// Rename gives an object another name. Who refers to it follows, because
// references are ids.
func (t *Tx) Rename(ctx context.Context, id, name string) error {
	return t.change(ctx, id, func(o *Object) error {
		o.Name = name
		return checkName(o.Kind, name)
	})
}

func (t *Tx) change(ctx context.Context, id string, edit func(*Object) error) error {
	before, err := t.Get(ctx, id)
	if err != nil {
		return err
	}
	if id == model.RootID {
		return fmt.Errorf("the root: %w", ErrInvalid)
	}
	kind, err := model.Lookup(before.Kind)
	if err != nil {
		return err
	}
	after := before
	if err := edit(&after); err != nil {
		return err
	}
	if after.Name == before.Name && bytes.Equal(after.Document, before.Document) {
		return nil
	}
	_, err = t.tx.ExecContext(ctx, "UPDATE objects SET name = $1, document = $2, updated = $3, revision = $4 WHERE id = $5",
		after.Name, string(after.Document), t.at, t.number, id)
	if isDuplicate(err) {
		return fmt.Errorf("%s %q: %w", after.Kind, after.Name, ErrExists)
	}
	if err != nil {
		return err
	}
	t.record(after.Kind, id, stateOf(before), stateOf(after))
	return t.refer(ctx, kind, after)
}

// Delete removes an object with everything under it, unless something that stays
// refers to any of it (an *InUseError), or it is predefined.
func (t *Tx) Delete(ctx context.Context, id string) error {
	top, err := t.Get(ctx, id)
	if err != nil {
		return err
	}
	if model.IsDefault(id) || id == model.RootID {
		return fmt.Errorf("%s %q %w", top.Kind, top.Name, ErrPredefined)
	}
	doomed := []Object{top}
	for i := 0; i < len(doomed); i++ {
		children, err := t.children(ctx, doomed[i].ID)
		if err != nil {
			return err
		}
		doomed = append(doomed, children...)
	}
	if err := t.checkUnused(ctx, doomed); err != nil {
		return err
	}
	for _, o := range slices.Backward(doomed) {
		if err := t.remove(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) checkUnused(ctx context.Context, doomed []Object) error {
	going := make(map[string]bool, len(doomed))
	for _, o := range doomed {
		going[o.ID] = true
	}
	for _, o := range doomed {
		uses, err := t.InUseBy(ctx, o.ID)
		if err != nil {
			return err
		}
		uses = slices.DeleteFunc(uses, func(u Use) bool { return going[u.ID] })
		if uses, err = t.forget(ctx, uses, o.ID); err != nil {
			return err
		}
		if len(uses) > 0 {
			return &InUseError{Kind: o.Kind, Name: o.Name, By: uses}
		}
	}
	return nil
}

// forget takes an object out of the lists that it leaves when it is deleted, and
// returns the other uses.
func (t *Tx) forget(ctx context.Context, uses []Use, id string) ([]Use, error) {
	var strong []Use
	for _, use := range uses {
		if !model.IsWeak(use.Kind, use.Field) {
			strong = append(strong, use)
			continue
		}
		o, err := t.Get(ctx, use.ID)
		if err != nil {
			return nil, err
		}
		document, err := model.Forget(o.Document, use.Field, id)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", o.Kind, o.Name, err)
		}
		if err := t.Update(ctx, o.ID, document); err != nil {
			return nil, err
		}
	}
	return strong, nil
}

func (t *Tx) remove(ctx context.Context, o Object) error {
	keys, err := t.SSLKeys(ctx, o.ID)
	if err != nil {
		return err
	}
	kind, err := model.Lookup(o.Kind)
	if err != nil {
		return err
	}
	credentials, err := t.unrefer(ctx, kind, o.ID)
	if err != nil {
		return err
	}
	if err := t.dropCredentials(ctx, credentials); err != nil {
		return err
	}
	for _, key := range keys {
		if err := t.DeleteSSLKey(ctx, key.ID); err != nil {
			return err
		}
	}
	if o.Kind == model.Gateway {
		if err := t.DropGatewayKey(ctx, o); err != nil {
			return err
		}
	}
	if _, err := t.tx.ExecContext(ctx, "DELETE FROM objects WHERE id = $1", o.ID); err != nil {
		return err
	}
	t.record(o.Kind, o.ID, stateOf(o), nil)
	return nil
}

func (t *Tx) record(kind, id string, before, after *State) {
	t.differences = append(t.differences, Difference{Kind: kind, ID: id, Before: before, After: after})
}

func stateOf(o Object) *State {
	return &State{Parent: o.ParentID, Name: o.Name, Document: o.Document}
}

// checkName refuses what an engine could not keep byte for byte.
func checkName(kind, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name of a %s must not be empty: %w", kind, ErrInvalid)
	case len(name) > MaxName:
		return fmt.Errorf("the name of a %s has %d bytes, at most %d are kept: %w", kind, len(name), MaxName, ErrInvalid)
	case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return fmt.Errorf("the name of a %s, %q, is not UTF-8 without NUL: %w", kind, name, ErrInvalid)
	}
	return nil
}

// compact checks a document and puts it on one line.
func compact(kind, name string, document json.RawMessage) (json.RawMessage, error) {
	if len(document) == 0 {
		return json.RawMessage("{}"), nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, document); err != nil || !utf8.Valid(document) || b.Bytes()[0] != '{' {
		return nil, fmt.Errorf("the document of %s %q is not a JSON object: %w", kind, name, ErrInvalid)
	}
	return b.Bytes(), nil
}
