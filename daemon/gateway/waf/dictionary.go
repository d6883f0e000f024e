package waf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sealgate/daemon/gateway/waf/crs"
	"sealgate/daemon/gateway/waf/dfa"
)

// coreRules are the core rules that stand behind a name: files by the number in
// their names, or single rules.
var coreRules = map[string][]int{
	"SQL Injection":         {942},
	"Cross-Site Scripting":  {941},
	"Command Injection":     {932},
	"Path Traversal":        {930},
	"Known Scanners":        {913},
	"Remote File Inclusion": {931},
	"PHP Injection":         {933},
	"Generic Injection":     {934},
	"Session Fixation":      {943},
	"Java Injection":        {944},
	"Protocol Attack":       {921},
	"Protocol Enforcement":  {911, 920, 922},
	"Data Leakage":          {950, 951, 952, 953, 954, 956},
	"Web Shells":            {955},
	"Directory Browsing":    {950130},
	"Forceful Browsing":     {930130},

	"Malformed Request Line": {920100},
	"Unreadable Body":        {200002, 200003},
	"Too Many Parameters":    {200004},
}

// CoreDictionaries are the names that stand for core rules, sorted.
func CoreDictionaries() []string {
	var names []string
	for name := range coreRules {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// behind says whether a core rule stands behind one of the numbers.
func behind(numbers []int, r crs.Rule) bool {
	for _, n := range numbers {
		if n == r.ID || n < 1000 && r.ID/1000 == n {
			return true
		}
	}
	return false
}

// weights are what a core rule's severity adds to a request's score. A request
// is blocked at the threshold, so that one critical rule is enough, and what is
// merely odd has to come together.
var weights = map[string]int{"CRITICAL": 5, "ERROR": 4, "WARNING": 3, "NOTICE": 2}

const (
	requestThreshold  = 5
	responseThreshold = 4
)

// places are where signatures look, by the names of searchIn.
var places = map[string]func(v *view) []place{
	"urls":       func(v *view) []place { return []place{{"REQUEST_URI", "", v.tx.Variables().RequestURI().Get()}} },
	"parameters": (*view).parameters,
	"cookies":    (*view).cookies,
	"headers": func(v *view) []place {
		var out []place
		for name, values := range v.request.Header {
			for _, value := range values {
				out = append(out, place{"REQUEST_HEADERS", name, value})
			}
		}
		return out
	},
	"body": func(v *view) []place { return []place{{"REQUEST_BODY", "", v.body()}} },
}

// scanner looks for own signatures in one place of a request, all at once.
type scanner struct {
	place    string
	set      *dfa.Set
	names    []ownSignature
	patterns []*regexp.Regexp // for texts that are too much for the set
}

// ownSignature is a signature by its dictionary's and its own name.
type ownSignature struct{ dictionary, signature string }

// scanners compile the signatures of the dictionaries that are wanted.
func scanners(dictionaries map[string][]Signature, wanted map[string]bool) ([]scanner, error) {
	patterns, names := map[string][]string{}, map[string][]ownSignature{}
	for dictionary, signatures := range dictionaries {
		for _, s := range signatures {
			if s.Off || !wanted[dictionary] && !wanted[s.Name] {
				continue
			}
			where := s.SearchIn
			if len(where) == 0 {
				where = []string{"urls", "parameters", "headers", "cookies", "body"}
			}
			for _, place := range where {
				if places[place] == nil {
					return nil, fmt.Errorf("signature %q: searchIn %q: %w", s.Name, place, ErrUnsupported)
				}
				patterns[place] = append(patterns[place], s.Pattern)
				names[place] = append(names[place], ownSignature{dictionary, s.Name})
			}
			if _, err := dfa.Compile(s.Pattern); err != nil {
				return nil, fmt.Errorf("signature %q: %q is no regular expression", s.Name, s.Pattern)
			}
		}
	}
	var out []scanner
	for place := range patterns {
		set, err := dfa.Compile(patterns[place]...)
		if err != nil {
			return nil, err
		}
		made := scanner{place: place, set: set, names: names[place]}
		for _, pattern := range patterns[place] {
			made.patterns = append(made.patterns, regexp.MustCompile(pattern)) // as the set takes it
		}
		out = append(out, made)
	}
	slices.SortFunc(out, func(a, b scanner) int { return strings.Compare(a.place, b.place) })
	return out, nil
}

// slow is what regexp does for a byte, beside what an automaton does.
const slow = 40

// scan calls hit for each signature that is in the request.
func (s *scanner) scan(v *view, spend func(int), hit func(ownSignature, place)) {
	for _, p := range places[s.place](v) {
		seen := map[uint32]bool{}
		known, work := s.set.Scan(p.value, func(id uint32) {
			if !seen[id] {
				seen[id] = true
				hit(s.names[id], p)
			}
		})
		spend(work)
		for id := 0; !known && id < len(s.patterns); id++ {
			spend(slow * len(p.value))
			if !seen[uint32(id)] && s.patterns[id].MatchString(p.value) {
				hit(s.names[id], p)
			}
		}
	}
}

// makeSignatures asks for own signatures by name, for all of a dictionary, or
// for what core rules stand behind a dictionary's name.
func makeSignatures(k *compiler, c Criterion) (criterion, error) {
	var names []string
	for _, s := range c.Signatures {
		names = append(names, s.Name)
	}
	for _, name := range append(slices.Clone(names), c.Dictionaries...) {
		if !k.knows(name) {
			return criterion{}, fmt.Errorf("there is no signature or dictionary %q", name)
		}
		k.wanted[name] = true
	}
	names = append(names, c.Dictionaries...)
	if err := someOf("signatures", names); err != nil {
		return criterion{}, err
	}
	return criterion{stage: inRequest, holds: func(v *view) bool {
		return slices.ContainsFunc(names, func(name string) bool { return v.found[name] })
	}}, nil
}

// knows says whether a name is that of a dictionary or a signature.
func (k *compiler) knows(name string) bool {
	if coreRules[name] != nil {
		return true
	}
	for dictionary, signatures := range k.dictionaries {
		if dictionary == name || slices.ContainsFunc(signatures, func(s Signature) bool { return s.Name == name }) {
			return true
		}
	}
	return false
}
