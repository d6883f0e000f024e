package model_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance/model"
)

func TestReadAdvancedWatches(t *testing.T) {
	const begin, end = "<x><http-health-check-monitoring>", "</http-health-check-monitoring></x>"
	for text, want := range map[string]model.Watch{
		"":                             {},
		"<x/>":                         {},
		"<other><url>/a</url></other>": {},
		begin + "<url>/a</url><url> /b </url><interval>5</interval>" + end: {URLs: []string{"/a", "/b"}, Interval: 5 * time.Second},
		begin + "<url>/a</url>" + end:                                      {URLs: []string{"/a"}, Interval: 30 * time.Second},
	} {
		got, err := watch(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", text, diff)
		}
	}
	if got, err := watch(begin + end); err != nil || len(got.URLs) > 0 {
		t.Errorf("an empty element watches %v, %v", got, err)
	}
	for _, text := range []string{"<x>", begin + "<interval>4</interval>" + end, begin + "<interval>soon</interval>" + end, begin + "<url>health</url>" + end,
		begin + "<url>/a b</url>" + end, begin + "<interval>3601</interval>" + end} {
		if got, err := watch(text); err == nil {
			t.Errorf("%s was taken for %+v", text, got)
		}
	}
}

func watch(text string) (model.Watch, error) {
	a, err := model.ReadAdvanced(text)
	return a.Watch, err
}

func TestReadAdvanced(t *testing.T) {
	got, err := model.ReadAdvanced(`<a><gateway-limits><bodyBytes>1000</bodyBytes><streams>7</streams></gateway-limits><metrics-address> 127.0.0.1:9100 </metrics-address></a>`)
	want := model.Advanced{Limits: model.GatewayLimits{BodyBytes: 1000, Streams: 7}, Metrics: "127.0.0.1:9100"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for _, text := range []string{"<gateway-limits><bodyBytes>-1</bodyBytes></gateway-limits>", "<gateway-limits><streams>few</streams></gateway-limits>",
		"<gateway-limits><headerBytes>1048577</headerBytes></gateway-limits>", "<metrics-address>192.0.2.1:9100</metrics-address>", "<metrics-address>9100</metrics-address>"} {
		if got, err := model.ReadAdvanced(text); err == nil {
			t.Errorf("%s was taken for %+v", text, got)
		}
	}
}
