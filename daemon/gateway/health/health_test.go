package health_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sealgate/daemon/gateway/health"
)

func TestParse(t *testing.T) {
	const begin, end = "<x><http-health-check-monitoring>", "</http-health-check-monitoring></x>"
	for text, want := range map[string]health.Watch{
		"":                             {},
		"<x/>":                         {},
		"<other><url>/a</url></other>": {},
		begin + "<url>/a</url><url> /b </url><interval>5</interval>" + end: {URLs: []string{"/a", "/b"}, Interval: 5 * time.Second},
		begin + "<url>/a</url>" + end:                                      {URLs: []string{"/a"}, Interval: 30 * time.Second},
	} {
		got, err := health.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", text, diff)
		}
	}
	if got, err := health.Parse(begin + end); err != nil || len(got.URLs) > 0 {
		t.Errorf("an empty element watches %v, %v", got, err)
	}
	for _, text := range []string{"<x>", begin + "<interval>4</interval>" + end, begin + "<interval>soon</interval>" + end, begin + "<url>health</url>" + end,
		begin + "<url>/a b</url>" + end, begin + "<interval>3601</interval>" + end} {
		if got, err := health.Parse(text); err == nil {
			t.Errorf("%s was taken for %+v", text, got)
		}
	}
}
