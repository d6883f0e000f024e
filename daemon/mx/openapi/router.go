package openapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// node is one segment of the paths. A word is looked for before a name in braces,
// and the whole rest of a path after both.
type node struct {
	words      map[string]*node
	named      *node
	rest       *node // takes all segments that are left, as one name
	operations map[string]*Operation
}

// restName is the name in braces that holds slashes.
const restName = "{urlName}"

func (n *node) add(op *Operation) {
	for segment := range strings.SplitSeq(strings.TrimPrefix(op.Path, "/"), "/") {
		var next **node
		switch {
		case segment == restName:
			next = &n.rest
		case strings.HasPrefix(segment, "{"):
			next = &n.named
		default:
			if n.words == nil {
				n.words = make(map[string]*node)
			}
			if n.words[segment] == nil {
				n.words[segment] = new(node)
			}
			n = n.words[segment]
			continue
		}
		if *next == nil {
			*next = new(node)
		}
		n = *next
	}
	if n.operations == nil {
		n.operations = make(map[string]*Operation)
	}
	if n.operations[op.Method] != nil {
		panic("openapi: two operations " + op.Method + " " + op.Path)
	}
	n.operations[op.Method] = op
}

// find returns the node of a path and the values of its names.
func (n *node) find(segments, values []string) (*node, []string) {
	if len(segments) == 0 {
		if n.operations == nil {
			return nil, nil
		}
		return n, values
	}
	if next := n.words[segments[0]]; next != nil {
		if found, values := next.find(segments[1:], values); found != nil {
			return found, values
		}
	}
	if n.named != nil {
		if found, values := n.named.find(segments[1:], append(slices.Clip(values), segments[0])); found != nil {
			return found, values
		}
	}
	if n.rest != nil {
		return n.rest, append(slices.Clip(values), strings.Join(segments, "/"))
	}
	return nil, nil
}

func (n *node) methods() []string {
	var list []string
	for method := range n.operations {
		list = append(list, method)
	}
	slices.Sort(list)
	return list
}

// segmentsOf are the percent-decoded segments of a path below Base.
func segmentsOf(u *url.URL) ([]string, bool) {
	path, ok := strings.CutPrefix(u.EscapedPath(), Base+"/")
	if !ok {
		return nil, false
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			return nil, false
		}
		segments[i] = decoded
	}
	return segments, true
}

// braces are the names in a path.
func braces(path string) []string {
	var names []string
	for segment := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

// values names what stands in a path.
func (op *Operation) values(values []string) (map[string]string, error) {
	path := make(map[string]string, len(values))
	for i, name := range braces(op.Path) {
		if !utf8.ValidString(values[i]) || strings.ContainsRune(values[i], 0) {
			return nil, Faultf(10016, "%s of the path is %q, must be UTF-8 without NUL", name, short(values[i]))
		}
		path[name] = values[i]
	}
	return path, nil
}

func queryOf(r *http.Request) (url.Values, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, Faultf(10016, "the query %q is not of the form name=value&name=value", short(r.URL.RawQuery))
	}
	for name, values := range query {
		for _, s := range append(values, name) {
			if !utf8.ValidString(s) {
				return nil, Faultf(10016, "query parameter %q must be UTF-8", short(name))
			}
		}
	}
	return query, nil
}

// short bounds what a description repeats.
func short(s string) string {
	const most = 60
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
