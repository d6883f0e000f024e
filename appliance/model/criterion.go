package model

import (
	"fmt"
	"slices"
	"strings"
)

// criterion is what a request, or a client, must be for a policy to match: one of
// several that must all hold. The types that this release knows say which of the
// fields they read.
var criterion = record("",
	text("type").oneOf(criterionTypes()...).code(10119).required(10119),
	text("operation").within(0, 100), text("match").oneOf("exact", "prefix", "suffix", "regex"), texts("values"), text("value"),
	text("name"), text("attribute"), refs("ipGroups", IPGroup), list("userDefined", text("").valid(addressOrNetwork).code(10010)),
	records("cookieNames", text("cookie"), text("matchType")), text("context"), texts("clientTypes"),
	records("signatures", text("name").required(10032), flag("isUserDefined")), text("searchMode"), refs("dictionaries", Dictionary), text("locations"),
	list("services", place([]string{WebService}, "siteName", "serverGroupName", "serviceName")),
	records("restrictions", text("dayOfWeek"), text("from"), text("to")), number("numTimes").within(1, 1<<20).code(10023), number("withinSeconds").within(0, 86400).code(10832),
	records("matchValues", text("part").within(1, 100).required(10032), text("name"), text("operation"), text("value")),
	flag("matchNonProxied"), flag("matchNoOrUnknownUser"), flag("applyIfUnidentified"),
)

// criteria is a list of criteria.
func criteria(name string) Field { return list(name, criterion).within(0, 100) }

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
	if textOf(c, "match") == "regex" {
		values, _ := c["values"].([]any)
		for i, v := range values {
			if s, _ := v.(string); regex(s) != nil {
				faults = append(faults, Fault{10350, fmt.Sprintf("%s.values[%d] is %s, %v", at, i, shown(s), regex(s))})
			}
		}
	}
	if within, ok := wholeOf(c["withinSeconds"]); textOf(c, "type") == "numberOfOccurrences" && (!ok || within < 5 || within%5 != 0) {
		faults = append(faults, Fault{10832, fmt.Sprintf("%s.withinSeconds must be at least 5 and a multiple of 5", at)})
	}
	return faults
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
