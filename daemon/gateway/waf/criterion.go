package waf

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Criterion is the OpenAPI's MatchCriterion, as far as the types named there use it.
type Criterion struct {
	Type          string        `json:"type"`
	Operation     string        `json:"operation"` // atLeastOne (also when empty) or excludeAll
	Match         string        `json:"match"`
	Values        []string      `json:"values"`
	Value         string        `json:"value"`
	IPGroups      []string      `json:"ipGroups"`
	UserDefined   []string      `json:"userDefined"`
	CookieNames   []CookieName  `json:"cookieNames"`
	Context       string        `json:"context"`
	ClientTypes   []string      `json:"clientTypes"`
	Signatures    []SignatureOf `json:"signatures"`
	Dictionaries  []string      `json:"dictionaries"`
	Restrictions  []Restriction `json:"restrictions"`
	NumTimes      int           `json:"numTimes"`
	WithinSeconds int           `json:"withinSeconds"`
	MatchValues   []MatchValue  `json:"matchValues"`
	Services      []ServiceOf   `json:"services"` // where alone it can hold; none is everywhere
}

// ServiceOf names a web service.
type ServiceOf struct {
	Site        string `json:"siteName"`
	ServerGroup string `json:"serverGroupName"`
	Service     string `json:"serviceName"`
}

// CookieName names a cookie.
type CookieName struct {
	Cookie    string `json:"cookie"`
	MatchType string `json:"matchType"` // exact (also when empty), prefix, suffix or regex
}

// SignatureOf names a signature.
type SignatureOf struct {
	Name string `json:"name"`
}

// Restriction is a time of a week, in UTC.
type Restriction struct {
	DayOfWeek string `json:"dayOfWeek"` // Monday, …; empty is every day
	From      string `json:"from"`      // 08:00
	To        string `json:"to"`        // exclusive; before From it is on the next day
}

// MatchValue asks for a part of a request.
type MatchValue struct {
	Part      string `json:"part"`
	Name      string `json:"name"`
	Operation string `json:"operation"`
	Value     string `json:"value"`
}

// stage is the earliest moment at which a criterion can be asked.
type stage int

const (
	inHeaders stage = iota
	inRequest       // the body is read
	inResponse
)

// criterion is a compiled criterion. Those that count are asked last.
type criterion struct {
	stage  stage
	counts bool
	holds  func(*view) bool
}

// all says whether every criterion holds.
func all(list []criterion, v *view) bool {
	for _, c := range list {
		if !c.holds(v) {
			return false
		}
	}
	return true
}

// parted are the criteria that may be asked more than once, and those that count.
func parted(list []criterion) (asks, counts []criterion) {
	n := slices.IndexFunc(list, func(c criterion) bool { return c.counts })
	if n < 0 {
		n = len(list)
	}
	return list[:n], list[n:]
}

// makers compile a criterion by its type: every type that the contract names.
var makers = map[string]func(*compiler, Criterion) (criterion, error){
	"httpRequestUrl":       makeURL,
	"sourceIpAddresses":    makeSource,
	"httpRequest":          makeRequest,
	"numberOfOccurrences":  makeOccurrences,
	"httpMethods":          makeMethods,
	"signatures":           makeSignatures,
	"timeOfDay":            makeTimeOfDay,
	"clientType":           makeClientType,
	"authenticatedSession": makeAuthenticated,
	"fileExtension":        makeExtension,
	"responseCode":         makeResponseCode,
}

// Supported are the types of criteria, sorted.
func Supported() []string {
	var names []string
	for name := range makers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *compiler) criteria(list []Criterion) ([]criterion, error) {
	var out []criterion
	for _, one := range list {
		maker := makers[one.Type]
		if maker == nil {
			return nil, fmt.Errorf("criterion type %q: %w", one.Type, ErrUnsupported)
		}
		made, err := maker(c, one)
		if err != nil {
			return nil, fmt.Errorf("criterion %s: %w", one.Type, err)
		}
		switch one.Operation {
		case "", "atLeastOne":
		case "excludeAll":
			if made.counts {
				return nil, fmt.Errorf("criterion %s: operation excludeAll: %w", one.Type, ErrUnsupported)
			}
			holds := made.holds
			made.holds = func(v *view) bool { return !holds(v) }
		default:
			return nil, fmt.Errorf("criterion %s: operation %q: %w", one.Type, one.Operation, ErrUnsupported)
		}
		if holds := made.holds; len(one.Services) > 0 {
			made.holds = func(v *view) bool {
				return slices.Contains(one.Services, ServiceOf{v.request.Site, v.request.ServerGroup, v.request.Service}) && holds(v)
			}
		}
		out = append(out, made)
	}
	slices.SortStableFunc(out, func(a, b criterion) int {
		switch {
		case a.counts == b.counts:
			return 0
		case a.counts:
			return 1
		}
		return -1
	})
	return out, nil
}

func someOf(what string, list []string) error {
	if len(list) == 0 {
		return fmt.Errorf("it has no %s", what)
	}
	return nil
}

// comparison compiles exact, prefix, suffix or regex.
func comparison(how, with string) (func(string) bool, error) {
	switch strings.ToLower(how) {
	case "", "exact":
		return func(s string) bool { return s == with }, nil
	case "prefix":
		return func(s string) bool { return strings.HasPrefix(s, with) }, nil
	case "suffix":
		return func(s string) bool { return strings.HasSuffix(s, with) }, nil
	case "regex":
		re, err := regexp.Compile(with)
		if err != nil {
			return nil, fmt.Errorf("%q is no regular expression", with)
		}
		return re.MatchString, nil
	}
	return nil, fmt.Errorf("match %q: %w", how, ErrUnsupported)
}

func makeURL(_ *compiler, c Criterion) (criterion, error) {
	if err := someOf("values", c.Values); err != nil {
		return criterion{}, err
	}
	var exact, folded []func(string) bool
	for _, value := range c.Values {
		compare, err := comparison(c.Match, value)
		if err != nil {
			return criterion{}, err
		}
		exact = append(exact, compare)
		if compare, err = comparison(c.Match, smallLetters(c.Match, value)); err != nil {
			return criterion{}, err
		}
		folded = append(folded, compare)
	}
	return criterion{holds: func(v *view) bool {
		any := exact
		if v.request.IgnoreCase {
			any = folded
		}
		return slices.ContainsFunc(any, func(compare func(string) bool) bool { return compare(v.path()) })
	}}, nil
}

// smallLetters is what paths in small letters are compared with.
func smallLetters(how, with string) string {
	if strings.EqualFold(how, "regex") {
		return "(?i:" + with + ")"
	}
	return strings.ToLower(with)
}

func makeSource(k *compiler, c Criterion) (criterion, error) {
	if err := someOf("addresses", append(slices.Clone(c.IPGroups), c.UserDefined...)); err != nil {
		return criterion{}, err
	}
	var list addresses
	for _, name := range c.IPGroups {
		group, ok := k.groups[name]
		if !ok {
			return criterion{}, fmt.Errorf("there is no IP group %q", name)
		}
		list = append(list, group...)
	}
	for _, text := range c.UserDefined {
		span, err := literal(text)
		if err != nil {
			return criterion{}, err
		}
		list = append(list, span)
	}
	list = list.sorted()
	return criterion{holds: func(v *view) bool { return list.contains(v.request.ClientIP) }}, nil
}

func makeMethods(_ *compiler, c Criterion) (criterion, error) {
	if err := someOf("values", c.Values); err != nil {
		return criterion{}, err
	}
	return criterion{holds: func(v *view) bool {
		return slices.ContainsFunc(c.Values, func(method string) bool { return strings.EqualFold(method, v.request.Method) })
	}}, nil
}

func makeExtension(_ *compiler, c Criterion) (criterion, error) {
	if err := someOf("values", c.Values); err != nil {
		return criterion{}, err
	}
	wanted := map[string]bool{}
	for _, value := range c.Values {
		wanted[strings.ToLower(strings.TrimPrefix(value, "."))] = true
	}
	return criterion{holds: func(v *view) bool {
		base := v.path()[strings.LastIndexByte(v.path(), '/')+1:]
		_, extension, found := cutLast(base, '.')
		return found && wanted[strings.ToLower(extension)]
	}}, nil
}

func cutLast(s string, at byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, at); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// makeResponseCode takes codes and ranges of them, 500-599.
func makeResponseCode(_ *compiler, c Criterion) (criterion, error) {
	if err := someOf("values", c.Values); err != nil {
		return criterion{}, err
	}
	var spans [][2]int
	for _, value := range c.Values {
		from, to, ranged := strings.Cut(value, "-")
		if !ranged {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil || first < 100 || last > 599 || first > last {
			return criterion{}, fmt.Errorf("%q is no status between 100 and 599, nor a range of them", value)
		}
		spans = append(spans, [2]int{first, last})
	}
	return criterion{stage: inResponse, holds: func(v *view) bool {
		return slices.ContainsFunc(spans, func(s [2]int) bool { return s[0] <= v.status && v.status <= s[1] })
	}}, nil
}

func makeTimeOfDay(k *compiler, c Criterion) (criterion, error) {
	type span struct {
		day      int // -1 is every day
		from, to time.Duration
	}
	var spans []span
	for _, r := range c.Restrictions {
		from, err := clock(r.From)
		if err != nil {
			return criterion{}, err
		}
		to, err := clock(r.To)
		if err != nil {
			return criterion{}, err
		}
		day, err := weekday(r.DayOfWeek)
		if err != nil {
			return criterion{}, err
		}
		if to <= from {
			to += 24 * time.Hour
		}
		spans = append(spans, span{day, from, to})
	}
	if spans == nil {
		return criterion{}, fmt.Errorf("it has no restrictions")
	}
	return criterion{holds: func(*view) bool {
		now := k.memory.now().UTC()
		today := int(now.Weekday())
		since := now.Sub(now.Truncate(24 * time.Hour))
		for _, s := range spans {
			if (s.day < 0 || s.day == today) && s.from <= since && since < s.to {
				return true
			}
			if (s.day < 0 || s.day == (today+6)%7) && since+24*time.Hour < s.to {
				return true
			}
		}
		return false
	}}, nil
}

func clock(s string) (time.Duration, error) {
	if s == "24:00" {
		return 24 * time.Hour, nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second, nil
		}
	}
	return 0, fmt.Errorf("%q is no time of day like 08:00", s)
}

func weekday(s string) (int, error) {
	if s == "" {
		return -1, nil
	}
	for day := time.Sunday; day <= time.Saturday; day++ {
		if strings.EqualFold(s, day.String()) {
			return int(day), nil
		}
	}
	return 0, fmt.Errorf("%q is no day of the week like Monday", s)
}

// clients are the types of clients, by what their agents say. Whoever says
// nothing of this is a browser only if it says so.
var clients = []struct {
	name string
	says *regexp.Regexp
}{
	{"Search Engine", regexp.MustCompile(`(?i)googlebot|bingbot|duckduckbot|yandexbot|baiduspider|applebot`)},
	{"Tool", regexp.MustCompile(`(?i)^(?:curl|wget|python|go-http|java|libwww|okhttp|postman|httpie)|sqlmap|nikto|nmap|nessus|acunetix`)},
	{"Bot", regexp.MustCompile(`(?i)bot\b|crawl|spider|headless`)},
	{"Browser", regexp.MustCompile(`^Mozilla/\d`)},
}

// unknownClient is whoever fits no other type.
const unknownClient = "Unknown"

func clientType(agent string) string {
	for _, c := range clients {
		if c.says.MatchString(agent) {
			return c.name
		}
	}
	return unknownClient
}

func makeClientType(_ *compiler, c Criterion) (criterion, error) {
	if err := someOf("clientTypes", c.ClientTypes); err != nil {
		return criterion{}, err
	}
	known := []string{unknownClient}
	for _, one := range clients {
		known = append(known, one.name)
	}
	for _, wanted := range c.ClientTypes {
		if !slices.Contains(known, wanted) {
			return criterion{}, fmt.Errorf("client type %q is none of %s", wanted, strings.Join(known, ", "))
		}
	}
	return criterion{holds: func(v *view) bool {
		return slices.Contains(c.ClientTypes, clientType(v.request.Header.Get("User-Agent")))
	}}, nil
}

// makeAuthenticated asks whether a request comes with credentials: an
// Authorization header, or one of the cookies named (else the usual session
// cookies). Whether the server takes them is not known here.
func makeAuthenticated(_ *compiler, c Criterion) (criterion, error) {
	names := c.CookieNames
	if names == nil {
		for _, usual := range sessionCookies {
			names = append(names, CookieName{Cookie: usual})
		}
	}
	var any []func(string) bool
	for _, n := range names {
		compare, err := comparison(n.MatchType, n.Cookie)
		if err != nil {
			return criterion{}, err
		}
		any = append(any, compare)
	}
	switch c.Value {
	case "", "true", "false":
	default:
		return criterion{}, fmt.Errorf("value %q is neither true nor false", c.Value)
	}
	return criterion{holds: func(v *view) bool {
		with := v.request.Header.Get("Authorization") != ""
		for _, cookie := range v.cookies() {
			with = with || slices.ContainsFunc(any, func(f func(string) bool) bool { return f(cookie.item) })
		}
		return with == (c.Value != "false")
	}}, nil
}
