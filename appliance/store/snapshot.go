package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"sealgate/appliance/model"
)

// SnapshotOptions say what a snapshot gives out.
type SnapshotOptions struct {
	// Without leaves kinds out whole: their rows and files, their secrets, and the
	// references to them in refs. Documents of other objects keep the ids.
	Without []Kind

	// Unseal opens a sealed secret; *secret.Keys has such a method. Nil leaves all
	// secrets out, and the verifiers of users' passwords.
	Unseal func(id string, sealed []byte) ([]byte, error)
}

// Snapshot is one consistent reading of a store. Writes that come after it are not
// seen. It is used by one goroutine, and holds no lock that writers wait for; while
// it is open the write-ahead logs of what is being written cannot shrink.
type Snapshot struct {
	Schema   Schema
	Revision int64 // of the configuration; 0 is none

	store   *Store
	without map[Kind]bool
	unseal  func(id string, sealed []byte) ([]byte, error)
	config  *sql.Conn
	days    []*daySnapshot
	omitted []Omission
	files   []File
	folders map[Kind]*os.Root // that files are opened in
	tables  []Table
}

// daySnapshot is one day's database, in a transaction.
type daySnapshot struct {
	name   string
	db     *sql.DB
	conn   *sql.Conn
	totals map[string]Count
	schema int64
	last   int // index in tables of its last table, after which it is closed
}

// OmittedVerifiers is the Omission.Table of users' password verifiers: the rows
// are there, that column is empty.
const OmittedVerifiers = "users.verifier"

// Omission is rows that a snapshot leaves out.
type Omission struct {
	Table string `json:"table"`
	Kind  Kind   `json:"kind"`
	Rows  int64  `json:"rows"`
}

// Snapshot begins a consistent reading. The caller closes it.
func (s *Store) Snapshot(ctx context.Context, options SnapshotOptions) (*Snapshot, error) {
	snap := &Snapshot{store: s, without: make(map[Kind]bool), unseal: options.Unseal, folders: make(map[Kind]*os.Root)}
	for _, kind := range options.Without {
		snap.without[kind] = true
	}
	if err := snap.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot begin a snapshot: %w", err), snap.Close())
	}
	return snap, nil
}

func (p *Snapshot) begin(ctx context.Context) (err error) {
	if p.config, err = p.store.reader.Conn(ctx); err != nil {
		return err
	}
	if err := begin(ctx, p.config); err != nil {
		return err
	}
	if err := p.config.QueryRowContext(ctx, "SELECT COALESCE(MAX(number), 0) FROM revisions").Scan(&p.Revision); err != nil {
		return err
	}
	if p.Schema.Config, err = schemaVersion(ctx, p.config, configDatabase); err != nil {
		return err
	}
	if err := p.beginDays(ctx); err != nil {
		return err
	}
	p.listTables()
	if err := p.countOmitted(ctx); err != nil {
		return err
	}
	if err := p.closeUnlisted(); err != nil {
		return err
	}
	return p.listFiles(ctx)
}

// begin starts a transaction that the first query pins to what is committed then.
func begin(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "BEGIN")
	return err
}

func (p *Snapshot) beginDays(ctx context.Context) error {
	known, err := KnownSchema()
	if err != nil {
		return err
	}
	p.Schema.Events = known.Events
	names, err := p.store.EventDays(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		day, err := beginDay(ctx, p.store.data, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // dropped since it was listed
		}
		if err != nil {
			return fmt.Errorf("events of %s: %w", name, err)
		}
		p.days = append(p.days, day)
	}
	return nil
}

// beginDay pins a day's database.
func beginDay(ctx context.Context, data generation, name string) (*daySnapshot, error) {
	path := data.day(name)
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := openReader(path, 1)
	if err != nil {
		return nil, err
	}
	day := &daySnapshot{name: name, db: db}
	if err := day.begin(ctx); err != nil {
		return nil, errors.Join(err, day.close())
	}
	return day, nil
}

func (d *daySnapshot) begin(ctx context.Context) (err error) {
	if d.conn, err = d.db.Conn(ctx); err != nil {
		return err
	}
	if err := begin(ctx, d.conn); err != nil {
		return err
	}
	if d.schema, err = schemaVersion(ctx, d.conn, eventDatabase); err != nil {
		return err
	}
	d.totals, err = readTotals(ctx, d.conn)
	return err
}

func (d *daySnapshot) close() error {
	if d.db == nil {
		return nil
	}
	var errs []error
	if d.conn != nil {
		errs = append(errs, d.conn.Close())
	}
	errs = append(errs, d.db.Close())
	d.db, d.conn = nil, nil
	return errors.Join(errs...)
}

// listTables lists what Rows can be asked for. A table whose kind is left out is
// not listed; one that is left out in part is.
func (p *Snapshot) listTables() {
	for _, t := range configTables {
		switch {
		case addedTables[t.name] > p.Schema.Config: // the role of this release has not been there yet
			continue
		case t.name == "archives":
			if p.without[Archives] && p.without[FailedArchives] {
				continue
			}
		case t.name == "secrets":
			if p.unseal == nil || p.without[SSLKeys] && p.without[Credentials] {
				continue
			}
		case p.without[t.kind]:
			continue
		}
		p.tables = append(p.tables, Table{Name: t.name, Kind: t.kind})
	}
	for _, day := range p.days {
		for _, t := range eventTables {
			if !p.without[t.kind] {
				p.tables = append(p.tables, Table{Name: t.name, Kind: t.kind, Day: day.name})
				day.last = len(p.tables) - 1
			}
		}
	}
}

// closeUnlisted closes the days of which nothing is read.
func (p *Snapshot) closeUnlisted() error {
	for _, day := range p.days {
		if !slices.ContainsFunc(p.tables, func(t Table) bool { return t.Day == day.name }) {
			if err := day.close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Tables lists the tables, configuration first, then each day's. Loading them in
// this order keeps references whole.
func (p *Snapshot) Tables() []Table { return slices.Clone(p.tables) }

// Omitted says what the options leave out, and how many rows it has.
func (p *Snapshot) Omitted() []Omission { return slices.Clone(p.omitted) }

// Close ends the reading.
func (p *Snapshot) Close() error {
	var errs []error
	for _, day := range p.days {
		errs = append(errs, day.close())
	}
	for _, folder := range p.folders {
		errs = append(errs, folder.Close())
	}
	clear(p.folders)
	if p.config != nil {
		_, err := p.config.ExecContext(context.Background(), "ROLLBACK")
		errs = append(errs, err, p.config.Close())
		p.config = nil
	}
	return errors.Join(errs...)
}

// where is the condition that leaves rows of kinds out, "" for none. Its texts are
// constants of this package and of model.
func (p *Snapshot) where(table string) string {
	switch table {
	case "refs":
		return except("to_kind", p.leftOutOwners())
	case "secrets":
		return except("owner", p.leftOutOwners())
	case "archives":
		var statuses []string
		if p.without[Archives] {
			statuses = append(statuses, string(ArchiveGood))
		}
		if p.without[FailedArchives] {
			statuses = append(statuses, string(ArchiveFailed))
		}
		return except("status", statuses)
	}
	return ""
}

func (p *Snapshot) leftOutOwners() []string {
	var owners []string
	if p.without[SSLKeys] {
		owners = append(owners, model.SSLKey)
	}
	if p.without[Credentials] {
		owners = append(owners, model.Credential)
	}
	return owners
}

// except is a condition that a column has none of some values.
func except(column string, values []string) string {
	var condition string
	for i, v := range values {
		if i > 0 {
			condition += " AND "
		}
		condition += column + " <> '" + v + "'"
	}
	return condition
}

func (p *Snapshot) countOmitted(ctx context.Context) error {
	listed := func(name, day string) bool {
		return slices.ContainsFunc(p.tables, func(t Table) bool { return t.Name == name && t.Day == day })
	}
	for _, t := range configTables {
		if addedTables[t.name] > p.Schema.Config {
			continue
		}
		query := "SELECT COUNT(*) FROM " + t.name
		if listed(t.name, "") {
			kept := p.where(t.name)
			if kept == "" {
				continue
			}
			query += " WHERE NOT (" + kept + ")"
		}
		o := Omission{Table: t.name, Kind: t.kind}
		if err := p.config.QueryRowContext(ctx, query).Scan(&o.Rows); err != nil {
			return err
		}
		p.omit(o)
	}
	if p.unseal == nil && !p.without[Users] {
		o := Omission{Table: OmittedVerifiers, Kind: Users}
		if err := p.config.QueryRowContext(ctx, "SELECT COUNT(*) FROM users WHERE verifier <> ''").Scan(&o.Rows); err != nil {
			return err
		}
		p.omit(o)
	}
	for _, t := range eventTables {
		if !p.without[t.kind] {
			continue
		}
		o := Omission{Table: t.name, Kind: t.kind}
		for _, day := range p.days {
			o.Rows += day.totals[t.name].Rows
		}
		p.omit(o)
	}
	return nil
}

func (p *Snapshot) omit(o Omission) {
	if o.Rows > 0 {
		p.omitted = append(p.omitted, o)
	}
}
