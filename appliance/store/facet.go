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

// maxNoted bounds what is remembered of a day's facets.
const maxNoted = 20_000

// addFacets notes in which hours the facets of violations occur. What is in noted
// was noted before; what it notes now is added there, and holds if the transaction
// does.
func addFacets(ctx context.Context, tx *sql.Tx, violations []row, noted map[facetHour]bool) error {
	var fresh []facetHour
	if len(noted) > maxNoted {
		clear(noted)
	}
	for _, v := range violations {
		if at := (facetHour{v.time / hour, v.facet}); !noted[at] {
			noted[at] = true
			fresh = append(fresh, at)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
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
	for _, f := range fresh {
		values := f.facet.values()
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
		if _, err := note.ExecContext(ctx, append(values, f.hour)...); err != nil {
			return err
		}
	}
	return nil
}

// deriveFacets notes the facets of a day that has its violations and none of them.
func deriveFacets(ctx context.Context, tx *sql.Tx) error {
	for _, statement := range []string{
		"INSERT INTO facets (id, " + facetColumns + ") SELECT ROW_NUMBER() OVER (), " + facetColumns +
			" FROM (SELECT DISTINCT " + facetColumns + " FROM violations) AS found",
		"INSERT INTO facet_hours (hour, facet) SELECT v.hour, f.id" +
			" FROM (SELECT DISTINCT time / 3600000 AS hour, " + facetColumns + " FROM violations) AS v JOIN facets f" +
			" ON f.site = v.site AND f.server_group = v.server_group AND f.service = v.service AND f.application = v.application AND f.severity = v.severity",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
