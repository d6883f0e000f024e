package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sealgate/appliance/atomicfile"
)

// dayLayout is the form of a day's name.
const dayLayout = "2006-01-02"

// maxOpenDays is how many days stay open for writing: today, and yesterday for
// what arrives late.
const maxOpenDays = 3

// days are the event databases that are open for writing.
type days struct {
	data generation
	mu   sync.Mutex // held through an append: each day has one writer
	open []*day     // the one written last at the end

	drops int // how many days were dropped

	migrating sync.Mutex // a day is brought to the schema, or dropped; taken after mu
}

// day is one open event database.
type day struct {
	name string
	db   *sql.DB
}

// write runs fn in one transaction of a day, creating it where it is missing.
func (d *days) write(ctx context.Context, name string, fn func(*sql.Tx) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	day, err := d.get(ctx, name)
	if err != nil {
		return err
	}
	tx, err := day.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	return tx.Commit()
}

func (d *days) get(ctx context.Context, name string) (*day, error) {
	for i, open := range d.open {
		if open.name == name {
			d.open = append(append(d.open[:i:i], d.open[i+1:]...), open)
			return open, nil
		}
	}
	if len(d.open) >= maxOpenDays {
		if err := d.open[0].db.Close(); err != nil {
			return nil, err
		}
		d.open = d.open[1:]
	}
	path := d.data.day(name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := createDay(ctx, path); err != nil {
			return nil, err
		}
	}
	db, err := openWriter(path, eventDatabase)
	if err != nil {
		return nil, err
	}
	d.migrating.Lock()
	err = migrate(ctx, db, eventDatabase)
	d.migrating.Unlock()
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	opened := &day{name: name, db: db}
	d.open = append(d.open, opened)
	return opened, nil
}

// MigrateDays brings the days that an older release wrote to this one's schema, the
// newest first. Each is one transaction: cut short, it goes on where it was. It
// takes some ten seconds a million violations, during which everything else works;
// until a day's turn comes, searches in it are slower, and exports are as always.
func (s *Store) MigrateDays(ctx context.Context) error {
	if s.readOnly {
		return ErrReadOnly
	}
	names, err := s.EventDays(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(names) {
		if err := s.days.migrate(ctx, s.data.day(name)); err != nil {
			return fmt.Errorf("events of %s: %w", name, err)
		}
	}
	return nil
}

func (d *days) migrate(ctx context.Context, path string) (err error) {
	d.migrating.Lock()
	defer d.migrating.Unlock()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // dropped since it was listed
	}
	db, err := openWriter(path, eventDatabase)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return migrate(ctx, db, eventDatabase)
}

// createDay makes a day's database under another name and links it when it is
// complete: one that a killed process left half-made could not be opened for
// reading. Of two processes that make the same day, the first wins.
func createDay(ctx context.Context, path string) (err error) {
	partial := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+NewID()+atomicfile.Suffix)
	defer func() { err = errors.Join(err, removeDatabase(partial)) }()
	db, err := openWriter(partial, eventDatabase)
	if err != nil {
		return err
	}
	if err := errors.Join(migrate(ctx, db, eventDatabase), db.Close()); err != nil {
		return err
	}
	if err := os.Link(partial, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

// drop closes a day and unlinks it, with what was left of attempts to make it.
func (d *days) drop(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.migrating.Lock()
	defer d.migrating.Unlock()
	d.drops++
	if err := d.shut(name); err != nil {
		return err
	}
	entries, err := os.ReadDir(d.data.events())
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "."+name+".db.") {
			if err := os.Remove(filepath.Join(d.data.events(), entry.Name())); err != nil {
				return err
			}
		}
	}
	return removeDatabase(d.data.day(name))
}

// shut closes a day, if it is open.
func (d *days) shut(name string) error {
	for i, open := range d.open {
		if open.name == name {
			d.open = append(d.open[:i:i], d.open[i+1:]...)
			return open.db.Close()
		}
	}
	return nil
}

func (d *days) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, open := range d.open {
		errs = append(errs, open.db.Close())
	}
	d.open = nil
	return errors.Join(errs...)
}

// EventDays lists the days that have events, oldest first, as YYYY-MM-DD (UTC).
func (s *Store) EventDays(ctx context.Context) ([]string, error) {
	entries, err := os.ReadDir(s.data.events())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".db")
		if _, err := time.Parse(dayLayout, name); ok && err == nil {
			names = append(names, name)
		}
	}
	return names, ctx.Err()
}

// DropDay forgets a day's events by unlinking its database. Whoever is reading it
// reads on. It is for the process that appends: what another one that has the day
// open appends afterwards would be lost.
func (s *Store) DropDay(ctx context.Context, name string) error {
	if s.readOnly {
		return ErrReadOnly
	}
	if _, err := time.Parse(dayLayout, name); err != nil {
		return fmt.Errorf("%q is no day of the form YYYY-MM-DD: %w", name, ErrInvalid)
	}
	if _, err := os.Stat(s.data.day(name)); err != nil {
		return fmt.Errorf("events of %s: %w", name, ErrNotFound)
	}
	if err := ctx.Err(); err != nil { // and not behind it: what is dropped is told of
		return err
	}
	return s.days.drop(name)
}
