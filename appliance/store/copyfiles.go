package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Carried is how many bytes CopyFiles brings of the generation in use at most, or Merge
// without archives, which it links.
func (g *Staging) Carried(merge bool) (size int64, err error) {
	roots := []string{g.base.files()}
	if merge {
		roots = append(roots, g.base.config(), g.base.events())
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			info, err := entry.Info()
			if err == nil {
				size += info.Size()
			}
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return size, nil
}

// CopyFiles brings the configuration files of another generation, except those
// whose name is taken, and returns how many it brought.
func (g *Staging) CopyFiles(from *Store) (copied int64, err error) {
	folder, err := from.openFolder(from.data.files())
	if err != nil {
		return 0, err
	}
	defer folder.Close()
	err = fs.WalkDir(folder.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name()[0] == '.' {
			return err
		}
		switch err := g.copyFile(folder, path); {
		case errors.Is(err, fs.ErrExist):
			return nil
		case err != nil:
			return err
		}
		copied++
		return nil
	})
	return copied, err
}

func (g *Staging) copyFile(folder *os.Root, path string) error {
	in, err := folder.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := g.Create(Config, path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	g.Keep(out)
	return nil
}
