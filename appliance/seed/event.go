package seed

import (
	"context"

	"sealgate/appliance/store"
)

// Sizes of documents in bytes, as measured: how many rows fill a share.
const (
	auditSize     = 1626
	violationSize = 968
	alertSize     = 488
)

// batchRows is how many rows are stored in one transaction.
const batchRows = 2000

// batch is events on their way to the store.
type batch struct {
	store.Batch
	kind store.Kind
	rows int64
}

// encoded is a batch in the form in which it is stored.
type encoded struct {
	kind   store.Kind
	rows   int64
	events store.Encoded
	err    error
}

// events makes alerts, violations and audit data. One goroutine makes and encodes
// what another stores, so both processors work; at most three batches are in
// memory.
func (f *filler) events(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan encoded, 1)
	go func() {
		defer close(batches)
		send := func(b batch) bool {
			e, err := b.Encode()
			select {
			case batches <- encoded{b.kind, b.rows, e, err}:
				return err == nil
			case <-ctx.Done():
				return false
			}
		}
		_ = f.makeViolations(send) && f.makeAudit(send)
	}()
	for b := range batches {
		if b.err != nil {
			return b.err
		}
		if err := f.store.AppendEncoded(ctx, b.events); err != nil {
			return err
		}
		f.made(b.kind, b.rows, b.rows*sizeOf(b.kind))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.measure(ctx)
}

// sizeOf is what a row of a kind is estimated at while it is made.
func sizeOf(kind store.Kind) int64 {
	switch kind {
	case store.Alerts:
		return alertSize
	case store.Violations:
		return violationSize
	}
	return auditSize
}

// rows is how many rows fill a share, at least a few a day.
func (f *filler) rows(percent int, size int64) int {
	return max(int(share(f.options.Scale, percent)/size), 3*f.options.Days)
}

func (f *filler) moments(n int) moments {
	return moments{base: f.options.Base, days: f.options.Days, n: n}
}

// measure replaces the estimates of the report by what the store counted.
func (f *filler) measure(ctx context.Context) error {
	counts, err := f.store.Counts(ctx)
	if err != nil {
		return err
	}
	for _, c := range counts {
		switch c.Kind {
		case store.Alerts, store.Violations, store.Audit:
			f.report.Total += c.Bytes - f.report.Bytes[c.Kind]
			f.report.Bytes[c.Kind] = c.Bytes
		}
	}
	if f.options.Progress != nil {
		f.options.Progress(f.total, f.total)
	}
	return nil
}
