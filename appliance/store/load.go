package store

import (
	"context"
	"database/sql"
	"fmt"
)

// loadConfig makes a table of configuration hold the rows of lines.
func (s *Store) loadConfig(ctx context.Context, name string, seal func(string, []byte) []byte, next func() ([]byte, error)) (count int64, err error) {
	t, ok := lookupConfigTable(name)
	if !ok {
		return 0, fmt.Errorf("table %q: %w", name, ErrNotFound)
	}
	err = s.transaction(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+t.name); err != nil {
			return err
		}
		insert, err := tx.PrepareContext(ctx, "INSERT INTO "+t.name+" ("+t.names()+") VALUES ("+placeholders(len(t.columns))+")")
		if err != nil {
			return err
		}
		defer insert.Close()
		for {
			line, err := next()
			if err != nil || line == nil {
				return err
			}
			values, err := t.lineOf(line, seal)
			if err != nil {
				return err
			}
			if _, err := insert.ExecContext(ctx, values...); err != nil {
				if isDuplicate(err) {
					err = fmt.Errorf("it has what another line has already: %w", ErrInvalid)
				}
				return fmt.Errorf("cannot load a line of table %s: %w", t.name, err)
			}
			count++
		}
	})
	if isBroken(err) {
		err = fmt.Errorf("a line of table %s names what no line before it has: %w", t.name, ErrInvalid)
	}
	return count, err
}
