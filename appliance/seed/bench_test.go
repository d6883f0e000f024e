package seed_test

import (
	"syscall"
	"testing"
	"time"

	"sealgate/appliance/seed"
	"sealgate/appliance/store"
)

// benchScale has some 128 MiB of audit data.
const benchScale = 0.21

// processor is the time that this process has had of the processors. Other work on
// the machine changes it less than the time on the wall.
func processor(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// perCore reports how many bytes one busy processor does in a second.
func perCore(b *testing.B, bytes int64, used time.Duration) {
	b.ReportMetric(float64(bytes)/1e6/used.Seconds(), "MB/core-s")
}

func BenchmarkFill(b *testing.B) {
	var size int64
	start := processor(b)
	for b.Loop() {
		s, keys := fresh(b)
		report := fill(b, s, keys, seed.Options{Seed: 1, Scale: benchScale})
		b.SetBytes(report.Total)
		size += report.Total
	}
	perCore(b, size, processor(b)-start)
}

// BenchmarkSnapshot reads the rows of each kind of events as an export does.
func BenchmarkSnapshot(b *testing.B) {
	s, keys := fresh(b)
	fill(b, s, keys, seed.Options{Seed: 1, Scale: benchScale})
	for _, kind := range []store.Kind{store.Audit, store.Violations, store.Alerts, store.Config} {
		b.Run(string(kind), func(b *testing.B) {
			var without []store.Kind
			for _, other := range store.Kinds {
				if other != kind {
					without = append(without, other)
				}
			}
			var all int64
			start := processor(b)
			for b.Loop() {
				var size int64
				snap, err := s.Snapshot(b.Context(), store.SnapshotOptions{Without: without})
				if err != nil {
					b.Fatal(err)
				}
				for _, table := range snap.Tables() {
					if err := snap.Rows(b.Context(), table, func(line []byte) error { size += int64(len(line)); return nil }); err != nil {
						b.Fatal(err)
					}
				}
				if err := snap.Close(); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(size)
				all += size
			}
			perCore(b, all, processor(b)-start)
		})
	}
}
