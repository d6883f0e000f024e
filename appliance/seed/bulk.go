package seed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sealgate/appliance/secret"
	"sealgate/appliance/store"
)

// violationsOfAlert is how many violations an alert sums up on average.
const violationsOfAlert = 25

// Violations gives a fresh store n violations and their alerts, and nothing else,
// many times sooner than appending them: it makes a generation as an import does,
// so nothing may have the store open. To spare the disk they lack what no search
// asks for: about 700 bytes each with all indexes. Of the options, Scale is that of
// the world that they are about.
func Violations(ctx context.Context, home string, keys *secret.Keys, n int, options Options) error {
	if err := options.complete(); err != nil {
		return err
	}
	if perDay := n / options.Days; perDay < violationsOfAlert {
		return fmt.Errorf("%d violations: must be at least %d a day", n, violationsOfAlert)
	}
	schema, err := store.KnownSchema()
	if err != nil {
		return err
	}
	staging, err := store.Stage(ctx, home, schema, store.Options{})
	if err != nil {
		return err
	}
	b := bulk{staging: staging, maker: newViolationMaker(newWorld(options), options)}
	if err := b.load(ctx, keys, n/options.Days); err != nil {
		return errors.Join(err, staging.Discard())
	}
	return staging.Commit()
}

// bulk is the loading of a generation.
type bulk struct {
	staging *store.Staging
	maker   *violationMaker
	line    bytes.Buffer
}

func (b *bulk) load(ctx context.Context, keys *secret.Keys, perDay int) error {
	if err := b.configuration(ctx, keys); err != nil {
		return err
	}
	for day := range b.maker.options.Days {
		today := b.maker.alerts(day, perDay/violationsOfAlert)
		violations := b.maker.day(day, perDay, today)
		name := b.maker.options.Base.AddDate(0, 0, day).Format("2006-01-02")
		_, err := b.staging.Load(ctx, store.Table{Name: "violations", Kind: store.Violations, Day: name}, nil, func() ([]byte, error) {
			v, ok := violations.next()
			if !ok {
				return nil, nil
			}
			v.UserAgent, v.Session, v.User, v.Query, v.Comment = "", "", "", "", ""
			return b.encode(v)
		})
		if err != nil {
			return err
		}
		_, err = b.staging.Load(ctx, store.Table{Name: "alerts", Kind: store.Alerts, Day: name}, nil, func() ([]byte, error) {
			if len(today) == 0 {
				return nil, nil
			}
			a := today[0].Alert
			today = today[1:]
			return b.encode(a)
		})
		if err != nil {
			return err
		}
	}
	return b.staging.Finish(ctx)
}

// configuration is that of the store.
func (b *bulk) configuration(ctx context.Context, keys *secret.Keys) (err error) {
	base, err := b.staging.Base(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	days, err := base.EventDays(ctx)
	if err != nil {
		return err
	}
	if len(days) > 0 {
		return fmt.Errorf("%w: it has events of %s", ErrSeeded, days[0])
	}
	snap, err := base.Snapshot(ctx, store.SnapshotOptions{Unseal: keys.Unseal})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	for _, table := range snap.Tables() {
		var lines [][]byte
		if err := snap.Rows(ctx, table, func(line []byte) error { lines = append(lines, bytes.Clone(line)); return nil }); err != nil {
			return err
		}
		_, err := b.staging.Load(ctx, table, keys.Seal, func() ([]byte, error) {
			if len(lines) == 0 {
				return nil, nil
			}
			line := lines[0]
			lines = lines[1:]
			return line, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// encode is valid until the next line.
func (b *bulk) encode(v any) ([]byte, error) {
	b.line.Reset()
	if err := json.NewEncoder(&b.line).Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.line.Bytes(), []byte("\n")), nil
}
