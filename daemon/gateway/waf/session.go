package waf

import (
	"net/http"
	"regexp"
	"strings"
)

// sessionCookies are the usual names of cookies that carry a session.
var sessionCookies = []string{"JSESSIONID", "PHPSESSID", "ASP.NET_SessionId", "sessionid", "session", "connect.sid", "sid"}

// Session is a request's session: the first of the usual cookies that has a value, with
// its name. It is empty where there is none.
func Session(header http.Header) string {
	lines := header["Cookie"]
	if len(lines) == 0 {
		return ""
	}
	for _, known := range sessionCookies {
		for _, line := range lines {
			for part := range strings.SplitSeq(line, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
				if value != "" && strings.EqualFold(name, known) {
					return known + "=" + value
				}
			}
		}
	}
	return ""
}

// User is whom a request's Authorization header names, by Basic or Digest. It is empty
// where it names nobody.
func User(header http.Header) string {
	if header["Authorization"] == nil {
		return ""
	}
	if user, _, ok := (&http.Request{Header: header}).BasicAuth(); ok {
		return user
	}
	if named := digestUser.FindStringSubmatch(header.Get("Authorization")); named != nil {
		return named[1]
	}
	return ""
}

var digestUser = regexp.MustCompile(`(?i)^digest\s.*\busername="([^"]*)"`)

// session is what tells sessions apart: the session, else the address.
func (v *view) session() string {
	if session := Session(v.request.Header); session != "" {
		return session
	}
	return v.client()
}
