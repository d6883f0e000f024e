package store

import (
	"context"
	"database/sql"
)

// hour is the unit of searches in milliseconds; it is written out in the indexes of
// migrations/events.
const hour = 3_600_000

// facet is what many violations have in common.
type facet struct{ site, serverGroup, service, application, severity string }

const facetColumns = "site, server_group, service, application, severity"

func (f facet) values() []any {
	return []any{f.site, f.serverGroup, f.service, f.application, f.severity}
}

// facetHour is an hour in which a facet occurs.
type facetHour struct {
	hour  int64
	facet facet
}

// addFacets notes in which hours the facets of violations occur.
func addFacets(ctx context.Context, tx *sql.Tx, violations []row) error {
	if len(violations) == 0 {
		return nil
	}
	seen := make(map[facetHour]bool)
	for _, v := range violations {
		seen[facetHour{v.time / hour, v.facet}] = true
	}
	return noteFacets(ctx, tx, seen)
}

func noteFacets(ctx context.Context, tx *sql.Tx, seen map[facetHour]bool) error {
	insert, err := tx.PrepareContext(ctx, "INSERT INTO facets (id, "+facetColumns+
		") SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5 FROM facets WHERE TRUE ON CONFLICT ("+facetColumns+") DO NOTHING")
	if err != nil {
		return err
	}
	defer insert.Close()
	note, err := tx.PrepareContext(ctx, "INSERT INTO facet_hours (hour, facet) SELECT CAST($6 AS BIGINT), id FROM facets"+
		" WHERE site = $1 AND server_group = $2 AND service = $3 AND application = $4 AND severity = $5 ON CONFLICT (hour, facet) DO NOTHING")
	if err != nil {
		return err
	}
	defer note.Close()
	for s := range seen {
		values := s.facet.values()
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
		if _, err := note.ExecContext(ctx, append(values, s.hour)...); err != nil {
			return err
		}
	}
	return nil
}
