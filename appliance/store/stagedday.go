package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// stagedDay is one day's database while it is loaded, in one transaction.
type stagedDay struct {
	name string
	from int64 // its first millisecond
	db   *sql.DB
	tx   *sql.Tx
}

// rowSchema is the first schema whose rows are those of today. What later ones add
// is derived from rows: it is made at the end, for all rows at once.
const rowSchema = 1

func stageDay(ctx context.Context, path, name string, schema int64) (*stagedDay, error) {
	begin, err := time.Parse(dayLayout, name)
	if err != nil {
		return nil, err
	}
	db, err := openBulk(path, eventDatabase)
	if err != nil {
		return nil, err
	}
	d := &stagedDay{name: name, from: begin.UnixMilli(), db: db}
	if err := d.begin(ctx, schema); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *stagedDay) begin(ctx context.Context, schema int64) (err error) {
	if err := migrateTo(ctx, d.db, eventDatabase, min(schema, rowSchema)); err != nil {
		return err
	}
	d.tx, err = d.db.BeginTx(context.WithoutCancel(ctx), nil) // it outlives this call's
	return err
}

// rowsAtATime are decoded while the ones before are stored.
const rowsAtATime = 128

// load stores the rows of one table. Decoding takes about as long as storing, and
// runs beside it.
func (d *stagedDay) load(ctx context.Context, t eventTable, next func() ([]byte, error)) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	batches, failed := make(chan []row, 2), make(chan error, 1)
	go func() {
		defer close(batches)
		failed <- d.decode(ctx, t, next, batches)
	}()
	count, err := d.store(ctx, t, batches)
	cancel()
	for range batches { // ends when nobody calls next any more
	}
	return count, errors.Join(<-failed, err)
}

func (d *stagedDay) decode(ctx context.Context, t eventTable, next func() ([]byte, error), batches chan<- []row) error {
	for done := false; !done; {
		batch := make([]row, 0, rowsAtATime)
		for len(batch) < rowsAtATime {
			line, err := next()
			if err != nil {
				return err
			}
			if line == nil {
				done = true
				break
			}
			r, err := eventRow(t, line)
			if err != nil {
				return err
			}
			if r.time < d.from || r.time >= d.from+24*hour {
				return fmt.Errorf("a line of table %s is not of %s: %w", t.name, d.name, ErrInvalid)
			}
			batch = append(batch, r)
		}
		select {
		case batches <- batch:
		case <-ctx.Done():
			return nil // why, the other side knows
		}
	}
	return nil
}

func (d *stagedDay) store(ctx context.Context, t eventTable, batches <-chan []row) (int64, error) {
	insert, err := d.tx.PrepareContext(ctx, "INSERT INTO "+t.name+" ("+t.columns+") VALUES ("+t.insert+")")
	if err != nil {
		return 0, err
	}
	defer insert.Close()
	var count, size int64
	for batch := range batches {
		for _, r := range batch {
			if _, err := insert.ExecContext(ctx, r.values...); err != nil {
				if isDuplicate(err) {
					err = fmt.Errorf("an event is there twice: %w", ErrInvalid)
				}
				return 0, fmt.Errorf("cannot load a line of table %s: %w", t.name, err)
			}
			document, _ := r.values[len(r.values)-1].(string)
			count++
			size += int64(len(document))
		}
	}
	return count, addTotals(ctx, d.tx, t.name, count, size)
}

// finish commits the day, brings it to this release's schema and closes it.
func (d *stagedDay) finish(ctx context.Context) error {
	err := d.tx.Commit()
	if err == nil {
		err = migrate(ctx, d.db, eventDatabase)
	}
	if err == nil {
		err = endBulk(ctx, d.db)
	}
	return errors.Join(err, d.close())
}

func (d *stagedDay) close() error {
	var err error
	if d.tx != nil {
		err = rollback(d.tx)
	}
	return errors.Join(err, d.db.Close())
}
