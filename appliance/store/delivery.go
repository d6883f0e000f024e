package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Delivery is what a gateway's spool held from one record to another.
type Delivery struct {
	GatewayID  string
	Epoch      string // of the spool
	Last       uint64 // number of the last record
	Violations []Delivered
	Events     []SystemEvent // of the gateway; their source is its name
}

// Delivered is a violation and its number in the spool.
type Delivered struct {
	Sequence  uint64
	Violation Violation
}

// Times that are believed, from when a violation was seen first. One that is further
// off is stored with that time: a clock gone wrong, or a gateway that means harm,
// makes no days that nobody looks at.
const (
	earliest = -366 * 24 * time.Hour
	latest   = 24 * time.Hour
)

// Deliver stores what gateways deliver, each violation once however often it is sent:
// an error leaves a delivery stored in part or whole, and it is sent again. Nil says
// that all of it is on the disk. What is stored already is passed over by its id, and
// not by its number, which a gateway that was set back to an older state of its disk
// gives again; nor by its gateway, which may have another name since, or have registered
// anew: an id is the spool's. Where the time is not believed, it is looked for in the day of
// that time, and else the number decides, since it may lie in any. System events go by their
// ids alone. It returns how many those are whose time is not believed.
func (a *Aggregator) Deliver(ctx context.Context, deliveries []Delivery) (off int, err error) {
	at := a.store.milliseconds()
	var violations []Violation
	var unseen []Delivery // of gateways
	for _, d := range deliveries {
		kept, err := a.store.kept(ctx, d)
		if err != nil {
			return 0, err
		}
		from := origin(d.Epoch)
		seen := kept.seen
		if seen == 0 {
			seen = at
		}
		var doubtful []Violation
		for _, v := range d.Violations {
			v.Violation.Origin = from
			if believed(v.Violation.Time, seen) {
				violations = append(violations, v.Violation)
			} else if v.Sequence > kept.sequence {
				doubtful = append(doubtful, v.Violation)
			}
		}
		there, err := a.store.inTheirDays(ctx, doubtful)
		if err != nil {
			return 0, err
		}
		doubtful = slices.DeleteFunc(doubtful, func(v Violation) bool { return there[v.ID] })
		for _, v := range doubtful {
			v.Time = seen
			violations = append(violations, v)
		}
		if off += len(doubtful); len(doubtful) > 0 && kept.seen == 0 {
			unseen = append(unseen, d)
		}
		for i := range d.Events {
			e := &d.Events[i]
			if e.GatewayID = d.GatewayID; !believed(e.Time, at) {
				e.Time = at
				off++
			}
		}
	}
	// The time that is given here is remembered first: sent again after a crash, the
	// violation must not come to lie in another day.
	if err := a.store.see(ctx, unseen, at); err != nil {
		return 0, err
	}
	if err := a.Append(ctx, violations); err != nil {
		return 0, err
	}
	return off, a.store.keepDeliveries(ctx, deliveries)
}

// inTheirDays are the ids of those violations that are stored with the time that they have:
// it may have been believed before, when the clock here was another.
func (s *Store) inTheirDays(ctx context.Context, list []Violation) (map[string]bool, error) {
	found := make(map[string]bool)
	byDay := make(map[string][]Violation)
	for _, v := range list {
		name, _ := dayOf(v.Time) // "" where no calendar has it
		byDay[name] = append(byDay[name], v)
	}
	for name, list := range byDay {
		err := s.findInDay(ctx, name, list, found)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !isDamaged(err) {
			return nil, err
		}
	}
	return found, nil
}

func (s *Store) findInDay(ctx context.Context, name string, list []Violation, found map[string]bool) error {
	day, err := beginDay(ctx, s.data, name)
	if err != nil {
		return err
	}
	for _, v := range list {
		if found[v.ID], err = day.has(ctx, &v); err != nil {
			break
		}
	}
	return errors.Join(err, day.close())
}

// has says whether a violation is stored.
func (d *daySnapshot) has(ctx context.Context, v *Violation) (bool, error) {
	rows, err := d.conn.QueryContext(ctx, "SELECT CAST(document AS BLOB) FROM violations WHERE id IN ($1, $2)", v.ID, v.idBeside())
	if err != nil {
		return false, err
	}
	found, err := collect(rows, func(same *bool) error {
		var document sql.RawBytes
		if err := rows.Scan(&document); err != nil {
			return err
		}
		*same, err = v.isIn(document)
		return err
	})
	return slices.Contains(found, true), err
}

func believed(at, seen int64) bool {
	return at >= seen+earliest.Milliseconds() && at <= seen+latest.Milliseconds()
}

// origin is what is stored of an epoch: who reads the events, in an export perhaps, cannot
// deliver in the gateway's place.
func origin(epoch string) string {
	sum := sha256.Sum256([]byte("sealgate: the origin of events\x00" + epoch))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// keptDelivery is up to where a spool's epoch is kept.
type keptDelivery struct {
	sequence uint64
	seen     int64
}

func (s *Store) kept(ctx context.Context, d Delivery) (k keptDelivery, err error) {
	var epoch string
	err = s.reader.QueryRowContext(ctx, "SELECT epoch, sequence, seen FROM gateway_keys WHERE gateway_id = $1", d.GatewayID).Scan(&epoch, &k.sequence, &k.seen)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if epoch != d.Epoch {
		k.sequence = 0
	}
	return k, err
}

func (s *Store) see(ctx context.Context, unseen []Delivery, at int64) error {
	if len(unseen) == 0 {
		return nil
	}
	return s.transaction(ctx, func(tx *sql.Tx) error {
		for _, d := range unseen {
			if _, err := tx.ExecContext(ctx, "UPDATE gateway_keys SET seen = $1 WHERE gateway_id = $2", at, d.GatewayID); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) keepDeliveries(ctx context.Context, deliveries []Delivery) error {
	return s.transaction(ctx, func(tx *sql.Tx) error {
		for _, d := range deliveries {
			// A delivery that was overtaken by a later one takes nothing back.
			_, err := tx.ExecContext(ctx, "UPDATE gateway_keys SET seen = 0, sequence = CASE WHEN epoch = $1 AND sequence > $2 THEN sequence ELSE $2 END, epoch = $1 WHERE gateway_id = $3",
				d.Epoch, int64(d.Last), d.GatewayID)
			if err != nil {
				return fmt.Errorf("note what a gateway delivered: %w", err)
			}
			if _, err := addSystemEvents(ctx, tx, d.Events); err != nil {
				return err
			}
		}
		return nil
	})
}
