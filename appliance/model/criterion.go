package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// criterion is what a request, or a client, must be for a policy to match: one of
// several that must all hold. The types that this release knows say which of the
// fields they read.
func criterion(types, parts []string) Field {
	return record("", append([]Field{
		text("type").oneOf(types...).code(10119).required(10119),
		records("matchValues", text("part").oneOf(parts...).code(10032).required(10032), text("name"), text("operation"), text("value")),
	}, criterionFields...)...)
}

var criterionFields = []Field{
	text("operation").valid(operation).code(10032), text("match").oneOf("exact", "prefix", "suffix", "regex"), texts("values"), text("value"),
	text("name"), text("attribute"), refs("ipGroups", IPGroup), list("userDefined", text("").valid(addressOrNetwork).code(10010)),
	records("cookieNames", text("cookie"), text("matchType")), text("context"), texts("clientTypes"),
	records("signatures", text("name").calls(Signature, Dictionary).required(10032), flag("isUserDefined")), text("searchMode"), refs("dictionaries", Dictionary), text("locations"),
	list("services", place([]string{WebService}, "siteName", "serverGroupName", "serviceName")),
	records("restrictions", text("dayOfWeek"), text("from"), text("to")), number("numTimes").within(1, 1<<20).code(10023), number("withinSeconds").within(0, 86400).code(10832),
	flag("matchNonProxied"), flag("matchNoOrUnknownUser"), flag("applyIfUnidentified"),
}

// criteria is a list of criteria. Those of the types in without cannot be asked there.
func criteria(name string, without ...string) Field {
	return list(name, criterion(typesWithout(without...), requestParts)).within(0, 100)
}

// headCriteria ask for nothing but the head of a request.
func headCriteria(name string) Field {
	types := typesWithout("signatures", "numberOfOccurrences", "responseCode")
	return list(name, criterion(types, requestParts[:len(requestParts)-1])).within(0, 100)
}

func typesWithout(some ...string) []string {
	return slices.DeleteFunc(criterionTypes(), func(t string) bool { return slices.Contains(some, t) })
}

// needs are, for each type of criterion, the lists of which one must not be empty.
var needs = []struct {
	kind  string
	lists []string
	many  bool // a policy may have several of the type
}{
	{kind: "httpRequestUrl", lists: []string{"values"}, many: true},
	{kind: "sourceIpAddresses", lists: []string{"ipGroups", "userDefined"}, many: true},
	{kind: "httpRequest", lists: []string{"matchValues"}, many: true},
	{kind: "numberOfOccurrences"},
	{kind: "httpMethods", lists: []string{"values"}},
	{kind: "signatures", lists: []string{"signatures", "dictionaries"}, many: true},
	{kind: "timeOfDay", lists: []string{"restrictions"}},
	{kind: "clientType", lists: []string{"clientTypes"}},
	{kind: "authenticatedSession"},
	{kind: "fileExtension", lists: []string{"values"}},
	{kind: "responseCode", lists: []string{"values"}},
}

func criterionTypes() []string {
	names := make([]string, len(needs))
	for i, n := range needs {
		names[i] = n.kind
	}
	return names
}

// checkCriteria says what is wrong with the criteria in v.
func checkCriteria(v any, at string) []Fault {
	list, _ := v.([]any)
	seen := make(map[string]bool)
	var faults []Fault
	for i, entry := range list {
		c, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		kind := textOf(c, "type")
		n := slices.Index(criterionTypes(), kind)
		if n < 0 {
			continue // the type's own fault
		}
		at := fmt.Sprintf("%s[%d]", at, i)
		if seen[kind] && !needs[n].many {
			faults = append(faults, Fault{10831, fmt.Sprintf("%s is a second criterion of type %s, which may be there once", at, kind)})
		}
		seen[kind] = true
		faults = append(faults, checkCriterion(c, needs[n].lists, at)...)
	}
	return faults
}

func checkCriterion(c map[string]any, lists []string, at string) []Fault {
	var faults []Fault
	if len(lists) > 0 && !slices.ContainsFunc(lists, func(name string) bool { entries, _ := c[name].([]any); return len(entries) > 0 }) {
		faults = append(faults, Fault{10905, fmt.Sprintf("%s of type %s needs an entry in %s", at, textOf(c, "type"), strings.Join(lists, " or "))})
	}
	if textOf(c, "operation") == excludeAll && textOf(c, "type") == "numberOfOccurrences" {
		faults = append(faults, Fault{10032, at + ".operation must not be excludeAll for type numberOfOccurrences"})
	}
	if check := checksOfTypes[textOf(c, "type")]; check != nil {
		faults = append(faults, check(c, at)...)
	}
	return faults
}

// excludeAll is the operation of a criterion that holds where it would not.
const excludeAll = "excludeAll"

func operation(s string) error {
	if s != "" && s != "atLeastOne" && s != excludeAll {
		return errAllowed("must be atLeastOne or excludeAll")
	}
	return nil
}

// checksOfTypes say what is wrong with criteria of some types.
var checksOfTypes = map[string]func(c map[string]any, at string) []Fault{
	"httpRequestUrl": func(c map[string]any, at string) []Fault {
		return eachText(c, "values", func(s string) *Fault { return comparison(textOf(c, "match"), s) }, at)
	},
	"httpRequest": func(c map[string]any, at string) []Fault {
		return eachRecord(c, "matchValues", checkMatchValue, at)
	},
	"numberOfOccurrences": checkOccurrences,
	"httpMethods": func(c map[string]any, at string) []Fault {
		return eachText(c, "values", func(s string) *Fault {
			if !headerForm.MatchString(s) {
				return &Fault{10032, "is " + shown(s) + ", must be the name of a method like GET"}
			}
			return nil
		}, at)
	},
	"timeOfDay": func(c map[string]any, at string) []Fault {
		return eachRecord(c, "restrictions", checkRestriction, at)
	},
	"clientType": func(c map[string]any, at string) []Fault {
		return eachText(c, "clientTypes", oneOfThese(clientTypes), at)
	},
	"authenticatedSession": func(c map[string]any, at string) []Fault {
		faults := eachRecord(c, "cookieNames", func(n map[string]any) *Fault { return comparison(textOf(n, "matchType"), textOf(n, "cookie")) }, at)
		if v := textOf(c, "value"); v != "" && v != "true" && v != "false" {
			faults = append(faults, Fault{10032, fmt.Sprintf("%s.value is %s, must be true or false", at, shown(v))})
		}
		return faults
	},
	"responseCode": func(c map[string]any, at string) []Fault { return eachText(c, "values", checkStatusRange, at) },
}

func eachText(c map[string]any, list string, wrong func(string) *Fault, at string) (faults []Fault) {
	entries, _ := c[list].([]any)
	for i, v := range entries {
		s, _ := v.(string)
		if f := wrong(s); f != nil {
			faults = append(faults, Fault{f.Code, fmt.Sprintf("%s.%s[%d] %s", at, list, i, f.Description)})
		}
	}
	return faults
}

func eachRecord(c map[string]any, list string, wrong func(map[string]any) *Fault, at string) (faults []Fault) {
	entries, _ := c[list].([]any)
	for i, v := range entries {
		r, _ := v.(map[string]any)
		if f := wrong(r); f != nil {
			faults = append(faults, Fault{f.Code, fmt.Sprintf("%s.%s[%d] %s", at, list, i, f.Description)})
		}
	}
	return faults
}

func oneOfThese(values []string) func(string) *Fault {
	return func(s string) *Fault {
		if slices.Contains(values, s) {
			return nil
		}
		return &Fault{10032, "is " + shown(s) + ", must be " + choice(values)}
	}
}

// comparison wants a way of comparing, and for a regular expression one.
func comparison(how, with string) *Fault {
	switch strings.ToLower(how) {
	case "", "exact", "prefix", "suffix":
		return nil
	case "regex":
		if err := regex(with); err != nil {
			return &Fault{10350, "is " + shown(with) + ", " + err.Error()}
		}
		return nil
	}
	return &Fault{10032, "has the comparison " + shown(how) + ", must be one of exact, prefix, suffix, regex"}
}

// What criteria may name.
var (
	clientTypes       = []string{"Browser", "Search Engine", "Bot", "Tool", "Unknown"}
	requestParts      = []string{"parameter", "header", "cookie", "method", "url", "queryString", "host", "protocol", "body"} // the head's before the body
	requestOperations = []string{"", "equals", "equal", "contains", "contain", "prefix", "startsWith", "suffix", "endsWith", "regex", "exists", "exist"}
	countedFor        = []string{"", "ip", "session", "url", "site"}
	days              = []string{"", "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
)

// maxOccurrences is the most that a gateway remembers of one client.
const maxOccurrences = 1000

func checkMatchValue(m map[string]any) *Fault {
	operation := textOf(m, "operation")
	if rest, ok := strings.CutPrefix(operation, "not"); ok && rest != "" {
		operation = strings.ToLower(rest[:1]) + rest[1:]
	}
	if !slices.Contains(requestOperations, operation) {
		return &Fault{10032, "operation is " + shown(textOf(m, "operation")) + ", must be one of equals, contains, prefix, suffix, regex, exists, or one of these behind not"}
	}
	if operation == "regex" {
		return comparison(operation, textOf(m, "value"))
	}
	return nil
}

func checkOccurrences(c map[string]any, at string) []Fault {
	var faults []Fault
	if within, ok := wholeOf(c["withinSeconds"]); !ok || within < 5 || within%5 != 0 {
		faults = append(faults, Fault{10832, fmt.Sprintf("%s.withinSeconds must be at least 5 and a multiple of 5", at)})
	}
	if times, ok := wholeOf(c["numTimes"]); !ok || times < 1 || times > maxOccurrences {
		faults = append(faults, Fault{10023, fmt.Sprintf("%s.numTimes must be 1 to %d", at, maxOccurrences)})
	}
	if !slices.Contains(countedFor, textOf(c, "context")) {
		faults = append(faults, Fault{10032, fmt.Sprintf("%s.context is %s, must be %s", at, shown(textOf(c, "context")), choice(countedFor[1:]))})
	}
	return faults
}

func checkRestriction(r map[string]any) *Fault {
	for _, field := range []string{"from", "to"} {
		if s := textOf(r, field); !isTimeOfDay(s) {
			return &Fault{10032, field + " is " + shown(s) + ", must be a time of day like 08:00"}
		}
	}
	if day := textOf(r, "dayOfWeek"); !slices.Contains(days, strings.ToLower(day)) {
		return &Fault{10032, "dayOfWeek is " + shown(day) + ", must be a day like Monday"}
	}
	return nil
}

func isTimeOfDay(s string) bool {
	for _, layout := range []string{"15:04", "15:04:05"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return s == "24:00"
}

func checkStatusRange(s string) *Fault {
	from, to, ranged := strings.Cut(s, "-")
	if !ranged {
		to = from
	}
	first, err := strconv.Atoi(from)
	last, errLast := strconv.Atoi(to)
	if err != nil || errLast != nil || first < 100 || last > 599 || first > last {
		return &Fault{10032, "is " + shown(s) + ", must be a status between 100 and 599, or a range of them like 500-599"}
	}
	return nil
}

// checkRules applies checkCriteria to the criteria of each entry of a list.
func checkRules(v any, at, field string) []Fault {
	list, _ := v.([]any)
	var faults []Fault
	for i, entry := range list {
		if rule, ok := entry.(map[string]any); ok {
			faults = append(faults, checkCriteria(rule[field], fmt.Sprintf("%s[%d].%s", at, i, field))...)
		}
	}
	return faults
}
