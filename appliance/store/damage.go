package store

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"sealgate/appliance/atomicfile"
)

// isDamaged reports whether a database is none any more, or not a whole one.
func isDamaged(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_NOTADB || e.Code()&0xff == sqlite3.SQLITE_CORRUPT)
}

// damagedSuffix follows the name of a day's database that was set aside, and an id follows
// it: a day may be damaged again.
const damagedSuffix = ".damaged"

// setAside moves a day that the disk has damaged out of the way of the others: it is no day
// any more, and its files stay for whoever can read them. They get their new names, all of
// them, before they lose the old ones: a database without its log has lost rows, and a log
// without its database would damage the day's next one.
func (d *days) setAside(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.migrating.Lock()
	defer d.migrating.Unlock()
	d.drops++
	_ = d.shut(name) // nothing can be done about what it could not write
	path := d.data.day(name)
	aside := path + damagedSuffix + "." + NewID()
	for _, suffix := range []string{"", "-wal"} {
		if err := os.Link(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, removeDatabase(aside))
		}
	}
	if err := atomicfile.SyncDir(d.data.events()); err != nil {
		return errors.Join(err, removeDatabase(aside))
	}
	return removeDatabase(path)
}

// DropSetAside unlinks what was set aside of a damaged day, the oldest one first. It
// returns the day, "" for none.
func (s *Store) DropSetAside(ctx context.Context) (day string, err error) {
	if s.readOnly {
		return "", ErrReadOnly
	}
	entries, err := os.ReadDir(s.data.events())
	if err := cmp.Or(err, ctx.Err()); err != nil {
		return "", err
	}
	for _, entry := range entries {
		day, _, ok := strings.Cut(entry.Name(), ".db"+damagedSuffix)
		if _, err := time.Parse(dayLayout, day); !ok || err != nil {
			continue
		}
		database := strings.TrimSuffix(strings.TrimSuffix(entry.Name(), "-shm"), "-wal")
		return day, removeDatabase(filepath.Join(s.data.events(), database))
	}
	return "", nil
}

// setAside is that of days, where err says that one is damaged.
func (a *Aggregator) setAside(name string, err error) error {
	if !isDamaged(err) {
		return err
	}
	if failed := a.store.days.setAside(name); failed != nil {
		return errors.Join(err, failed)
	}
	a.aside = append(a.aside, name)
	return nil
}

// SetAside returns the days that were damaged and set aside since it was asked last.
func (a *Aggregator) SetAside() (days []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	days, a.aside = a.aside, nil
	return days
}
