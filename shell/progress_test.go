package shell

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"sealgate/control"
)

// afterSeconds is a transfer of n bytes a second, reported ten times a second.
func afterSeconds(seconds, perSecond, total int64) *progress {
	p := &progress{}
	begin := time.Unix(1000, 0)
	for i := range seconds*10 + 1 {
		p.update(begin.Add(time.Duration(i)*100*time.Millisecond),
			control.Progress{Label: "uploading mx_20260101_000000.tgz", Unit: "B", Done: i * perSecond / 10, Total: total})
	}
	return p
}

func TestProgressLine(t *testing.T) {
	p := afterSeconds(10, 4<<20, 100<<20)
	for _, c := range []struct {
		width int
		want  string
	}{
		{120, "uploading mx_20260101_000000.tgz   40%  40.0 MiB of 100.0 MiB  4.0 MiB/s  0:15 left"},
		{70, "uploading mx_20260101_000000.tgz   40%  4.0 MiB/s  0:15 left"},
		{50, "uploading mx_20260101_000000.tgz   40%  0:15 left"},
		{40, "uploading mx_20260101_000000.tgz   40%"},
		{20, "uploading m...   40%"},
		{5, "up..."},
		{0, ""},
		{-1, ""},
	} {
		if got := p.line(c.width); got != c.want {
			t.Errorf("width %d: %q, want %q", c.width, got, c.want)
		}
	}
	unknown := progress{}
	unknown.update(time.Unix(1, 0), control.Progress{Label: "a\x1b[2J", Unit: "rows", Done: 1234, Total: -1})
	if got := unknown.line(80); got != `a\u001b[2J  1234 rows` {
		t.Errorf("%q", got)
	}
	slow := afterSeconds(10, 1, 1<<40)
	if got := slow.rest(); got != "days left" {
		t.Errorf("%q", got)
	}
	hours := afterSeconds(10, 1<<20, 10<<30)
	if got := hours.rest(); got != "2:50:30 left" {
		t.Errorf("%q", got)
	}
}

func TestProgressRateIsSmoothed(t *testing.T) {
	p := afterSeconds(10, 4<<20, 1<<30)
	now := time.Unix(1010, 0)
	p.update(now.Add(time.Second), control.Progress{Label: p.now.Label, Unit: "B", Done: p.now.Done, Total: p.now.Total})
	if p.rate < 2<<20 || p.rate > 3.5*(1<<20) {
		t.Errorf("after a second of nothing the rate is %.1f MiB/s", p.rate/(1<<20))
	}
}

func TestConsoleProgress(t *testing.T) {
	var out, errs bytes.Buffer
	now := time.Unix(1000, 0)
	c := &console{out: &out, err: &errs, errTerm: true, errWidth: func() int { return 40 }, clock: func() time.Time { return now }}
	for i := range int64(100) { // one second
		c.report(control.Progress{Label: "counting", Done: i, Total: 100})
		now = now.Add(10 * time.Millisecond)
	}
	if n := strings.Count(errs.String(), "\r"); n != 10 {
		t.Errorf("drawn %d times in a second", n)
	}
	errs.Reset()
	c.text(control.Out, "text\n")
	c.settle()
	if errs.String() != "\r\x1b[K" || out.String() != "text\n" {
		t.Errorf("%q, %q", errs.String(), out.String())
	}
	c.errTerm = false
	errs.Reset()
	now = now.Add(time.Hour)
	c.report(control.Progress{Label: "counting", Done: 1, Total: 100})
	if errs.String() != "" {
		t.Errorf("drawn into a pipe: %q", errs.String())
	}
}
