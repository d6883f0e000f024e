package proxy

import (
	"strings"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/http1"
	"sealgate/daemon/gateway/urlpath"
)

// scope says which URLs of a web application are inspected.
type scope struct{ only, ignored []string } // canonical paths, and what lies below

func newScopes(applications map[string]model.SnapshotApplication) map[string]scope {
	scopes := make(map[string]scope, len(applications))
	for name, a := range applications {
		scopes[name] = scope{canonical(model.URLList(a.Only)), canonical(model.URLList(a.Ignored))}
	}
	return scopes
}

func canonical(paths []string) []string {
	for i, p := range paths {
		paths[i] = strings.TrimSuffix(urlpath.Canonical(p), "/")
	}
	return paths
}

// monitored says whether requests of a URL are inspected. One that servers could read in
// another way is, and a server may not tell A from a in what alone is inspected.
func (s scope) monitored(target string) bool {
	if urlpath.Ambiguous(target) {
		return true
	}
	path := urlpath.Canonical(target)
	return (len(s.only) == 0 || below(s.only, path, strings.EqualFold)) && !below(s.ignored, path, func(a, b string) bool { return a == b })
}

func below(places []string, path string, same func(a, b string) bool) bool {
	for _, p := range places {
		if len(path) >= len(p) && same(path[:len(p)], p) && (len(path) == len(p) || path[len(p)] == '/') {
			return true
		}
	}
	return false
}

// monitored says whether the request's URL is inspected.
func (x *exchange) monitored() bool {
	if len(x.scopes) == 0 {
		return true
	}
	s, ok := x.scopes[x.application(x.r.Host)]
	return !ok || s.monitored(http1.OriginForm(x.r.RequestURI))
}
