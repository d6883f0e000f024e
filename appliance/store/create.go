package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/model"
)

// Create makes a fresh generation below home, with the default objects and one
// administrator, and links it as the current one. A home that has data is refused.
// Cut short at any instant, it leaves a home without data, and may be repeated.
func Create(ctx context.Context, home, admin, verifier string, options Options) error {
	if _, err := os.Lstat(currentLink(home)); err == nil {
		return fmt.Errorf("data below %s: %w", home, ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, folder := range []string{dataFolder(home), eventsFolder(home), archivesFolder(home)} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	s := &Store{home: home, now: options.Now}
	if s.now == nil {
		s.now = time.Now
	}
	generation := s.now().UTC().Format("20060102-150405") + "-" + NewID()[:8]
	folder := filepath.Join(dataFolder(home), generation)
	if err := os.MkdirAll(filepath.Join(folder, "files"), 0o700); err != nil {
		return err
	}
	if err := s.fill(ctx, filepath.Join(folder, "config.db"), admin, verifier); err != nil {
		return errors.Join(err, os.RemoveAll(folder))
	}
	if err := errors.Join(atomicfile.SyncDir(folder), atomicfile.SyncDir(dataFolder(home))); err != nil {
		return err
	}
	return errors.Join(atomicfile.Symlink(generation, currentLink(home)), atomicfile.SyncDir(home))
}

// fill makes a configuration database with what a fresh one holds.
func (s *Store) fill(ctx context.Context, path, admin, verifier string) (err error) {
	if s.writer, err = openWriter(path, configDatabase); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.writer.Close()) }()
	if err := migrate(ctx, s.writer, configDatabase); err != nil {
		return err
	}
	defaults, err := model.Defaults()
	if err != nil {
		return err
	}
	_, err = s.Write(ctx, Change{Author: "system", Summary: "a fresh server"}, func(tx *Tx) error {
		for _, d := range defaults {
			if _, err := tx.Create(ctx, Object{ID: d.ID, ParentID: d.ParentID, Kind: d.Kind, Name: d.Name, Document: d.Document}); err != nil {
				return fmt.Errorf("default %s %q: %w", d.Kind, d.Name, err)
			}
		}
		_, err := tx.AddUser(ctx, User{Name: admin, Role: Administrator, Verifier: verifier})
		return err
	})
	return err
}
