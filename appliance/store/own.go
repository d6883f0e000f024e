package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"sealgate/appliance/model"
)

// ownTables are this machine's: no dump has them, and an import leaves them as
// they were, but for what is about gateways that the dump does not have.
var ownTables = []string{"licences", "registration_tokens", "gateway_keys", "deleted_gateway_keys", "gateway_commands", "untold_writes"}

// KeepOwn brings from another store what belongs to the machine, and how late it is
// there at least. Revisions of later than now get the time of now: licences are
// judged by the newest, and those came from another machine's clock.
func (s *Store) KeepOwn(ctx context.Context, from *Store) error {
	latest, err := from.Latest(ctx)
	if err != nil {
		return err
	}
	return s.transaction(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO clock (latest) VALUES ($1)", latest.UnixMilli()); err != nil {
			return err
		}
		now := max(s.milliseconds(), latest.UnixMilli())
		if _, err := tx.ExecContext(ctx, "UPDATE revisions SET at = $1 WHERE at > $2", now, now); err != nil {
			return err
		}
		for _, table := range ownTables {
			if err := copyRows(ctx, tx, from, table); err != nil && !isMissingTable(err) { // of an older schema
				return err
			}
		}
		for _, table := range []string{"gateway_keys", "gateway_commands"} {
			_, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE gateway_id NOT IN (SELECT id FROM objects WHERE kind = $1)", model.Gateway)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// copyRows copies what both have of a table: the other store may be of another schema.
func copyRows(ctx context.Context, tx *sql.Tx, from *Store, table string) (err error) {
	theirs, err := columnsOf(ctx, from.reader, table)
	if err != nil {
		return err
	}
	columns, err := columnsOf(ctx, tx, table)
	if err != nil {
		return err
	}
	columns = slices.DeleteFunc(columns, func(c string) bool { return !slices.Contains(theirs, c) })
	list := strings.Join(columns, ", ")
	rows, err := from.reader.QueryContext(ctx, "SELECT "+list+" FROM "+table)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	insert := "INSERT INTO " + table + " (" + list + ") VALUES (" + placeholders(len(columns)) + ")"
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insert, values...); err != nil {
			return err
		}
	}
	return rows.Err()
}

func columnsOf(ctx context.Context, q querier, table string) (columns []string, err error) {
	rows, err := q.QueryContext(ctx, "SELECT * FROM "+table+" LIMIT 0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	return rows.Columns()
}
