package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Count is how much there is of a kind.
type Count struct {
	Kind  Kind  `json:"kind"`
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"` // of documents, certificates and archive files: what dominates an export
}

// querier is what a pool and one of its connections have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// countQueries are the kinds that are counted by looking; events are counted when
// they are written.
var countQueries = []struct {
	kind  Kind
	query string
}{
	{Config, "SELECT COUNT(*), COALESCE(SUM(OCTET_LENGTH(document)), 0) FROM objects"},
	{Users, "SELECT COUNT(*), COALESCE(SUM(OCTET_LENGTH(document)), 0) FROM users"},
	{SSLKeys, "SELECT COUNT(*), COALESCE(SUM(OCTET_LENGTH(certificate)), 0) FROM ssl_keys"},
	{Credentials, "SELECT COUNT(*), COALESCE(SUM(OCTET_LENGTH(document)), 0) FROM credentials"},
	{Archives, "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM archives WHERE status = '" + string(ArchiveGood) + "'"},
	{FailedArchives, "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM archives WHERE status = '" + string(ArchiveFailed) + "'"},
	{Jobs, "SELECT COUNT(*), COALESCE(SUM(OCTET_LENGTH(message)), 0) FROM jobs"},
	{SystemEvents, "SELECT COUNT(*), COALESCE(SUM(OCTET_LENGTH(text)), 0) FROM system_events"},
}

// Counts says how much there is of each kind, in the order of Kinds. It costs a few
// milliseconds whatever the number of events.
func (s *Store) Counts(ctx context.Context) ([]Count, error) {
	var counts []Count
	for _, c := range countQueries {
		count := Count{Kind: c.kind}
		err := s.reader.QueryRowContext(ctx, c.query).Scan(&count.Rows, &count.Bytes)
		if err != nil && !isMissingTable(err) { // of an older schema
			return nil, fmt.Errorf("cannot count the %s: %w", c.kind, err)
		}
		counts = append(counts, count)
	}
	events, err := s.countEvents(ctx)
	return append(counts, events...), err
}

func (s *Store) countEvents(ctx context.Context) ([]Count, error) {
	names, err := s.EventDays(ctx)
	if err != nil {
		return nil, err
	}
	counts := make([]Count, len(eventTables))
	for i, t := range eventTables {
		counts[i].Kind = t.kind
	}
	for _, name := range names {
		day, err := beginDay(ctx, s.data, name)
		if err != nil {
			return nil, fmt.Errorf("cannot count the events of %s: %w", name, err)
		}
		for i, t := range eventTables {
			counts[i].Rows += day.totals[t.name].Rows
			counts[i].Bytes += day.totals[t.name].Bytes
		}
		if err := day.close(); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// ViolationsOf says how many violations a day has.
func (s *Store) ViolationsOf(ctx context.Context, day string) (int64, error) {
	d, err := beginDay(ctx, s.data, day)
	if err != nil {
		return 0, fmt.Errorf("cannot count the events of %s: %w", day, err)
	}
	return d.totals[violationTable.name].Rows, d.close()
}

// readTotals reads what a day holds, by table.
func readTotals(ctx context.Context, q querier) (map[string]Count, error) {
	rows, err := q.QueryContext(ctx, "SELECT name, rows, bytes FROM totals")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	totals := make(map[string]Count)
	for rows.Next() {
		var name string
		var c Count
		if err := rows.Scan(&name, &c.Rows, &c.Bytes); err != nil {
			return nil, err
		}
		for _, t := range eventTables {
			if t.name == name {
				c.Kind = t.kind
			}
		}
		totals[name] = c
	}
	return totals, rows.Err()
}
