package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"sealgate/appliance/atomicfile"
)

// sweep removes generations, but for one and what Rollback would go back to from
// it, and what a release needs. The caller holds the lock of the data folder.
func sweep(home string, keep generation) error {
	entries, err := os.ReadDir(dataFolder(home))
	if err != nil {
		return err
	}
	before, err := before(home, keep)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var errs []error
	for _, entry := range entries {
		name := entry.Name()
		if !entry.IsDir() && !isPart(name) || name == keep.name() || name == before.name() {
			continue
		}
		if g, err := generationOf(home, name); err == nil && entry.IsDir() {
			if _, err := os.Lstat(g.keep()); err == nil {
				continue
			}
		}
		errs = append(errs, os.RemoveAll(filepath.Join(dataFolder(home), name)))
	}
	return errors.Join(errs...)
}

// isPart is the name of a link that was cut short.
func isPart(name string) bool { return filepath.Ext(name) == atomicfile.Suffix }

// Sweep removes generations that were never finished, or are out of use. While
// the store is open for writing, or being replaced, it leaves everything.
func Sweep(home string) error {
	keep, err := currentOf(home)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lock, err := lockData(home, unix.LOCK_EX)
	if errors.Is(err, ErrInUse) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(sweep(home, keep), lock.Close())
}
