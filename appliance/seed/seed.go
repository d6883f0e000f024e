// Package seed fills a store with test data: sites and services with their rules
// and policies, users, certificates, credentials, alerts, violations, recorded
// requests, archives, jobs and system events, as a management server in front of a few busy sites
// has them.
//
// The same options give the same data, byte for byte in a snapshot's lines: ids,
// times and texts come from a stream that Options.Seed begins, times count from
// Options.Base, and nothing comes from the clock or the machine. (The rows that
// store.Create makes are its own.)
//
// Scale 1 is 1 GiB of what an export reads: the lines of tables and the bytes of
// archive files. About 60 % are audit data, 20 % archive files, 15 % violations and
// 5 % the rest, most of it alerts. Configuration, certificates, users and jobs
// grow with the square root of the scale up to a bound, as they do in life. The
// sizes of rows vary, so the total meets the scale within a few per cent from
// Scale 0.01 upwards; below that every kind still has a few rows. Memory is
// bounded whatever the scale.
//
// A store that was seeded before, wholly or in part, is refused and left as it is.
package seed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Unit is how many bytes of an export Scale 1 stands for.
const Unit = 1 << 30

// The shares of Unit, as percentages.
const (
	auditShare     = 60
	archiveShare   = 20
	violationShare = 15
	alertShare     = 4
)

// MaxScale bounds what a slip of the finger can do to a disk.
const MaxScale = 64

// Options say what is made.
type Options struct {
	Seed  uint64
	Scale float64 // above 0, at most MaxScale

	// Base is the first instant of the events; zero is DefaultBase.
	Base time.Time

	// Days is how many days the events span; 0 is DefaultDays.
	Days int

	// Progress, where it is given, is called now and then with the bytes done and
	// to do, from the goroutine that called Fill.
	Progress func(done, total int64)
}

// DefaultDays is how many days of events there are.
const DefaultDays = 10

// DefaultBase is when events begin.
var DefaultBase = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// ErrSeeded means that a store was seeded before.
var ErrSeeded = errors.New("the store was seeded before")

// Report says what was made.
type Report struct {
	Rows  map[store.Kind]int64 // rows by kind
	Bytes map[store.Kind]int64 // of event documents and archive files
	Total int64                // sum of Bytes
}

// filler is one run of Fill.
type filler struct {
	store   *store.Store
	sealer  store.Sealer
	options Options
	world   world
	report  Report
	total   int64 // bytes to make
}

// Fill seeds a store.
func Fill(ctx context.Context, s *store.Store, sealer store.Sealer, options Options) (Report, error) {
	if err := options.complete(); err != nil {
		return Report{}, err
	}
	_, err := s.Find(ctx, model.RootID, model.Site, siteName(0))
	if err == nil {
		return Report{}, fmt.Errorf("%w: it has site %q", ErrSeeded, siteName(0))
	}
	if !errors.Is(err, store.ErrNotFound) {
		return Report{}, err
	}
	f := &filler{
		store: s, sealer: sealer, options: options,
		world:  newWorld(options),
		report: Report{Rows: make(map[store.Kind]int64), Bytes: make(map[store.Kind]int64)},
		total:  share(options.Scale, auditShare+archiveShare+violationShare+alertShare),
	}
	for _, step := range []func(context.Context) error{f.configuration, f.users, f.archives, f.jobs, f.systemEvents, f.events} {
		if err := step(ctx); err != nil {
			return f.report, err
		}
	}
	return f.report, nil
}

// complete checks the options and sets those that were left out.
func (o *Options) complete() error {
	if !(o.Scale > 0 && o.Scale <= MaxScale) {
		return fmt.Errorf("scale %v: must be above 0 and at most %d", o.Scale, MaxScale)
	}
	if o.Days < 0 || o.Days > 3650 {
		return fmt.Errorf("%d days: must be 1 to 3650", o.Days)
	}
	if o.Base.IsZero() {
		o.Base = DefaultBase
	}
	if o.Days == 0 {
		o.Days = DefaultDays
	}
	o.Base = o.Base.UTC().Truncate(24 * time.Hour)
	return nil
}

// share is a share of a scale in bytes.
func share(scale float64, percent int) int64 { return int64(scale * Unit / 100 * float64(percent)) }

// made adds rows to the report.
func (f *filler) made(kind store.Kind, rows, bytes int64) {
	f.report.Rows[kind] += rows
	f.report.Bytes[kind] += bytes
	f.report.Total += bytes
	if f.options.Progress != nil && bytes > 0 {
		f.options.Progress(min(f.report.Total, f.total), f.total)
	}
}

// change is the revision of a step of the configuration.
func (f *filler) change(summary string) store.Change {
	return store.Change{Author: "seed", Summary: summary, At: f.options.Base}
}
