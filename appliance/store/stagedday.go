package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// stagedDay is one day's database while it is loaded, in one transaction, at the
// schema that its rows have; then it is brought up to this release's.
type stagedDay struct {
	name    string
	schema  int64
	from    int64 // its first millisecond
	db      *sql.DB
	conn    *sql.Conn // the only one
	tx      *sql.Tx
	indexes []string // statements that make them, at the end for all rows at once
}

// segmentsSince is the event schema that has segments; from an older one the migration
// makes them.
const segmentsSince = 3

func stageDay(ctx context.Context, path, name string, schema int64) (*stagedDay, error) {
	begin, err := time.Parse(dayLayout, name)
	if err != nil {
		return nil, err
	}
	db, err := openBulk(path, eventDatabase)
	if err != nil {
		return nil, err
	}
	d := &stagedDay{name: name, schema: schema, from: begin.UnixMilli(), db: db}
	if err := d.begin(context.WithoutCancel(ctx)); err != nil { // the transaction outlives this call
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *stagedDay) begin(ctx context.Context) (err error) {
	if err := migrateTo(ctx, d.db, eventDatabase, d.schema); err != nil {
		return err
	}
	if d.conn, err = d.db.Conn(ctx); err != nil {
		return err
	}
	if d.tx, err = d.conn.BeginTx(ctx, nil); err != nil {
		return err
	}
	d.indexes, err = takeIndexes(ctx, d.tx)
	return err
}

// rowsAtATime are decoded while the ones before are stored.
const rowsAtATime = 32

// load stores the rows of one table. Decoding takes about as long as storing, and
// runs beside it.
func (d *stagedDay) load(ctx context.Context, t eventTable, next func() ([]byte, error)) (int64, error) {
	decoding, cancel := context.WithCancel(ctx)
	batches, ended := make(chan []row, 8), make(chan decoded, 1)
	go func() {
		defer close(batches)
		ended <- d.decode(decoding, t, next, batches)
	}()
	err := d.store(t, batches)
	cancel()
	for range batches { // ends when nobody calls next any more
	}
	all := <-ended
	if err == nil {
		err = all.err
	}
	if err != nil {
		return 0, err
	}
	return all.rows, addTotals(ctx, d.tx, t.name, all.rows, all.bytes)
}

// decoded is what came of decoding a table.
type decoded struct {
	rows, bytes int64 // bytes of documents
	err         error
}

func (d *stagedDay) decode(ctx context.Context, t eventTable, next func() ([]byte, error), batches chan<- []row) (all decoded) {
	for done := false; !done; {
		batch := make([]row, 0, rowsAtATime)
		for len(batch) < rowsAtATime {
			line, err := next()
			if err != nil {
				return decoded{err: err}
			}
			if line == nil {
				done = true
				break
			}
			r, err := eventRow(t, line)
			if err != nil {
				return decoded{err: err}
			}
			if r.time < d.from || r.time >= d.from+24*hour {
				return decoded{err: fmt.Errorf("a line of table %s is not of %s: %w", t.name, d.name, ErrInvalid)}
			}
			batch = append(batch, r)
			all.rows++
			all.bytes += int64(len(line))
		}
		if len(batch) == 0 {
			break
		}
		select {
		case batches <- batch:
		case <-ctx.Done():
			return decoded{err: ctx.Err()}
		}
	}
	return all
}

func (d *stagedDay) store(t eventTable, batches <-chan []row) error {
	err := insertBulk(d.conn, t, batches)
	if isDuplicate(err) {
		err = fmt.Errorf("an event is there twice: %w", ErrInvalid)
	}
	if err != nil {
		err = fmt.Errorf("cannot load a line of table %s: %w", t.name, err)
	}
	return err
}

// finish makes the indexes, commits the day, migrates and closes it. Nothing of it is
// in a log then: who syncs the file has all of it on the disk.
func (d *stagedDay) finish(ctx context.Context) error {
	err := d.end(ctx)
	if err == nil {
		d.conn, err = nil, d.conn.Close() // there is one
	}
	if err == nil {
		err = migrate(ctx, d.db, eventDatabase)
	}
	if err == nil {
		err = endBulk(ctx, d.db)
	}
	return errors.Join(err, d.close())
}

func (d *stagedDay) end(ctx context.Context) error {
	for _, index := range d.indexes {
		if _, err := d.tx.ExecContext(ctx, index); err != nil {
			return err
		}
	}
	if d.schema >= segmentsSince {
		if err := deriveSegments(ctx, d.tx); err != nil {
			return err
		}
	}
	return d.tx.Commit()
}

func (d *stagedDay) close() error {
	var err error
	if d.tx != nil {
		err = rollback(d.tx)
	}
	if d.conn != nil {
		err = errors.Join(err, d.conn.Close())
	}
	return errors.Join(err, d.db.Close())
}
