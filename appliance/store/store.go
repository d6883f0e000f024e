// Package store is the management server's database: configuration objects and
// their history, users, SSL keys, credentials, archives, jobs, system events, and the events
// (alerts, violations, audit data) that gateways send.
//
// It promises that
//
//   - a write is one transaction and one revision, which says who changed what and
//     when; a process that is killed at any instant leaves it whole or absent;
//   - names are kept byte for byte (UTF-8, spaces at the end, any case) and are
//     unique among the objects of one kind under one parent;
//   - an object that another refers to is not deleted, and a reference names an
//     object that exists;
//   - secrets are stored sealed and apart from what names them: documents hold the
//     ids of secrets, never secrets;
//   - a snapshot is one consistent reading, whatever is written meanwhile, here or
//     in another process;
//   - a database of a newer release is refused by version and left untouched.
//
// Below a home folder it keeps data/GENERATION/config.db and data/GENERATION/files
// behind the relative link data/current, one database a day (UTC) in
// events/YYYY-MM-DD.db, and archive files in archives. Folders have mode 0700,
// files 0600, except where package ownership gives a folder to two accounts.
//
// The engine is SQLite. Queries, keys and migrations are written so that
// PostgreSQL reads the same text: "$n" parameters, TEXT keys, BIGINT milliseconds,
// JSON in TEXT, byte order for collation, no sequences. What only SQLite knows is
// in sqlite.go. Package storetest holds what every engine must do.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// Options change how a store is opened.
type Options struct {
	// ReadOnly opens a store for reading alone: nothing is migrated, and every
	// write is refused.
	ReadOnly bool

	// Now is the clock of revisions and jobs; nil is the machine's.
	Now func() time.Time

	// Witness is told of what requests write. It may be nil.
	Witness Witness
}

// Store is an open store. Its methods may be called concurrently; several
// processes may have one store open.
type Store struct {
	home     string
	data     generation
	lock     *dataLock // shared; nil when read-only
	now      func() time.Time
	readOnly bool
	witness  Witness // may be nil
	writer   *sql.DB // one connection, nil when read-only
	reader   *sql.DB
	writes   *prepared // of writer
	reads    *prepared // of reader
	days     days
}

// Open opens the store below home, migrating it unless it is opened read-only.
func Open(ctx context.Context, home string, options Options) (*Store, error) {
	data, err := currentOf(home)
	if err == nil {
		_, err = os.Stat(data.config())
	}
	if err != nil {
		return nil, fmt.Errorf("there is no database below %s: %w", home, err)
	}
	if options.ReadOnly {
		return openGeneration(ctx, home, data, options)
	}
	lock, err := lockData(home, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	// It was read before the lock was had.
	if data, err = currentOf(home); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s, err := openGeneration(ctx, home, data, options)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.lock = lock
	return s, nil
}

// openGeneration opens the store of one generation. It stays with it, whatever
// becomes the one in use.
func openGeneration(ctx context.Context, home string, data generation, options Options) (*Store, error) {
	s := &Store{home: home, data: data, now: options.Now, readOnly: options.ReadOnly, witness: options.Witness}
	if s.now == nil {
		s.now = time.Now
	}
	s.days.data = data
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	path := s.data.config()
	if !s.readOnly {
		if s.writer, err = openWriter(path, configDatabase); err != nil {
			return err
		}
		s.writes = newPrepared(s.writer)
		if err := migrate(ctx, s.writer, configDatabase); err != nil {
			return err
		}
	}
	if s.reader, err = openReader(path, configReaders); err != nil {
		return err
	}
	s.reads = newPrepared(s.reader)
	if s.readOnly {
		_, err = schemaVersion(ctx, s.reader, configDatabase)
	}
	return err
}

// Close closes the store. What was committed stays, whether it is called or not.
func (s *Store) Close() error {
	errs := []error{s.days.close()}
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}

// Home is the folder that the store lies below.
func (s *Store) Home() string { return s.home }

// Files is the folder of the generation's configuration files.
func (s *Store) Files() string { return s.data.files() }

// Archives is the folder of the archives' bytes.
func (s *Store) Archives() string { return s.data.archives() }

// Check reads the whole of the databases and says what is damaged.
func (s *Store) Check(ctx context.Context) error {
	if err := checkDatabase(ctx, s.reader); err != nil {
		return fmt.Errorf("%s: %w", s.data.config(), err)
	}
	days, err := s.EventDays(ctx)
	if err != nil {
		return err
	}
	for _, day := range days {
		if err := checkDay(ctx, s.data.day(day)); err != nil {
			return fmt.Errorf("%s: %w", s.data.day(day), err)
		}
	}
	return nil
}

func checkDay(ctx context.Context, path string) error {
	db, err := openReader(path, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	return checkDatabase(ctx, db)
}

// NewID returns a fresh key: a UUID that sorts by the time of its making.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// milliseconds is the form of times in the database.
func (s *Store) milliseconds() int64 { return s.now().UnixMilli() }
