package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/waf"
)

// snippet is a snippet injection policy: what is put into pages, and where.
type snippet struct {
	name         string
	applications []string // none is all
	criteria     waf.Criteria
	content      []byte
	behind       *regexp.Regexp // the content goes behind what it finds first
	every        time.Duration  // a client gets it once in that time; 0 is with each page
}

const (
	// maxSnippetHead is how much of a page is searched for the place, in bytes.
	maxSnippetHead = 64 << 10
	// snippetSession is how long a session's one snippet is the only one.
	snippetSession = time.Hour
)

var (
	behindHead = regexp.MustCompile(`(?i)<head(\s[^>]*)?>`)
	behindBody = regexp.MustCompile(`(?i)<body(\s[^>]*)?>`)
)

func newSnippets(s *model.Snapshot, service *model.SnapshotService) (list []snippet, err error) {
	for i := range s.Policies {
		policy := &s.Policies[i]
		if policy.Kind != model.SnippetPolicy || !policy.Covers(service) {
			continue
		}
		var d model.SnippetSettings
		if json.Unmarshal(policy.Document, &d) != nil {
			return nil, fmt.Errorf("snippet injection policy %q is not of the declared shape", policy.Name)
		}
		if !d.Enabled || d.Content == "" {
			continue
		}
		p := snippet{name: policy.Name, applications: policy.Applications(service), content: []byte(d.Content), behind: behindHead}
		switch d.Location {
		case model.SnippetInBody:
			p.behind = behindBody
		case model.SnippetCustom:
			p.behind = regexp.MustCompile(regexp.QuoteMeta(d.CustomLocation))
		}
		switch {
		case d.Seconds > 0:
			p.every = time.Duration(d.Seconds) * time.Second
		case d.Frequency != model.SnippetAlways:
			p.every = snippetSession
		}
		if p.criteria, err = newCriteria(s, d.Criteria); err != nil {
			return nil, fmt.Errorf("snippet injection policy %q: %w", policy.Name, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// chooseSnippet is the policy whose content the answer may get, nil for none.
func (x *exchange) chooseSnippet() *snippet {
	if len(x.snippets) == 0 || x.r.Method != http.MethodGet || x.r.Header.Get("Range") != "" {
		return nil
	}
	subject := x.subject()
	for i := range x.snippets {
		p := &x.snippets[i]
		if (len(p.applications) == 0 || slices.Contains(p.applications, subject.Application)) && p.criteria.Hold(&subject) {
			return p
		}
	}
	return nil
}

// inject puts the snippet into an answer that is a page and has the place.
func (x *exchange) inject(p *snippet, resp *http.Response) error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "text/html" || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Encoding") != "" || resp.Body == http.NoBody {
		return nil
	}
	head, at, err := p.find(resp.Body)
	if err != nil {
		return err
	}
	if at >= 0 && (p.every == 0 || x.p.snippets.First(p.name+"\x00"+x.service.Site+"\x00"+x.service.ServerGroup+"\x00"+x.service.Name+"\x00"+x.whose(), p.every)) {
		head = slices.Concat(head[:at], p.content, head[at:])
		if resp.ContentLength >= 0 {
			resp.ContentLength += int64(len(p.content))
			resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
		}
		for _, name := range []string{"Etag", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"} {
			delete(resp.Header, name) // they are about other bytes
		}
	}
	resp.Body = &partlyHeld{held: head, rest: resp.Body}
	return nil
}

// whose is what tells clients apart.
func (x *exchange) whose() string {
	if session := waf.Session(x.r.Header); session != "" {
		return session
	}
	return x.client.String()
}

// find reads the beginning of a page until the place is there; at is below 0 where it
// is not.
func (p *snippet) find(body io.Reader) (head []byte, at int, err error) {
	for len(head) < maxSnippetHead {
		head = slices.Grow(head, 4<<10)
		n, err := body.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if found := p.behind.FindIndex(head); found != nil {
			return head, found[1], nil
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return head, -1, err
		}
	}
	return head, -1, nil
}
