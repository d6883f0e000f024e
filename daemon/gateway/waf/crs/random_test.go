package crs

import (
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// fragments are what attacks are made of, and what is none.
var fragments = []string{"' union select ", "a from b--", "<script>", "alert(1)", "onerror=", ";cat ", "/etc/passwd", "../", "${jndi:ldap://x}", "%27", "%2527", `\u0027`, `\x3c`,
	"&lt;", "\xbc", "\x00", "http://127.0.0.1/", "() { :; }", "hello ", "42", "é", "漢", "=", "|", "`id`", "$(x)", "php://input", "<?php ", "eval(", "java.lang.Runtime",
	"{{7*7}}", "/*x*/", "#", "\r\nSet-Cookie: a", "waitfor delay", "sleep(5)", "..\\", "cmd.exe", "powershell ", "xp_cmdshell", "__proto__", "document.cookie", "\t", "\n", "--", "\"", ","}

// Requests made at random from a fixed seed match the same with gates and without.
func TestRandomRequests(t *testing.T) {
	gated, ungated := load(t, Options{Paranoia: 2}), load(t, Options{Paranoia: 2, Ungated: true})
	random := rand.New(rand.NewPCG(7, 11))
	text := func() string {
		var b strings.Builder
		for range 1 + random.IntN(5) {
			f := fragments[random.IntN(len(fragments))]
			switch random.IntN(6) {
			case 0:
				f = strings.ToUpper(f)
			case 1:
				f = url.QueryEscape(f)
			}
			b.WriteString(f)
		}
		return b.String()
	}
	n, found := 400, 0
	if testing.Short() {
		n = 20
	}
	for range n {
		l := traffic{"", "POST", "/?" + url.QueryEscape(text()) + "=" + url.QueryEscape(text()), "application/x-www-form-urlencoded", ""}
		switch random.IntN(4) {
		case 0:
			l.body = "a=" + url.QueryEscape(text()) + "&a=" + url.QueryEscape(text()) + "&b=" + text()
		case 1:
			l.kind, l.body = "application/json", `{"a":["`+strings.NewReplacer(`"`, "", `\`, `\\`, "\n", "", "\r", "", "\t", "", "\x00", "").Replace(text())+`"],"b":1}`
		case 2:
			l.kind, l.body = "application/octet-stream", text()+text()
		case 3:
			l.kind, l.body = "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b.php\"\r\n\r\n"+text()+
				"\r\n--x\r\nContent-Disposition: form-data; name=\"c\"\r\n\r\n"+text()+"\r\n--x--\r\n"
		}
		a, b := l.through(gated), l.through(ungated)
		got, want := matched(a, gated.Rules), matched(b, gated.Rules)
		a.Close()
		b.Close()
		found += len(want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%+v:\n got %q\nwant %q", l, got, want)
		}
	}
	if found < 10*n {
		t.Errorf("%d requests match %d rules: they are too plain to say anything", n, found)
	}
}
