package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/ownership"
)

// Current is the name of the generation in use.
func Current(home string) (string, error) {
	g, err := currentOf(home)
	if err != nil {
		return "", err
	}
	return g.name(), nil
}

// Size is how many bytes the generation in use takes.
func Size(home string) (size int64, err error) {
	g, err := currentOf(home)
	if err != nil {
		return 0, err
	}
	err = filepath.WalkDir(string(g), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

// Duplicate copies the generation in use, for another release to migrate, and
// returns both names. Neither is removed before KeepOnly leaves it out. Nothing may
// have the store open for writing.
func Duplicate(ctx context.Context, home string, progress func(copied int64)) (from, to string, err error) {
	lock, err := lockData(home, unix.LOCK_EX)
	if err != nil {
		return "", "", err
	}
	defer lock.Close()
	base, err := currentOf(home)
	if err != nil {
		return "", "", err
	}
	if err := sweep(home, base); err != nil {
		return "", "", err
	}
	g, err := newGeneration(home, time.Now())
	if err != nil {
		return "", "", err
	}
	d := &duplicate{ctx: ctx, to: g, progress: progress}
	if err := d.run(base); err != nil {
		return "", "", errors.Join(fmt.Errorf("copy the data: %w", err), os.RemoveAll(string(g)))
	}
	for _, kept := range []generation{base, g} {
		if err := atomicfile.Write(kept.keep(), nil, 0o600); err != nil {
			return "", "", errors.Join(err, os.RemoveAll(string(g)))
		}
	}
	return base.name(), g.name(), nil
}

type duplicate struct {
	ctx      context.Context
	to       generation
	copied   int64
	progress func(copied int64)
	sync     syncer
}

// run copies what is a file; the role, which the folder is shared with, may have
// put anything else there.
func (d *duplicate) run(from generation) error {
	in, err := os.OpenRoot(string(from))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenRoot(string(d.to))
	if err != nil {
		return err
	}
	defer out.Close()
	err = fs.WalkDir(in.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.ctx.Err() != nil:
			return context.Cause(d.ctx)
		case entry.IsDir():
			return d.folder(out, name)
		case !entry.Type().IsRegular() || strings.HasSuffix(name, "-shm") || name == filepath.Base(from.keep()):
			return nil
		}
		return d.file(in, out, name)
	})
	if err := errors.Join(err, d.sync.wait()); err != nil {
		return err
	}
	return filepath.WalkDir(string(d.to), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return atomicfile.SyncDir(path)
	})
}

func (d *duplicate) folder(out *os.Root, name string) error {
	if _, err := out.Lstat(name); err == nil {
		return nil
	}
	mode, err := ownership.FolderMode(filepath.Dir(string(d.to)))
	if err != nil {
		return err
	}
	return errors.Join(out.Mkdir(name, 0o700), out.Chmod(name, mode))
}

func (d *duplicate) file(from, to *os.Root, name string) error {
	in, err := from.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	mode, err := ownership.FileMode(filepath.Dir(string(d.to)))
	if err != nil {
		return err
	}
	out, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := out.Chmod(mode); err != nil {
		return errors.Join(err, out.Close())
	}
	for {
		n, err := io.CopyN(out, in, copyAtOnce)
		d.copied += n
		d.progress(d.copied)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = context.Cause(d.ctx)
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
	}
	d.sync.file(out)
	return nil
}

// copyAtOnce bytes are copied before progress is told.
const copyAtOnce = 16 << 20

// SwitchTo makes a generation that is there the one in use. Nothing may have the store
// open for writing.
func SwitchTo(home, name string) error {
	lock, err := lockData(home, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := Has(home, name); err != nil {
		return fmt.Errorf("there are no data in generation %s: %w", name, err)
	}
	return atomicfile.Symlink(name, currentLink(home))
}

// KeepOnly has no generations but these outlive their use.
func KeepOnly(home string, names ...string) error {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	entries, err := os.ReadDir(dataFolder(home))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if g, err := generationOf(home, e.Name()); err == nil && e.IsDir() && !wanted[e.Name()] {
			if err := os.Remove(g.keep()); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// Has says why there are no data in a generation.
func Has(home, name string) error {
	g, err := generationOf(home, name)
	if err == nil {
		_, err = os.Stat(g.config())
	}
	return err
}
