package monitor_test

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"sealgate/appliance/secret"
	"sealgate/appliance/seed"
	"sealgate/appliance/store"
	"sealgate/daemon/mx/monitor"
	"sealgate/daemon/mx/openapi"
)

// benchViolations are so many at SEALGATE_BENCH_SCALE 1, in ten days.
const benchViolations = 10_000_000

// everybody has a session.
type everybody struct{}

func (everybody) Caller(*http.Request) (openapi.Caller, error) { return openapi.Caller{}, nil }

// BenchmarkViolations asks for the first page of 100 of each filter together with
// the ten days, over TLS, as often as for a median: values that are in every minute,
// that are seldom, and that are nowhere.
func BenchmarkViolations(b *testing.B) {
	scale := 1.0
	if text := os.Getenv("SEALGATE_BENCH_SCALE"); text != "" {
		var err error
		if scale, err = strconv.ParseFloat(text, 64); err != nil {
			b.Fatal(err)
		}
	}
	s, last := manyViolations(b, int(scale*benchViolations))
	srv := httptest.NewTLSServer(openapi.New(openapi.Config{
		Store: s, Sessions: everybody{}, Log: slog.New(slog.DiscardHandler),
		Operations: monitor.Config{Store: s, Now: func() time.Time { return seed.DefaultBase.AddDate(0, 0, seed.DefaultDays) }}.Operations(),
	}))
	defer srv.Close()
	client := srv.Client()
	client.Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS12
	for _, c := range questions(last) {
		b.Run(c.name, func(b *testing.B) {
			c.query.Set("limit", "100")
			target := srv.URL + openapi.Base + path + "?" + c.query.Encode()
			took := make([]time.Duration, 20)
			found := 0
			for i := range took {
				begin := time.Now()
				found = ask(b, client, target)
				took[i] = time.Since(begin)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms/max")
			b.ReportMetric(float64(found), "found")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// manyViolations is a store that has them, and one of them.
func manyViolations(b *testing.B, n int) (*store.Store, store.Violation) {
	b.Helper()
	home := os.Getenv("SEALGATE_BENCH_STORE") // is kept, and used again
	if home == "" {
		home = b.TempDir()
	}
	if _, err := os.Stat(filepath.Join(home, "data")); err != nil {
		makeViolations(b, home, n)
	}
	s, err := store.Open(b.Context(), home, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	found, err := s.Violations(b.Context(), store.ViolationFilter{}, 1)
	if err != nil || len(found) != 1 {
		b.Fatalf("%d violations, %v", len(found), err)
	}
	return s, found[0]
}

func makeViolations(b *testing.B, home string, n int) {
	b.Helper()
	if err := secret.Create(home, "system", "secure"); err != nil {
		b.Fatal(err)
	}
	keys, err := secret.Open(home)
	if err != nil {
		b.Fatal(err)
	}
	if err := store.Create(b.Context(), home, "admin", "verifier", store.Options{}); err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	if err := seed.Violations(b.Context(), home, keys, n, seed.Options{Seed: 1, Scale: 1}); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d violations were made in %.0f s", n, time.Since(begin).Seconds())
}

// question is a query and what it is like.
type question struct {
	name  string
	query url.Values
}

// questions ask by each filter for what a violation has, and for what none has.
func questions(v store.Violation) []question {
	tenDays := func() url.Values { return url.Values{"lastFewDays": {"10"}} }
	list := []question{
		{"lastFewDays", tenDays()},
		{"fromDate-toDate", url.Values{"fromDate": {"2026-01-07"}, "toDate": {"2026-01-09"}}},
	}
	for _, f := range []struct{ parameter, has, none string }{
		{"sourceIp", v.SourceIP, "203.0.113.77"},
		{"alertNumber", fmt.Sprint(v.AlertNumber), "999999999"},
		{"eventNumber", fmt.Sprint(v.EventNumber / 2), "999999999"},
		{"severity", v.Severity, "noAlert"},
		{"requestUrlPath", v.Path, "/nowhere"},
		{"siteName", v.Site, "No such site"},
		{"serverGroupName", v.ServerGroup, "No such group"},
		{"serviceName", v.Service, "No such service"},
		{"applicationName", v.Application, "No such application"},
	} {
		for kind, value := range map[string]string{"": f.has, "-none": f.none} {
			query := tenDays()
			query.Set(f.parameter, value)
			list = append(list, question{f.parameter + kind, query})
		}
	}
	for _, severity := range []string{"high", "medium", "low", "informative"} {
		query := tenDays()
		query.Set("severity", severity)
		list = append(list, question{"severity-" + severity, query})
	}
	slices.SortFunc(list[2:], func(a, b question) int { return cmp.Compare(a.name, b.name) })
	return list
}

// ask asks, and returns how many violations are in the answer.
func ask(b *testing.B, client *http.Client, target string) int {
	b.Helper()
	answer, err := client.Get(target)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s, %v", target, answer.Status, err)
	}
	return len(events(b, string(body)))
}
