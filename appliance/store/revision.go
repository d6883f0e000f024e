package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Change says who writes, and why in a few words. The words must not hold a
// secret, nor the name of an SSL key or credential: a dump that leaves those out
// still tells the history.
type Change struct {
	Author  string
	Summary string
	At      time.Time // when; zero is now
}

// Revision is one write of the configuration.
type Revision struct {
	Number     int64
	At         time.Time
	Author     string
	Summary    string
	Difference []Difference
}

// Difference is what a revision did to one object, user, SSL key or credential. Of
// the last two it says only which: what they hold, names included, must be absent
// from a dump that leaves them out.
type Difference struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Before *State `json:"before,omitempty"` // nil: it was created
	After  *State `json:"after,omitempty"`  // nil: it was deleted
}

// State is an object before or after a revision.
type State struct {
	Parent   string          `json:"parent,omitempty"`
	Name     string          `json:"name,omitempty"`
	Document json.RawMessage `json:"document,omitempty"`
}

// Tx is a write in progress. It is valid during the function that Write calls.
type Tx struct {
	queries
	tx          statements
	at          int64
	number      int64
	differences []Difference
}

// Write calls fn in one transaction and records what it did as one revision, whose
// number it returns. Nothing is kept if fn fails; a write that changes nothing
// makes no revision and returns 0. Writers take turns.
func (s *Store) Write(ctx context.Context, change Change, fn func(*Tx) error) (int64, error) {
	var number int64
	untold := false
	err := s.transaction(ctx, func(tx *sql.Tx) error {
		in := statements{s.writes, tx}
		t := &Tx{queries: queries{in}, tx: in, at: s.milliseconds()}
		if !change.At.IsZero() {
			t.at = change.At.UnixMilli()
		}
		if err := in.QueryRowContext(ctx, "SELECT COALESCE(MAX(number), 0) + 1 FROM revisions").Scan(&t.number); err != nil {
			return err
		}
		if err := fn(t); err != nil {
			return err
		}
		if t.differences = collapse(t.differences); len(t.differences) == 0 {
			return nil
		}
		difference, err := encode(t.differences)
		if err != nil {
			return err
		}
		number = t.number
		_, err = in.ExecContext(ctx, "INSERT INTO revisions (number, at, author, summary, difference) VALUES ($1, $2, $3, $4, $5)",
			t.number, t.at, change.Author, change.Summary, string(difference))
		if err == nil {
			untold, err = s.leave(ctx, in, change, number)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	s.writes.prepare(ctx)
	if untold {
		s.witness.Committed()
	}
	return number, nil
}

// transaction runs fn in a transaction of the configuration database.
func (s *Store) transaction(ctx context.Context, fn func(*sql.Tx) error) error {
	if s.readOnly {
		return ErrReadOnly
	}
	tx, err := s.writer.BeginTx(ctx, nil)
	if isBusy(err) {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	return tx.Commit()
}

// rollback ends a transaction that may be over already, because its context is.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// Revision returns the newest revision's number; 0 is none.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	return queries{s.reader}.Revision(ctx)
}

// Revisions lists up to limit revisions below number before, newest first; before
// 0 begins with the newest.
func (s *Store) Revisions(ctx context.Context, before int64, limit int) ([]Revision, error) {
	if before == 0 {
		before = 1 << 62
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT "+revisionColumns+" FROM revisions WHERE number < $1 ORDER BY number DESC LIMIT $2", before, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *Revision) error { return scanRevision(rows.Scan, r) })
}

const revisionColumns = "number, at, author, summary, difference"

func scanRevision(scan func(...any) error, r *Revision) error {
	var at int64
	var difference string
	if err := scan(&r.Number, &at, &r.Author, &r.Summary, &difference); err != nil {
		return err
	}
	r.At = time.UnixMilli(at).UTC()
	if err := json.Unmarshal([]byte(difference), &r.Difference); err != nil {
		return fmt.Errorf("the difference of revision %d is damaged: %w", r.Number, err)
	}
	return nil
}

// collect reads all rows, each with scan, and closes them.
func collect[T any](rows *sql.Rows, scan func(*T) error) ([]T, error) {
	defer rows.Close()
	var list []T
	for rows.Next() {
		var v T
		if err := scan(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// encode writes JSON on one line, with <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
