package proxy

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/waf"
)

// page is what a client gets instead of an answer.
type page struct {
	status   int
	body     string // HTML
	redirect string
}

// eventPlace is replaced by the event's id, in bodies and redirects.
const eventPlace = "$(EVENT_ID)"

var defaultPage = page{status: http.StatusForbidden,
	body: "<!DOCTYPE html>\n<html><head><title>Blocked</title></head><body><h1>This request was blocked</h1><p>Event $(EVENT_ID)</p></body></html>\n"}

// pages are a web service's error pages: that of the first rule that fits, else the
// service's own.
type pages struct {
	own   page
	rules []pageRule
}

type pageRule struct {
	criteria waf.Criteria
	page     page
}

func newPages(s *model.Snapshot, service *model.SnapshotService) (p pages, err error) {
	p.own = defaultPage
	if !service.UseDefaultErrorPage {
		p.own = newPage(model.Page{RedirectURL: service.ErrorRedirectURL, Content: cmp.Or(service.ErrorBody, defaultPage.body), Status: service.ErrorStatus})
	}
	for _, name := range service.ErrorPagePolicies {
		rules := slices.Clone(s.ErrorPagePolicies[name])
		slices.SortStableFunc(rules, func(a, b model.ErrorPageRule) int { return cmp.Compare(a.Priority, b.Priority) })
		for _, r := range rules {
			if !r.Enabled {
				continue
			}
			criteria, err := newCriteria(s, r.Criteria)
			if err != nil {
				return p, fmt.Errorf("error page policy %q: rule %q: %w", name, r.Name, err)
			}
			p.rules = append(p.rules, pageRule{criteria, newPage(s.ErrorPages[r.Page])})
		}
	}
	return p, nil
}

func newPage(d model.Page) page {
	p := page{status: http.StatusForbidden, body: d.Content, redirect: d.RedirectURL}
	if p.redirect != "" {
		p.status = http.StatusFound
	}
	if n, err := strconv.Atoi(d.Status); err == nil && (p.redirect == "" || n/100 == 3) {
		p.status = n
	}
	return p
}

func (p *pages) choose(r waf.Request) *page {
	for i := range p.rules {
		if p.rules[i].criteria.Hold(&r) {
			return &p.rules[i].page
		}
	}
	return &p.own
}

// send answers with the page.
func (p *page) send(w http.ResponseWriter, r *http.Request, event string) {
	header := w.Header()
	clear(header)
	header.Set("Cache-Control", "no-store")
	if p.redirect != "" {
		header.Set("Location", strings.ReplaceAll(p.redirect, eventPlace, event))
		header.Set("Content-Length", "0")
		w.WriteHeader(p.status)
		return
	}
	sendBody(w, r, p.status, "text/html; charset=utf-8", strings.ReplaceAll(p.body, eventPlace, event))
}

// sendPlain answers in few words of ours.
func sendPlain(w http.ResponseWriter, r *http.Request, status int, words string) {
	clear(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	sendBody(w, r, status, "text/plain; charset=utf-8", fmt.Sprintf("%d %s\r\n%s\r\n", status, http.StatusText(status), words))
}

func sendBody(w http.ResponseWriter, r *http.Request, status int, kind, body string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, body)
	}
}
