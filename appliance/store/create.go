package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/model"
	"sealgate/appliance/ownership"
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
	if err := os.MkdirAll(dataFolder(home), 0o700); err != nil {
		return err
	}
	s := &Store{home: home, now: options.Now}
	if s.now == nil {
		s.now = time.Now
	}
	data, err := newGeneration(home, s.now())
	if err != nil {
		return err
	}
	if err := s.fill(ctx, data.config(), admin, verifier); err != nil {
		return errors.Join(err, os.RemoveAll(string(data)))
	}
	if err := errors.Join(atomicfile.SyncDir(string(data)), atomicfile.SyncDir(dataFolder(home))); err != nil {
		return err
	}
	return errors.Join(atomicfile.Symlink(data.name(), currentLink(home)), atomicfile.SyncDir(home))
}

// generationLayout begins the name of a generation: when it was made.
const generationLayout = "20060102-150405"

// newGeneration makes the folders of a generation.
func newGeneration(home string, now time.Time) (generation, error) {
	name := now.UTC().Format(generationLayout) + "-" + strings.ReplaceAll(NewID(), "-", "")[16:24]
	data := generation(filepath.Join(dataFolder(home), name))
	mode, err := ownership.FolderMode(dataFolder(home))
	if err != nil {
		return "", err
	}
	for _, folder := range append([]string{string(data)}, data.folders()...) {
		if err := errors.Join(os.Mkdir(folder, mode), os.Chmod(folder, mode)); err != nil {
			return "", err
		}
	}
	return data, nil
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
	_, err = s.Write(ctx, Change{Author: "system", Summary: "a fresh server"}, func(tx *Tx) error {
		if err := tx.addDefaults(ctx); err != nil {
			return err
		}
		// Whoever creates the appliance chooses the password, not the one who uses it.
		_, err := tx.AddUser(ctx, User{Name: admin, Role: Administrator, Verifier: verifier, Document: []byte(`{"firstTime":true}`)})
		return err
	})
	return err
}

// AddDefaults adds the predefined objects that data of an older release lacks. Where
// an administrator's object has the name already, that one stays alone.
func (s *Store) AddDefaults(ctx context.Context) error {
	_, err := s.Write(ctx, Change{Author: "system", Summary: "predefined objects of a newer release"}, func(tx *Tx) error { return tx.addDefaults(ctx) })
	return err
}

func (t *Tx) addDefaults(ctx context.Context) error {
	defaults, err := model.Defaults()
	if err != nil {
		return err
	}
	for _, d := range defaults {
		there, err := t.hasDefault(ctx, d)
		if err == nil && !there {
			_, err = t.Create(ctx, Object{ID: d.ID, ParentID: d.ParentID, Kind: d.Kind, Name: d.Name, Document: d.Document})
		}
		if err != nil {
			return fmt.Errorf("default %s %q: %w", d.Kind, d.Name, err)
		}
	}
	return nil
}

// hasDefault says whether a default is there, by its id or its name.
func (t *Tx) hasDefault(ctx context.Context, d model.DefaultObject) (bool, error) {
	_, err := t.Get(ctx, d.ID)
	if errors.Is(err, ErrNotFound) {
		_, err = t.Find(ctx, d.ParentID, d.Kind, d.Name)
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
