package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
)

// loadBatch is how many events are stored in one transaction of Load.
const loadBatch = 2000

// dependents are the tables whose rows name rows of another: they are emptied with
// it, and come after it in Tables.
var dependents = map[string][]string{"objects": {"refs", "ssl_keys"}}

// Load gives back rows that Snapshot.Rows gave out: next is called for each line
// until it returns nil. Configuration rows take
// the place of all that the table holds; events join those of their days. seal seals secrets to this
// appliance's key.
func (s *Store) Load(ctx context.Context, t Table, seal func(id string, plaintext []byte) []byte, next func() ([]byte, error)) error {
	if t.Day == "" {
		return s.loadConfig(ctx, t.Name, seal, next)
	}
	for _, table := range eventTables {
		if table.name == t.Name {
			return s.loadEvents(ctx, table, next)
		}
	}
	return fmt.Errorf("table %q: %w", t.Name, ErrNotFound)
}

func (s *Store) loadConfig(ctx context.Context, name string, seal func(string, []byte) []byte, next func() ([]byte, error)) error {
	t, ok := lookupConfigTable(name)
	if !ok {
		return fmt.Errorf("table %q: %w", name, ErrNotFound)
	}
	return s.transaction(ctx, func(tx *sql.Tx) error {
		for _, emptied := range slices.Concat(dependents[t.name], []string{t.name}) {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+emptied); err != nil {
				return err
			}
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
				return fmt.Errorf("cannot load a line of table %s: %w", t.name, err)
			}
		}
	})
}

func (s *Store) loadEvents(ctx context.Context, t eventTable, next func() ([]byte, error)) error {
	if s.readOnly {
		return ErrReadOnly
	}
	for done := false; !done; {
		parts := make(map[string]*part)
		for range loadBatch {
			line, err := next()
			if err != nil {
				return err
			}
			if line == nil {
				done = true
				break
			}
			r, err := eventRow(t, line)
			if err != nil {
				return err
			}
			if err := addRow(parts, t, r); err != nil {
				return err
			}
		}
		if err := s.appendParts(ctx, parts); err != nil {
			return err
		}
	}
	return nil
}

// eventRow derives the columns of an event from its document, which is kept as it
// is.
func eventRow(t eventTable, line []byte) (row, error) {
	var event interface{ row(string) row }
	switch t.kind {
	case Alerts:
		event = new(Alert)
	case Violations:
		event = new(Violation)
	default:
		event = new(AuditRecord)
	}
	if err := json.Unmarshal(line, event); err != nil {
		return row{}, fmt.Errorf("a line of table %s is no event: %w", t.name, err)
	}
	return event.row(string(line)), nil
}
