package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/store"
)

// A day that is loaded has all that it has when its events are appended: columns that
// are derived, facets, totals and indexes.
func TestLoadedDaysAreAsAppendedOnes(t *testing.T) {
	s := open(t)
	var batch store.Batch
	begin := time.Date(2026, 3, 1, 21, 0, 0, 0, time.UTC).UnixMilli()
	for i := range 150 { // more than are stored at a time, over midnight
		at := begin + int64(i)*150_000
		name := func(kinds int) string { return fmt.Sprintf("é\\\"%d", i%kinds) }
		batch.Alerts = append(batch.Alerts, store.Alert{ID: store.NewID(), Number: int64(i), Time: at, Severity: name(3), SourceIP: name(50)})
		batch.Violations = append(batch.Violations, store.Violation{
			ID: store.NewID(), EventNumber: int64(i), AlertNumber: int64(i / 2), Time: at, Severity: name(3), SourceIP: name(50), Path: name(20),
			Site: name(2), ServerGroup: name(4), Service: name(5), Application: name(7), Query: "'<\n\u2028", UserAgent: name(9),
		})
		batch.Audit = append(batch.Audit, store.AuditRecord{
			ID: store.NewID(), Time: at, SourceIP: name(50), User: name(9), Path: name(20), Status: 200 + i%3, Service: name(5), Application: name(7),
			Headers: [][2]string{{"ETag", `"x"`}}, Body: "\\{}\x00",
		})
	}
	if err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	snap, err := s.Snapshot(t.Context(), store.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lines := map[store.Table][][]byte{}
	for _, table := range snap.Tables() {
		err := snap.Rows(t.Context(), table, func(line []byte) error {
			lines[table] = append(lines[table], append([]byte(nil), line...))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
	home := s.Home()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	appended := days(t, home)

	staging, err := store.Stage(t.Context(), home, snap.Schema, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range snap.Tables() {
		left := lines[table]
		n, err := staging.Load(t.Context(), table, nil, func() ([]byte, error) {
			if len(left) == 0 {
				return nil, nil
			}
			line := left[0]
			left = left[1:]
			return line, nil
		})
		if err != nil || n != int64(len(lines[table])) {
			t.Fatal(table, n, err)
		}
	}
	if err := staging.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := staging.Commit(); err != nil {
		t.Fatal(err)
	}
	loaded := days(t, home)
	if len(loaded) != 2 {
		t.Errorf("%d days are loaded, not 2", len(loaded))
	}
	if diff := cmp.Diff(appended, loaded); diff != "" {
		t.Error(diff)
	}
}

// days reads what the event databases in use hold, by day and query.
func days(t *testing.T, home string) map[string]map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(home, "data", "current", "events", "*.db"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string][]string{}
	for _, file := range files {
		day := map[string][]string{}
		for _, query := range []string{
			"SELECT * FROM alerts ORDER BY rowid", "SELECT * FROM violations ORDER BY rowid", "SELECT * FROM audit_data ORDER BY rowid", "SELECT * FROM totals ORDER BY name",
			"SELECT COUNT(*) FROM facets", "SELECT name, sql FROM sqlite_master ORDER BY name",
			"SELECT s.segment, f.site, f.server_group, f.service, f.application, f.severity FROM segment_facets s JOIN facets f ON f.id = s.facet ORDER BY 1, 2, 3, 4, 5, 6",
			"SELECT segment, first_time, last_time FROM segments ORDER BY 1",
		} {
			day[query] = texts(t, file, query)
		}
		found[filepath.Base(file)] = day
	}
	return found
}

// texts are the rows of a query, each as one text.
func texts(t *testing.T, file, query string) (list []string) {
	t.Helper()
	rows, err := raw(t, file).Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%q", values))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}
