package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/ownership"
)

// Staging is a generation in the making, which takes the place of the one in use
// when it is committed, and until then is nothing: who is killed leaves a folder
// that Sweep removes. While there is one, nothing opens the store for writing.
//
// Its configuration begins empty at an older schema, is loaded, brought up to this
// release's schema with Finish, checked, and committed. It is used by one goroutine.
type Staging struct {
	// Store is the new generation's, from Finish to Commit or Discard.
	Store *Store

	home   string
	now    func() time.Time
	schema Schema
	base   generation
	data   generation
	root   *os.Root // data's folder: nothing is written outside
	lock   *dataLock
	config *Store // at the schema that is loaded
	day    *stagedDay
	ending string // the day that ended is about
	ended  <-chan error
	sync   syncer
}

// Stage begins a generation at a schema that this release knows. The error wraps
// ErrNewer for another one, and ErrInUse while the store is open for writing.
func Stage(ctx context.Context, home string, schema Schema, options Options) (*Staging, error) {
	if err := checkSchema(schema); err != nil {
		return nil, err
	}
	lock, err := lockData(home, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	g := &Staging{home: home, now: options.Now, schema: schema, lock: lock}
	if g.now == nil {
		g.now = time.Now
	}
	if err := g.begin(ctx); err != nil {
		return nil, errors.Join(err, g.Discard())
	}
	return g, nil
}

func checkSchema(s Schema) error {
	known, err := KnownSchema()
	if err != nil {
		return err
	}
	for _, v := range []struct {
		what      string
		has, most int64
	}{{"configuration", s.Config, known.Config}, {"event", s.Events, known.Events}} {
		if v.has > v.most {
			return fmt.Errorf("%w: %s schema %d, this release knows %d", ErrNewer, v.what, v.has, v.most)
		}
		if v.has < 1 {
			return fmt.Errorf("%s schema %d: %w", v.what, v.has, ErrInvalid)
		}
	}
	return nil
}

func (g *Staging) begin(ctx context.Context) (err error) {
	if g.base, err = currentOf(g.home); err != nil {
		return err
	}
	if err := sweep(g.home, g.base); err != nil {
		return err
	}
	if g.data, err = newGeneration(g.home, g.now()); err != nil {
		return err
	}
	if g.root, err = os.OpenRoot(string(g.data)); err != nil {
		return err
	}
	g.config = &Store{home: g.home, data: g.data, now: g.now}
	if g.config.writer, err = openWriter(g.data.config(), configDatabase); err != nil {
		return err
	}
	if err := loosen(ctx, g.config.writer); err != nil {
		return err
	}
	return migrateTo(ctx, g.config.writer, configDatabase, g.schema.Config)
}

// Load gives back rows that Snapshot.Rows gave out: next is called for each line
// until it returns nil. Rows of configuration take the place of all that the
// table holds; rows of a day must be of that day and not be there yet. seal
// seals secrets to this appliance's key. Tables come in the order of
// Snapshot.Tables, each once. It returns how many rows there were.
func (g *Staging) Load(ctx context.Context, t Table, seal func(id string, plaintext []byte) []byte, next func() ([]byte, error)) (int64, error) {
	if t.Day == "" {
		if addedTables[t.Name] > g.schema.Config {
			return 0, fmt.Errorf("schema %d has no table %s: %w", g.schema.Config, t.Name, ErrInvalid)
		}
		return g.config.loadConfig(ctx, t.Name, seal, next)
	}
	for _, table := range eventTables {
		if table.name == t.Name {
			day, err := g.openDay(ctx, t.Day)
			if err != nil {
				return 0, err
			}
			return day.load(ctx, table, next)
		}
	}
	return 0, fmt.Errorf("table %q: %w", t.Name, ErrNotFound)
}

func (g *Staging) openDay(ctx context.Context, name string) (*stagedDay, error) {
	if g.day != nil && g.day.name == name {
		return g.day, nil
	}
	if err := g.closeDay(); err != nil {
		return nil, err
	}
	if _, err := time.Parse(dayLayout, name); err != nil {
		return nil, fmt.Errorf("%q is no day of the form YYYY-MM-DD: %w", name, ErrInvalid)
	}
	if _, err := g.root.Lstat(filepath.Join("events", name+".db")); err == nil {
		return nil, fmt.Errorf("events of %s: %w", name, ErrExists)
	}
	var err error
	g.day, err = stageDay(ctx, g.data.day(name), name, g.schema.Events)
	return g.day, err
}

// closeDay has the day that is loaded end, once the one before has.
func (g *Staging) closeDay() error {
	if g.day == nil {
		return nil
	}
	if err := g.endDay(); err != nil {
		return err
	}
	day, ended := g.day, make(chan error, 1)
	g.day, g.ending, g.ended = nil, day.name, ended
	go func() { ended <- day.finish(context.Background()) }() // who cancels waits for it
	return nil
}

// endDay waits for the day that was closed last: its end is stored beside the
// next one's rows.
func (g *Staging) endDay() error {
	if g.ended == nil {
		return nil
	}
	err := <-g.ended
	g.ended = nil
	if err != nil {
		return fmt.Errorf("cannot store the events of %s: %w", g.ending, err)
	}
	return g.sync.path(g.data.day(g.ending))
}

// Create makes a file: a configuration file, whose name may have folders, or an
// archive. The caller writes it, and hands it to Keep. Rows come before files: the
// last day ends beside them.
func (g *Staging) Create(kind Kind, name string) (*os.File, error) {
	if err := g.closeDay(); err != nil {
		return nil, err
	}
	folder := g.data.files()
	if kind != Config {
		folder = g.data.archives()
		if err := (Archive{Name: name}).checkName(); err != nil {
			return nil, err
		}
	}
	path := filepath.Join(filepath.Base(folder), name)
	if err := g.mkdirs(filepath.Dir(path)); err != nil {
		return nil, err
	}
	mode, err := ownership.FileMode(folder)
	if err != nil {
		return nil, err
	}
	file, err := g.root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Chmod(mode); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// mkdirs makes the folders above a configuration file.
func (g *Staging) mkdirs(dir string) error {
	if _, err := g.root.Lstat(dir); err == nil || dir == "." {
		return nil
	}
	if err := g.mkdirs(filepath.Dir(dir)); err != nil {
		return err
	}
	mode, err := ownership.FolderMode(g.data.files())
	if err != nil {
		return err
	}
	return errors.Join(g.root.Mkdir(dir, 0o700), g.root.Chmod(dir, mode))
}

// Keep closes a file that was written, and has it on the disk at Commit.
func (g *Staging) Keep(file *os.File) { g.sync.file(file) }

// Finish ends the loading: the generation is brought up to this release's schema
// and opened as Store.
func (g *Staging) Finish(ctx context.Context) (err error) {
	if err := g.closeDay(); err != nil {
		return err
	}
	if err := g.endDay(); err != nil {
		return err
	}
	err = errors.Join(emptyLog(ctx, g.config.writer), g.config.Close())
	g.config = nil
	if err == nil {
		err = g.sync.path(g.data.config())
	}
	if err != nil {
		return err
	}
	g.Store, err = openGeneration(ctx, g.home, g.data, Options{Now: g.now})
	return err
}

// Base opens the generation in use, for reading.
func (g *Staging) Base(ctx context.Context) (*Store, error) {
	return openGeneration(ctx, g.home, g.base, Options{ReadOnly: true})
}

// Commit makes the generation the one in use. The one that it replaces is kept
// for Rollback; older ones go. After an error the old one is in use, unless it
// wraps ErrCommitted.
func (g *Staging) Commit() error {
	err := g.Store.Close()
	g.Store = nil
	err = errors.Join(err, g.sync.wait())
	if err == nil {
		err = g.syncFolders()
	}
	if err == nil {
		err = atomicfile.Write(g.data.previous(), []byte(g.base.name()+"\n"), 0o600)
	}
	if err == nil {
		err = atomicfile.SyncDir(dataFolder(g.home))
	}
	if err == nil {
		err = atomicfile.Symlink(g.data.name(), currentLink(g.home))
	}
	now, unknown := currentOf(g.home)
	switch {
	case unknown != nil:
		return errors.Join(err, unknown, g.close())
	case now != g.data:
		return errors.Join(err, g.Discard())
	}
	if err := errors.Join(err, sweep(g.home, g.data), g.close()); err != nil {
		return fmt.Errorf("%w: %w", ErrCommitted, err)
	}
	return nil
}

// ErrCommitted means that the new data are in use, and something after that failed.
var ErrCommitted = errors.New("the new data are in use")

func (g *Staging) syncFolders() error {
	return filepath.WalkDir(string(g.data), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return atomicfile.SyncDir(path)
	})
}

// Discard removes the generation, unless it was committed.
func (g *Staging) Discard() error {
	var errs []error
	g.endDay() // it is removed, however it ended
	if g.day != nil {
		errs = append(errs, g.day.close())
		g.day = nil
	}
	for _, s := range []*Store{g.config, g.Store} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	g.config, g.Store = nil, nil
	g.sync.wait() // what cannot be synced is removed anyway
	if g.lock != nil && g.base != "" {
		errs = append(errs, sweep(g.home, g.base))
	}
	return errors.Join(append(errs, g.close())...)
}

func (g *Staging) close() error {
	var errs []error
	if g.root != nil {
		errs = append(errs, g.root.Close())
	}
	if g.lock != nil {
		errs = append(errs, g.lock.Close())
	}
	g.root, g.lock = nil, nil
	return errors.Join(errs...)
}
