package crs

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// load of the benchmarks: what docs/BENCHMARKS.md calls by these names.
type traffic struct {
	name, method, uri, kind string
	body                    string
}

func loads() []traffic {
	var query, object, form strings.Builder
	for i := range 10 {
		fmt.Fprintf(&query, "&p%d=value+number+%d", i, i*7919)
	}
	object.WriteString(`{"items":[`)
	for i := 0; object.Len() < 2000; i++ {
		if i > 0 {
			object.WriteByte(',')
		}
		fmt.Fprintf(&object, `{"id":%d,"name":"item number %d","price":%d.5,"tags":["red","large"]}`, i, i, i*3)
	}
	object.WriteString(`]}`)
	for i := 0; form.Len() < 20<<10; i++ {
		fmt.Fprintf(&form, "field%d=some+text+that+people+write+%d&", i, i*31)
	}
	return []traffic{
		{"small GET", "GET", "/index.html", "", ""},
		{"ten parameters", "GET", "/search?" + query.String()[1:], "", ""},
		{"2 KiB JSON", "POST", "/api/items", "application/json", object.String()},
		{"2 KiB form", "POST", "/form", "application/x-www-form-urlencoded", form.String()[:2048]},
		{"20 KiB form", "POST", "/form", "application/x-www-form-urlencoded", form.String()},
	}
}

func (l traffic) through(s *Set) *Transaction {
	tx := s.Begin(context.Background(), "bench", 1<<40)
	header := map[string][]string{
		"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
		"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		"Accept-Language": {"en-US,en;q=0.5"}, "Accept-Encoding": {"gzip, deflate"}, "Connection": {"keep-alive"},
		"Cookie": {"session=8f14e45fceea167a5a36dedd4bea2543; theme=dark"},
	}
	if l.body != "" {
		header["Content-Type"] = []string{l.kind}
		header["Content-Length"] = []string{fmt.Sprint(len(l.body))}
	}
	tx.Headers(&Request{ClientIP: "192.0.2.7", ClientPort: 40000, ServerIP: "192.0.2.1", ServerPort: 80,
		Method: l.method, URI: l.uri, Proto: "HTTP/1.1", Host: "www.example.com", Header: header})
	tx.WriteRequestBody([]byte(l.body))
	tx.Body()
	return tx
}

func BenchmarkLoads(b *testing.B) {
	for _, engine := range []Options{{Paranoia: 1}, {Paranoia: 1, Stock: true}} {
		s := load(b, engine)
		for _, l := range loads() {
			b.Run(fmt.Sprintf("%s/stock=%v", l.name, engine.Stock), func(b *testing.B) {
				b.ReportAllocs()
				l.through(s).Close() // what is built once is built
				before := processorTime()
				n := 0
				for b.Loop() {
					l.through(s).Close()
					n++
				}
				b.ReportMetric(float64((processorTime()-before).Microseconds())/float64(n), "cpu-µs/op")
			})
		}
	}
}

// processorTime is what this process has had: other work on the machine does not count.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := compile(Options{Paranoia: 1}); err != nil {
			b.Fatal(err)
		}
	}
}
