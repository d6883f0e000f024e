package store_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"sealgate/appliance/store"
)

// processor is the time that this process has had of the processors. Other work on
// the machine changes it less than the time on the wall.
func processor(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkAppend stores violations of busy hours: many sources and paths, a few
// hundred services. They come with their alerts' numbers, or are aggregated.
func BenchmarkAppend(b *testing.B) {
	b.Run("as they are", func(b *testing.B) {
		s := open(b)
		appendBusyHours(b, func(violations []store.Violation) error {
			return s.Append(b.Context(), store.Batch{Violations: violations})
		})
	})
	b.Run("aggregated", func(b *testing.B) {
		a, err := open(b).Aggregator(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		appendBusyHours(b, func(violations []store.Violation) error { return a.Append(b.Context(), violations) })
	})
}

func appendBusyHours(b *testing.B, store func([]store.Violation) error) {
	r := rand.New(rand.NewPCG(1, 2))
	n, start := 0, processor(b)
	for b.Loop() {
		batch := busyHours(r, n, 1000)
		n += len(batch)
		if err := store(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(n)/(processor(b)-start).Seconds(), "rows/core-s")
	b.ReportMetric(0, "ns/op")
}

// busyHours are n violations that follow the first ones, 12 a second.
func busyHours(r *rand.Rand, first, n int) []store.Violation {
	list := make([]store.Violation, n)
	for i := range list {
		service := int(r.ExpFloat64() * 20)
		list[i] = store.Violation{
			ID: store.NewID(), EventNumber: int64(first + i), AlertNumber: int64((first+i)/20 - r.IntN(2000)), Time: 1772323200000 + int64(first+i)*83,
			Severity: []string{"high", "medium", "low"}[r.IntN(3)], Type: fmt.Sprintf("Attack %d", r.IntN(12)),
			Description: "SQL injection in a parameter of a request to shop.example.com", ViolatedItem: "parameter q", Policy: "Web signatures", Action: "block",
			Signature: "' or 1=1 --", SignatureName: "sql-injection-1",
			SourceIP: fmt.Sprintf("10.%d.%d.%d", r.IntN(2), r.IntN(200), r.IntN(250)), SourcePort: 4711, DestIP: "192.0.2.1", DestPort: 443, Gateway: "gw-01",
			Site: fmt.Sprintf("Site %02d", service/16), ServerGroup: fmt.Sprintf("Shop servers %02d", service/4), Service: fmt.Sprintf("Shop %03d", service),
			Application: "Default Web Application", Method: "GET", Host: "shop.example.com", Path: fmt.Sprintf("/catalog/%d/item/%d", r.IntN(100), r.IntN(1000)),
			Query: "q=1", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", Session: store.NewID(),
		}
	}
	return list
}
