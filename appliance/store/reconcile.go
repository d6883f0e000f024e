package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"sealgate/appliance/model"
)

// Cleared is references that were taken out of a document, because nothing has
// their ids.
type Cleared struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	To   string `json:"to"` // the kind of what is missing
	IDs  int    `json:"ids"`
}

// Reconcile checks objects that came from elsewhere as if they were created one
// by one: kinds, names, parents, documents. References are found in the documents
// anew. One that leads nowhere is an error (ErrDangling), unless it may name a
// kind of missing (model.SSLKey, model.Credential) or the rows were written when
// the field held names: then it is taken out, if clear says so. Names become ids.
func (s *Store) Reconcile(ctx context.Context, clear bool, missing ...string) (cleared []Cleared, err error) {
	kinds, err := s.kindsByID(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT "+objectColumns+" FROM objects ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	err = s.transaction(ctx, func(tx *sql.Tx) error {
		r := &reconciler{tx: tx, kinds: kinds, missing: missing, clear: clear, fields: map[string]bool{}}
		if err := r.readFields(ctx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM refs"); err != nil {
			return err
		}
		for rows.Next() {
			var o Object
			if err := scanObject(rows.Scan, &o); err != nil {
				return err
			}
			if o.ID == model.RootID {
				continue
			}
			if err := r.object(ctx, o); err != nil {
				return err
			}
		}
		cleared = r.cleared
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return cleared, s.checkKeys(ctx, kinds)
}

// kindsByID says what each id names that references can lead to.
func (s *Store) kindsByID(ctx context.Context) (map[string]string, error) {
	kinds := map[string]string{}
	rows, err := s.reader.QueryContext(ctx, `SELECT id, kind FROM objects
		UNION ALL SELECT id, '`+model.SSLKey+`' FROM ssl_keys UNION ALL SELECT id, '`+model.Credential+`' FROM credentials`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, kind string
		if err := rows.Scan(&id, &kind); err != nil {
			return nil, err
		}
		if kinds[id] != "" {
			return nil, fmt.Errorf("id %q is both a %s and a %s: %w", id, kinds[id], kind, ErrInvalid)
		}
		kinds[id] = intern(kind)
	}
	return kinds, rows.Err()
}

// intern is a kind as the model spells it, so that a hundred thousand ids share a
// few texts.
func intern(kind string) string {
	if k, err := model.Lookup(kind); err == nil {
		return k.Name
	}
	return kind
}

type reconciler struct {
	tx      *sql.Tx
	kinds   map[string]string
	missing []string
	clear   bool
	fields  map[string]bool // that named anything when the rows were written
	cleared []Cleared
}

// readFields reads which fields named something: one that an older release did not
// take for a reference may hold what is none.
func (r *reconciler) readFields(ctx context.Context) error {
	rows, err := r.tx.QueryContext(ctx, "SELECT DISTINCT field FROM refs")
	if err != nil {
		return err
	}
	fields, err := collect(rows, func(field *string) error { return rows.Scan(field) })
	for _, field := range fields {
		r.fields[field] = true
	}
	return err
}

func (r *reconciler) object(ctx context.Context, o Object) error {
	kind, err := model.Lookup(o.Kind)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := checkName(o.Kind, o.Name); err != nil {
		return err
	}
	want := kind.Parent
	if want == "" {
		want = "root"
	}
	if r.kinds[o.ParentID] != want {
		return fmt.Errorf("%s %q: its parent must be a %s, not a %q: %w", o.Kind, o.Name, want, r.kinds[o.ParentID], ErrInvalid)
	}
	if _, err := compact(o.Kind, o.Name, o.Document); err != nil {
		return err
	}
	refs, err := kind.Refs(o.Document)
	if err != nil {
		return fmt.Errorf("%s %q: %w: %w", o.Kind, o.Name, ErrInvalid, err)
	}
	return r.refer(ctx, kind, o, refs)
}

func (r *reconciler) refer(ctx context.Context, kind model.Kind, o Object, refs []model.Ref) error {
	other := map[string]string{} // what becomes of ids
	for _, ref := range refs {
		id := ref.ID
		if r.kinds[id] == "" && !r.fields[ref.Field] {
			var err error
			if id, err = r.byName(ctx, ref); err != nil {
				return err
			}
		}
		to := r.kinds[id]
		if slices.Contains(ref.To, to) {
			if id != ref.ID {
				other[ref.ID] = id
			}
			if _, err := r.tx.ExecContext(ctx, "INSERT INTO refs (from_id, field, to_id, to_kind) VALUES ($1, $2, $3, $4)", o.ID, ref.Field, id, to); err != nil {
				return err
			}
			continue
		}
		may := ref.To[0]
		at := slices.IndexFunc(r.missing, func(kind string) bool { return slices.Contains(ref.To, kind) })
		if at >= 0 {
			may = r.missing[at]
		}
		if to != "" || at < 0 && r.fields[ref.Field] {
			return fmt.Errorf("%s %q: field %s %w: %q is no %v", o.Kind, o.Name, ref.Field, ErrDangling, ref.ID, ref.To)
		}
		if r.clear {
			other[ref.ID] = ""
			r.cleared = noted(r.cleared, o, may)
		}
	}
	if len(other) == 0 {
		return nil
	}
	document, err := kind.Redirect(o.Document, func(id string) string {
		if to, ok := other[id]; ok {
			return to
		}
		return id
	})
	if err != nil {
		return err
	}
	_, err = r.tx.ExecContext(ctx, "UPDATE objects SET document = $1 WHERE id = $2", string(document), o.ID)
	return err
}

// byName is the id of the only object that has the name which stands in the place of
// an id, as in documents of older releases; where there is none, what stands there.
func (r *reconciler) byName(ctx context.Context, ref model.Ref) (string, error) {
	var found []string
	for _, kind := range ref.To {
		rows, err := r.tx.QueryContext(ctx, "SELECT id FROM objects WHERE kind = $1 AND name = $2 LIMIT 2", kind, ref.ID)
		if err != nil {
			return "", err
		}
		ids, err := collect(rows, func(id *string) error { return rows.Scan(id) })
		if err != nil {
			return "", err
		}
		found = append(found, ids...)
	}
	if len(found) != 1 {
		return ref.ID, nil
	}
	return found[0], nil
}

// noted adds one reference of an object to a list.
func noted(list []Cleared, o Object, to string) []Cleared {
	if last := len(list) - 1; last >= 0 && list[last].Kind == o.Kind && list[last].Name == o.Name && list[last].To == to {
		list[last].IDs++
		return list
	}
	return append(list, Cleared{Kind: o.Kind, Name: o.Name, To: to, IDs: 1})
}

// checkKeys looks at what lies under objects without being one.
func (s *Store) checkKeys(ctx context.Context, kinds map[string]string) error {
	rows, err := s.reader.QueryContext(ctx, "SELECT name, service_id FROM ssl_keys")
	if err != nil {
		return err
	}
	type key struct{ name, service string }
	keys, err := collect(rows, func(k *key) error { return rows.Scan(&k.name, &k.service) })
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := checkName("SSL key", k.name); err != nil {
			return err
		}
		if kinds[k.service] != model.WebService {
			return fmt.Errorf("SSL key %q belongs to no web service: %w", k.name, ErrInvalid)
		}
	}
	credentials, err := s.Credentials(ctx)
	if err != nil {
		return err
	}
	for _, c := range credentials {
		if !json.Valid(c.Document) {
			return fmt.Errorf("the document of credential %q is not JSON: %w", c.Name, ErrInvalid)
		}
		if err := checkName("credential", c.Name); err != nil {
			return err
		}
	}
	return nil
}

// Orphans counts what secrets and their owners lack of each other.
type Orphans struct {
	Secrets     int64 // that belong to nothing
	SSLKeys     int64 // certificates without their private key
	Credentials int64 // without their password
}

// Orphans looks for secrets without an owner, and the reverse.
func (s *Store) Orphans(ctx context.Context) (o Orphans, err error) {
	const owned = " WHERE secret_id NOT IN (SELECT id FROM secrets)"
	count := func(query string, n *int64) {
		err = errors.Join(err, s.reader.QueryRowContext(ctx, query).Scan(n))
	}
	count("SELECT COUNT(*) FROM secrets WHERE id NOT IN (SELECT secret_id FROM ssl_keys UNION ALL SELECT secret_id FROM credentials)", &o.Secrets)
	count("SELECT COUNT(*) FROM ssl_keys"+owned, &o.SSLKeys)
	count("SELECT COUNT(*) FROM credentials"+owned, &o.Credentials)
	return o, err
}

// CountRows counts the rows of every table, by looking at them.
func (s *Store) CountRows(ctx context.Context) (map[string]int64, error) {
	counts := map[string]int64{}
	for _, t := range configTables {
		var n int64
		if err := s.reader.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+t.name).Scan(&n); err != nil {
			return nil, err
		}
		counts[t.name] = n
	}
	names, err := s.EventDays(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := s.countDay(ctx, name, counts); err != nil {
			return nil, fmt.Errorf("cannot count the events of %s: %w", name, err)
		}
	}
	return counts, nil
}

func (s *Store) countDay(ctx context.Context, name string, counts map[string]int64) error {
	day, err := beginDay(ctx, s.data, name)
	if err != nil {
		return err
	}
	for _, t := range eventTables {
		var n int64
		if err := day.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+t.name).Scan(&n); err != nil {
			return errors.Join(err, day.close())
		}
		if n != day.totals[t.name].Rows {
			return errors.Join(fmt.Errorf("%d rows of %s, and the day says %d: %w", n, t.name, day.totals[t.name].Rows, ErrInvalid), day.close())
		}
		counts[t.name] += n
	}
	return day.close()
}

// KeepVerifiers gives users without a password the one that another store has for
// their name, and returns how many stay without.
func (s *Store) KeepVerifiers(ctx context.Context, from *Store) (without int64, err error) {
	old, err := from.Users(ctx)
	if err != nil {
		return 0, err
	}
	err = s.transaction(ctx, func(tx *sql.Tx) error {
		for _, u := range old {
			if _, err := tx.ExecContext(ctx, "UPDATE users SET verifier = $1 WHERE name = $2 AND verifier = ''", u.Verifier, u.Name); err != nil {
				return err
			}
		}
		return tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM users WHERE verifier = ''").Scan(&without)
	})
	return without, err
}
