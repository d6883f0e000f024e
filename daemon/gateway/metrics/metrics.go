// Package metrics counts what a gateway does, in the text format that Prometheus
// reads (version 0.0.4). Labels are of few values, all chosen by us: nothing that a
// client sends becomes one.
package metrics

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Registry holds metrics. All are made before the first is read.
type Registry struct{ families []family }

type family struct {
	name, help, kind string
	write            func(w io.Writer, name string)
}

// Counter is a number that grows, for each value of one label.
type Counter struct {
	label  string
	values sync.Map // of *atomic.Int64
}

// Counter makes a counter; label may be empty.
func (r *Registry) Counter(name, help, label string) *Counter {
	c := &Counter{label: label}
	r.families = append(r.families, family{name, help, "counter", c.write})
	return c
}

// Add adds to the number of a label's value.
func (c *Counter) Add(value string, n int64) {
	v, ok := c.values.Load(value)
	if !ok {
		v, _ = c.values.LoadOrStore(value, new(atomic.Int64))
	}
	v.(*atomic.Int64).Add(n)
}

func (c *Counter) write(w io.Writer, name string) {
	var lines []string
	c.values.Range(func(key, v any) bool {
		labels := ""
		if c.label != "" {
			labels = fmt.Sprintf("{%s=%q}", c.label, key)
		}
		lines = append(lines, fmt.Sprintf("%s%s %d\n", name, labels, v.(*atomic.Int64).Load()))
		return true
	})
	slices.Sort(lines)
	io.WriteString(w, strings.Join(lines, ""))
}

// Value makes a metric that is asked for its value. kind is gauge or counter.
func (r *Registry) Value(name, help, kind string, value func() float64) {
	r.families = append(r.families, family{name, help, kind, func(w io.Writer, name string) {
		fmt.Fprintf(w, "%s %s\n", name, strconv.FormatFloat(value(), 'g', -1, 64))
	}})
}

// Histogram counts durations.
type Histogram struct {
	counts []atomic.Int64
	sum    atomic.Int64 // nanoseconds
}

// bounds are those of all histograms, upper ones.
var bounds = []time.Duration{50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond,
	2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second}

// Histogram makes a histogram of seconds.
func (r *Registry) Histogram(name, help string) *Histogram {
	h := &Histogram{counts: make([]atomic.Int64, len(bounds)+1)}
	r.families = append(r.families, family{name, help, "histogram", h.write})
	return h
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	at, _ := slices.BinarySearch(bounds, d)
	h.counts[at].Add(1)
	h.sum.Add(int64(d))
}

func (h *Histogram) write(w io.Writer, name string) {
	total := int64(0)
	for i := range h.counts {
		total += h.counts[i].Load()
		bound := "+Inf"
		if i < len(bounds) {
			bound = strconv.FormatFloat(bounds[i].Seconds(), 'g', -1, 64)
		}
		fmt.Fprintf(w, "%s_bucket{le=%q} %d\n", name, bound, total)
	}
	fmt.Fprintf(w, "%s_sum %g\n%s_count %d\n", name, time.Duration(h.sum.Load()).Seconds(), name, total)
}

// ServeHTTP answers with all metrics.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path != "/metrics" {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_ = r.Write(w) // the client is gone then
}

// Write writes all metrics.
func (r *Registry) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, f := range r.families {
		fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind)
		f.write(out, f.name)
	}
	return out.Flush()
}
