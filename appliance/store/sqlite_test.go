package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// raw opens a database file beside the store.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func appendOne(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.Append(t.Context(), store.Batch{Violations: []store.Violation{{ID: "v", Time: 1772366400000}}}); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreThisUsersAlone(t *testing.T) {
	s := open(t)
	appendOne(t, s)
	if _, err := s.StartJob(t.Context(), store.Job{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err := filepath.WalkDir(s.Home(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == s.Home() || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = fs.ModeDir | 0o700
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
		seen++
		return nil
	})
	if err != nil || seen < 8 {
		t.Errorf("saw %d files, %v", seen, err)
	}
	if link, err := os.Readlink(filepath.Join(s.Home(), "data", "current")); err != nil || strings.Contains(link, "/") {
		t.Errorf("data/current leads to %q, %v; want a relative name", link, err)
	}
}

func TestConfigurationWaitsForTheDisk(t *testing.T) {
	s := open(t)
	db := raw(t, filepath.Join(s.Home(), "data", "current", "config.db"))
	var mode string
	if err := db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %q, %v", mode, err)
	}
	appendOne(t, s)
	var size int
	day := raw(t, filepath.Join(s.Home(), "data", "current", "events", "2026-03-01.db"))
	if err := day.QueryRow("PRAGMA page_size").Scan(&size); err != nil || size != 16384 {
		t.Errorf("pages of events have %d bytes, %v", size, err)
	}
}

func TestCreateTwiceIsRefused(t *testing.T) {
	s := open(t)
	err := store.Create(t.Context(), s.Home(), "admin", "verifier", store.Options{})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("got %v", err)
	}
}

func TestOddHomes(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, home := range []string{"relative", "./dot/deep", "per%cent%20", "question?mode=memory", "sharp#", "blank ü [x]&_pragma=x"} {
		if err := os.MkdirAll(home, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := store.Create(t.Context(), home, "admin", "verifier", store.Options{}); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(t.Context(), home, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		appendOne(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"data/current/config.db", "data/current/events/2026-03-01.db"} {
			if info, err := os.Stat(filepath.Join(home, name)); err != nil || info.Size() == 0 {
				t.Errorf("%s in %q: %v", name, home, err)
			}
		}
	}
}

func TestOpenWithoutData(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		if _, err := store.Open(t.Context(), t.TempDir(), store.Options{ReadOnly: readOnly}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	}
}

func TestNewerSchemaIsRefusedByVersion(t *testing.T) {
	s := open(t)
	appendOne(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	config, day := filepath.Join(s.Home(), "data", "current", "config.db"), filepath.Join(s.Home(), "data", "current", "events", "2026-03-01.db")
	const newer = "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"
	if _, err := raw(t, day).Exec(newer); err != nil {
		t.Fatal(err)
	}
	reopened, err := store.Open(t.Context(), s.Home(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	schema, err := store.KnownSchema()
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, known int64, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), "schema 999") || !strings.Contains(err.Error(), fmt.Sprintf("knows %d", known)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("events", schema.Events, reopened.Append(t.Context(), store.Batch{Violations: []store.Violation{{ID: "w", Time: 1772366400000}}}))
	_, err = reopened.Snapshot(t.Context(), store.SnapshotOptions{})
	refused("snapshot", schema.Events, err)
	if err := reopened.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := raw(t, config).Exec(newer); err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{false, true} {
		_, err := store.Open(t.Context(), s.Home(), store.Options{ReadOnly: readOnly})
		refused("configuration", schema.Config, err)
	}
}

// A reader may come first after a clean stop, when the files beside the database
// are gone, and while nobody may write.
func TestReadOnlyAlone(t *testing.T) {
	s := open(t)
	appendOne(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	job, err := store.Open(t.Context(), s.Home(), store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	if _, err := job.Find(t.Context(), model.RootID, model.Site, model.DefaultSite); err != nil {
		t.Error(err)
	}
	snap, err := job.Snapshot(t.Context(), store.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := snap.Close(); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"a job": func() error { _, err := job.StartJob(t.Context(), store.Job{}); return err }(),
		"a day": job.DropDay(t.Context(), "2026-03-01"),
	} {
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The making of a day's database may be cut short at any instant. What it leaves is
// no day, and goes with the day.
func TestHalfMadeDayIsNoDay(t *testing.T) {
	s := open(t)
	partial := filepath.Join(s.Home(), "data", "current", "events", ".2026-03-01.db.0.part")
	for _, suffix := range []string{"", "-journal", "-wal"} {
		if err := os.WriteFile(partial+suffix, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if days, err := s.EventDays(t.Context()); err != nil || len(days) != 0 {
		t.Errorf("days %q, %v", days, err)
	}
	appendOne(t, s)
	if err := s.DropDay(t.Context(), "2026-03-01"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(s.Home(), "data", "current", "events")); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestDamageIsFound(t *testing.T) {
	s := open(t)
	var batch store.Batch
	for i := range 5000 {
		batch.Audit = append(batch.Audit, store.AuditRecord{ID: store.NewID(), Time: 1772366400000 + int64(i), Path: strings.Repeat("x", 500)})
	}
	if err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(s.Home(), "data", "current", "events", "2026-03-01.db"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 64<<10), 256<<10); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	reopened, err := store.Open(t.Context(), s.Home(), store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reopened.Close()
	if err := reopened.Check(t.Context()); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("damage was reported as %v", err)
	}
}

// An older release kept events and archives beside the data folder.
func TestSettle(t *testing.T) {
	s := open(t)
	appendOne(t, s)
	home := s.Home()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"events", "archives"} {
		if err := os.Rename(filepath.Join(home, "data", "current", name), filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(home, "events", "2026-03-01.db")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may be repeated
		if err := store.Settle(home); err != nil {
			t.Fatal(err)
		}
	}
	reopened, err := store.Open(t.Context(), home, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reopened.Close()
	if days, err := reopened.EventDays(t.Context()); err != nil || len(days) != 1 {
		t.Errorf("days %q, %v", days, err)
	}
	if _, err := os.Stat(reopened.Archives()); err != nil {
		t.Error(err)
	}
	if err := store.Settle(t.TempDir()); err != nil { // a gateway has no data
		t.Error(err)
	}
}

// The role may write the link; it leads nowhere else.
func TestLinkStaysInTheDataFolder(t *testing.T) {
	s := open(t)
	home := s.Home()
	for _, target := range []string{"../keys", "/etc", ".", "..", "a/b"} {
		link := filepath.Join(home, "data", "current")
		if err := errors.Join(os.Remove(link), os.Symlink(target, link)); err != nil {
			t.Fatal(err)
		}
		if other, err := store.Open(t.Context(), home, store.Options{ReadOnly: true}); err == nil {
			other.Close()
			t.Errorf("%s was opened", target)
		}
	}
}

// A merge copies the file of what is here. Where a reader keeps the newest rows out of
// it, nothing is copied without them.
func TestMergeWaitsForReaders(t *testing.T) {
	t.Parallel() // the reader is waited for
	home := t.TempDir()
	if err := store.Create(t.Context(), home, "admin", "verifier", store.Options{Now: clock()}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), home, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string) {
		t.Helper()
		_, err := s.Write(t.Context(), store.Change{Author: "tester"}, func(tx *store.Tx) error {
			_, err := tx.Create(t.Context(), store.Object{ParentID: model.RootID, Kind: model.Site, Name: name})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	reading, err := raw(t, filepath.Join(home, "data", "current", "config.db")).Begin()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reading.QueryRow("SELECT COUNT(*) FROM objects").Scan(&n); err != nil {
		t.Fatal(err)
	}
	write("after")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	merge := func() error {
		schema, err := store.KnownSchema()
		if err != nil {
			t.Fatal(err)
		}
		staging, err := store.Stage(t.Context(), home, schema, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := staging.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := staging.Merge(t.Context(), store.Change{Author: "tester"}, true); err != nil {
			return errors.Join(err, staging.Discard())
		}
		return staging.Commit()
	}
	if err := merge(); !errors.Is(err, store.ErrRead) {
		t.Errorf("while it is read: %v", err)
	}
	if err := reading.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := merge(); err != nil {
		t.Fatal(err)
	}
	merged, err := store.Open(t.Context(), home, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer merged.Close()
	if _, err := merged.Find(t.Context(), model.RootID, model.Site, "after"); err != nil {
		t.Error(err)
	}
}
