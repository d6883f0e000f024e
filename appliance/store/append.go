package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Append stores events, each in the database of its day. A day's part of the batch
// is one transaction; the days follow each other, so an error may leave the earlier
// ones stored. Violations and audit records that are stored already (by id) are
// passed over, alerts take their new form: a batch may be sent again.
func (s *Store) Append(ctx context.Context, batch Batch) error {
	encoded, err := batch.Encode()
	if err != nil {
		return err
	}
	return s.AppendEncoded(ctx, encoded)
}

// Encoded is a batch in the form in which it is stored. Encoding costs about half
// as much as storing, and needs no store: who has much to append encodes in one
// goroutine and appends in another.
type Encoded struct{ parts map[string]*part }

// Encode prepares a batch for AppendEncoded.
func (b Batch) Encode() (Encoded, error) {
	e := newEncoder()
	parts := make(map[string]*part)
	for i := range b.Alerts {
		if err := addEvent(parts, e, alertTable, &b.Alerts[i]); err != nil {
			return Encoded{}, err
		}
	}
	for i := range b.Violations {
		if err := addEvent(parts, e, violationTable, &b.Violations[i]); err != nil {
			return Encoded{}, err
		}
	}
	for i := range b.Audit {
		if err := addEvent(parts, e, auditTable, &b.Audit[i]); err != nil {
			return Encoded{}, err
		}
	}
	return Encoded{parts}, nil
}

// AppendEncoded is Append of an encoded batch.
func (s *Store) AppendEncoded(ctx context.Context, e Encoded) error {
	if s.readOnly {
		return ErrReadOnly
	}
	return s.appendParts(ctx, e.parts)
}

// part is what a batch holds of one day, by table.
type part struct {
	rows map[string][]row
}

// addEvent encodes an event and puts it with the others of its day.
func addEvent(parts map[string]*part, e *encoder, table eventTable, event interface{ row(string) row }) error {
	document, err := e.encode(event)
	if err != nil {
		return fmt.Errorf("cannot encode an event for %s: %w", table.name, err)
	}
	return addRow(parts, table, event.row(document))
}

func addRow(parts map[string]*part, table eventTable, r row) error {
	name, err := dayOf(r.time)
	if err != nil {
		return fmt.Errorf("an event for %s %w", table.name, err)
	}
	if parts[name] == nil {
		parts[name] = &part{rows: make(map[string][]row)}
	}
	parts[name].rows[table.name] = append(parts[name].rows[table.name], r)
	return nil
}

// dayOf is the day of a time in milliseconds.
func dayOf(milliseconds int64) (string, error) {
	at := time.UnixMilli(milliseconds).UTC()
	if at.Year() < 1970 || at.Year() > 9999 {
		return "", fmt.Errorf("has time %d: %w", milliseconds, ErrInvalid)
	}
	return at.Format(dayLayout), nil
}

func (s *Store) appendParts(ctx context.Context, parts map[string]*part) error {
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		err := s.days.write(ctx, name, func(tx *sql.Tx) error {
			for _, table := range eventTables {
				if err := insertEvents(ctx, tx, table, parts[name].rows[table.name]); err != nil {
					return err
				}
			}
			return newNotes().add(ctx, tx, parts[name].rows[violationTable.name])
		})
		if err != nil {
			return fmt.Errorf("cannot store the events of %s: %w", name, err)
		}
	}
	return nil
}

// insertEvents stores rows of one table and adds them to its totals.
func insertEvents(ctx context.Context, tx *sql.Tx, table eventTable, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	insert, err := tx.PrepareContext(ctx, table.insertion()+passOver)
	if err != nil {
		return err
	}
	defer insert.Close()
	var count, size int64
	for _, r := range rows {
		n, err := insertEvent(ctx, insert, r)
		if err != nil {
			return err
		}
		if n == 0 && table.kind == Alerts {
			old, err := removeAlert(ctx, tx, r.values[0])
			if err != nil {
				return err
			}
			count, size = count-1, size-old
			if n, err = insertEvent(ctx, insert, r); err != nil {
				return err
			}
		}
		document, _ := r.values[len(r.values)-1].(string)
		count += n
		size += n * int64(len(document))
	}
	return addTotals(ctx, tx, table.name, count, size)
}

// insertEvent returns 1, or 0 for an event that is there already.
func insertEvent(ctx context.Context, insert *sql.Stmt, r row) (int64, error) {
	result, err := insert.ExecContext(ctx, r.values...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// removeAlert makes room for the new form of an alert, and returns how many bytes
// the old one had.
func removeAlert(ctx context.Context, tx *sql.Tx, id any) (size int64, err error) {
	if err := tx.QueryRowContext(ctx, "SELECT OCTET_LENGTH(document) FROM alerts WHERE id = $1", id).Scan(&size); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM alerts WHERE id = $1", id)
	return size, err
}

func addTotals(ctx context.Context, tx *sql.Tx, table string, rows, size int64) error {
	if rows == 0 && size == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, "UPDATE totals SET rows = rows + $1, bytes = bytes + $2 WHERE name = $3", rows, size, table)
	return err
}

// encoder writes documents, with <, > and & as they are.
type encoder struct {
	buffer bytes.Buffer
	json   *json.Encoder
}

func newEncoder() *encoder {
	e := &encoder{}
	e.json = json.NewEncoder(&e.buffer)
	e.json.SetEscapeHTML(false)
	return e
}

func (e *encoder) encode(v any) (string, error) {
	e.buffer.Reset()
	if err := e.json.Encode(v); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(e.buffer.Bytes(), []byte("\n"))), nil
}

// placeholders returns "$1, $2, … $n".
func placeholders(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		if i > 1 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i)
	}
	return b.String()
}
