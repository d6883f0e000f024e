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

// BenchmarkAppend stores violations of busy hours: many
// sources and paths, a few hundred services.
func BenchmarkAppend(b *testing.B) {
	s := open(b)
	r := rand.New(rand.NewPCG(1, 2))
	const batch = 1000
	at, n := int64(1772366400000), 0
	start := processor(b)
	for b.Loop() {
		var v store.Batch
		for range batch {
			n++
			at += 80
			service := int(r.ExpFloat64() * 20)
			v.Violations = append(v.Violations, store.Violation{ID: store.NewID(), EventNumber: int64(n), AlertNumber: int64(n/20 - r.IntN(2000)), Time: at, Severity: []string{"high", "medium", "low"}[r.IntN(3)],
				Type: "SQL injection", Description: "SQL injection in a parameter of a request to shop.example.com", ViolatedItem: "parameter q", Policy: "Web signatures", Action: "block",
				Signature: "' or 1=1 --", SignatureName: "sql-injection-1", SourceIP: fmt.Sprintf("10.%d.%d.%d", r.IntN(2), r.IntN(200), r.IntN(250)), SourcePort: 4711, DestIP: "192.0.2.1", DestPort: 443,
				Gateway: "gw-01", Site: fmt.Sprintf("Site %02d", service/16), ServerGroup: fmt.Sprintf("Shop servers %02d", service/4), Service: fmt.Sprintf("Shop %03d", service), Application: "Default Web Application",
				Method: "GET", Host: "shop.example.com", Path: fmt.Sprintf("/catalog/%d/item/%d", r.IntN(100), r.IntN(1000)), Query: "q=1", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", Session: store.NewID()})
		}
		if err := s.Append(b.Context(), v); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(n)/(processor(b)-start).Seconds(), "rows/core-s")
}
