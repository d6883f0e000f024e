package proxy

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/http1"
	"sealgate/daemon/gateway/waf"
)

// rewrite is a rule of a URL rewrite group. It changes what the server gets, or where
// its redirects lead; what was judged is what the client sent.
type rewrite struct {
	criteria                     waf.Criteria
	hostToFind, pathToFind       *regexp.Regexp // nil: any
	hostToReplace, pathToReplace string         // empty: as it is
	response                     bool
	redirect                     int // status; 0: none
}

func newRewrites(s *model.Snapshot, service *model.SnapshotService) (list []rewrite, err error) {
	for _, name := range service.URLRewriteGroups {
		rules := slices.Clone(s.URLRewriteGroups[name])
		slices.SortStableFunc(rules, func(a, b model.RewriteRule) int { return cmp.Compare(a.Priority, b.Priority) })
		for _, r := range rules {
			if !r.Enabled {
				continue
			}
			compiled, err := newRewrite(s, &r)
			if err != nil {
				return nil, fmt.Errorf("URL rewrite group %q: rule %q: %w", name, r.Name, err)
			}
			list = append(list, compiled)
		}
	}
	return list, nil
}

func newRewrite(s *model.Snapshot, r *model.RewriteRule) (w rewrite, err error) {
	w = rewrite{hostToReplace: r.HostToReplace, pathToReplace: r.PathToReplace, response: strings.EqualFold(r.ApplyTo, "response")}
	if w.criteria, err = newCriteria(s, r.Criteria); err != nil {
		return w, err
	}
	for _, find := range []struct {
		text string
		to   **regexp.Regexp
	}{{r.HostToFind, &w.hostToFind}, {r.PathToFind, &w.pathToFind}} {
		if find.text == "" {
			continue
		}
		if *find.to, err = regexp.Compile(find.text); err != nil {
			return w, fmt.Errorf("%q is no regular expression", find.text)
		}
	}
	switch strings.ToLower(r.Redirect) {
	case "", "none", "false":
	case "301", "302", "303", "307", "308":
		w.redirect, _ = strconv.Atoi(r.Redirect)
	case "true":
		w.redirect = http.StatusFound
	default:
		return w, fmt.Errorf("the redirect is none or a status of one, not %q", r.Redirect)
	}
	return w, nil
}

// change applies the rule where it fits.
func (w *rewrite) change(host, path string) (newHost, newPath string, changed bool) {
	if w.hostToFind != nil && !w.hostToFind.MatchString(host) || w.pathToFind != nil && !w.pathToFind.MatchString(path) {
		return host, path, false
	}
	newHost, newPath = replace(w.hostToFind, host, w.hostToReplace), replace(w.pathToFind, path, w.pathToReplace)
	if newPath == "" || newPath[0] != '/' || !http1.ValidTarget(newPath) || strings.ContainsAny(newHost, "/@ \r\n") {
		return host, path, false
	}
	return newHost, newPath, newHost != host || newPath != path
}

func replace(find *regexp.Regexp, in, with string) string {
	switch {
	case with == "":
		return in
	case find == nil:
		return with
	}
	return find.ReplaceAllString(in, with)
}

// rewriteRequest applies the rules to a request in their order. A redirect ends it.
func (x *exchange) rewriteRequest() (redirect int) {
	subject := x.subject()
	for i := range x.rewrites {
		w := &x.rewrites[i]
		if w.response || !w.criteria.Hold(&subject) {
			continue
		}
		path, query, hasQuery := strings.Cut(x.target, "?")
		host, path, changed := w.change(x.host, path)
		if !changed {
			continue
		}
		if hasQuery {
			path += "?" + query
		}
		x.host, x.target = host, path
		if w.redirect > 0 {
			return w.redirect
		}
	}
	return 0
}

// rewriteResponse applies the rules to where an answer leads.
func (x *exchange) rewriteResponse(header http.Header) {
	subject := x.subject()
	location := header.Get("Location")
	if location == "" {
		return
	}
	u, err := url.Parse(location)
	if err != nil {
		return
	}
	for i := range x.rewrites {
		w := &x.rewrites[i]
		if !w.response || !w.criteria.Hold(&subject) {
			continue
		}
		host, path, changed := w.change(u.Host, u.EscapedPath())
		if !changed {
			continue
		}
		u.Host = host
		u.Path, u.RawPath = path, ""
		if decoded, err := url.PathUnescape(path); err == nil {
			u.Path, u.RawPath = decoded, path
		}
		header.Set("Location", u.String())
	}
}
