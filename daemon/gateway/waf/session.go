package waf

import (
	"net/http"
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

// session is what tells sessions apart: the session, else the address.
func (v *view) session() string {
	if session := Session(v.request.Header); session != "" {
		return session
	}
	return v.client()
}
