package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// Schema is the pair of schema versions that a store has or a release knows.
type Schema struct {
	Config int64 `json:"config"`
	Events int64 `json:"events"`
}

// KnownSchema is what this release reads and writes.
func KnownSchema() (Schema, error) {
	config, err := known(configDatabase)
	if err != nil {
		return Schema{}, err
	}
	events, err := known(eventDatabase)
	return Schema{Config: config, Events: events}, err
}

func known(d database) (int64, error) {
	files, err := fs.Glob(migrations, d.migrations+"/*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			return 0, err
		}
		newest = max(newest, version)
	}
	return newest, nil
}

// migrate brings a database to the schema that this release knows.
func migrate(ctx context.Context, db *sql.DB, d database) error {
	newest, err := known(d)
	if err != nil {
		return err
	}
	return migrateTo(ctx, db, d, newest)
}

// migrateTo brings a database up to a schema.
func migrateTo(ctx context.Context, db *sql.DB, d database, to int64) error {
	version, err := schemaVersion(ctx, db, d)
	if err != nil || version >= to {
		return err
	}
	folder, err := fs.Sub(migrations, d.migrations)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, db, folder, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if _, err := provider.UpTo(ctx, to); err != nil {
		return fmt.Errorf("cannot bring the %s from schema %d to %d: %w", d.name, version, to, err)
	}
	return nil
}

// schemaVersion is the schema of a database, 0 for an empty one. It refuses what a
// newer release wrote.
func schemaVersion(ctx context.Context, db querier, d database) (int64, error) {
	var version sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT MAX(version_id) FROM goose_db_version").Scan(&version); err != nil {
		if isMissingTable(err) {
			return 0, nil
		}
		return 0, fmt.Errorf("cannot read the schema version of the %s: %w", d.name, err)
	}
	newest, err := known(d)
	if err != nil {
		return 0, err
	}
	if version.Int64 > newest {
		return 0, fmt.Errorf("the %s was %w: it has schema %d, this release knows %d", d.name, ErrNewer, version.Int64, newest)
	}
	return version.Int64, nil
}

// Migrations are the schemas that the databases of a store have.
type Migrations struct {
	Config int64            `json:"config"`
	Days   map[string]int64 `json:"days"`
}

// Migrations reads them. Days that wait for MigrateDays have an older one than the
// release knows.
func (s *Store) Migrations(ctx context.Context) (m Migrations, err error) {
	if m.Config, err = schemaVersion(ctx, s.reader, configDatabase); err != nil {
		return m, err
	}
	names, err := s.EventDays(ctx)
	if err != nil {
		return m, err
	}
	m.Days = make(map[string]int64, len(names))
	for _, name := range names {
		if m.Days[name], err = s.dayVersion(ctx, name); err != nil {
			return m, fmt.Errorf("events of %s: %w", name, err)
		}
	}
	return m, nil
}

func (s *Store) dayVersion(ctx context.Context, name string) (int64, error) {
	db, err := openReader(s.data.day(name), 1)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return schemaVersion(ctx, db, eventDatabase)
}
