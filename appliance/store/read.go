package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sealgate/appliance/model"
)

// Reader is one consistent reading of the configuration, valid during the function
// that Read calls.
type Reader struct{ queries }

// Read calls fn with one consistent reading: what is written meanwhile, here or in
// another process, does not show.
func (s *Store) Read(ctx context.Context, fn func(*Reader) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	err = errors.Join(fn(&Reader{queries{statements{s.reads, tx}}}), rollback(tx))
	s.reads.prepare(ctx)
	return err
}

// Names lists the names of the objects of a kind under a parent, in byte order.
func (q queries) Names(ctx context.Context, parent, kind string) ([]string, error) {
	rows, err := q.q.QueryContext(ctx, "SELECT name FROM objects WHERE parent_id = $1 AND kind = $2 ORDER BY name", parent, kind)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(name *string) error { return rows.Scan(name) })
}

// All lists the objects of a kind, wherever they lie.
func (q queries) All(ctx context.Context, kind string) ([]Object, error) {
	rows, err := q.q.QueryContext(ctx, "SELECT "+objectColumns+" FROM objects WHERE kind = $1 ORDER BY name, id", kind)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(o *Object) error { return scanObject(rows.Scan, o) })
}

// Revision returns the newest revision's number; 0 is none.
func (q queries) Revision(ctx context.Context) (int64, error) {
	var number int64
	err := q.q.QueryRowContext(ctx, "SELECT COALESCE(MAX(number), 0) FROM revisions").Scan(&number)
	return number, err
}

// Objects lists all objects but the root, in byte order of their names.
func (q queries) Objects(ctx context.Context) ([]Object, error) {
	rows, err := q.q.QueryContext(ctx, "SELECT "+objectColumns+" FROM objects WHERE id <> $1", model.RootID)
	if err != nil {
		return nil, err
	}
	list, err := collect(rows, func(o *Object) error { return scanObject(rows.Scan, o) })
	slices.SortFunc(list, func(a, b Object) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID)) })
	return list, err
}

// AllSSLKeys lists the certificates of all web services by name.
func (q queries) AllSSLKeys(ctx context.Context) ([]SSLKey, error) {
	rows, err := q.q.QueryContext(ctx, "SELECT "+sslKeyColumns+" FROM ssl_keys ORDER BY name, id")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(k *SSLKey) error { return scanSSLKey(rows.Scan, k) })
}

// SSLKey returns the certificate with an id.
func (q queries) SSLKey(ctx context.Context, id string) (SSLKey, error) {
	var k SSLKey
	err := scanSSLKey(q.q.QueryRowContext(ctx, "SELECT "+sslKeyColumns+" FROM ssl_keys WHERE id = $1", id).Scan, &k)
	return k, notFound(err, "SSL key", id)
}

// Move puts an object under another parent of the same kind.
func (t *Tx) Move(ctx context.Context, id, parent string) error {
	before, err := t.Get(ctx, id)
	if err != nil {
		return err
	}
	old, err := t.Get(ctx, before.ParentID)
	if err != nil {
		return err
	}
	to, err := t.Get(ctx, parent)
	if err != nil {
		return err
	}
	if to.Kind != old.Kind {
		return fmt.Errorf("%s %q: its parent must be a %s, not a %s: %w", before.Kind, before.Name, old.Kind, to.Kind, ErrInvalid)
	}
	if to.ID == old.ID {
		return nil
	}
	_, err = t.tx.ExecContext(ctx, "UPDATE objects SET parent_id = $1, updated = $2, revision = $3 WHERE id = $4", parent, t.at, t.number, id)
	if isDuplicate(err) {
		return fmt.Errorf("%s %q under %q: %w", before.Kind, before.Name, to.Name, ErrExists)
	}
	if err != nil {
		return err
	}
	after := before
	after.ParentID = parent
	t.record(before.Kind, id, stateOf(before), stateOf(after))
	return nil
}
