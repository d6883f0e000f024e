package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sealgate/appliance/spool"
	"sealgate/appliance/store"
	"sealgate/daemon/link"
)

// benchTime is how long each benchmark measures.
func benchTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv(faultTime)); err == nil {
		return d
	}
	return 5 * time.Second
}

// processor is the time that this process has had of the processors.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkLink is the way of violations from the spools of three gateways to the
// indexed row: spool, link, database, both ends in this process. Making them is
// counted, too.
func BenchmarkLink(b *testing.B) {
	m := newMX(b)
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i := range 3 {
		id, _ := m.register(fmt.Sprint("gw", i))
		s, err := spool.Open(filepath.Join(b.TempDir(), "events"), spool.Options{})
		must(b, err)
		b.Cleanup(func() { s.Close() })
		client, err := link.NewClient(id.Server, id.Registration.Pin, id)
		must(b, err)
		b.Cleanup(client.Close)
		running.Go(func() { client.Deliver(ctx, s, logger(b)) })
		running.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for n := 0; ctx.Err() == nil; n++ {
				for s.Stats().Records > 10_000 {
					if !link.Rest(ctx, 10*time.Millisecond) {
						return
					}
				}
				put(b, s, busy(r, n))
			}
		})
	}
	eventually(b, "the first ones", func() bool { return m.stored() > 0 })
	for b.Loop() {
		before, used, begin := m.stored(), processor(b), time.Now()
		time.Sleep(benchTime())
		n, took := float64(m.stored()-before), time.Since(begin).Seconds()
		b.ReportMetric(n/took, "violations/s")
		b.ReportMetric(n/(processor(b)-used).Seconds(), "violations/core-s")
	}
	b.ReportMetric(0, "ns/op")
}

// busy is a violation of a busy hour: many sources and paths, a few hundred services.
func busy(r *rand.Rand, n int) store.Violation {
	service := int(r.ExpFloat64() * 20)
	return store.Violation{
		ID: strings.ReplaceAll(store.NewID(), "-", ""), Time: time.Now().UnixMilli(), Severity: []string{"high", "medium", "low"}[r.IntN(3)], Type: fmt.Sprintf("Attack %d", r.IntN(12)),
		Description: "SQL injection in a parameter of a request to shop.example.com", ViolatedItem: "parameter q", Policy: "Web signatures", Action: "block",
		Signature: "' or 1=1 --", SignatureName: "sql-injection-1",
		SourceIP: fmt.Sprintf("10.%d.%d.%d", r.IntN(2), r.IntN(200), r.IntN(250)), SourcePort: 4711, DestIP: "192.0.2.1", DestPort: 443,
		Site: fmt.Sprintf("Site %02d", service/16), ServerGroup: fmt.Sprintf("Shop servers %02d", service/4), Service: fmt.Sprintf("Shop %03d", service),
		Application: "Default Web Application", Method: "GET", Host: "shop.example.com", Path: fmt.Sprintf("/catalog/%d/item/%d", r.IntN(100), r.IntN(1000)),
		Query: "q=1", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", Session: fmt.Sprint(n),
	}
}

const polling = 1000 // gateways

// BenchmarkPolling holds a thousand gateways that poll, and tells what the management
// server takes for it, and how long a change needs to be fetched by all of them.
func BenchmarkPolling(b *testing.B) {
	m := newMX(b)
	ids := make([]*link.Identity, polling)
	var first string
	for i := range ids {
		var object string
		if ids[i], object = m.register(fmt.Sprintf("gw%04d", i)); i == 0 {
			first = object
		}
	}
	var s shop
	m.write(func(tx *store.Tx) error {
		s = m.newShop(tx, m.aliasOf(tx, first), 8080, "192.0.2.1", 80, "active")
		return nil
	})
	m.stop()
	server := newChild(b, m.home, m.address)
	var err error
	m.store, err = store.Open(b.Context(), string(m.home), store.Options{})
	must(b, err)
	m.stop = func() { must(b, m.store.Close()) }

	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var fetched atomic.Int64
	for _, id := range ids {
		running.Go(func() { simulate(ctx, b, id, &fetched) })
	}
	eventually(b, "the first configuration everywhere", func() bool { return fetched.Load() >= polling })
	modes := []string{"simulation", "active"}
	for n := 0; b.Loop(); n++ {
		begin, used := time.Now(), processorOf(b, server.cmd.Process.Pid)
		time.Sleep(benchTime())
		b.ReportMetric(100*(processorOf(b, server.cmd.Process.Pid)-used).Seconds()/time.Since(begin).Seconds(), "%-of-a-core")
		before := fetched.Load()
		begin = time.Now()
		m.write(func(tx *store.Tx) error {
			m.update(tx, s.servers, map[string]any{"operationMode": modes[n%2]})
			return nil
		})
		eventually(b, "the change everywhere", func() bool { return fetched.Load() >= before+polling })
		b.ReportMetric(time.Since(begin).Seconds(), "s-to-all")
		b.ReportMetric(float64(memoryOf(b, server.cmd.Process.Pid))/(1<<20), "MiB")
	}
	b.ReportMetric(0, "ns/op")
}

// simulate is a gateway that takes each configuration and does nothing with it.
func simulate(ctx context.Context, b *testing.B, id *link.Identity, fetched *atomic.Int64) {
	client, err := link.NewClient(id.Server, id.Registration.Pin, id)
	if err != nil {
		b.Error(err)
		return
	}
	defer client.Close()
	say := link.Poll{Version: link.Version, Software: "bench"}
	for failures := 0; ctx.Err() == nil; {
		say.Clock = time.Now().UnixMilli()
		answer, err := client.Poll(ctx, say)
		if err == nil && answer.Configuration != nil {
			if _, err = client.Configuration(ctx); err == nil {
				say.Running = *answer.Configuration
				fetched.Add(1)
			}
		}
		if err != nil {
			link.Pause(ctx, failures, err)
			failures++
		}
	}
}

// processorOf is the time that a process has had of the processors.
func processorOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(b, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	var ticks int64
	for _, field := range strings.Fields(rest)[11:13] { // user and system, in hundredths
		n, err := strconv.ParseInt(field, 10, 64)
		must(b, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// memoryOf is what a process has in memory, in bytes.
func memoryOf(b *testing.B, pid int) int64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(b, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kib int64
	_, err = fmt.Sscan(rest, &kib)
	must(b, err)
	return kib << 10
}
