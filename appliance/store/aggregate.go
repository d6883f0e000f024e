package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// An alert sums up violations of one kind (type, policy, severity and action) that
// have the source in common, over at most alertSpan. The spread-th source of the day
// against one application, and those after it, get an alert together, which has the
// application in common and an empty source. Other attributes in which an alert's
// violations differ are empty, too.
//
// Alerts end at midnight (UTC): so an alert lies in the database of its
// violations, one transaction stores both, and both are dropped together.
const (
	alertSpan = 12 * hour
	spread    = 10

	maxOpenAlerts = 50_000 // of a day; beyond it those that were quiet longest end
	openAlertDays = 2
)

// Aggregator stores violations as they arrive: it numbers them and sums them up
// into alerts. What it remembers is in the database as well, so that it may be made
// anew at any time. A store has one at a time.
type Aggregator struct {
	store *Store

	mu          sync.Mutex
	alertNumber int64 // the last given
	eventNumber int64
	days        []*openAlerts // the one used last at the end
	drops       int           // of days, when it looked last
	encoder     *encoder
	aside       []string // days that were damaged
}

// Aggregator returns one that continues the numbers of the store.
func (s *Store) Aggregator(ctx context.Context) (*Aggregator, error) {
	if s.readOnly {
		return nil, ErrReadOnly
	}
	a := &Aggregator{store: s, encoder: newEncoder()}
	return a, a.readNumbers(ctx)
}

func (a *Aggregator) readNumbers(ctx context.Context) error {
	names, err := a.store.EventDays(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := a.setAside(name, a.readNumbersOf(ctx, name)); err != nil {
			return fmt.Errorf("events of %s: %w", name, err)
		}
	}
	return nil
}

func (a *Aggregator) readNumbersOf(ctx context.Context, name string) error {
	day, err := beginDay(ctx, a.store.data, name)
	if err != nil {
		return err
	}
	var alert, event int64
	err = day.conn.QueryRowContext(ctx, "SELECT (SELECT COALESCE(MAX(number), 0) FROM alerts), (SELECT COALESCE(MAX(number), 0) FROM violations)").Scan(&alert, &event)
	a.alertNumber, a.eventNumber = max(a.alertNumber, alert), max(a.eventNumber, event)
	return cmp.Or(err, day.close())
}

// Append stores violations and their alerts. Those of a day are one transaction;
// an error may leave the earlier days' stored. What is stored already (by id) is
// passed over, so that a batch may be sent again. EventNumber and AlertNumber are
// given here.
func (a *Aggregator) Append(ctx context.Context, violations []Violation) error {
	byDay := make(map[string][]Violation)
	for _, v := range violations {
		name, err := dayOf(v.Time)
		if err != nil {
			return fmt.Errorf("a violation %w", err)
		}
		byDay[name] = append(byDay[name], v)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(byDay)) {
		err := a.appendDay(ctx, name, byDay[name])
		if isDamaged(err) {
			if err = a.setAside(name, err); err == nil {
				err = a.appendDay(ctx, name, byDay[name])
			}
		}
		if err != nil {
			return fmt.Errorf("cannot store the violations of %s: %w", name, err)
		}
	}
	return nil
}

func (a *Aggregator) appendDay(ctx context.Context, name string, violations []Violation) error {
	// The driver watches a context with a goroutine for each row: a fifth of the work.
	ctx = context.WithoutCancel(ctx)
	err := a.store.days.write(ctx, name, func(tx *sql.Tx) error {
		open, err := a.open(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := a.add(ctx, tx, open, violations); err != nil {
			return err
		}
		return open.save(ctx, tx, a.encoder)
	})
	if err != nil { // what it remembers is not what is stored; numbers may have gaps
		a.days = slices.DeleteFunc(a.days, func(d *openAlerts) bool { return d.day == name })
	}
	return err
}

// open returns the open alerts of a day.
func (a *Aggregator) open(ctx context.Context, tx *sql.Tx, name string) (*openAlerts, error) {
	if drops := a.store.days.drops; drops != a.drops {
		a.days, a.drops = nil, drops
	}
	for i, d := range a.days {
		if d.day == name {
			a.days = append(append(a.days[:i:i], a.days[i+1:]...), d)
			return d, nil
		}
	}
	d, err := readOpenAlerts(ctx, tx, name)
	if err != nil {
		return nil, err
	}
	if a.days = append(a.days, d); len(a.days) > openAlertDays {
		a.days = a.days[1:]
	}
	return d, nil
}

// add stores the violations that are not there yet, each with its alert's number.
func (a *Aggregator) add(ctx context.Context, tx *sql.Tx, open *openAlerts, violations []Violation) error {
	insert, err := tx.PrepareContext(ctx, violationTable.insertion()+passOver)
	if err != nil {
		return err
	}
	defer insert.Close()
	var stored []row
	var size int64
	for i := range violations {
		v := &violations[i]
		alert := open.find(v)
		fresh := alert == nil
		if fresh {
			alert = open.begin(v, a.alertNumber+1)
		}
		v.AlertNumber, v.EventNumber = alert.Number, a.eventNumber+1
		r, n, err := a.insert(ctx, insert, v)
		if err == nil && n == 0 {
			r, n, err = a.insertBeside(ctx, tx, insert, v)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		a.eventNumber++
		if fresh {
			a.alertNumber++
		}
		open.take(alert, v)
		stored, size = append(stored, r), size+n
	}
	if err := open.notes.add(ctx, tx, stored); err != nil {
		return err
	}
	return addTotals(ctx, tx, violationTable.name, int64(len(stored)), size)
}

// insert stores a violation and returns the size of its document, or 0 where one of its
// id is there.
func (a *Aggregator) insert(ctx context.Context, insert *sql.Stmt, v *Violation) (r row, size int64, err error) {
	document, err := a.encoder.encode(v)
	if err != nil {
		return r, 0, err
	}
	r = v.row(document)
	n, err := insertEvent(ctx, insert, r)
	return r, n * int64(len(document)), err
}

// insertBeside stores a violation whose id came from another spool, perhaps so that this
// one is passed over, under an id that no gateway can give.
func (a *Aggregator) insertBeside(ctx context.Context, tx *sql.Tx, insert *sql.Stmt, v *Violation) (r row, size int64, err error) {
	var document []byte
	if err := tx.QueryRowContext(ctx, "SELECT CAST(document AS BLOB) FROM violations WHERE id = $1", v.ID).Scan(&document); err != nil {
		return r, 0, err
	}
	if same, err := v.isIn(document); err != nil || same {
		return r, 0, err
	}
	v.ID = v.idBeside()
	return a.insert(ctx, insert, v)
}

func (v *Violation) idBeside() string { return v.ID + "@" + v.Origin }

// isIn says whether what is stored under the violation's id came from the same spool.
func (v *Violation) isIn(document []byte) (bool, error) {
	var there struct {
		Gateway string `json:"gatewayName"`
		Origin  string `json:"origin"`
	}
	err := json.Unmarshal(document, &there)
	// Earlier releases noted no origin.
	return there.Origin == v.Origin || there.Origin == "" && there.Gateway == v.Gateway, err
}

// kind, source and target are what alerts have in common.
type (
	kind   struct{ typ, policy, severity, action string }
	source struct {
		kind
		ip string
	}
	target struct {
		kind
		site, serverGroup, service, application string
	}
)

// openAlert is an alert that may take further violations.
type openAlert struct {
	Alert
	stored  int  // bytes of its document in the database
	changed bool // since it was stored
}

// openAlerts are a day's.
type openAlerts struct {
	day      string
	bySource map[source]*openAlert
	byTarget map[target]*openAlert
	sources  map[target]int // how many of bySource began against it
	changed  []*openAlert
	notes    *notes
}

func newOpenAlerts(day string) *openAlerts {
	return &openAlerts{day: day, bySource: make(map[source]*openAlert), byTarget: make(map[target]*openAlert), sources: make(map[target]int), notes: newNotes()}
}

func readOpenAlerts(ctx context.Context, tx *sql.Tx, day string) (*openAlerts, error) {
	rows, err := tx.QueryContext(ctx, "SELECT CAST(document AS BLOB) FROM alerts ORDER BY time DESC LIMIT $1", maxOpenAlerts)
	if err != nil {
		return nil, err
	}
	list, err := collect(rows, func(a *openAlert) error {
		var document sql.RawBytes
		if err := rows.Scan(&document); err != nil {
			return err
		}
		a.stored = len(document)
		return json.Unmarshal(document, &a.Alert)
	})
	d := newOpenAlerts(day)
	for _, alert := range slices.Backward(list) { // the newest of a kind stays
		d.keep(&alert)
	}
	return d, err
}

func (a *Alert) kind() kind     { return kind{a.Type, a.Policy, a.Severity, a.Action} }
func (a *Alert) source() source { return source{a.kind(), a.SourceIP} }
func (a *Alert) target() target {
	return target{a.kind(), a.Site, a.ServerGroup, a.Service, a.Application}
}

func (v *Violation) kind() kind     { return kind{v.Type, v.Policy, v.Severity, v.Action} }
func (v *Violation) source() source { return source{v.kind(), v.SourceIP} }
func (v *Violation) target() target {
	return target{v.kind(), v.Site, v.ServerGroup, v.Service, v.Application}
}

// takes reports whether a violation is near enough in time.
func (a *openAlert) takes(v *Violation) bool {
	return a != nil && v.Time <= a.Time+alertSpan && v.Time >= a.LastTime-alertSpan
}

// find returns the open alert that a violation belongs to, or nil.
func (d *openAlerts) find(v *Violation) *openAlert {
	if a := d.bySource[v.source()]; a.takes(v) {
		return a
	}
	if a := d.byTarget[v.target()]; a.takes(v) {
		return a
	}
	return nil
}

// begin makes an alert for a violation, which take keeps.
func (d *openAlerts) begin(v *Violation, number int64) *openAlert {
	a := &openAlert{Alert: Alert{
		ID: NewID(), Number: number, Time: v.Time, LastTime: v.Time, Severity: v.Severity, Type: v.Type,
		SourceIP: v.SourceIP, Gateway: v.Gateway, Site: v.Site, ServerGroup: v.ServerGroup, Service: v.Service, Application: v.Application,
		Policy: v.Policy, Action: v.Action,
	}}
	if d.sources[v.target()] >= spread-1 {
		a.SourceIP = ""
	}
	return a
}

// keep remembers an alert, in the place of an older one.
func (d *openAlerts) keep(a *openAlert) {
	if a.SourceIP == "" {
		d.byTarget[a.target()] = a
		return
	}
	if d.bySource[a.source()] == nil {
		d.sources[a.target()]++
	}
	d.bySource[a.source()] = a
}

// take counts a violation into an alert.
func (d *openAlerts) take(a *openAlert, v *Violation) {
	if a.Count++; a.Count == 1 {
		d.keep(a)
	}
	a.Time, a.LastTime = min(a.Time, v.Time), max(a.LastTime, v.Time)
	for _, attribute := range []struct {
		alert *string
		value string
	}{{&a.Gateway, v.Gateway}, {&a.Site, v.Site}, {&a.ServerGroup, v.ServerGroup}, {&a.Service, v.Service}, {&a.Application, v.Application}} {
		if *attribute.alert != attribute.value {
			*attribute.alert = ""
		}
	}
	a.describe()
	if !a.changed {
		a.changed = true
		d.changed = append(d.changed, a)
	}
}

// describe says in words what the alert sums up.
func (a *Alert) describe() {
	from, against := a.SourceIP, a.Service
	if from == "" {
		from = "several sources"
	}
	if against == "" {
		against = "several services"
	}
	a.Description = fmt.Sprintf("%s from %s against %s", a.Type, from, against)
}

// save stores the alerts that changed.
func (d *openAlerts) save(ctx context.Context, tx *sql.Tx, e *encoder) error {
	upsert, err := tx.PrepareContext(ctx, alertTable.insertion()+" ON CONFLICT (id) DO UPDATE SET time = excluded.time,"+
		" server_group = excluded.server_group, service = excluded.service, application = excluded.application, document = excluded.document")
	if err != nil {
		return err
	}
	defer upsert.Close()
	var count, size int64
	for _, a := range d.changed {
		document, err := e.encode(&a.Alert)
		if err != nil {
			return err
		}
		if _, err := upsert.ExecContext(ctx, a.row(document).values...); err != nil {
			return err
		}
		if a.stored == 0 {
			count++
		}
		size += int64(len(document) - a.stored)
		a.stored, a.changed = len(document), false
	}
	d.changed = d.changed[:0]
	d.prune()
	return addTotals(ctx, tx, alertTable.name, count, size)
}

// prune forgets the half that was quiet longest when there are too many.
func (d *openAlerts) prune() {
	if len(d.bySource)+len(d.byTarget) <= maxOpenAlerts {
		return
	}
	var all []*openAlert
	for _, a := range d.bySource {
		all = append(all, a)
	}
	for _, a := range d.byTarget {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *openAlert) int { return cmp.Compare(a.LastTime, b.LastTime) })
	kept := newOpenAlerts(d.day)
	kept.notes = d.notes
	for _, a := range all[len(all)/2:] {
		kept.keep(a)
	}
	*d = *kept
}
