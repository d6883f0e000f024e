package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Merge makes the generation what the one in use is and, beside that, what was
// loaded into this one: see merger for what becomes of what both have. Events of
// both, by id, stay as they are, and so do files of both. It comes after Finish.
func (g *Staging) Merge(ctx context.Context, change Change, files bool) (Merged, error) {
	loaded := g.Store
	data, err := newGeneration(g.home, g.now())
	if err != nil {
		return Merged{}, err
	}
	g.Store = nil
	defer loaded.Close()
	if err := g.moveTo(data); err != nil {
		return Merged{}, err
	}
	base, err := g.Base(ctx)
	if err != nil {
		return Merged{}, err
	}
	defer base.Close()
	days, err := base.EventDays(ctx)
	if err != nil {
		return Merged{}, err
	}
	if err := g.copyDatabase(ctx, g.base.config(), data.config(), configDatabase); err != nil {
		return Merged{}, err
	}
	if g.Store, err = openGeneration(ctx, g.home, data, Options{Now: g.now}); err != nil {
		return Merged{}, err
	}
	m := &merger{from: loaded, to: g.Store}
	if err := m.merge(ctx, change); err != nil {
		return Merged{}, err
	}
	if err := g.mergeDays(ctx, m, days); err != nil {
		return Merged{}, err
	}
	if err := g.mergeArchives(ctx, base, m); err != nil {
		return Merged{}, err
	}
	if _, err := g.CopyFiles(base); err != nil {
		return Merged{}, err
	}
	if files {
		if _, err := g.CopyFiles(loaded); err != nil {
			return Merged{}, err
		}
	}
	return Merged{m.report(), m.cleared, m.without}, nil
}

// moveTo goes on with another generation.
func (g *Staging) moveTo(data generation) (err error) {
	err = g.root.Close()
	g.data = data
	if err != nil {
		return err
	}
	g.root, err = os.OpenRoot(string(data))
	return err
}

// copyDatabase copies a database that nobody writes.
func (g *Staging) copyDatabase(ctx context.Context, from, to string, d database) error {
	if err := settle(ctx, from, d); err != nil {
		return err
	}
	return g.copyTo(from, to)
}

func (g *Staging) copyTo(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := touch(to); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := out.ReadFrom(in); err != nil {
		return errors.Join(err, out.Close())
	}
	g.Keep(out)
	return nil
}

// mergeDays brings the days of the generation in use, and adds the loaded events.
func (g *Staging) mergeDays(ctx context.Context, m *merger, days []string) error {
	for _, name := range days {
		if err := g.copyDatabase(ctx, g.base.day(name), g.data.day(name), eventDatabase); err != nil {
			return fmt.Errorf("events of %s: %w", name, err)
		}
	}
	loaded, err := m.from.EventDays(ctx)
	if err != nil {
		return err
	}
	for _, name := range loaded {
		if slices.Contains(days, name) {
			err = m.events(ctx, name)
		} else {
			err = g.takeDay(ctx, m, name)
		}
		if err != nil {
			return fmt.Errorf("events of %s: %w", name, err)
		}
	}
	return nil
}

// takeDay moves a day that only the loaded generation has.
func (g *Staging) takeDay(ctx context.Context, m *merger, name string) error {
	day, err := beginDay(ctx, m.from.data, name)
	if err != nil {
		return err
	}
	for _, t := range eventTables {
		m.of(t.kind).Added += day.totals[t.name].Rows
	}
	if err := day.close(); err != nil {
		return err
	}
	return os.Rename(m.from.data.day(name), g.data.day(name))
}

// mergeArchives links files of archives, which nobody changes.
func (g *Staging) mergeArchives(ctx context.Context, base *Store, m *merger) error {
	there, err := base.ListArchives(ctx)
	if err != nil {
		return err
	}
	link := func(from generation, name string) error {
		return os.Link(filepath.Join(from.archives(), name), filepath.Join(g.data.archives(), name))
	}
	for _, a := range there {
		if err := link(g.base, a.Name); err != nil {
			return err
		}
	}
	for _, name := range m.archives {
		if err := link(m.from.data, name); err != nil {
			return err
		}
	}
	return nil
}

// keepEvents adds events of one day unless they are there, and returns how many.
func (s *Store) keepEvents(ctx context.Context, day string, t eventTable, rows []row) (added int64, err error) {
	err = s.days.write(ctx, day, func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, "INSERT INTO "+t.name+" ("+t.columns+") VALUES ("+t.insert+") ON CONFLICT (id) DO NOTHING")
		if err != nil {
			return err
		}
		defer insert.Close()
		var size int64
		for _, r := range rows {
			n, err := insertEvent(ctx, insert, r)
			if err != nil {
				return err
			}
			document, _ := r.values[len(r.values)-1].(string)
			added += n
			size += n * int64(len(document))
		}
		if t.kind == Violations {
			err = newNotes().add(ctx, tx, rows)
		}
		return errors.Join(err, addTotals(ctx, tx, t.name, added, size))
	})
	return added, err
}
