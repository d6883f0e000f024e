package store

import (
	"context"
	"database/sql"
)

// Origin is the request that a write comes from.
type Origin struct {
	Address string
	Method  string
	Path    string // with names in braces
}

// Witness learns what requests write. It waits for nothing.
type Witness interface {
	// Origin is the request that a context belongs to, if there is one.
	Origin(context.Context) (Origin, bool)
	// Committed says that there is something new to tell of, on the disk.
	Committed()
}

// UntoldWrite is what a request wrote, of which nobody was told yet. It is stored with
// the write itself: whoever is killed after that tells later.
type UntoldWrite struct {
	ID string
	At int64 // when it was stored, in milliseconds
	Origin
	User     string
	Summary  string
	Revision int64 // 0: it changed no configuration
}

// Note has the witness tell of what a request did without changing the configuration.
func (s *Store) Note(ctx context.Context, change Change) error {
	told := false
	err := s.transaction(ctx, func(tx *sql.Tx) (err error) {
		told, err = s.leave(ctx, tx, change, 0)
		return err
	})
	if err == nil && told {
		s.witness.Committed()
	}
	return err
}

// leave stores what the witness is to tell of, and says whether there is something.
func (s *Store) leave(ctx context.Context, tx execer, change Change, revision int64) (bool, error) {
	if s.witness == nil {
		return false, nil
	}
	from, ok := s.witness.Origin(ctx)
	if !ok {
		return false, nil
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO untold_writes (id, at, user_name, address, method, path, summary, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		NewID(), s.milliseconds(), change.Author, from.Address, from.Method, from.Path, change.Summary, revision)
	return err == nil, err
}

// UntoldWrites lists up to limit of them, oldest first.
func (s *Store) UntoldWrites(ctx context.Context, limit int) ([]UntoldWrite, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT id, at, user_name, address, method, path, summary, revision FROM untold_writes ORDER BY id LIMIT $1", limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(w *UntoldWrite) error {
		return rows.Scan(&w.ID, &w.At, &w.User, &w.Address, &w.Method, &w.Path, &w.Summary, &w.Revision)
	})
}

// Told forgets those of a list that UntoldWrites returned.
func (s *Store) Told(ctx context.Context, list []UntoldWrite) error {
	return s.transaction(ctx, func(tx *sql.Tx) error {
		forget, err := tx.PrepareContext(ctx, "DELETE FROM untold_writes WHERE id = $1")
		if err != nil {
			return err
		}
		defer forget.Close()
		for _, w := range list {
			if _, err := forget.ExecContext(ctx, w.ID); err != nil {
				return err
			}
		}
		return nil
	})
}
