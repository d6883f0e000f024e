package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// ViolationFilter says which violations are wanted: those that meet all that is
// set.
type ViolationFilter struct {
	From, To int64    // milliseconds since 1970, both included; 0 is no bound
	Sites    []string // any of them; nil is all

	SourceIP    string
	Path        string
	Severity    string
	Site        string
	ServerGroup string
	Service     string
	Application string
	AlertNumber int64
	EventNumber int64
}

// searchSchema is the schema of days that have what searches need.
const searchSchema = 3

// fewFacets is up to how many facets are searched each on its own. More of them are
// so many of a segment's violations that going through its time meets them soon.
const fewFacets = 48

// Violations returns up to limit violations, the newest first, those of one
// millisecond by falling event number. Each day is one consistent reading.
func (s *Store) Violations(ctx context.Context, f ViolationFilter, limit int) ([]Violation, error) {
	if f.To == 0 {
		f.To = math.MaxInt64
	}
	names, err := s.EventDays(ctx)
	if err != nil || f.Sites != nil && len(f.Sites) == 0 {
		return nil, err
	}
	var found []Violation
	for _, name := range slices.Backward(names) {
		begin, err := time.Parse(dayLayout, name)
		if err != nil {
			return nil, err
		}
		first := begin.UnixMilli()
		within := f
		within.From, within.To = max(f.From, first), min(f.To, first+24*hour-1)
		if within.From > within.To || len(found) == limit {
			continue
		}
		some, err := s.searchDay(ctx, name, within, limit-len(found))
		if err != nil {
			return nil, fmt.Errorf("search the violations of %s: %w", name, err)
		}
		found = append(found, some...)
	}
	return found, nil
}

func (s *Store) searchDay(ctx context.Context, name string, f ViolationFilter, limit int) (found []Violation, err error) {
	day, err := beginDay(ctx, s.data, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // dropped since it was listed
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, day.close()) }()
	d := search{ctx: ctx, conn: day.conn, filter: f, limit: limit, statements: make(map[string]*sql.Stmt)}
	defer d.close()
	switch {
	case f.EventNumber != 0 || day.schema < searchSchema || f.everything():
		err = d.take(condition{}, d.within())
	case !f.others().none():
		err = d.indexed()
	default:
		err = d.faceted()
	}
	if err != nil {
		return nil, err
	}
	return decode(d.found)
}

func decode(hits []hit) ([]Violation, error) {
	found := make([]Violation, len(hits))
	for i, h := range hits {
		if err := json.Unmarshal(h.document, &found[i]); err != nil {
			return nil, fmt.Errorf("a violation is damaged: %w", err)
		}
	}
	return found, nil
}

// everything reports whether only the time matters.
func (f ViolationFilter) everything() bool {
	return f.facets().none() && f.others().none()
}

// condition is a part of a query and the values in it, each as "?".
type condition struct {
	terms  []string
	values []any
}

func (c *condition) add(term string, values ...any) {
	c.terms, c.values = append(c.terms, term), append(c.values, values...)
}

func (c condition) none() bool { return len(c.terms) == 0 }

// where writes the condition with numbered parameters, from the first-th on.
func (c condition) where(first int) string {
	parts := strings.Split(strings.Join(c.terms, " AND "), "?")
	var b strings.Builder
	b.WriteString(" WHERE ")
	for i, part := range parts {
		if i > 0 {
			fmt.Fprintf(&b, "$%d", first+i-1)
		}
		b.WriteString(part)
	}
	return b.String()
}

// facets is the part of the filter that the table of facets answers.
func (f ViolationFilter) facets() condition {
	var c condition
	for _, equal := range []struct{ column, value string }{
		{"site", f.Site}, {"server_group", f.ServerGroup}, {"service", f.Service}, {"application", f.Application}, {"severity", f.Severity},
	} {
		if equal.value != "" {
			c.add(equal.column+" = ?", equal.value)
		}
	}
	if f.Sites != nil {
		values := make([]any, len(f.Sites))
		for i, site := range f.Sites {
			values[i] = site
		}
		c.add("site IN ("+strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")+")", values...)
	}
	return c
}

// others is the rest of it, without the time.
func (f ViolationFilter) others() condition {
	var c condition
	if f.EventNumber != 0 {
		c.add("number = ?", f.EventNumber)
	}
	if f.AlertNumber != 0 {
		c.add("alert_number = ?", f.AlertNumber)
	}
	if f.SourceIP != "" {
		c.add("source_ip = ?", f.SourceIP)
	}
	if f.Path != "" {
		c.add("path = ?", f.Path)
	}
	return c
}

// search is the search of one day, in one transaction.
type search struct {
	ctx        context.Context
	conn       *sql.Conn
	filter     ViolationFilter
	limit      int
	statements map[string]*sql.Stmt
	found      []hit
}

// hit is a violation that was found.
type hit struct {
	time, number int64
	document     []byte
}

func newestFirst(a, b hit) int {
	return cmp.Or(cmp.Compare(b.time, a.time), cmp.Compare(b.number, a.number), bytes.Compare(b.document, a.document))
}

func (s *search) close() {
	for _, statement := range s.statements {
		_ = statement.Close() // its connection is closed next
	}
}

// within is the time of what is still wanted.
func (s *search) within() span {
	w := span{s.filter.From, s.filter.To}
	if len(s.found) == s.limit {
		w.first = s.found[s.limit-1].time // nothing older
	}
	return w
}

// keep keeps the newest of all that was found. Some may have been found before.
func (s *search) keep(hits []hit) {
	s.found = append(s.found, hits...)
	slices.SortFunc(s.found, newestFirst)
	s.found = slices.CompactFunc(s.found, func(a, b hit) bool { return newestFirst(a, b) == 0 })
	s.found = s.found[:min(len(s.found), s.limit)]
}

// query runs a query that is prepared once.
func (s *search) query(query string, values []any) (*sql.Rows, error) {
	statement := s.statements[query]
	if statement == nil {
		var err error
		if statement, err = s.conn.PrepareContext(s.ctx, query); err != nil {
			return nil, err
		}
		s.statements[query] = statement
	}
	return statement.QueryContext(s.ctx, values...)
}

// find finds what meets a condition in a time, the newest first, as far as it is
// wanted.
func (s *search) find(c condition, at span) error {
	c.add("time BETWEEN ? AND ?", at.first, at.last)
	values := append(c.values, s.limit)
	query := "SELECT time, number, CAST(document AS BLOB) FROM violations" + c.where(1) +
		fmt.Sprintf(" ORDER BY time DESC, number DESC LIMIT $%d", len(values))
	rows, err := s.query(query, values)
	if err != nil {
		return err
	}
	found, err := collect(rows, func(h *hit) error {
		var document sql.RawBytes
		err := rows.Scan(&h.time, &h.number, &document)
		h.document = bytes.Clone(document)
		return err
	})
	s.keep(found)
	return err
}

// take finds what meets a condition and the filter.
func (s *search) take(c condition, at span) error {
	for _, more := range []condition{s.filter.others(), s.filter.facets()} {
		c.terms, c.values = append(c.terms, more.terms...), append(c.values, more.values...)
	}
	return s.find(c, at)
}

// segment is a segment of the day, and its time.
type segment struct {
	number int64
	span
}

// segments goes through those that have something of the wanted time, the newest
// first. Where violations came late, their times overlap.
func (s *search) segments(look func(segment) error) error {
	at := s.within()
	rows, err := s.query("SELECT segment, first_time, last_time FROM segments WHERE last_time >= $1 AND first_time <= $2 ORDER BY last_time DESC", []any{at.first, at.last})
	if err != nil {
		return err
	}
	list, err := collect(rows, func(g *segment) error { return rows.Scan(&g.number, &g.first, &g.last) })
	if err != nil {
		return err
	}
	for _, g := range list {
		if g.last < s.within().first {
			return nil
		}
		if err := look(g); err != nil {
			return err
		}
	}
	return nil
}

// of is the condition that a violation is of a segment.
func (g segment) of() (c condition) {
	c.add("number / 32768 = ?", g.number)
	return c
}

// indexed goes through the segments by their indexes.
func (s *search) indexed() error {
	if !s.filter.facets().none() {
		if facets, err := s.facets(); err != nil || len(facets) == 0 {
			return err
		}
	}
	return s.segments(func(g segment) error { return s.take(g.of(), s.within()) })
}

// faceted goes through the segments in which facets occur that are wanted.
func (s *search) faceted() error {
	facets, err := s.facets()
	if err != nil || len(facets) == 0 {
		return err
	}
	return s.segments(func(g segment) error {
		here, err := s.facetsIn(g, facets)
		if err != nil {
			return err
		}
		if len(here) > fewFacets {
			at := s.within()
			return s.take(condition{}, span{max(at.first, g.first), min(at.last, g.last)})
		}
		for _, f := range here {
			c := g.of()
			c.add("site = ? AND server_group = ? AND service = ? AND application = ? AND severity = ?", f.values()...)
			if err := s.find(c, s.within()); err != nil {
				return err
			}
		}
		return nil
	})
}

// facets are those of the day that meet the filter, by id.
func (s *search) facets() (map[int64]facet, error) {
	c := s.filter.facets()
	rows, err := s.query("SELECT id, "+facetColumns+" FROM facets"+c.where(1), c.values)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	facets := make(map[int64]facet)
	for rows.Next() {
		var id int64
		var f facet
		if err := rows.Scan(&id, &f.site, &f.serverGroup, &f.service, &f.application, &f.severity); err != nil {
			return nil, err
		}
		facets[id] = f
	}
	return facets, rows.Err()
}

// facetsIn are those of facets that occur in a segment.
func (s *search) facetsIn(g segment, facets map[int64]facet) ([]facet, error) {
	query, values := "SELECT facet FROM segment_facets WHERE segment = $1", []any{g.number}
	if len(facets) <= fewFacets {
		ids := slices.Sorted(maps.Keys(facets))
		for _, id := range ids {
			values = append(values, id)
		}
		query += " AND facet IN (" + strings.TrimPrefix(placeholders(len(values)), "$1, ") + ")"
	}
	rows, err := s.query(query, values)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var here []facet
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		if f, ok := facets[id]; ok {
			here = append(here, f)
		}
	}
	return here, rows.Err()
}
