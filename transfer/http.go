package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// expectAbove is the size from which a server is asked first (Expect: 100-continue), so that a refusal costs a
	// round trip and not the file; expectUnasked, from which that is worth it where the refusal is the question for a
	// password.
	expectAbove   = 1 << 20
	expectUnasked = 64 << 10
	// expectPatience is how long to wait for a server that does not know the question.
	expectPatience = 2 * time.Second
	// maxHops bounds redirects.
	maxHops   = 5
	userAgent = "sealgate"
	// maxHTTPHeader and maxHTTPBody bound what an answer may bring.
	maxHTTPHeader = 64 << 10
	maxHTTPBody   = 16 << 10
	// httpBuffer is what lies between net/http and a connection, in bytes; a file passes it by.
	httpBuffer = 64 << 10
)

// http uploads with PUT straight to the final name; that nobody sees half a file there is the server's promise. Go's
// own client is of no use: it would turn a redirected PUT into a GET and call that a success.
func (u *upload) http(ctx context.Context) error {
	if u.o.User != "" && u.target.Protocol == "http" {
		u.notice("http has no TLS: the password and the file travel in the clear")
	}
	transport := u.httpTransport(ctx)
	defer transport.CloseIdleConnections()
	nothing := func() int64 { return 0 } // PUT starts again
	return u.retry(ctx, nothing, func() error { return u.httpOnce(ctx, transport) })
}

func (u *upload) httpOnce(ctx context.Context, transport *http.Transport) error {
	u.begin()
	u.login = newLogin(u.target, u.o) // what https was told at once after a redirect, http is not
	to := u.target
	for range maxHops {
		answer, err := u.exchange(ctx, transport, to, true)
		switch {
		case err != nil:
			return err
		case answer.StatusCode == http.StatusCreated || answer.StatusCode == http.StatusNoContent:
			return u.verifyHTTP(ctx, transport, to)
		case answer.StatusCode/100 == 2:
			return nil // it took the file, and does not say that it lies there
		case u.proxySaid(to, answer.Response):
			return u.proxyRefused(answer.Response, to.addr())
		case repeats(answer.Response):
			if to, err = u.follow(to, answer.Header.Get("Location"), true); err != nil {
				return err
			}
		default:
			return u.statusFault(answer, OpWrite)
		}
	}
	return u.wrap(OpWrite, Refused, fmt.Errorf("the server redirected more than %d times", maxHops), "")
}

// repeats says whether answer wants the same request elsewhere.
func repeats(answer *http.Response) bool {
	return answer.StatusCode == http.StatusTemporaryRedirect || answer.StatusCode == http.StatusPermanentRedirect
}

// exchange sends the file until the answer is neither a question for authorization that can be answered nor a
// complaint about Expect.
func (u *upload) exchange(ctx context.Context, transport *http.Transport, to Target, expect bool) (*httpAnswer, error) {
	for asked := 0; ; asked++ {
		answer, err := u.put(ctx, transport, to, expect)
		switch {
		case err != nil:
			return nil, err
		case answer.StatusCode == http.StatusExpectationFailed && expect:
			expect = false
		case asked >= maxAsked || !u.learns(to, answer.Response):
			return answer, nil
		}
	}
}

// learns says whether answer asks for authorization that can be given.
func (s *session) learns(to Target, answer *http.Response) bool {
	switch {
	case s.proxied(to) && answer.StatusCode == http.StatusProxyAuthRequired:
		return s.proxy.learn(challengesOf(answer.Header, "Proxy-Authenticate"))
	case answer.StatusCode == http.StatusUnauthorized && !s.proxySaid(to, answer):
		return s.login.learn(challengesOf(answer.Header, "WWW-Authenticate"))
	}
	return false
}

// proxied says whether requests to to are made to the proxy: those to https go through a tunnel.
func (s *session) proxied(to Target) bool { return s.o.Proxy.set() && to.Protocol != "https" }

// httpTransport makes one connection for each request: requests ask for that themselves. Connections live as long as
// ctx and not as the context that the transport passes, which it keeps apart from the request's.
func (s *session) httpTransport(ctx context.Context) *http.Transport {
	return &http.Transport{
		DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			var raw *conn
			var err error
			if s.o.Proxy.set() {
				raw, err = s.dialProxy(ctx)
			} else {
				raw, err = s.httpDial(ctx, address)
			}
			if err != nil {
				return nil, err
			}
			return inBlocks{raw}, nil
		},
		DialTLSContext: func(_ context.Context, _, address string) (net.Conn, error) {
			raw, err := s.httpDial(ctx, address)
			if err != nil {
				return nil, err
			}
			host, _, _ := net.SplitHostPort(address)
			secured, err := s.handshake(ctx, raw, s.tlsConfig(host))
			if err != nil {
				raw.Close()
				return nil, s.fault(ctx, OpTLS, err)
			}
			return inBlocks{secured}, nil
		},
		ExpectContinueTimeout:  expectPatience,
		ResponseHeaderTimeout:  s.o.IdleTimeout, // a header that drips is never idle
		MaxResponseHeaderBytes: maxHTTPHeader,
		WriteBufferSize:        httpBuffer,
		ReadBufferSize:         httpBuffer,
		DisableCompression:     true,
	}
}

func (s *session) httpDial(ctx context.Context, address string) (*conn, error) {
	c, err := s.dial(ctx, address)
	if err != nil {
		return nil, s.fault(ctx, OpConnect, err)
	}
	return c, nil
}

// request is a request for to, made in one piece to whoever is connected: the server, or the proxy for it.
func (s *session) request(ctx context.Context, method string, to Target, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, to.url().String(), body)
	if err != nil {
		return nil, s.wrap(OpTarget, BadTarget, err, "")
	}
	request.Close = true // and with it the body is kept when a refusal comes instead of 100 Continue
	request.Header.Set("User-Agent", userAgent)
	if login := s.login.header(method, to.url().RequestURI()); login != "" {
		request.Header.Set("Authorization", login)
	}
	if s.proxied(to) {
		if err := s.judgeForProxy(to.Host); err != nil {
			return nil, s.fault(ctx, OpConnect, err)
		}
		whole := to.url().String()
		request.URL = &url.URL{Scheme: "http", Host: s.o.Proxy.String(), Opaque: whole}
		request.Host = to.hostPort()
		if login := s.proxy.header(method, whole); login != "" {
			request.Header.Set("Proxy-Authorization", login)
		}
	}
	return request, nil
}

// httpAnswer is what is kept of a response.
type httpAnswer struct {
	*http.Response
	text  string           // the beginning of a plain text body
	reply *textproto.Error // of an ftp server, where a proxy's FTP gateway tells it
}

// put sends the file once from its beginning.
func (u *upload) put(ctx context.Context, transport *http.Transport, to Target, expect bool) (*httpAnswer, error) {
	// Ends the request, and with it the reading of the source, whatever the outcome.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	source, err := u.open(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	request, err := u.request(ctx, http.MethodPut, to, source)
	if err != nil {
		return nil, err
	}
	request.ContentLength = source.size
	request.Header.Set("Content-Type", "application/octet-stream")
	if source.size == 0 {
		// A body of length 0 means "unknown length" to net/http. What is empty must still be read to its end.
		if _, err := io.Copy(io.Discard, source); err != nil {
			return nil, u.fault(ctx, OpSource, err)
		}
		request.Body = http.NoBody
	}
	above := int64(expectAbove)
	if u.login.unasked() {
		above = expectUnasked
	}
	if expect && (source.size < 0 || source.size > above) {
		request.Header.Set("Expect", "100-continue")
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, u.fault(ctx, OpWrite, err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 == 2 && !source.whole() {
		return nil, u.fault(ctx, OpWrite, errors.New("the server reported success before it had the whole file"))
	}
	return newAnswer(response, cancel), nil
}

// verifyHTTP compares the size that the server tells of a file. Many tell none, or let nobody read what they take.
func (u *upload) verifyHTTP(ctx context.Context, transport *http.Transport, to Target) error {
	answer, err := u.head(ctx, transport, to)
	if ctx.Err() != nil {
		return u.fault(ctx, OpVerify, err)
	}
	isFile := err == nil && answer.StatusCode == http.StatusOK && answer.Header.Get("ETag")+answer.Header.Get("Last-Modified") != ""
	if !isFile || answer.ContentLength < 0 {
		return nil
	}
	return u.verify(answer.ContentLength)
}

func (u *upload) head(ctx context.Context, transport *http.Transport, to Target) (*http.Response, error) {
	request, err := u.request(ctx, http.MethodHead, to, nil)
	if err != nil {
		return nil, err
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return nil, u.fault(ctx, OpVerify, err)
	}
	answer.Body.Close()
	return answer, nil
}

// newAnswer keeps the beginning of a plain text, and what a gateway's page says. cancel ends the request when the server drips.
func newAnswer(response *http.Response, cancel func()) *httpAnswer {
	answer := &httpAnswer{Response: response}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	gateway := strings.HasPrefix(response.Header.Get("X-Squid-Error"), "ERR_FTP_")
	if kind != "text/plain" && !gateway {
		return answer // pages of HTML say less than the status
	}
	// When reading fails the status is still there.
	defer time.AfterFunc(goodbyeTime, cancel).Stop()
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxHTTPBody))
	if gateway {
		answer.reply = ftpReply(string(text))
	} else {
		answer.text = strings.TrimSpace(string(text))
	}
	return answer
}

// follow is the target that a redirect names. For an upload the server must stay the same, since the file was meant for
// it alone; a download may lead elsewhere, where the password is not told. Going from http to https is welcome, the way
// back is not.
func (s *session) follow(from Target, location string, upload bool) (Target, error) {
	op := OpReceive
	if upload {
		op = OpWrite
	}
	refuse := func(why string) (Target, error) {
		return from, s.wrap(op, Refused, fmt.Errorf("the server redirects to %q: %s", location, why), "use the address that the server names, if you trust it")
	}
	next, err := from.url().Parse(location)
	if err != nil || location == "" {
		return refuse("that is no URL")
	}
	shown := &url.URL{Scheme: next.Scheme, Host: next.Host, Path: next.Path} // without user and query
	location = shown.String()
	to := from
	to.Protocol = next.Scheme
	port, known := defaultPorts[next.Scheme]
	if !known || !to.isHTTP() {
		return refuse("that is not http")
	}
	to.Port = port
	if err := to.setAuthority(next.Host); err != nil {
		return refuse("that is no host")
	}
	to.Path, to.RawPath, to.Query = next.Path, next.EscapedPath(), next.RawQuery
	if !slices.Contains(s.queries, to.Query) {
		s.queries = append(s.queries, to.Query)
	}
	upgraded := from.Protocol == "http" && to.Protocol == "https"
	switch {
	case from.Protocol == "https" && to.Protocol == "http":
		return refuse("that would give up TLS")
	case !upload:
	case to.Host != from.Host:
		return refuse("the file and the password are not sent to another host")
	case to.Port != from.Port && !upgraded:
		return refuse("the file and the password are not sent to another port")
	}
	if err := to.check(); err != nil {
		return refuse(plainWords(errors.Unwrap(err)))
	}
	switch {
	case to.Host == from.Host && upgraded:
		s.login.protected()
	case to.addr() != from.addr():
		s.login = &authorization{} // the password was meant for the server that was named
	}
	return to, nil
}

// statusFault is the error for an answer at op, which is OpWrite or OpReceive.
func (s *session) statusFault(answer *httpAnswer, op Op) error {
	words, hint := statusWords(answer.StatusCode)
	if op == OpReceive {
		words, hint = getWords(answer.StatusCode, words, hint)
	}
	kind := Refused
	if answer.StatusCode == http.StatusUnauthorized {
		op, kind = OpLogin, LoginRefused
		if asks := challengesOf(answer.Header, "WWW-Authenticate"); len(asks) > 0 && !slices.ContainsFunc(asks, isKnown) {
			words, hint = "that it wants "+foreign(asks), supported
		}
	}
	if s.login.unasked() && (answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusNotFound) {
		hint += "; it asked for no password and was told none, which https would do unasked"
	}
	said := answer.Status
	if answer.text != "" {
		said += ": " + answer.text
	}
	if words != "" {
		said = words + " (" + said + ")"
	}
	after := parseRetryAfter(answer.Header.Get("Retry-After"), time.Now())
	if after > longestRetryAfter {
		hint = "the server asks to come back in " + after.Round(time.Second).String()
	}
	return s.wrap(op, kind, &statusError{"the server answered " + said, answer.StatusCode, after}, hint)
}

// getWords says what an answer to GET means where it is not what it means to PUT.
func getWords(status int, words, hint string) (string, string) {
	switch status {
	case http.StatusForbidden:
		return "that this user may not read it", "check the permissions of the file on the server"
	case http.StatusNotFound, http.StatusGone:
		return "that there is no such file", "check the path"
	case http.StatusMethodNotAllowed, http.StatusConflict, http.StatusLengthRequired, http.StatusRequestEntityTooLarge:
		return "", ""
	}
	return words, hint
}

// statusWords says what an answer to PUT means, and what to try.
func statusWords(status int) (words, hint string) {
	switch status {
	case http.StatusUnauthorized:
		return "that it does not know this user and password", "check --user and --password"
	case http.StatusForbidden:
		return "that this user may not write there", "check the permissions of the folder on the server"
	case http.StatusNotFound:
		return "that there is no such place", "check that the folder exists"
	case http.StatusMethodNotAllowed:
		return "that it takes no uploads there", "the server must allow PUT (WebDAV); end the URL with / when its last part is a folder"
	case http.StatusConflict:
		return "that the folder does not exist", "create the folder on the server first"
	case http.StatusLengthRequired:
		return "that it wants to know the size first", "send a finished file instead of one that is still being written"
	case http.StatusRequestEntityTooLarge:
		return "that the file is too large for it", "raise the server's limit for uploads"
	case http.StatusInsufficientStorage:
		return "that its storage is full", "make room on the server"
	case http.StatusProxyAuthRequired:
		return "that a proxy in between wants a password", ""
	}
	switch {
	case status/100 == 3:
		return "that the file belongs elsewhere", "use the final URL: only 307 and 308 are followed"
	case status/100 == 5:
		return "that it failed itself", "try again; if it stays, look at the server's log"
	}
	return "", ""
}
