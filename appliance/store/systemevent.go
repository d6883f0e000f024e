package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Severities of events, rising.
var Severities = []string{"informative", "low", "medium", "high"}

// SystemEvent is something that happened to the appliance or to a gateway.
type SystemEvent struct {
	GatewayID string `json:"-"`  // "": it is about no gateway
	ID        string `json:"id"` // once for a gateway
	Source    string `json:"-"`  // name of the appliance that tells of it
	Time      int64  `json:"time"`
	Severity  string `json:"severity"`
	Code      string `json:"code"`
	Text      string `json:"text"`
}

// Bounds of the system events that are kept. Those that one appliance tells of one
// gateway push out no others.
const (
	maxOfSource     = 1000
	maxSystemEvents = 100_000
	systemEventLife = 366 * 24 * time.Hour
)

const systemEventColumns = "gateway_id, id, source, time, severity, code, text"

// SystemEventFilter says which system events are wanted: those that meet all that is
// set.
type SystemEventFilter struct {
	Since    int64  // milliseconds since 1970
	Source   string // the appliance that tells of it
	Severity string // this one or a higher one
}

// SystemEvents lists up to limit system events, the newest first.
func (s *Store) SystemEvents(ctx context.Context, f SystemEventFilter, limit int) ([]SystemEvent, error) {
	var c condition
	c.add("time BETWEEN ? AND ?", f.Since, s.milliseconds()+latest.Milliseconds())
	if f.Source != "" {
		c.add("source = ?", f.Source)
	}
	if at := slices.Index(Severities, f.Severity); at > 0 {
		var values []any
		for _, severity := range Severities[at:] {
			values = append(values, severity)
		}
		c.add("severity IN ("+strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")+")", values...)
	}
	values := append(c.values, limit)
	rows, err := s.reader.QueryContext(ctx, "SELECT "+systemEventColumns+" FROM system_events"+c.where(1)+
		fmt.Sprintf(" ORDER BY time DESC, id DESC, gateway_id LIMIT $%d", len(values)), values...)
	if isMissingTable(err) { // a release before this one wrote it
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return collect(rows, func(e *SystemEvent) error { return scanSystemEvent(rows.Scan, e) })
}

func scanSystemEvent(scan func(...any) error, e *SystemEvent) error {
	return scan(&e.GatewayID, &e.ID, &e.Source, &e.Time, &e.Severity, &e.Code, &e.Text)
}

// AddSystemEvents stores events that this appliance tells of.
func (s *Store) AddSystemEvents(ctx context.Context, events []SystemEvent) error {
	return s.transaction(ctx, func(tx *sql.Tx) error {
		_, err := addSystemEvents(ctx, tx, events)
		return err
	})
}

// execer is a transaction, or one with prepared statements.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// addSystemEvents stores those that are not there, and lets go of the oldest of sources
// that have too many. It returns how many were stored.
func addSystemEvents(ctx context.Context, tx execer, events []SystemEvent) (added int64, err error) {
	type source struct{ gatewayID, name string }
	grown := make(map[source]bool)
	for _, e := range events {
		result, err := tx.ExecContext(ctx, "INSERT INTO system_events ("+systemEventColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (gateway_id, id) DO NOTHING",
			e.GatewayID, e.ID, e.Source, e.Time, e.Severity, e.Code, e.Text)
		if err != nil {
			return added, fmt.Errorf("store a system event: %w", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return added, err
		}
		if added += n; n > 0 {
			grown[source{e.GatewayID, e.Source}] = true
		}
	}
	for of := range grown {
		_, err := tx.ExecContext(ctx, "DELETE FROM system_events WHERE gateway_id = $1 AND id IN (SELECT id FROM system_events WHERE gateway_id = $1 AND source = $2 ORDER BY time DESC, id DESC LIMIT 1000000 OFFSET $3)",
			of.gatewayID, of.name, maxOfSource)
		if err != nil {
			return added, err
		}
	}
	return added, nil
}

// PruneSystemEvents lets go of those that are too old or, from a dump, of a time to come,
// and of the oldest where there are too many.
func (s *Store) PruneSystemEvents(ctx context.Context) error {
	return s.transaction(ctx, func(tx *sql.Tx) error {
		now := s.milliseconds()
		if _, err := tx.ExecContext(ctx, "DELETE FROM system_events WHERE time < $1 OR time > $2", now-systemEventLife.Milliseconds(), now+latest.Milliseconds()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM system_events WHERE (gateway_id, id) IN (SELECT gateway_id, id FROM system_events ORDER BY time DESC, id DESC LIMIT 1000000000 OFFSET $1)", maxSystemEvents)
		return err
	})
}

// systemEvents adds those that are missing.
func (m *merger) systemEvents(ctx context.Context) error {
	rows, err := m.from.reader.QueryContext(ctx, "SELECT "+systemEventColumns+" FROM system_events")
	if err != nil {
		return err
	}
	list, err := collect(rows, func(e *SystemEvent) error { return scanSystemEvent(rows.Scan, e) })
	if err != nil || len(list) == 0 {
		return err
	}
	for i := range list {
		if id := m.ids[list[i].GatewayID]; id != "" {
			list[i].GatewayID = id
		}
	}
	taken := m.of(SystemEvents)
	taken.Added, err = addSystemEvents(ctx, m.tx.tx, list)
	taken.Kept = int64(len(list)) - taken.Added
	return err
}
