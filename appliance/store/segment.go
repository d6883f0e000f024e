package store

import (
	"context"
	"database/sql"
)

const hour = 3_600_000 // milliseconds

// segmentSize is how many numbers make a segment of violations, the unit of searches;
// it is written out in the indexes of migrations/events. What arrives goes to the
// newest segment's part of each index: a smaller one is written faster, since more of
// its pages take several rows of a transaction, and makes more to search through.
const segmentSize = 32_768

// span is a time in milliseconds, both ends included.
type span struct{ first, last int64 }

// with is the span that includes another.
func (s span) with(o span) span { return span{min(s.first, o.first), max(s.last, o.last)} }

// facet is what many violations have in common.
type facet struct{ site, serverGroup, service, application, severity string }

const facetColumns = "site, server_group, service, application, severity"

func (f facet) values() []any {
	return []any{f.site, f.serverGroup, f.service, f.application, f.severity}
}

// segmentFacet is a segment in which a facet occurs.
type segmentFacet struct {
	segment int64
	facet   facet
}

// notes are what is known of a day's segments: it is in the database.
type notes struct {
	spans  map[int64]span // by segment
	facets map[segmentFacet]bool
}

func newNotes() *notes {
	return &notes{spans: make(map[int64]span), facets: make(map[segmentFacet]bool)}
}

// maxNoted bounds what is remembered of a day's segments, and of their facets.
const maxNoted = 20_000

// add notes violations: when the first and the last of each segment was, and which
// facets occur there. What it remembers holds if the transaction does.
func (n *notes) add(ctx context.Context, tx *sql.Tx, violations []row) error {
	if len(n.facets) > maxNoted {
		clear(n.facets)
	}
	if len(n.spans) > maxNoted {
		clear(n.spans)
	}
	grown := make(map[int64]bool)
	var fresh []segmentFacet
	for _, v := range violations {
		s, known := n.spans[v.segment]
		all := span{v.time, v.time}
		if known {
			all = all.with(s)
		}
		if !known || all != s {
			n.spans[v.segment], grown[v.segment] = all, true
		}
		if at := (segmentFacet{v.segment, v.facet}); !n.facets[at] {
			n.facets[at] = true
			fresh = append(fresh, at)
		}
	}
	if err := n.addSpans(ctx, tx, grown); err != nil {
		return err
	}
	return addFacets(ctx, tx, fresh)
}

func (n *notes) addSpans(ctx context.Context, tx *sql.Tx, grown map[int64]bool) error {
	for segment := range grown {
		s := n.spans[segment]
		if _, err := tx.ExecContext(ctx, "INSERT INTO segments (segment, first_time, last_time) VALUES ($1, $2, $3) ON CONFLICT (segment) DO UPDATE SET"+
			" first_time = CASE WHEN excluded.first_time < segments.first_time THEN excluded.first_time ELSE segments.first_time END,"+
			" last_time = CASE WHEN excluded.last_time > segments.last_time THEN excluded.last_time ELSE segments.last_time END", segment, s.first, s.last); err != nil {
			return err
		}
	}
	return nil
}

func addFacets(ctx context.Context, tx *sql.Tx, fresh []segmentFacet) error {
	if len(fresh) == 0 {
		return nil
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO facets (id, "+facetColumns+
		") SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5 FROM facets WHERE TRUE ON CONFLICT ("+facetColumns+") DO NOTHING")
	if err != nil {
		return err
	}
	defer insert.Close()
	note, err := tx.PrepareContext(ctx, "INSERT INTO segment_facets (segment, facet) SELECT CAST($6 AS BIGINT), id FROM facets"+
		" WHERE site = $1 AND server_group = $2 AND service = $3 AND application = $4 AND severity = $5 ON CONFLICT (segment, facet) DO NOTHING")
	if err != nil {
		return err
	}
	defer note.Close()
	for _, f := range fresh {
		values := f.facet.values()
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
		if _, err := note.ExecContext(ctx, append(values, f.segment)...); err != nil {
			return err
		}
	}
	return nil
}

// deriveSegments notes the segments of a day that has its violations and none of them.
func deriveSegments(ctx context.Context, tx *sql.Tx) error {
	for _, statement := range []string{
		"INSERT INTO segments (segment, first_time, last_time) SELECT number / 32768, MIN(time), MAX(time) FROM violations GROUP BY number / 32768",
		"INSERT INTO facets (id, " + facetColumns + ") SELECT ROW_NUMBER() OVER (), " + facetColumns +
			" FROM (SELECT DISTINCT " + facetColumns + " FROM violations) AS found",
		"INSERT INTO segment_facets (segment, facet) SELECT v.segment, f.id" +
			" FROM (SELECT DISTINCT number / 32768 AS segment, " + facetColumns + " FROM violations) AS v JOIN facets f" +
			" ON f.site = v.site AND f.server_group = v.server_group AND f.service = v.service AND f.application = v.application AND f.severity = v.severity",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
