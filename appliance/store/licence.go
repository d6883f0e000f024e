package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Licence is a licence that was loaded. Whether it holds is for package seal to say,
// at each look.
type Licence struct {
	ID      string
	Key     string // what the vendor signed; it stays out of history and dumps
	Created time.Time
}

const licenceKind = "licence"

// AddLicence adds a licence. says is what history may tell of it.
func (t *Tx) AddLicence(ctx context.Context, l Licence, says json.RawMessage) error {
	_, err := t.tx.ExecContext(ctx, "INSERT INTO licences (id, key, created) VALUES ($1, $2, $3)", l.ID, l.Key, t.at)
	if isDuplicate(err) {
		return fmt.Errorf("licence %q: %w", l.ID, ErrExists)
	}
	if err != nil {
		return err
	}
	t.record(licenceKind, l.ID, nil, &State{Name: l.ID, Document: says})
	return nil
}

// Licences lists the licences by the time at which they were loaded.
func (s *Store) Licences(ctx context.Context) ([]Licence, error) {
	return queries{s.reader}.Licences(ctx)
}

// Licences lists the licences by the time at which they were loaded; a database that
// waits for its migration has none.
func (q queries) Licences(ctx context.Context) ([]Licence, error) {
	rows, err := q.q.QueryContext(ctx, "SELECT id, key, created FROM licences ORDER BY created, id")
	if isMissingTable(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return collect(rows, func(l *Licence) error {
		var created int64
		err := rows.Scan(&l.ID, &l.Key, &created)
		l.Created = time.UnixMilli(created).UTC()
		return err
	})
}

// Latest is the latest time at which anything was written, and never after that:
// a clock turned back does not make the store younger.
func (s *Store) Latest(ctx context.Context) (time.Time, error) {
	return queries{s.reader}.Latest(ctx)
}

// Latest is the time of the newest revision, here or before an import.
func (q queries) Latest(ctx context.Context) (time.Time, error) {
	var at, before int64
	if err := q.q.QueryRowContext(ctx, "SELECT COALESCE(MAX(at), 0) FROM revisions").Scan(&at); err != nil {
		return time.Time{}, err
	}
	err := q.q.QueryRowContext(ctx, "SELECT COALESCE(MAX(latest), 0) FROM clock").Scan(&before)
	if isMissingTable(err) { // of an older schema
		err = nil
	}
	return time.UnixMilli(max(at, before)).UTC(), err
}
