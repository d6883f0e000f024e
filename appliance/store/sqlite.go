package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"sealgate/appliance/ownership"
)

// Everything that only SQLite knows is in this file.

const dialect = goose.DialectSQLite3

const (
	busyTimeout   = 10_000 // milliseconds that a writer waits for another process
	cacheKiB      = 1024   // for each connection, unless its database says otherwise
	bulkCacheKiB  = 4096   // for the indexes of a day that is loaded
	configReaders = 4
)

// database says how one of the two kinds of databases is kept.
type database struct {
	name        string
	migrations  string // folder below migrations/
	pageSize    int
	writerCache int // KiB
	logPages    int // that the write-ahead log has before they go to the file
}

// Events are read from end to end, and records of 1 to 4 KiB fill pages of 16 KiB
// well: exports read them half again as fast as from pages of 4 KiB, and the file
// is a tenth larger than its records rather than a half. The parts of indexes and the
// alerts that violations of some minutes go to fit into a cache of 16 MiB, and are
// written to the file once for the many transactions that a log of 64 MiB holds.
var (
	configDatabase = database{name: "configuration database", migrations: "migrations/config", pageSize: 4096, writerCache: cacheKiB, logPages: 1000}
	eventDatabase  = database{name: "event database", migrations: "migrations/events", pageSize: 16384, writerCache: 16 * cacheKiB, logPages: 4096}
)

// scanOrder is the order in which an export reads events: as they were written.
const scanOrder = "rowid"

// openWriter opens, and where it is missing creates, a database for writing. A
// transaction takes the database's one write lock when it begins, so it never
// fails half-way for want of it.
func openWriter(path string, d database) (*sql.DB, error) {
	if err := touch(path); err != nil {
		return nil, err
	}
	return openSQLite(path, 1, d.writerCache, url.Values{
		"_txlock":       {"immediate"},
		"_journal_mode": {"WAL"},
		"_pragma": {
			fmt.Sprintf("page_size(%d)", d.pageSize),
			fmt.Sprintf("wal_autocheckpoint(%d)", d.logPages),
			"synchronous(FULL)", // a gateway lets go of the events that it hears are stored
			"foreign_keys(1)",
		},
	})
}

// openBulk creates a database that is loaded in one transaction and that nobody
// reads meanwhile. Nothing takes a failure back: the file is thrown away.
func openBulk(path string, d database) (*sql.DB, error) {
	if err := touch(path); err != nil {
		return nil, err
	}
	return openSQLite(path, 1, bulkCacheKiB, url.Values{
		"_pragma": {
			fmt.Sprintf("page_size(%d)", d.pageSize),
			"journal_mode(OFF)",
			"synchronous(OFF)",
			"locking_mode(EXCLUSIVE)",
		},
	})
}

// loosen lets writes to a database, which has one connection, not wait for the disk.
// Who relies on them empties the log, closes the database and syncs the file.
func loosen(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "PRAGMA synchronous = OFF")
	return err
}

// endBulk makes the database one like all others. Its log is empty.
func endBulk(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL")
	return err
}

// takeIndexes drops the indexes of a database, but those of its keys, and returns
// the statements that make them again.
func takeIndexes(ctx context.Context, tx *sql.Tx) ([]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
	if err != nil {
		return nil, err
	}
	type index struct{ name, sql string }
	indexes, err := collect(rows, func(i *index) error { return rows.Scan(&i.name, &i.sql) })
	if err != nil {
		return nil, err
	}
	var made []string
	for _, i := range indexes {
		if _, err := tx.ExecContext(ctx, "DROP INDEX "+i.name); err != nil {
			return nil, err
		}
		made = append(made, i.sql)
	}
	return made, nil
}

// insertBulk stores the rows that come, a batch with one statement: that takes a fifth
// less time than a statement for each row. It asks the driver itself, as
// readDocuments does, by place rather than by name, and without a watch for a
// cancellation, which is a goroutine for each statement.
func insertBulk(conn *sql.Conn, t eventTable, batches <-chan []row) error {
	return conn.Raw(func(c any) error {
		preparer, ok := c.(driver.Conn)
		if !ok {
			return fmt.Errorf("the database driver %T cannot prepare", c)
		}
		whole, err := prepareBulk(preparer, t, rowsAtATime)
		if err != nil {
			return err
		}
		defer whole.Close()
		var values []driver.NamedValue
		for batch := range batches {
			insert := whole
			if len(batch) < rowsAtATime { // the last one
				if insert, err = prepareBulk(preparer, t, len(batch)); err != nil {
					return err
				}
				defer insert.Close()
			}
			values = values[:0]
			for _, r := range batch {
				for _, value := range r.values {
					values = append(values, driver.NamedValue{Ordinal: len(values) + 1, Value: value})
				}
			}
			if _, err := insert.ExecContext(context.Background(), values); err != nil {
				return err
			}
		}
		return nil
	})
}

// bulkInsert is a statement that the driver prepared.
type bulkInsert interface {
	driver.Stmt
	driver.StmtExecContext
}

func prepareBulk(conn driver.Conn, t eventTable, rows int) (bulkInsert, error) {
	places := "(" + strings.TrimSuffix(strings.Repeat("?, ", 1+strings.Count(t.columns, ",")), ", ") + ")"
	prepared, err := conn.Prepare("INSERT INTO " + t.name + " (" + t.columns + ") VALUES " + strings.TrimSuffix(strings.Repeat(places+", ", rows), ", "))
	if err != nil {
		return nil, err
	}
	insert, ok := prepared.(bulkInsert)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the database driver %T cannot insert", conn), prepared.Close())
	}
	return insert, nil
}

// settle brings what the log of a database holds into the file itself. Nothing
// may have it open.
func settle(ctx context.Context, path string, d database) error {
	if info, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	db, err := openWriter(path, d)
	if err != nil {
		return err
	}
	if err := emptyLog(ctx, db); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", d.name, err), db.Close())
	}
	return db.Close()
}

// emptyLog brings what the log of a database holds into the file. Closing does so too,
// but does not say when it cannot.
func emptyLog(ctx context.Context, db *sql.DB) error {
	var busy, frames, done int64
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done); err != nil {
		return err
	}
	if busy != 0 && (frames < 0 || done < frames) {
		return fmt.Errorf("%w: its newest rows are not in its file yet", ErrRead)
	}
	return nil
}

// IsFull reports whether the disk had no room for a write.
func IsFull(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code() == sqlite3.SQLITE_FULL || errors.Is(err, unix.ENOSPC)
}

// openReader opens an existing database for reading.
func openReader(path string, connections int) (*sql.DB, error) {
	return openSQLite(path, connections, cacheKiB, url.Values{"mode": {"ro"}})
}

func openSQLite(path string, connections, cache int, values url.Values) (*sql.DB, error) {
	values["_pragma"] = append([]string{fmt.Sprintf("busy_timeout(%d)", busyTimeout), fmt.Sprintf("cache_size(-%d)", cache)}, values["_pragma"]...)
	values.Set("_dqs", "0")
	source := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: values.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := db.Ping(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open %s: %w", path, err), db.Close())
	}
	return db, nil
}

// touch creates a database file before SQLite does, with the mode that SQLite then
// also gives to the files beside it.
func touch(path string) error {
	mode, err := ownership.FileMode(filepath.Dir(path))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(mode), f.Close())
}

// removeDatabase unlinks a database, the file that holds committed rows last.
func removeDatabase(path string) error {
	for _, suffix := range []string{"-journal", "-shm", "-wal", ""} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// isDuplicate reports whether a write broke a uniqueness rule.
func isDuplicate(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// isBusy reports whether another process held the write lock for too long.
func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// isBroken reports whether a write broke any rule of the schema.
func isBroken(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}

// isMissingTable reports whether a query named a table that does not exist.
func isMissingTable(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && strings.Contains(e.Error(), "no such table")
}

func checkDatabase(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check(3)")
	if err != nil {
		return err
	}
	defer rows.Close()
	var faults []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			faults = append(faults, strings.ReplaceAll(line, "\n", "; "))
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(faults) > 0 {
		return fmt.Errorf("damaged: %s", strings.Join(faults, "; "))
	}
	return checkForeignKeys(ctx, db)
}

func checkForeignKeys(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		var table, parent string
		var row, key sql.NullInt64
		if err := rows.Scan(&table, &row, &parent, &key); err != nil {
			return err
		}
		return fmt.Errorf("damaged: row %d of %s names nothing in %s", row.Int64, table, parent)
	}
	return rows.Err()
}

// readDocuments calls fn with the document of each row, which is valid during the
// call. It asks the driver itself: database/sql would copy and box each row again,
// which costs as much as SQLite's own work. The cast makes the driver hand over
// bytes instead of a string.
func readDocuments(ctx context.Context, conn *sql.Conn, table string, fn func(document []byte) error) error {
	query := "SELECT CAST(document AS BLOB) FROM " + table + " ORDER BY " + scanOrder
	return conn.Raw(func(c any) error {
		queryer, ok := c.(driver.QueryerContext)
		if !ok {
			return fmt.Errorf("the database driver %T cannot query", c)
		}
		rows, err := queryer.QueryContext(ctx, query, nil)
		if err != nil {
			return err
		}
		defer rows.Close()
		row := make([]driver.Value, 1)
		for n := 0; ; n++ {
			if n%64 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if err := rows.Next(row); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			document, ok := row[0].([]byte)
			if !ok {
				return fmt.Errorf("a document in %s is empty", table)
			}
			if err := fn(document); err != nil {
				return err
			}
		}
	})
}
