package http1

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// head is a request's line and headers, as they were read.
type head struct {
	method, target, proto, host string // the target in origin form
	line                        string // the target as it stood in the request line
	minor                       int    // of the version, 0 or 1
	header                      http.Header
	length                      int64 // of the body; -1: chunked
	keepAlive                   bool
	expect                      bool // wants 100 before it sends the body
	upgrade                     bool // to websocket
	trailer                     http.Header
}

// endOfHead is the place behind the empty line, 0 while it is not there. A bare LF
// never ends a line: seen tells where the search may go on.
func endOfHead(b []byte, seen int) int {
	from := max(0, seen-3)
	if i := bytes.Index(b[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 4
	}
	return 0
}

// parseHead reads text, which ends with the empty line.
func parseHead(text string, limits *Limits) (*head, *Refusal) {
	line, rest, _ := strings.Cut(text, "\r\n")
	h := &head{}
	if r := h.requestLine(line, limits); r != nil {
		return nil, r
	}
	h.header = make(http.Header, 16)
	if r := fields(h.header, rest, limits); r != nil {
		return nil, r
	}
	return h, h.frame()
}

func (h *head) requestLine(line string, limits *Limits) *Refusal {
	method, rest, ok := strings.Cut(line, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	switch {
	case !ok || !ok2 || !isToken(method):
		return bad(MalformedRequest, "the request line is malformed")
	case len(target) > limits.URL:
		return &Refusal{http.StatusRequestURITooLong, URLTooLong, "the URL is longer than allowed"}
	case !validTarget(target):
		return bad(IllegalURL, "the URL has an illegal byte")
	case method == http.MethodConnect:
		return &Refusal{http.StatusMethodNotAllowed, IllegalMethod, "CONNECT is not for a reverse proxy"}
	case proto == "HTTP/1.1":
		h.minor = 1
	case proto == "HTTP/1.0":
	case len(proto) == 8 && strings.HasPrefix(proto, "HTTP/"):
		return &Refusal{http.StatusHTTPVersionNotSupported, MalformedRequest, "the version of HTTP is not 1.0 or 1.1"}
	default:
		return bad(MalformedRequest, "the request line is malformed")
	}
	h.method, h.proto = method, proto
	return h.parseTarget(target)
}

// parseTarget takes origin form, absolute form of http and https, and * for OPTIONS.
func (h *head) parseTarget(target string) *Refusal {
	h.target, h.line = target, target
	if target[0] == '/' || (target == "*" && h.method == http.MethodOptions) {
		return nil
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return bad(MalformedRequest, "the URL does not begin with /")
	}
	h.host, h.target = rest[:authority(rest)], OriginForm(target)
	if h.host == "" || !validHost(h.host) {
		return bad(MalformedRequest, "the URL names no host")
	}
	return nil
}

// authority is how long the authority is that a URL begins with.
func authority(rest string) int {
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		return end
	}
	return len(rest)
}

// OriginForm is a request's target without the scheme and authority that it may have.
func OriginForm(target string) string {
	if target == "" || target[0] == '/' || target == "*" {
		return target
	}
	_, rest, _ := strings.Cut(target, "://")
	if rest = rest[authority(rest):]; rest == "" || rest[0] != '/' {
		return "/" + rest
	}
	return rest
}

// frame settles where the body ends and which connection options hold. What two
// readers could understand in two ways is refused.
func (h *head) frame() *Refusal {
	if r := twice(h.header); r != nil {
		return r
	}
	if r := h.frameHost(); r != nil {
		return r
	}
	if r := h.frameBody(); r != nil {
		return r
	}
	connection := h.header["Connection"]
	h.keepAlive = h.minor == 1 && !hasOption(connection, "close") || h.minor == 0 && hasOption(connection, "keep-alive")
	switch expect := h.header["Expect"]; {
	case len(expect) == 0 || h.minor == 0:
	case strings.EqualFold(expect[0], "100-continue"):
		h.expect = h.length != 0
	default:
		return &Refusal{http.StatusExpectationFailed, MalformedHeader, "the expectation is unknown"}
	}
	h.upgrade = h.minor == 1 && hasOption(connection, "upgrade") && hasOption(h.header["Upgrade"], "websocket")
	return nil
}

// single are headers that say one thing to each reader.
var single = []string{"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Expect", "Upgrade"}

func twice(header http.Header) *Refusal {
	for _, name := range single {
		if len(header[name]) > 1 {
			return bad(MalformedHeader, "the header "+name+" is there twice")
		}
	}
	return nil
}

// Misread is what of the headers of another version of HTTP two readers could understand
// in two ways, nil where nothing is.
func Misread(header http.Header) *Refusal {
	for key := range header {
		if masquerades(key) {
			return errMasquerade
		}
	}
	return twice(header)
}

func (h *head) frameHost() *Refusal {
	hosts := h.header["Host"]
	switch {
	case len(hosts) == 0 && h.minor == 1:
		return bad(HostMissing, "the header Host is missing")
	case len(hosts) == 1 && !validHost(hosts[0]):
		return bad(MalformedHeader, "the header Host names no host")
	case len(hosts) == 1 && h.host == "":
		h.host = hosts[0]
	}
	if len(hosts) == 1 && hosts[0] == "" {
		return nil // the rules tell it from none
	}
	delete(h.header, "Host")
	return nil
}

func (h *head) frameBody() *Refusal {
	lengths, encodings := h.header["Content-Length"], h.header["Transfer-Encoding"]
	switch {
	case len(encodings) > 0 && len(lengths) > 0:
		return bad(LengthMismatch, "both Content-Length and Transfer-Encoding say where the body ends")
	case len(encodings) > 0 && h.minor == 0:
		return bad(UnknownEncoding, "HTTP/1.0 has no Transfer-Encoding")
	case len(encodings) > 0:
		if !strings.EqualFold(encodings[0], "chunked") {
			return &Refusal{http.StatusNotImplemented, UnknownEncoding, "the Transfer-Encoding is not chunked"}
		}
		h.length = -1
		return h.announceTrailer()
	case len(lengths) > 0:
		length, ok := decimal(lengths[0])
		if !ok {
			return bad(LengthMismatch, "the Content-Length is no number")
		}
		h.length = length
	}
	return nil
}

// announceTrailer makes room for the trailer's fields, as net/http's requests have
// it. Others than those that are announced are dropped.
func (h *head) announceTrailer() *Refusal {
	for _, line := range h.header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			name = textproto.CanonicalMIMEHeaderKey(strings.Trim(name, " \t"))
			if name == "" {
				continue
			}
			if !isToken(name) || forbiddenTrailer[name] {
				return errTrailer
			}
			if h.trailer == nil {
				h.trailer = make(http.Header)
			}
			h.trailer[name] = nil
		}
	}
	delete(h.header, "Trailer")
	return nil
}

// forbiddenTrailer are fields that must be known before the body.
var forbiddenTrailer = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Connection": true, "Upgrade": true, "Expect": true,
	"Content-Type": true, "Content-Encoding": true, "Content-Range": true, "Authorization": true, "Cookie": true, "Te": true, "Keep-Alive": true,
	"Proxy-Authorization": true, "Proxy-Connection": true, "X-Forwarded-For": true, "Forwarded": true,
}

// InTrailer says whether a field may come behind a body.
func InTrailer(name string) bool { return !forbiddenTrailer[name] }

// fields reads header lines up to the empty one into header.
func fields(header http.Header, text string, limits *Limits) *Refusal {
	count := 0
	values := make([]string, 0, 16) // one allocation for most requests
	for text != "\r\n" {
		line, rest, _ := strings.Cut(text, "\r\n")
		text = rest
		if count++; count > limits.Headers {
			return &Refusal{http.StatusRequestHeaderFieldsTooLarge, TooManyHeaders, "there are more headers than allowed"}
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			// Also a line that begins with white space: the old way to fold.
			return bad(MalformedHeader, "a header line is malformed")
		}
		value = strings.Trim(value, " \t")
		if !validValue(value) {
			return bad(IllegalHeader, "a header has an illegal byte")
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		if masquerades(key) {
			return errMasquerade
		}
		if previous := header[key]; previous != nil {
			header[key] = append(previous, value)
			continue
		}
		if len(values) == cap(values) {
			values = make([]string, 0, 16)
		}
		values = append(values, value)
		header[key] = values[len(values)-1 : len(values) : len(values)]
	}
	return nil
}

// masquerades says whether servers that make variables of headers, as CGI has it,
// take key for one that frames the request.
func masquerades(key string) bool {
	if strings.IndexByte(key, '_') < 0 {
		return false
	}
	switch strings.ToLower(strings.ReplaceAll(key, "_", "-")) {
	case "content-length", "transfer-encoding", "content-type":
		return true
	}
	return false
}

// HasOption says whether a list such as that of Connection has option.
func HasOption(values []string, option string) bool { return hasOption(values, option) }

func hasOption(values []string, option string) bool {
	for _, v := range values {
		for v != "" {
			var one string
			one, v, _ = strings.Cut(v, ",")
			if strings.EqualFold(strings.Trim(one, " \t"), option) {
				return true
			}
		}
	}
	return false
}

// decimal reads digits alone: no sign, no list, no white space.
func decimal(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// urlOf is the target for those who want it in parts. What net/url refuses is taken
// as it stands.
func urlOf(target string) *url.URL {
	path, query, _ := strings.Cut(target, "?")
	u := &url.URL{Path: path, RawQuery: query}
	if strings.IndexByte(path, '%') >= 0 {
		if decoded, err := url.PathUnescape(path); err == nil {
			u.Path, u.RawPath = decoded, path
		}
	}
	return u
}
