package waf

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// check is a rule of an HTTP or HTTP/2 protocol policy that needs no core rule.
type check struct {
	stage stage
	limit int // unless the rule's parameters say otherwise; 0 is a check without a limit
	finds func(v *view, limit int) (place, bool)
}

// checks are the rules of HTTP protocol policies by name. What the proxy
// refuses before it asks is not among them.
var checks = map[string]check{
	"Malformed Header Line": {finds: func(v *view, _ int) (place, bool) {
		return header(v, func(name, _ string) bool { return !isToken(name) })
	}},
	"Illegal Method": {finds: func(v *view, _ int) (place, bool) {
		return place{"REQUEST_METHOD", "", v.request.Method}, !slices.Contains(legalMethods, v.request.Method)
	}},
	"Illegal Byte in URL": {finds: func(v *view, _ int) (place, bool) {
		return uri(v, strings.ContainsFunc(v.request.URI, func(r rune) bool { return r <= ' ' || r >= 0x7f }))
	}},
	"Illegal Byte in Header": {finds: func(v *view, _ int) (place, bool) {
		return header(v, func(_, value string) bool {
			return strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
		})
	}},
	"Double URL Encoding": {finds: func(v *view, _ int) (place, bool) {
		return uri(v, encodedTwice(v.request.URI))
	}},
	"Redundant UTF-8 Encoding": {finds: func(v *view, _ int) (place, bool) {
		return uri(v, overlong(unescape(v.request.URI)))
	}},
	"Null Character in URL": {finds: func(v *view, _ int) (place, bool) {
		return uri(v, strings.ContainsRune(v.decoded(), 0))
	}},
	"Null Character in Parameter": {stage: inRequest, finds: func(v *view, _ int) (place, bool) {
		return parameter(v, func(name, value string) bool { return strings.ContainsRune(name+value, 0) })
	}},
	"Header Line Too Long": {limit: 8 << 10, finds: func(v *view, limit int) (place, bool) {
		return header(v, func(name, value string) bool { return len(name)+2+len(value) > limit })
	}},
	"URL Too Long": {limit: 4 << 10, finds: func(v *view, limit int) (place, bool) {
		return uri(v, len(v.request.URI) > limit)
	}},
	"Parameter Too Long": {stage: inRequest, limit: 64 << 10, finds: func(v *view, limit int) (place, bool) {
		return parameter(v, func(_, value string) bool { return len(value) > limit })
	}},
	"Too Many Headers": {limit: 100, finds: func(v *view, limit int) (place, bool) {
		n := 0
		for _, values := range v.request.Header {
			n += len(values)
		}
		return place{"REQUEST_HEADERS", "", strconv.Itoa(n)}, n > limit
	}},
	"Too Many Parameters": {stage: inRequest, limit: 1000, finds: func(v *view, limit int) (place, bool) {
		n := len(v.declared())
		return place{"ARGS", "", strconv.Itoa(n)}, n > limit
	}},
	"Too Many Cookies": {limit: 100, finds: func(v *view, limit int) (place, bool) {
		n := len(v.cookies())
		return place{"REQUEST_COOKIES", "", strconv.Itoa(n)}, n > limit
	}},
	"Post Without Content Type": {finds: func(v *view, _ int) (place, bool) {
		length := v.request.Header.Get("Content-Length")
		return place{"REQUEST_METHOD", "", v.request.Method},
			v.request.Method == http.MethodPost && length != "" && length != "0" && v.request.Header.Get("Content-Type") == ""
	}},
	"Content Length Mismatch": {stage: inRequest, finds: func(v *view, _ int) (place, bool) {
		said := v.request.Header.Get("Content-Length")
		n, err := strconv.ParseInt(said, 10, 64)
		return place{"REQUEST_HEADERS", "Content-Length", said}, said != "" && (err != nil || n != v.length)
	}},
	"Unknown Transfer Encoding": {finds: func(v *view, _ int) (place, bool) {
		coding := v.request.Header.Get("Transfer-Encoding")
		return place{"REQUEST_HEADERS", "Transfer-Encoding", coding},
			coding != "" && !slices.Contains([]string{"chunked", "identity", "gzip, chunked", "deflate, chunked"}, strings.ToLower(coding))
	}},
	"Host Header Missing": {finds: func(v *view, _ int) (place, bool) {
		return place{"REQUEST_HEADERS", "Host", ""}, v.request.Host == ""
	}},
	"Cookie Syntax": {finds: func(v *view, _ int) (place, bool) {
		for _, line := range v.request.Header.Values("Cookie") {
			if _, err := http.ParseCookie(line); err != nil {
				return place{"REQUEST_HEADERS", "Cookie", line}, true
			}
		}
		return place{}, false
	}},
	bodyTooLong: {stage: inRequest, finds: func(v *view, limit int) (place, bool) {
		length := max(v.length, v.plain)
		return place{"REQUEST_BODY", "", strconv.FormatInt(length, 10)}, limit > 0 && length > int64(limit)
	}},
}

// legalMethods are those of web pages and of APIs. The core rules do not know the last
// three by themselves.
var legalMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodDelete}

// http2Checks are the rules of HTTP/2 protocol policies by name.
var http2Checks = map[string]check{
	"Excessive Streams": {limit: 100, finds: func(v *view, limit int) (place, bool) {
		return place{"REQUEST_PROTOCOL", "", strconv.Itoa(v.request.Streams)}, v.request.Streams > limit
	}},
	"Rapid Reset": {limit: 100, finds: func(v *view, limit int) (place, bool) {
		return place{"REQUEST_PROTOCOL", "", strconv.Itoa(v.request.Resets)}, v.request.Resets > limit
	}},
	"Header List Too Large": {limit: 16 << 10, finds: func(v *view, limit int) (place, bool) {
		size := 0
		for name, values := range v.request.Header {
			for _, value := range values {
				size += len(name) + len(value) + 32 // as RFC 9113 counts
			}
		}
		return place{"REQUEST_HEADERS", "", strconv.Itoa(size)}, v.request.Proto == "HTTP/2.0" && size > limit
	}},
}

// refusedBefore are rules of HTTP/2 protocol policies for what never comes here: the
// proxy, and the library that reads frames, always refuse it.
var refusedBefore = []string{"Malformed HTTP/2 Frame", "Settings Flood", "Slow Stream"}

// bodyTooLong is the rule for bodies longer than what is looked at. Its limit
// is the engine's, unless the rule has a smaller one.
const bodyTooLong = "Request Body Too Long"

func uri(v *view, found bool) (place, bool) { return place{"REQUEST_URI", "", v.request.URI}, found }

func header(v *view, is func(name, value string) bool) (place, bool) {
	for name, values := range v.request.Header {
		for _, value := range values {
			if is(name, value) {
				return place{"REQUEST_HEADERS", name, value}, true
			}
		}
	}
	return place{}, false
}

func parameter(v *view, is func(name, value string) bool) (place, bool) {
	for _, p := range v.declared() {
		if is(p.item, p.value) {
			return p, true
		}
	}
	return place{}, false
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r)
	})
}

// unescape decodes what is encoded well, once, and leaves the rest.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// encodedTwice says whether decoding an encoded per cent sign leaves an encoding.
func encodedTwice(s string) bool {
	for rest := s; ; {
		i := strings.Index(rest, "%25")
		if i < 0 || i+5 > len(rest) {
			return false
		}
		rest = rest[i+3:]
		if _, err := strconv.ParseUint(rest[:2], 16, 8); err == nil {
			return true
		}
	}
}

// overlong says whether a text has UTF-8 sequences that are longer than they need be.
func overlong(s string) bool {
	for i := 0; i+1 < len(s); i++ {
		next := s[i+1]
		if utf8.RuneStart(next) {
			continue
		}
		switch b := s[i]; {
		case b == 0xc0 || b == 0xc1, b == 0xe0 && next < 0xa0, b == 0xf0 && next < 0x90:
			return true
		}
	}
	return false
}

// limitOf is a rule's limit: the one number among its parameters, else the usual one.
func limitOf(r PolicyRule, usual int) (int, error) {
	for name, value := range r.Parameters {
		n, isNumber := value.(float64)
		if text, ok := value.(string); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			n, isNumber = f, err == nil
		}
		if !isNumber || n < 1 || n > 1<<31 {
			return 0, fmt.Errorf("rule %q: %s is %v, which is no number above 0", r.Name, name, value)
		}
		return int(n), nil
	}
	return usual, nil
}
