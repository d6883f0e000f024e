package monitor

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sealgate/appliance/store"
	"sealgate/daemon/mx/openapi"
)

// Codes of faults of a query.
const (
	codeIllegal      = 10032
	codeAddress      = 10152
	codeUnrecognised = 10185
	codeAbove        = 11500
	codeBoth         = 11502
	codeBelow        = 11503
	codeOutside      = 11504
	codeSiteAlone    = 13500
	codeTwice        = 13501
	codeTooMany      = 13502
	codeDate         = 13503
	codeNoFilter     = 13504
	codeTwoTimes     = 13505
)

var queryCodes = []int{codeIllegal, codeAddress, codeUnrecognised, codeAbove, codeBoth, codeBelow, codeOutside,
	codeSiteAlone, codeTwice, codeTooMany, codeDate, codeNoFilter, codeTwoTimes}

// parameters are those of a query for violations.
var parameters = []string{"lastFewDays", "fromDate", "toDate", "limit", "sourceIp", "alertNumber", "eventNumber", "severity", "requestUrlPath",
	"siteName", "serverGroupName", "serviceName", "applicationName"}

// severities are those that violations have.
var severities = []string{"high", "medium", "low", "informative", "noAlert"}

const (
	maxDays = 3650
	day     = 24 * time.Hour
)

// query is what is asked for.
type query struct {
	filter store.ViolationFilter
	limit  int // 0 is none
}

// reader takes parameters out of a query, and gathers what is wrong with them.
type reader struct {
	values url.Values
	faults openapi.Faults
}

func (r *reader) refuse(code int, format string, args ...any) {
	r.faults = append(r.faults, openapi.Fault{Code: code, Description: fmt.Sprintf(format, args...)})
}

// readQuery reads a query for violations; now is the end of the last few days.
func readQuery(values url.Values, now time.Time) (query, error) {
	r := &reader{values: values}
	r.known()
	var q query
	f := &q.filter
	r.period(f, now)
	q.limit = int(r.number("limit", maxViolations))
	f.SourceIP = r.address("sourceIp")
	f.AlertNumber = r.number("alertNumber", 0)
	f.EventNumber = r.number("eventNumber", 0)
	f.Severity = r.severity("severity")
	f.Path = values.Get("requestUrlPath")
	f.Site, f.ServerGroup = values.Get("siteName"), values.Get("serverGroupName")
	f.Service, f.Application = values.Get("serviceName"), values.Get("applicationName")
	r.enough()
	if len(r.faults) > 0 {
		return query{}, r.faults
	}
	return q, nil
}

// known holds the query to the parameters that there are, each of them once.
func (r *reader) known() {
	names := make([]string, 0, len(r.values))
	for name := range r.values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case !slices.Contains(parameters, name):
			r.refuse(codeUnrecognised, "query parameter %q is not recognised; allowed are %s", short(name), strings.Join(parameters, ", "))
		case len(r.values[name]) > 1:
			r.refuse(codeTwice, "query parameter %s is given %d times, must be given once", name, len(r.values[name]))
		}
	}
}

// enough holds the query to filters that narrow it. A limit is none.
func (r *reader) enough() {
	given := func(name string) bool { return r.values.Get(name) != "" && name != "limit" }
	switch n := len(slices.DeleteFunc(slices.Clone(parameters), func(name string) bool { return !given(name) })); {
	case n == 0:
		r.refuse(codeNoFilter, "no filter is given; at least one is needed of %s", strings.Join(slices.DeleteFunc(slices.Clone(parameters), func(name string) bool { return name == "limit" }), ", "))
	case n == 1 && given("siteName"):
		r.refuse(codeSiteAlone, "siteName needs a further filter, such as lastFewDays or serverGroupName")
	}
}

// number reads a number from 1 to most; 0 is no bound. An absent one is 0.
func (r *reader) number(name string, most int64) int64 {
	text := r.values.Get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		r.refuse(codeIllegal, "%s is %q, must be a whole number", name, short(text))
	case n < 1:
		r.refuse(codeBelow, "%s is %d, must be at least 1", name, n)
	case most > 0 && n > most:
		r.refuse(codeAbove, "%s is %d, must be at most %d", name, n, most)
	}
	return n
}

func (r *reader) address(name string) string {
	text := r.values.Get(name)
	if text == "" {
		return ""
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		r.refuse(codeAddress, "%s is %q, must be an IP address such as 192.0.2.7 or 2001:db8::7", name, short(text))
		return ""
	}
	return address.Unmap().String()
}

func (r *reader) severity(name string) string {
	text := r.values.Get(name)
	if text == "" {
		return ""
	}
	for _, severity := range severities {
		if strings.EqualFold(text, severity) {
			return severity
		}
	}
	r.refuse(codeIllegal, "%s is %q, must be one of %s", name, short(text), strings.Join(severities, ", "))
	return ""
}

// period reads either lastFewDays or fromDate and toDate.
func (r *reader) period(f *store.ViolationFilter, now time.Time) {
	from, to := r.values.Get("fromDate"), r.values.Get("toDate")
	if r.values.Get("lastFewDays") != "" {
		if from != "" || to != "" {
			r.refuse(codeTwoTimes, "lastFewDays and fromDate with toDate are given, must be one of the two")
		}
		days := r.number("lastFewDays", maxDays)
		f.From, f.To = now.Add(-time.Duration(days)*day).UnixMilli(), now.UnixMilli()
		return
	}
	switch {
	case from == "" && to == "":
	case from == "" || to == "":
		r.refuse(codeBoth, "fromDate and toDate are needed both")
	default:
		begin, _, okFrom := r.date("fromDate", from)
		_, end, okTo := r.date("toDate", to)
		if okFrom && okTo && end < begin {
			r.refuse(codeOutside, "toDate %s is before fromDate %s", to, from)
		}
		f.From, f.To = begin, end
	}
}

// dateForms are the forms of dates, and how long what they name lasts. Any of
// those with seconds may have a fraction.
var dateForms = []struct {
	layout string
	lasts  time.Duration
}{
	{time.DateOnly, day},
	{"2006-01-02 15:04", time.Minute},
	{time.DateTime, time.Second},
	{"2006-01-02T15:04:05", time.Second},
	{time.RFC3339, time.Second},
}

// date reads a date as its first and its last millisecond; without a zone it is UTC.
func (r *reader) date(name, text string) (first, last int64, ok bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= minMilliseconds {
		return n, n, true
	}
	for _, form := range dateForms {
		t, err := time.Parse(form.layout, text)
		if err != nil || t.Year() < 1970 {
			continue
		}
		if strings.Contains(text, ".") {
			return t.UnixMilli(), t.UnixMilli(), true
		}
		return t.UnixMilli(), t.Add(form.lasts).UnixMilli() - 1, true
	}
	r.refuse(codeDate, "%s is %q, must be as in 2026-01-31, 2026-01-31 13:45:00, 2026-01-31T13:45:00+01:00 (in a URL + is %%2B), or milliseconds since 1970", name, short(text))
	return 0, 0, false
}

// minMilliseconds tells milliseconds from a date without its dashes.
const minMilliseconds = 1_000_000_000

// maxShown is how much of a value an error repeats, in bytes.
const maxShown = 64

func short(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}
