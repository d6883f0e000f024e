// Package atomicfile writes files whole.
//
// A file appears under its name complete and on the disk, or not at all: it is
// written under a temporary name in the same folder, synced, renamed, and the
// folder is synced. A process that is killed at any instant leaves the old file
// or the new one, and at most a temporary name that begins with a dot and ends in
// ".part", which nobody reads. Nothing here is ever appended to or changed in
// place.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Suffix ends the names of files that are not complete.
const Suffix = ".part"

// Write makes path hold data, whatever it held before.
func Write(path string, data []byte, perm fs.FileMode) error {
	f, err := Create(path, perm)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit()
}

// File is a file that is being written. It has its name only after Commit.
type File struct {
	*os.File
	path string
	done bool
}

// Create begins to write path. The mode is exactly perm, whatever the umask.
func Create(path string, perm fs.FileMode) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+Suffix)
	if err != nil {
		return nil, fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := f.Chmod(perm); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write %s: %w", path, err), f.Close(), os.Remove(f.Name()))
	}
	return &File{File: f, path: path}, nil
}

// Commit gives the file its name. It is on the disk when Commit returns nil.
func (f *File) Commit() error {
	if f.done {
		return fmt.Errorf("cannot write %s: already closed", f.path)
	}
	err := f.Sync()
	if err == nil {
		err = f.File.Close()
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", f.path, err)
	}
	f.done = true
	return SyncDir(filepath.Dir(f.path))
}

// Close discards the file unless it was committed, and may be deferred beside
// Commit.
func (f *File) Close() error {
	if f.done {
		return nil
	}
	f.done = true
	err := f.File.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return errors.Join(err, os.Remove(f.Name()))
}

// Symlink makes path a symbolic link to target, in place of the link that was
// there. It is how one generation of data takes the place of another.
func Symlink(target, path string) error {
	temporary := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d%s", filepath.Base(path), os.Getpid(), Suffix))
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot link %s: %w", path, err)
	}
	if err := os.Symlink(target, temporary); err != nil {
		return fmt.Errorf("cannot link %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(fmt.Errorf("cannot link %s: %w", path, err), os.Remove(temporary))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a folder last.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("cannot sync %s: %w", dir, err), d.Close())
	}
	return d.Close()
}
