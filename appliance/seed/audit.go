package seed

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sealgate/appliance/store"
)

func unixMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// makeAudit makes the requests that audit policies record.
func (f *filler) makeAudit(send func(batch) bool) bool {
	m := newAuditMaker(f)
	n := f.rows(auditShare, auditSize)
	times := f.moments(n)
	for done := 0; done < n; {
		b := batch{kind: store.Audit}
		for ; done < n && len(b.Audit) < batchRows; done++ {
			b.Audit = append(b.Audit, m.record(done, times.at(done)))
		}
		b.rows = int64(len(b.Audit))
		if !send(b) {
			return false
		}
	}
	return true
}

type auditMaker struct {
	*filler
	*stream
	clients, targets, people crowd
	sessions                 []session
}

// session is a visitor, who comes back with the same address and cookies.
type session struct {
	source, agent, language, user, cookie string
}

// openSessions is how many visitors there are at a time.
const openSessions = 2000

func newAuditMaker(f *filler) *auditMaker {
	m := &auditMaker{filler: f, stream: newStream(f.options.Seed, "audit")}
	m.clients = newCrowd(m.stream, len(f.world.sources))
	m.targets = newCrowd(m.stream, len(f.world.services))
	m.people = newCrowd(m.stream, len(f.world.people))
	m.sessions = make([]session, openSessions)
	for i := range m.sessions {
		m.sessions[i] = m.arrive()
	}
	return m
}

func (m *auditMaker) arrive() session {
	v := session{source: m.world.sources[m.clients.next()], agent: pick(m.stream, agents), language: pick(m.stream, languages)}
	v.cookie = "sid=" + m.token(43) + "; _ga=GA1.2." + strconv.Itoa(m.IntN(1e9)) + "." + strconv.Itoa(1767000000+m.IntN(1e6)) + "; csrftoken=" + m.hex(32)
	if m.chance(60) {
		v.user = m.world.people[m.people.next()]
	}
	return v
}

func (m *auditMaker) record(n int, at time.Time) store.AuditRecord {
	target := m.world.services[m.targets.next()]
	visitor := &m.sessions[m.IntN(openSessions)]
	if m.chance(4) {
		*visitor = m.arrive()
	}
	r := store.AuditRecord{
		ID: m.uuid(at), Time: at.UnixMilli(), Duration: int64(m.in(800, 900_000)), Policy: "Default Web Service Audit Policy",
		Gateway: pick(m.stream, m.world.gateways), Site: target.site, ServerGroup: target.group, Service: target.name, Application: target.application,
		SourceIP: visitor.source, SourcePort: m.in(1024, 65535), User: visitor.user, Session: visitor.cookie[4:47],
		Method: pick(m.stream, methods), Host: target.host, Path: path(m.stream), Version: pick(m.stream, []string{"HTTP/1.1", "HTTP/2.0", "HTTP/2.0"}),
		Status: pick(m.stream, statuses), ResponseSize: int64(m.in(200, 90_000)), Comment: fmt.Sprintf("%s%09d", MarkAudit, n+1),
	}
	m.parameters(&r)
	scheme := "http://"
	if target.tls {
		scheme = "https://"
	}
	r.Headers = [][2]string{
		{"Host", target.host}, {"User-Agent", visitor.agent}, {"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{"Accept-Language", visitor.language}, {"Accept-Encoding", "gzip, deflate, br, zstd"}, {"Referer", scheme + target.host + path(m.stream)},
		{"Cookie", visitor.cookie}, {"X-Request-Id", m.hex(32)}, {"traceparent", "00-" + m.hex(32) + "-" + m.hex(16) + "-01"},
		{"X-Forwarded-For", visitor.source},
	}
	if r.User != "" && m.chance(30) {
		r.Headers = append(r.Headers, [2]string{"Authorization", "Bearer eyJhbGciOiJFZERTQSJ9." + m.token(120) + "." + m.token(86)})
	}
	if r.Method == "POST" || r.Method == "PUT" {
		m.body(&r)
	}
	r.ResponseHeaders = [][2]string{
		{"Server", pick(m.stream, servers)}, {"Content-Type", "text/html; charset=utf-8"}, {"Content-Length", strconv.FormatInt(r.ResponseSize, 10)},
		{"ETag", "\"" + m.hex(16) + "\""}, {"Cache-Control", "private, max-age=" + strconv.Itoa(m.in(0, 600))},
	}
	if m.chance(15) {
		r.ResponseHeaders = append(r.ResponseHeaders, [2]string{"Set-Cookie", "sid=" + m.token(43) + "; Path=/; Secure; HttpOnly; SameSite=Lax"})
	}
	return r
}

// parameters adds a query; one in fifty carries an attack.
func (m *auditMaker) parameters(r *store.AuditRecord) {
	if m.chance(35) {
		return
	}
	var query strings.Builder
	for i := range m.in(1, 4) {
		name, value := pick(m.stream, parameterNames), m.value()
		if m.chance(2) {
			value = fmt.Sprintf(pick(m.stream, pick(m.stream, attacks).payloads), m.token(12))
		}
		if i > 0 {
			query.WriteByte('&')
		}
		query.WriteString(name + "=" + escapeQuery(value))
		r.Parameters = append(r.Parameters, [2]string{name, value})
	}
	r.Query = query.String()
}

func (m *auditMaker) value() string {
	switch m.IntN(4) {
	case 0:
		return strconv.Itoa(m.IntN(100_000))
	case 1:
		return pick(m.stream, words) + " " + pick(m.stream, words)
	case 2:
		return m.token(m.in(8, 32))
	}
	return pick(m.stream, words)
}

// body adds a form or JSON.
func (m *auditMaker) body(r *store.AuditRecord) {
	var b strings.Builder
	fields := m.in(3, 14)
	if m.chance(50) {
		r.Headers = append(r.Headers, [2]string{"Content-Type", "application/x-www-form-urlencoded"})
		for i := range fields {
			if i > 0 {
				b.WriteByte('&')
			}
			b.WriteString(pick(m.stream, parameterNames) + "=" + escapeQuery(m.value()))
		}
	} else {
		r.Headers = append(r.Headers, [2]string{"Content-Type", "application/json"})
		b.WriteByte('{')
		for i := range fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`"` + pick(m.stream, parameterNames) + `":"` + m.value() + `"`)
		}
		b.WriteByte('}')
	}
	r.Body = b.String()
	r.Headers = append(r.Headers, [2]string{"Content-Length", strconv.Itoa(b.Len())})
}

// path is the path of a URL.
func path(s *stream) string {
	p := "/" + pick(s, sections)
	for range s.IntN(3) {
		if s.chance(40) {
			p += "/" + strconv.Itoa(s.IntN(1_000_000))
		} else {
			p += "/" + pick(s, words)
		}
	}
	return p + pick(s, extensions)
}
