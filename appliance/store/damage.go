package store

import (
	"cmp"
	"errors"
	"io/fs"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// isDamaged reports whether a database is none any more, or not a whole one.
func isDamaged(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_NOTADB || e.Code()&0xff == sqlite3.SQLITE_CORRUPT)
}

// setAside moves a day that the disk has damaged out of the way of the others: it is no day
// any more, and its file stays for whoever can read it.
func (d *days) setAside(name string) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.migrating.Lock()
	defer d.migrating.Unlock()
	d.drops++
	_ = d.shut(name) // nothing can be done about what it could not write
	path := d.data.day(name)
	for _, suffix := range []string{"-shm", "-wal", ""} {
		if moved := os.Rename(path+suffix, path+".damaged"+suffix); !errors.Is(moved, fs.ErrNotExist) {
			err = cmp.Or(err, moved)
		}
	}
	return err
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
