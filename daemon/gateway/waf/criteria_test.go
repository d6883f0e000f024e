package waf_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"sealgate/daemon/gateway/waf"
)

// What error pages, rewrites and snippets ask for is asked as policies ask.
func TestCriteriaOfTheHead(t *testing.T) {
	r := waf.Request{ClientIP: netip.MustParseAddr("192.0.2.7"), Method: "GET", URI: "/a%62c/x.PHP?q=1+2&r=%3c", Proto: "HTTP/1.1", Host: "shop.example",
		Header: http.Header{"User-Agent": {"curl/8"}, "Cookie": {"session=s; c=d"}}}
	groups := map[string][]waf.IPEntry{"near": {{Type: "network", NetworkAddress: "192.0.2.0", CIDRMask: 24}}, "none": {}}
	one := func(c waf.Criterion) []waf.Criterion { return []waf.Criterion{c} }
	part := func(part, name, operation, value string) []waf.Criterion {
		return one(waf.Criterion{Type: "httpRequest", MatchValues: []waf.MatchValue{{Part: part, Name: name, Operation: operation, Value: value}}})
	}
	for i, c := range []struct {
		list  []waf.Criterion
		holds bool
	}{
		{nil, true},
		{one(waf.Criterion{Type: "httpRequestUrl", Match: "prefix", Values: []string{"/abc/"}}), true},
		{one(waf.Criterion{Type: "httpRequestUrl", Match: "prefix", Values: []string{"/abc/"}, Operation: "excludeAll"}), false},
		{one(waf.Criterion{Type: "sourceIpAddresses", IPGroups: []string{"near"}}), true},
		{one(waf.Criterion{Type: "sourceIpAddresses", IPGroups: []string{"none"}}), false},
		{one(waf.Criterion{Type: "sourceIpAddresses", UserDefined: []string{"192.0.2.8-192.0.2.9", "10.0.0.0/8"}}), false},
		{one(waf.Criterion{Type: "sourceIpAddresses", UserDefined: []string{"192.0.2.1-192.0.2.8", "192.0.2.4"}}), true},
		{one(waf.Criterion{Type: "httpMethods", Values: []string{"GET"}}), true},
		{one(waf.Criterion{Type: "fileExtension", Values: []string{"php"}}), true},
		{one(waf.Criterion{Type: "clientType", ClientTypes: []string{"Browser"}}), false},
		{one(waf.Criterion{Type: "authenticatedSession"}), true},
		{one(waf.Criterion{Type: "authenticatedSession", CookieNames: []waf.CookieName{{Cookie: "x"}}}), false},
		{one(waf.Criterion{Type: "timeOfDay", Restrictions: []waf.Restriction{{From: "00:00", To: "24:00"}}}), true},
		{part("parameter", "q", "equals", "1 2"), true},
		{part("parameter", "r", "equals", "<"), true},
		{part("parameter", "s", "exists", ""), false},
		{part("cookie", "c", "equals", "d"), true},
		{part("header", "User-Agent", "prefix", "curl"), true},
		{part("queryString", "", "contains", "r="), true},
		{part("host", "", "equals", "shop.example"), true},
		{append(part("host", "", "equals", "shop.example"), part("host", "", "equals", "other.example")...), false},
	} {
		made, err := waf.NewCriteria(c.list, groups)
		if err != nil {
			t.Errorf("%d: %v", i, err)
		} else if made.Hold(&r) != c.holds {
			t.Errorf("%d: %+v does not say %v", i, c.list, c.holds)
		}
	}
	for _, list := range [][]waf.Criterion{one(waf.Criterion{Type: "signatures"}), one(waf.Criterion{Type: "responseCode"}), one(waf.Criterion{Type: "numberOfOccurrences"}),
		part("body", "", "contains", "x"), one(waf.Criterion{Type: "moonPhase"})} {
		if _, err := waf.NewCriteria(list, groups); !errors.Is(err, waf.ErrUnsupported) {
			t.Errorf("%+v: %v", list, err)
		}
	}
	if _, err := waf.NewCriteria(one(waf.Criterion{Type: "sourceIpAddresses", IPGroups: []string{"gone"}}), groups); err == nil {
		t.Error("a group that is not there was taken")
	}
}

// A large IP group is searched, not walked.
func BenchmarkLargeIPGroup(b *testing.B) {
	entries := make([]waf.IPEntry, 50_000)
	for i := range entries {
		entries[i] = waf.IPEntry{Type: "single", IPAddressFrom: fmt.Sprintf("10.%d.%d.%d", i>>15, i>>7&0xff, i<<1&0xff)}
	}
	c, err := waf.NewCriteria([]waf.Criterion{{Type: "sourceIpAddresses", IPGroups: []string{"g"}}}, map[string][]waf.IPEntry{"g": entries})
	if err != nil {
		b.Fatal(err)
	}
	r := waf.Request{ClientIP: netip.MustParseAddr("10.1.20.40")}
	for b.Loop() {
		c.Hold(&r)
	}
}
