package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"sealgate/appliance/model"
)

// Use is an object that refers to another, and the field that does.
type Use struct {
	ID, Kind, Name string
	Field          string
}

// InUseBy returns who refers to an object, an SSL key or a credential.
func (q queries) InUseBy(ctx context.Context, id string) ([]Use, error) {
	rows, err := q.q.QueryContext(ctx, `SELECT objects.id, objects.kind, objects.name, refs.field FROM refs JOIN objects ON objects.id = refs.from_id
		WHERE refs.to_id = $1 ORDER BY objects.kind, objects.name, objects.id, refs.field`, id)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(u *Use) error { return rows.Scan(&u.ID, &u.Kind, &u.Name, &u.Field) })
}

// refer makes the rows of refs say what o's document says.
func (t *Tx) refer(ctx context.Context, kind model.Kind, o Object) error {
	refs, err := kind.Refs(o.Document)
	if err != nil {
		return fmt.Errorf("%s %q: %w: %w", o.Kind, o.Name, ErrInvalid, err)
	}
	credentials, err := t.unrefer(ctx, kind, o.ID)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		to, err := t.kindOf(ctx, ref.ID)
		if err != nil {
			return err
		}
		if !slices.Contains(ref.To, to) {
			return fmt.Errorf("%s %q: field %s %w: %q is no %v", o.Kind, o.Name, ref.Field, ErrDangling, ref.ID, ref.To)
		}
		if _, err := t.tx.ExecContext(ctx, "INSERT INTO refs (from_id, field, to_id, to_kind) VALUES ($1, $2, $3, $4)", o.ID, ref.Field, ref.ID, to); err != nil {
			return err
		}
	}
	return t.dropCredentials(ctx, credentials)
}

// unrefer forgets whom an object names, and returns the credentials among them.
func (t *Tx) unrefer(ctx context.Context, kind model.Kind, id string) (credentials []string, err error) {
	if slices.ContainsFunc(kind.References, func(r model.Reference) bool { return slices.Contains(r.To, model.Credential) }) {
		rows, err := t.tx.QueryContext(ctx, "SELECT to_id FROM refs WHERE from_id = $1 AND to_kind = '"+model.Credential+"'", id)
		if err != nil {
			return nil, err
		}
		if credentials, err = collect(rows, func(id *string) error { return rows.Scan(id) }); err != nil {
			return nil, err
		}
	}
	_, err = t.tx.ExecContext(ctx, "DELETE FROM refs WHERE from_id = $1", id)
	return credentials, err
}

// dropCredentials deletes the credentials that nobody names any more.
func (t *Tx) dropCredentials(ctx context.Context, ids []string) error {
	for _, id := range ids {
		uses, err := t.InUseBy(ctx, id)
		if err != nil {
			return err
		}
		if len(uses) > 0 {
			continue
		}
		if err := t.DeleteCredential(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// kindOf says what an id names, "" for nothing.
func (t *Tx) kindOf(ctx context.Context, id string) (string, error) {
	var kind string
	err := t.tx.QueryRowContext(ctx, `SELECT kind FROM objects WHERE id = $1
		UNION ALL SELECT '`+model.SSLKey+`' FROM ssl_keys WHERE id = $2
		UNION ALL SELECT '`+model.Credential+`' FROM credentials WHERE id = $3`, id, id, id).Scan(&kind)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return kind, err
}
