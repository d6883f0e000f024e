package waf

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Criteria are criteria outside of security policies, which ask for the head of a
// request alone. The zero value holds for every request.
type Criteria struct{ list []criterion }

// NewCriteria compiles criteria. What asks for a body, an answer, signatures or counts
// is ErrUnsupported.
func NewCriteria(list []Criterion, groups map[string][]IPEntry) (Criteria, error) {
	k := &compiler{groups: map[string]addresses{}, memory: NewMemory()}
	for _, c := range list {
		if slices.Contains([]string{"signatures", "numberOfOccurrences", "responseCode"}, c.Type) ||
			slices.ContainsFunc(c.MatchValues, func(m MatchValue) bool { return m.Part == "body" }) {
			return Criteria{}, fmt.Errorf("criterion %s asks for more than the head of a request: %w", c.Type, ErrUnsupported)
		}
		for _, name := range c.IPGroups {
			entries, ok := groups[name]
			if !ok {
				continue // the criterion says it
			}
			if err := k.group(name, entries); err != nil {
				return Criteria{}, err
			}
		}
	}
	made, err := k.criteria(list)
	return Criteria{made}, err
}

// group compiles an IP group.
func (k *compiler) group(name string, entries []IPEntry) error {
	spans := make(addresses, 0, len(entries))
	for _, entry := range entries {
		span, err := entry.span()
		if err != nil {
			return fmt.Errorf("IP group %q: %w", name, err)
		}
		spans = append(spans, span)
	}
	k.groups[name] = spans.sorted()
	return nil
}

// Hold says whether all of them hold for a request.
func (c *Criteria) Hold(r *Request) bool {
	return len(c.list) == 0 || all(c.list, &view{request: r})
}

// What a view without Coraza knows of a request: its head.

func headPath(r *Request) string {
	path, _, _ := strings.Cut(r.URI, "?")
	if decoded, err := url.PathUnescape(path); err == nil {
		return decoded
	}
	return path
}

func headQuery(r *Request) string {
	_, query, _ := strings.Cut(r.URI, "?")
	return query
}

func headParameters(r *Request) []place {
	var out []place
	for pair := range strings.SplitSeq(headQuery(r), "&") {
		name, value, _ := strings.Cut(pair, "=")
		if pair != "" {
			out = append(out, place{"ARGS", unplus(name), unplus(value)})
		}
	}
	return out
}

// unplus decodes a part of a query, as far as it can be.
func unplus(s string) string { return unescape(strings.ReplaceAll(s, "+", " ")) }

func headCookies(r *Request) []place {
	var out []place
	for _, c := range (&http.Request{Header: r.Header}).Cookies() {
		out = append(out, place{"REQUEST_COOKIES", c.Name, c.Value})
	}
	return out
}
