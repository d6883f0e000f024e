package proxy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"

	"sealgate/appliance/model"
)

// criterion is a match criterion of an error page policy's or URL rewrite group's
// rule. Those of security policies are the engine's.
type criterion struct {
	kind    string
	exclude bool // fits where none of the values does
	match   func(value string) bool
	ips     addresses
}

type criterionDocument struct {
	Type        string   `json:"type"`
	Operation   string   `json:"operation"`
	Match       string   `json:"match"`
	Values      []string `json:"values"`
	IPGroups    []string `json:"ipGroups"`
	UserDefined []string `json:"userDefined"`
}

func newCriteria(s *model.Snapshot, raw []json.RawMessage) ([]criterion, error) {
	list := make([]criterion, len(raw))
	for i := range raw {
		var d criterionDocument
		if json.Unmarshal(raw[i], &d) != nil {
			return nil, fmt.Errorf("match criterion %d is not of the declared shape", i+1)
		}
		c, err := newCriterion(s, &d)
		if err != nil {
			return nil, fmt.Errorf("match criterion %q: %w", d.Type, err)
		}
		list[i] = c
	}
	return list, nil
}

func newCriterion(s *model.Snapshot, d *criterionDocument) (c criterion, err error) {
	c = criterion{kind: d.Type, exclude: d.Operation == "excludeAll"}
	switch d.Type {
	case "httpRequestUrl":
		c.match, err = matcher(d.Match, d.Values)
	case "httpMethods", "httpHost":
		c.match, err = matcher("exact", d.Values)
	case "fileExtension":
		c.match, err = matcher("exact", d.Values)
	case "sourceIpAddresses":
		var entries []model.IPEntry
		for _, name := range d.IPGroups {
			group, ok := s.IPGroups[name]
			if !ok {
				return c, fmt.Errorf("the IP group %q is not there", name)
			}
			entries = append(entries, group...)
		}
		for _, ip := range d.UserDefined {
			entries = append(entries, model.IPEntry{Type: "single", IPAddressFrom: ip})
		}
		c.ips, err = newAddresses(entries)
	default:
		return c, fmt.Errorf("this type is not supported here")
	}
	return c, err
}

func matcher(how string, values []string) (func(string) bool, error) {
	test := func(v, value string) bool { return v == value }
	switch how {
	case "", "exact":
	case "prefix":
		test = func(v, value string) bool { return strings.HasPrefix(value, v) }
	case "suffix":
		test = func(v, value string) bool { return strings.HasSuffix(value, v) }
	case "regex":
		expressions := make([]*regexp.Regexp, len(values))
		for i, v := range values {
			var err error
			if expressions[i], err = regexp.Compile(v); err != nil {
				return nil, fmt.Errorf("%q is no regular expression", v)
			}
		}
		return func(value string) bool {
			return slices.ContainsFunc(expressions, func(e *regexp.Regexp) bool { return e.MatchString(value) })
		}, nil
	default:
		return nil, fmt.Errorf("match is exact, prefix, suffix or regex, not %q", how)
	}
	return func(value string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return test(v, value) })
	}, nil
}

// subject is what criteria look at.
type subject struct {
	client             netip.Addr
	method, host, path string
}

func fitsAll(list []criterion, s *subject) bool {
	for i := range list {
		if list[i].fits(s) == list[i].exclude {
			return false
		}
	}
	return true
}

func (c *criterion) fits(s *subject) bool {
	switch c.kind {
	case "httpRequestUrl":
		return c.match(s.path)
	case "httpMethods":
		return c.match(s.method)
	case "httpHost":
		return c.match(hostName(s.host))
	case "fileExtension":
		return c.match(strings.TrimPrefix(path.Ext(s.path), "."))
	}
	return c.ips.contains(s.client)
}
