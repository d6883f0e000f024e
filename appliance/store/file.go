package store

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// File is a file that belongs to a snapshot. Rows and folders are the role's to
// write, so what they say is not believed: Snapshot.Open follows nothing out of
// their folders.
type File struct {
	Kind   Kind   // Config, Archives or FailedArchives
	Name   string // relative, with "/"
	Size   int64  // bytes; of an archive, as its row says
	SHA256 string // of an archive, as its row says
}

// Files lists the files of the kinds that are not left out: configuration files,
// then archives by name. An archive that is deleted meanwhile is not found later.
func (p *Snapshot) Files() []File { return slices.Clone(p.files) }

// Open opens a file of the snapshot, which must be a regular one: a pipe in its
// place would hold the reader for ever.
func (p *Snapshot) Open(f File) (*os.File, error) {
	folder := p.folders[f.Kind]
	if f.Kind == FailedArchives {
		folder = p.folders[Archives]
	}
	if folder == nil {
		return nil, fmt.Errorf("%s: %w", f.Name, ErrNotFound)
	}
	file, err := folder.OpenFile(f.Name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", f.Name)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (p *Snapshot) listFiles(ctx context.Context) error {
	if !p.without[Config] {
		if err := p.listConfigFiles(); err != nil {
			return err
		}
	}
	query := "SELECT " + archiveColumns + " FROM archives"
	if condition := p.where("archives"); condition != "" {
		query += " WHERE " + condition
	}
	rows, err := p.config.QueryContext(ctx, query+" ORDER BY name")
	if err != nil {
		return err
	}
	archives, err := collect(rows, func(a *Archive) error { return scanArchive(rows.Scan, a) })
	if err != nil {
		return err
	}
	if p.folders[Archives], err = p.store.openFolder(p.store.data.archives()); err != nil {
		return err
	}
	for _, a := range archives {
		kind := Archives
		if a.Status == ArchiveFailed {
			kind = FailedArchives
		}
		p.files = append(p.files, File{Kind: kind, Name: a.Name, Size: a.Size, SHA256: a.SHA256})
	}
	return nil
}

// listConfigFiles lists the regular files of the generation. What is no regular
// file, and what is still being written, belongs to no dump.
func (p *Snapshot) listConfigFiles() error {
	folder, err := p.store.openFolder(p.store.data.files())
	if err != nil {
		return err
	}
	p.folders[Config] = folder
	return fs.WalkDir(folder.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name()[0] == '.' {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		p.files = append(p.files, File{Kind: Config, Name: path, Size: info.Size()})
		return nil
	})
}

// openFolder opens a folder of the generation, which lies in the data folder
// whatever the links there say.
func (s *Store) openFolder(path string) (*os.Root, error) {
	data, err := os.OpenRoot(dataFolder(s.home))
	if err != nil {
		return nil, err
	}
	defer data.Close()
	return data.OpenRoot(filepath.Join(s.data.name(), filepath.Base(path)))
}
