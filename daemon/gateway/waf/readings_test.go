package waf_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"sealgate/daemon/gateway/waf"
)

// ebcdic spells what the attacks of these tests are made of in IBM037.
var ebcdic = func() *strings.Replacer {
	pairs := []string{" ", "\x40", "'", "\x7d", "-", "\x60", "1", "\xf1"}
	for i := range 26 {
		code := [3]int{0x81 + i, 0x91 + i - 9, 0xa2 + i - 18}[min(i/9, 2)]
		pairs = append(pairs, string(rune('a'+i)), string([]byte{byte(code)}))
	}
	return strings.NewReplacer(pairs...)
}()

// The hole: a body went on unseen where a server reads it in another way than its parser
// here does: PHP, Django, .NET and whoever never asks for the type. What must hold: what
// any of them finds is looked at, or the body is unreadable.
func TestBodiesThatServersReadInAnotherWay(t *testing.T) {
	e := engine(t, waf.Policies{Rules: []waf.RulePolicy{signatures("block", "SQL Injection"),
		{Kind: waf.Protocol, Name: "http", Rules: rules("block", "Unreadable Body")}}})
	const (
		attack  = "1' union select password from users--"
		escaped = `1\u0027 \u0075nion \u0073elect password from users--`
		parts   = "multipart/form-data; boundary=x"
		field   = `Content-Disposition: form-data; name="a"`
		form    = "application/x-www-form-urlencoded"
	)
	part := func(head, value string) string {
		return "--x\r\n" + head + "\r\n\r\n" + value + "\r\n--x--\r\n"
	}
	plain := part(field, "1")
	for name, c := range map[string]struct{ kind, body, want string }{
		"a file to who reads filename*":    {parts, part(field+"; filename*=UTF-8''b", attack), "SQL Injection"},
		"a file in single quotes":          {parts, part("Content-Disposition: form-data; name='a; filename=b'", attack), "SQL Injection"},
		"a file before white space":        {parts, part(field+`; filename ="b"`, attack), "SQL Injection"},
		"a file behind an escape":          {parts, part(field+`; b="\"; c="; filename="d"`, attack), "SQL Injection"},
		"a file on a folded line":          {parts, part(field+";\r\n filename=\"b\"", attack), "Unreadable Body"},
		"a part in base64":                 {parts, part(field+"\r\nContent-Transfer-Encoding: base64", base64.StdEncoding.EncodeToString([]byte(attack))), "Unreadable Body"},
		"a part in EBCDIC":                 {parts, part(field+"\r\nContent-Type: text/plain; charset=ibm037", ebcdic.Replace(attack)), "Unreadable Body"},
		"all parts in EBCDIC":              {parts, part(`Content-Disposition: form-data; name="_charset_"`, "ibm037"), "Unreadable Body"},
		"parts in a part":                  {parts, part(field+"\r\nContent-Type: multipart/mixed; boundary=y", "--y\r\n\r\n1\r\n--y--"), "Unreadable Body"},
		"a part behind the end":            {parts, plain + part(field, attack), "Unreadable Body"},
		"text before the parts":            {parts, "a\r\n" + plain, "Unreadable Body"},
		"a boundary behind LF, in a file":  {parts, part(field+`; filename="b"`, "c\n--x\n"+field+"\n\n"+attack), "Unreadable Body"},
		"a boundary and white space":       {parts, strings.Replace(plain, "--x\r\n", "--x \r\n", 1), "Unreadable Body"},
		"a boundary in a longer one":       {parts, strings.Replace(plain, "1", "1\r\n--xy\r\n", 1), "Unreadable Body"},
		"parts without an end":             {parts, strings.TrimSuffix(plain, "--\r\n"), "Unreadable Body"},
		"a value in one of many parts":     {parts, strings.Repeat("--x\r\n"+field+"\r\n\r\n1\r\n", 3000) + part(field, attack), "SQL Injection"},
		"JSON as text":                     {"text/plain", `{"a":"` + escaped + `"}`, "SQL Injection"},
		"JSON as a form":                   {form, "\xef\xbb\xbf \n" + `[{"a":[{"b":"` + escaped + `"}]}]`, "SQL Injection"},
		"a name of JSON as bytes":          {"application/octet-stream", `{"` + escaped + `":1}`, "SQL Injection"},
		"a string of JSON as text":         {"text/plain", `"` + escaped + `"`, "SQL Injection"},
		"a value behind many":              {"text/plain", `{"a":[` + strings.Repeat(`"b",`, 600) + `"` + escaped + `"]}`, "SQL Injection"},
		"a value within a long one":        {"text/plain", `{"a":"` + strings.Repeat("b", 32<<10-10) + escaped + `"}`, "SQL Injection"},
		"a name of a number behind many":   {"text/plain", `[` + strings.Repeat(`"b",`, 600) + `{"` + escaped + `":[1,2]}]`, "SQL Injection"},
		"lines of JSON":                    {"text/plain", `{"a":1}` + "\n" + `{"a":"` + escaped + `"}`, "SQL Injection"},
		"a form that begins as JSON does":  {form, `{"a":"&a=` + url.QueryEscape(attack) + `"}`, "SQL Injection"},
		"a form that hides a name of JSON": {form, `{"a":"` + escaped + `","b":"&json.a=1&"}`, "SQL Injection"},
		"XML as text":                      {"text/plain", "<a b='1'>1&#39; &#117;nion &#115;elect password from users--</a>", "SQL Injection"},
		"an attribute of XML as bytes":     {"application/octet-stream", `<a b="1&#39; &#117;nion &#115;elect password from users--"/>`, "SQL Injection"},
		"a form in EBCDIC":                 {form + `; charset="IBM037"`, "a=" + url.QueryEscape(ebcdic.Replace(attack)), "Unreadable Body"},
		"a form of two charsets":           {form + "; charset=utf-8; charset=ibm037", "a=1", "Unreadable Body"},
		"a charset behind a star":          {form + "; charset*=us-ascii''ibm037", "a=1", "Unreadable Body"},
		"JSON in Python's escapes":         {"application/json; charset=unicode_escape", `{"a":"\x27"}`, "Unreadable Body"},
		"a charset behind much space":      {form + "; charset" + strings.Repeat(" ", 20) + "= utf-7", "a=1", "Unreadable Body"},
		"a charset behind empty quotes":    {form + `; charset=""utf-7`, "a=1", "Unreadable Body"},
		"a charset with a further mark":    {form + `; charset="ut\f-7"`, "a=1", "Unreadable Body"},
		"a file to all but Go":             {parts, part(field+`; filename=""`, attack), "SQL Injection"},
		"a file whose filename* is empty":  {parts, part(field+`; filename="b"; filename*=utf-8''`, attack), "SQL Injection"},
		"a file whose filename* is broken": {parts, part(field+`; filename="b"; filename*0=""`, attack), "Unreadable Body"},
		"a file behind a single quote":     {parts, part(`Content-Disposition: form-data; name=a'; filename="b"`, attack), "SQL Injection"},
		"a file behind two backslashes":    {parts, part(`Content-Disposition: form-data; name="a\\"; filename="b"`, attack), "SQL Injection"},
		"a file of two names":              {parts, part(field+`; filename="b"; filename=""`, attack), "Unreadable Body"},
		"a file by the second of two":      {parts, part(field+"\r\n"+field+`; filename="b"`, attack), "Unreadable Body"},
		"a name of JSON that is long":      {"text/plain", `{"` + strings.Repeat("b", 32<<10-10) + escaped + `":["c","c"]}`, "SQL Injection"},
		"JSON in UTF-7":                    {"application/json; charset=utf-7", `{"a":"+ACc-"}`, "Unreadable Body"},
	} {
		v, m := request{body: c.body, kind: c.kind}.through(e)
		if !v.Block || v.Rule.Rule != c.want {
			t.Errorf("%s: block %v, %+v", name, v.Block, m)
		}
	}
}

// The hole: a body of a hundred thousand parts cost three seconds of processor time. What
// must hold: it is told of as any other of too many parameters, and its parts are not
// looked at one by one.
func TestManyPartsAreTooMany(t *testing.T) {
	e := engine(t, waf.Policies{Rules: []waf.RulePolicy{{Kind: waf.Protocol, Name: "http", Rules: rules("block", "Too Many Parameters")}}})
	for n, want := range map[int]bool{100: false, 3000: true} {
		q := request{kind: "multipart/form-data; boundary=x", body: strings.Repeat("--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"g\"\r\n\r\n\r\n", n) + "--x--"}
		if v, m := q.through(e); v.Block != want {
			t.Errorf("%d parts: block %v, %+v", n, v.Block, m)
		}
	}
}

// The hole: an array's name was looked at again with each of its values, so that 150 KB
// took gigabytes. What must hold: a body costs memory by its length, however it is made.
func TestNamesOfManyValuesCostTheirLength(t *testing.T) {
	e := engine(t, waf.Policies{FailOpen: true, BodyLimit: 200_000, Rules: []waf.RulePolicy{{Kind: waf.Protocol, Name: "http", Rules: rules("block", "Unreadable Body")}}})
	long := strings.Repeat("n", 30<<10)
	for name, c := range map[string]struct{ kind, body string }{
		"JSON":                      {"text/plain", `{"` + long + `":["a"` + strings.Repeat(`,"a"`, 30_000) + `]}`},
		"JSON, a name of 256 bytes": {"text/plain", `{"` + long[:256] + `":["a"` + strings.Repeat(`,"a"`, 30_000) + `]}`},
		"objects in an object":      {"text/plain", `{"` + long + `":[` + strings.Repeat(`{"a":"b","c":["d","d"]},"a",`, 4_000) + `1]}`},
		"deep objects":              {"text/plain", strings.Repeat(`{"`+long[:100]+`":`, 900) + `["a"` + strings.Repeat(`,"a"`, 10_000) + `]` + strings.Repeat("}", 900)},
		"XML":                       {"text/plain", "<" + long[:1000] + ">" + strings.Repeat("a<b/>", 25_000)},
		"parts":                     {"multipart/form-data; boundary=x", strings.Repeat("--x\r\n", 25_000) + "--x--"},
		"files with names":          {"multipart/form-data; boundary=x", strings.Repeat("--x\r\nContent-Disposition: form-data; name="+long[:1000]+"; filename*=a\r\n\r\nb\r\n", 130) + "--x--"},
	} {
		q := request{kind: c.kind, body: c.body}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		q.through(e)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
			t.Errorf("%s: %d bytes took %d KiB", name, len(c.body), took>>10)
		}
	}
}

// Work that needs no rule is the inspection's too: the parts of a body, and a profile's
// patterns.
func TestPartsAndPatternsSpendTheBudget(t *testing.T) {
	patterns := make([]waf.ProfileURL, 1000)
	for i := range patterns {
		patterns[i].Pattern = fmt.Sprintf("(a|b)*/%d$", i)
	}
	path := "/" + strings.Repeat("ab", 200)
	for name, c := range map[string]struct {
		q    request
		work int // which is enough without
	}{
		"parts":    {request{kind: "multipart/form-data; boundary=x", body: strings.Repeat("--x\r\n\r\n\r\n", 1900) + "--x--"}, 1 << 20},
		"patterns": {request{uri: path, app: "shop"}, 1 << 20},
	} {
		e := engine(t, waf.Policies{Work: c.work, Profiles: map[string]*waf.Profile{"shop": {Patterns: patterns}}})
		if v, m := c.q.through(e); !v.Block || v.Rule.Rule != "Inspection Not Completed" {
			t.Errorf("%s: block %v, %+v", name, v.Block, m)
		}
	}
}

// Bodies as browsers and the usual libraries send them, and what is written in odd but
// clear ways, are read as ever.
func TestBodiesOfUsualClients(t *testing.T) {
	e := engine(t, waf.Policies{Rules: []waf.RulePolicy{signatures("block", "SQL Injection", "Cross-Site Scripting", "Command Injection"),
		{Kind: waf.Protocol, Name: "http", Rules: rules("block", "Unreadable Body", "Too Many Parameters")}}})
	const file = "PK\x03\x04 1' union select password from users-- \r\n\n--x"
	for name, heads := range map[string][]string{
		"Chromium":        {`Content-Disposition: form-data; name="a b"`, "Content-Disposition: form-data; name=\"f\"; filename=\"na\u00efve %22x%22.zip\"\r\nContent-Type: application/x-zip-compressed"},
		"curl":            {`Content-Disposition: form-data; name="a\"b"`, "Content-Disposition: form-data; name=\"f\"; filename=\"b.zip\"\r\nContent-Type: application/octet-stream"},
		".NET":            {"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=a", "Content-Disposition: form-data; name=f; filename=b.zip; filename*=utf-8''b%C3%A9.zip"},
		"HttpClient":      {"Content-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit", "Content-Disposition: form-data; name=\"f\"; filename=\"b.zip\"\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary"},
		"IE":              {`Content-Disposition: form-data; name="a"`, `Content-Disposition: form-data; name="f"; filename="C:\Users\b.html"`},
		"an escape":       {`Content-Disposition: form-data; name="a"`, `Content-Disposition: form-data; name="f"; filename="a \"b\".html"`},
		"a semicolon":     {`Content-Disposition: form-data; name="a";`, `Content-Disposition: form-data; name="f"; filename="b;c.html";`},
		"a size":          {`Content-Disposition: form-data; name="a"`, `Content-Disposition: form-data; name="f"; filename="b.html"; size=123`},
		"another order":   {`Content-Disposition: form-data; name="a"`, `Content-Disposition: form-data; filename="it's.html"; name="f"`},
		"filename* first": {`Content-Disposition: form-data; name="a"`, `Content-Disposition: form-data; name="f"; filename*=UTF-8''b%20c.html; filename="b c.html"`},
		"Guzzle":          {"Content-Disposition: form-data; name=\"a\"\r\nContent-Length: 5", "Content-Disposition: form-data; name=\"f\"; filename=\"b.txt\"\r\nContent-Length: 9\r\nContent-Type: text/plain; charset=utf-16"},
	} {
		boundary := "----WebKitFormBoundary" + fmt.Sprint(len(name))
		body := "--" + boundary + "\r\n" + heads[0] + "\r\n\r\nhello\r\n--" + boundary + "\r\n" + heads[1] + "\r\n\r\n" + file + "\r\n--" + boundary + "--\r\n"
		for _, kind := range []string{"multipart/form-data; boundary=" + boundary, `multipart/form-data; boundary="` + boundary + `"`} {
			if v, m := (request{kind: kind, body: body}).through(e); v.Block || len(m) > 0 {
				t.Errorf("%s: %+v", name, m)
			}
		}
	}
	for _, charset := range []string{"cp1252", "ISO8859-1", "UTF_8", "utf8mb4", "macintosh", "ksc5601", "KS_C_5601-1987", "", `""`, " utf-8 ", "ANSI_X3.4-1968", "ibm850", "Big5-HKSCS", "x-sjis", "csISOLatin1", "windows-31j", "ISO_8859-1:1987"} {
		for _, equals := range []string{"=", " = "} {
			kind := "application/x-www-form-urlencoded; charset" + equals + charset
			if v, m := (request{kind: kind, body: "a=1"}).through(e); v.Block || len(m) > 0 {
				t.Errorf("%s: %+v", kind, m)
			}
		}
	}
	for kind, body := range map[string]string{
		"application/x-www-form-urlencoded; charset=UTF-8":      "a=1&b=%C3%A9",
		"application/json;charset=utf8":                         `{"a":"\u00e9"}`,
		`text/plain; charset="iso-8859-15"; format=flowed`:      "{ is how it begins",
		"application/x-www-form-urlencoded ; charset=Shift_JIS": "a=%82%A0",
		"text/html":              "<p title='x'>a &amp; b</p>",
		"application/csp-report": `{"csp-report":{"document-uri":"https://www.example.com/","blocked-uri":"inline"}}`,
		"multipart/form-data; boundary=----x; charset=utf-8":               "------x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n------x--",
		"application/x-www-form-urlencoded; charset=windows-1251; a=\"b\"": "a=%E0",
	} {
		if v, m := (request{kind: kind, body: body}).through(e); v.Block || len(m) > 0 {
			t.Errorf("%s: %+v", kind, m)
		}
	}
	strict := engine(t, waf.Policies{Rules: []waf.RulePolicy{{Kind: waf.Protocol, Name: "http", Rules: rules("block", "Unreadable Body", "Too Many Parameters", "Parameter Too Long", "Null Character in Parameter")}}})
	for name, q := range map[string]request{
		"many lines of JSON":   {kind: "application/x-ndjson", body: strings.Repeat(`{"index":{"_id":1}}`+"\n"+`{"a":"b","c":[1,2,3],"d":true}`+"\n", 3000)},
		"a long value of JSON": {kind: "application/octet-stream", body: `{"file":"` + strings.Repeat("QUJD", 50_000) + `"}`},
		"a page of HTML":       {kind: "text/html", body: "<html>" + strings.Repeat("<p class='a'>b</p>\n", 4000) + "</html>"},
		"a file with a name in an old library's way": {kind: "multipart/form-data; boundary=----x", body: "------x\r\nContent-Disposition: form-data; name=\"f\"; filename*=utf-8''r%C3%A9sum%C3%A9.pdf\r\nContent-Type: application/pdf\r\n\r\n" +
			strings.Repeat("%PDF\x00\x01", 30_000) + "\r\n------x--\r\n"},
	} {
		if v, m := q.through(strict); v.Block {
			t.Errorf("%s: %+v", name, m)
		}
	}
	long := engine(t, waf.Policies{BodyLimit: 1000, Rules: []waf.RulePolicy{{Kind: waf.Protocol, Name: "http", Rules: rules("block", "Unreadable Body")}}})
	upload := "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"b\"\r\n\r\n" + strings.Repeat("y", 5000) + "\r\n--x--\r\n"
	for at := range 80 { // the cut is anywhere in the part's head, or in the file
		if v, m := (request{kind: "multipart/form-data; boundary=x", body: "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + strings.Repeat("z", 880+at) + "\r\n" + upload}).through(long); v.Block {
			t.Fatalf("cut at %d: %+v", at, m)
		}
	}
}
