package store

import (
	"context"
	"database/sql"
	"errors"
)

// KeepMachine takes over what no dump has from the store that was there before: the
// licences, and the registration tokens that were given out.
func (s *Store) KeepMachine(ctx context.Context, from *Store) error {
	return s.transaction(ctx, func(tx *sql.Tx) error {
		return errors.Join(
			copyTable(ctx, tx, from, "licences", "id, key, created", 3),
			copyTable(ctx, tx, from, "registration_tokens", "verifier, author, created, expires", 4))
	})
}

// copyTable copies the rows of one of our tables; an older store may lack it.
func copyTable(ctx context.Context, tx *sql.Tx, from *Store, table, columns string, n int) error {
	rows, err := from.reader.QueryContext(ctx, "SELECT "+columns+" FROM "+table)
	if isMissingTable(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer rows.Close()
	values, into := make([]any, n), make([]any, n)
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO "+table+" ("+columns+") VALUES ("+placeholders(n)+")", values...); err != nil {
			return err
		}
	}
	return rows.Err()
}
