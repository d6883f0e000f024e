package waf

import (
	"fmt"
	"regexp"
	"strings"
)

// makeRequest compiles httpRequest: one of its values is enough, as excludeAll is its opposite.
func makeRequest(_ *compiler, c Criterion) (criterion, error) {
	made := criterion{}
	var any []func(*view) bool
	for _, m := range c.MatchValues {
		part, ok := parts[m.Part]
		if !ok {
			return criterion{}, fmt.Errorf("part %q: %w", m.Part, ErrUnsupported)
		}
		asks, err := m.asks(part.values)
		if err != nil {
			return criterion{}, err
		}
		made.stage = max(made.stage, part.stage)
		any = append(any, asks)
	}
	if any == nil {
		return criterion{}, fmt.Errorf("it has no matchValues")
	}
	made.holds = func(v *view) bool {
		for _, asks := range any {
			if asks(v) {
				return true
			}
		}
		return false
	}
	return made, nil
}

// part is a part of a request: its values, of a name where it has names.
type part struct {
	stage  stage
	values func(v *view, name string) []string
}

func one(of func(*view) string) func(*view, string) []string {
	return func(v *view, _ string) []string { return []string{of(v)} }
}

var parts = map[string]part{
	"parameter":   {inRequest, func(v *view, name string) []string { return named(v.parameters(), name) }},
	"header":      {inHeaders, func(v *view, name string) []string { return v.headers(name) }},
	"cookie":      {inHeaders, func(v *view, name string) []string { return named(v.cookies(), name) }},
	"method":      {inHeaders, one(func(v *view) string { return v.request.Method })},
	"url":         {inHeaders, one((*view).path)},
	"queryString": {inHeaders, one((*view).query)},
	"host":        {inHeaders, one(func(v *view) string { return v.request.Host })},
	"protocol":    {inHeaders, one(func(v *view) string { return v.request.Proto })},
	"body":        {inRequest, one((*view).body)},
}

// asks compiles a value's operation. Those that begin with not hold where no
// value is so, also when there is none.
func (m MatchValue) asks(values func(*view, string) []string) (func(*view) bool, error) {
	operation, negated := m.Operation, false
	if rest, ok := strings.CutPrefix(operation, "not"); ok && rest != "" {
		operation, negated = strings.ToLower(rest[:1])+rest[1:], true
	}
	var compare func(string) bool
	switch operation {
	case "exists", "exist":
		compare = func(string) bool { return true }
	case "equals", "equal", "":
		compare = func(s string) bool { return s == m.Value }
	case "contains", "contain":
		compare = func(s string) bool { return strings.Contains(s, m.Value) }
	case "prefix", "startsWith":
		compare = func(s string) bool { return strings.HasPrefix(s, m.Value) }
	case "suffix", "endsWith":
		compare = func(s string) bool { return strings.HasSuffix(s, m.Value) }
	case "regex":
		re, err := regexp.Compile(m.Value)
		if err != nil {
			return nil, fmt.Errorf("%q is no regular expression", m.Value)
		}
		compare = re.MatchString
	default:
		return nil, fmt.Errorf("operation %q of part %s: %w", m.Operation, m.Part, ErrUnsupported)
	}
	return func(v *view) bool {
		for _, value := range values(v, m.Name) {
			if compare(value) {
				return !negated
			}
		}
		return negated
	}, nil
}
