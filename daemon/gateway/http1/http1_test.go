package http1_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/daemon/gateway/http1"
)

// seen is what a handler was given.
type seen struct {
	method, target, host, body string
	header, trailer            http.Header
	err                        error
}

// start serves echo on loopback. Each request comes out of requests, each refusal
// out of refused.
func start(t *testing.T, limits http1.Limits, handler http.Handler) (addr string, srv *http1.Server, refused chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused = make(chan string, 100)
	srv = &http1.Server{Handler: handler, Log: slog.New(slog.DiscardHandler),
		Refused: func(_ netip.AddrPort, r *http1.Refusal) { refused <- r.Name }}
	srv.SetLimits(limits)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { srv.ServeConn(context.Background(), c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		srv.Shutdown(ctx)
		serving.Wait()
	})
	return ln.Addr().String(), srv, refused
}

var wide = http1.Limits{Head: 8 << 10, Headers: 50, URL: 2 << 10, Slow: 10 * time.Second, Idle: 10 * time.Second}

func recorder(requests chan<- seen) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		requests <- seen{r.Method, r.RequestURI, r.Host, string(body), r.Header, r.Trailer, err}
		fmt.Fprintf(w, "got %d bytes", len(body))
	})
}

// say sends raw bytes and returns the statuses of the answers until the server
// closes, or answers is reached.
func say(t *testing.T, addr, raw string, answers int) []int {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	go io.WriteString(c, raw)
	var statuses []int
	in := bufio.NewReader(c)
	for len(statuses) < answers {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses
		}
		io.Copy(io.Discard, resp.Body)
		statuses = append(statuses, resp.StatusCode)
	}
	return statuses
}

func TestRefusesWhatTwoReadersCouldUnderstandInTwoWays(t *testing.T) {
	for name, c := range map[string]struct {
		raw    string
		status int
		rule   string
	}{
		"both lengths":                {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, http1.LengthMismatch},
		"both lengths, TE first":      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400, http1.LengthMismatch},
		"two equal lengths":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, http1.MalformedHeader},
		"two lengths":                 {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello", 400, http1.MalformedHeader},
		"a list of lengths":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", 400, http1.LengthMismatch},
		"a signed length":             {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400, http1.LengthMismatch},
		"a negative length":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, http1.LengthMismatch},
		"a hexadecimal length":        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", 400, http1.LengthMismatch},
		"an empty length":             {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400, http1.LengthMismatch},
		"a length that overflows":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello", 400, http1.LengthMismatch},
		"white space before a colon":  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, http1.MalformedHeader},
		"a folded line":               {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, http1.MalformedHeader},
		"a folded first line":         {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, http1.MalformedHeader},
		"a bare LF in a header":       {"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, ""},
		"bare LFs alone":              {"GET / HTTP/1.1\nHost: a\n\n", 400, ""},
		"a bare CR in a header":       {"GET / HTTP/1.1\r\nHost: a\r\nX: b\rContent-Length: 5\r\n\r\n", 400, http1.IllegalHeader},
		"a NUL in a header":           {"GET / HTTP/1.1\r\nHost: a\r\nX: b\x00c\r\n\r\n", 400, http1.IllegalHeader},
		"a header without a colon":    {"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400, http1.MalformedHeader},
		"a header without a name":     {"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400, http1.MalformedHeader},
		"an underscored length":       {"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", 400, http1.MalformedHeader},
		"an underscored encoding":     {"POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n", 400, http1.MalformedHeader},
		"two hosts":                   {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, http1.MalformedHeader},
		"two types":                   {"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Type: application/json\r\n\r\n", 400, http1.MalformedHeader},
		"no host":                     {"GET / HTTP/1.1\r\nX: a\r\n\r\n", 400, http1.HostMissing},
		"a host with a path":          {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, http1.MalformedHeader},
		"a host with a user":          {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, http1.MalformedHeader},
		"a host with two ports":       {"GET / HTTP/1.1\r\nHost: a:x:1\r\n\r\n", 400, http1.MalformedHeader},
		"a port that is no number":    {"GET / HTTP/1.1\r\nHost: a:8x0\r\n\r\n", 400, http1.MalformedHeader},
		"a bracket in a port":         {"GET / HTTP/1.1\r\nHost: a:x]\r\n\r\n", 400, http1.MalformedHeader},
		"a bracket in a host":         {"GET / HTTP/1.1\r\nHost: a]:1\r\n\r\n", 400, http1.MalformedHeader},
		"an address that goes on":     {"GET / HTTP/1.1\r\nHost: [::1]a:1\r\n\r\n", 400, http1.MalformedHeader},
		"an address without an end":   {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, http1.MalformedHeader},
		"a host with two dots":        {"GET / HTTP/1.1\r\nHost: a..:1\r\n\r\n", 400, http1.MalformedHeader},
		"two ports in the URL":        {"GET http://a:x:1/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, http1.MalformedRequest},
		"an encoding besides chunked": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, http1.UnknownEncoding},
		"identity":                    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501, http1.UnknownEncoding},
		"chunked twice":               {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, http1.MalformedHeader},
		"a vertical tab in TE":        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", 400, http1.IllegalHeader},
		"TE in HTTP/1.0":              {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, http1.UnknownEncoding},
		"two spaces in the line":      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
		"a space in the URL":          {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, http1.MalformedRequest},
		"a tab in the line":           {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
		"no version":                  {"GET /\r\nHost: a\r\n\r\n", 400, http1.MalformedRequest},
		"another version":             {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, http1.MalformedRequest},
		"a URL without a slash":       {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, http1.MalformedRequest},
		"another scheme":              {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, http1.MalformedRequest},
		"a tunnel":                    {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405, http1.IllegalMethod},
		"TLS":                         {"\x16\x03\x01\x02\x00\x01\x00", 400, http1.MalformedRequest},
		"an unknown expectation":      {"GET / HTTP/1.1\r\nHost: a\r\nExpect: coffee\r\n\r\n", 417, http1.MalformedHeader},
		"a long URL":                  {"GET /" + strings.Repeat("a", 3<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, http1.URLTooLong},
		"an endless URL":              {"GET /" + strings.Repeat("a", 20<<10), 414, http1.URLTooLong},
		"a long header":               {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 20<<10), 431, http1.HeaderTooLong},
		"many headers":                {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 60) + "\r\n", 431, http1.TooManyHeaders},
	} {
		t.Run(name, func(t *testing.T) {
			requests := make(chan seen, 10)
			addr, _, refused := start(t, wide, recorder(requests))
			// What follows must never be taken for a request.
			statuses := say(t, addr, c.raw+"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 5)
			if !slices.Equal(statuses, []int{c.status}) {
				t.Errorf("answers %v; want %d alone", statuses, c.status)
			}
			if rule := <-refused; c.rule != "" && rule != c.rule {
				t.Errorf("refused by %q; want %q", rule, c.rule)
			}
			if len(requests) > 0 {
				t.Errorf("the handler was given %+v", <-requests)
			}
		})
	}
}

func TestRefusesBrokenChunks(t *testing.T) {
	for name, body := range map[string]string{
		"an extension":                 "5;a=b\r\nhello\r\n0\r\n\r\n",
		"an extension of the last":     "5\r\nhello\r\n0;a\r\n\r\n",
		"a space behind the size":      "5 \r\nhello\r\n0\r\n\r\n",
		"a space before the size":      " 5\r\nhello\r\n0\r\n\r\n",
		"0x":                           "0x5\r\nhello\r\n0\r\n\r\n",
		"a sign":                       "+5\r\nhello\r\n0\r\n\r\n",
		"no size":                      "\r\nhello\r\n0\r\n\r\n",
		"a size that overflows":        "10000000000000005\r\nhello\r\n0\r\n\r\n",
		"a bare LF behind the size":    "5\nhello\r\n0\r\n\r\n",
		"a bare LF behind the chunk":   "5\r\nhello\n0\r\n\r\n",
		"a bare CR behind the size":    "5\rhello\r\n0\r\n\r\n",
		"more than the size":           "4\r\nhello\r\n0\r\n\r\n",
		"a bare LF in the trailer":     "5\r\nhello\r\n0\r\nX: a\n\r\n",
		"a length in the trailer":      "5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
		"a folded line in the trailer": "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
		"many fields in the trailer":   "5\r\nhello\r\n0\r\n" + strings.Repeat("X: a\r\n", 60) + "\r\n",
		"an endless trailer":           "5\r\nhello\r\n0\r\nX: " + strings.Repeat("a", 20<<10),
	} {
		t.Run(name, func(t *testing.T) {
			requests := make(chan seen, 10)
			addr, _, _ := start(t, wide, recorder(requests))
			statuses := say(t, addr, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+body+"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 5)
			if len(statuses) > 1 {
				t.Errorf("answers %v; want one at most", statuses)
			}
			if r := <-requests; r.err == nil {
				t.Errorf("the body was taken for %q", r.body)
			}
			if len(requests) > 0 {
				t.Errorf("the handler was given %+v", <-requests)
			}
		})
	}
}

func TestTakesWhatIsWhole(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want seen
	}{
		"a body":                     {"POST /a?b=%c HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nhello", seen{method: "POST", target: "/a?b=%c", host: "a:80", body: "hello"}},
		"chunks":                     {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n002\r\nlo\r\n0\r\n\r\n", seen{method: "POST", target: "/", host: "a", body: "hello"}},
		"Chunked":                    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", seen{method: "POST", target: "/", host: "a"}},
		"absolute form":              {"GET http://real/x HTTP/1.1\r\nHost: other\r\n\r\n", seen{method: "GET", target: "http://real/x", host: "real"}},
		"absolute form without path": {"GET HTTP://real?x HTTP/1.1\r\nHost: other\r\n\r\n", seen{method: "GET", target: "HTTP://real?x", host: "real"}},
		"the server itself":          {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", seen{method: "OPTIONS", target: "*", host: "a"}},
		"two slashes":                {"GET //evil/x HTTP/1.1\r\nHost: a\r\n\r\n", seen{method: "GET", target: "//evil/x", host: "a"}},
		"HTTP/1.0 without a host":    {"GET / HTTP/1.0\r\n\r\n", seen{method: "GET", target: "/"}},
		"an empty line before it":    {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", seen{method: "GET", target: "/", host: "a"}},
		"a host with dot and colon":  {"GET / HTTP/1.1\r\nHost: a.:\r\n\r\n", seen{method: "GET", target: "/", host: "a.:"}},
		"an IPv6 host":               {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", seen{method: "GET", target: "/", host: "[::1]:80"}},
	} {
		t.Run(name, func(t *testing.T) {
			requests := make(chan seen, 10)
			addr, _, refused := start(t, wide, recorder(requests))
			if statuses := say(t, addr, c.raw, 1); !slices.Equal(statuses, []int{200}) {
				t.Fatalf("answers %v, refused %d", statuses, len(refused))
			}
			got := <-requests
			if got.err != nil || got.method != c.want.method || got.target != c.want.target || got.host != c.want.host || got.body != c.want.body {
				t.Errorf("the handler was given %+v", got)
			}
		})
	}
}

func TestRequestsFollowEachOther(t *testing.T) {
	requests := make(chan seen, 10)
	addr, _, _ := start(t, wide, recorder(requests))
	// Byte by byte, so that every place to stop is met.
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw := "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\nX-Other: 8\r\n\r\n" +
		"GET /2 HTTP/1.1\r\nHost: a\r\n\r\nPOST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
	go func() {
		for i := range len(raw) {
			c.Write([]byte{raw[i]})
		}
	}()
	in := bufio.NewReader(c)
	for i, want := range []string{"/1", "/2", "/3"} {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		io.Copy(io.Discard, resp.Body)
		got := <-requests
		if got.target != want || got.err != nil {
			t.Errorf("request %d: %+v", i, got)
		}
		if i == 0 && (got.trailer.Get("X-Sum") != "7" || got.trailer.Get("X-Other") != "") {
			t.Errorf("trailer %v; want what was announced", got.trailer)
		}
		if resp.Close != (i == 2) {
			t.Errorf("answer %d: close is %v", i, resp.Close)
		}
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("the connection goes on: %v", err)
	}
}

func TestUnreadBodiesDoNotBecomeRequests(t *testing.T) {
	addr, _, _ := start(t, wide, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	inner := "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	raw := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner)
	if statuses := say(t, addr, raw+"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 5); !slices.Equal(statuses, []int{403, 403}) {
		t.Errorf("answers %v; want one for each request", statuses)
	}
	// Too much to read: the connection ends.
	raw = fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 1<<20, inner)
	if statuses := say(t, addr, raw, 5); !slices.Equal(statuses, []int{403}) {
		t.Errorf("answers %v; want one", statuses)
	}
	// The body was never asked for: it may come or not.
	raw = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 35\r\n\r\n"
	if statuses := say(t, addr, raw+inner, 5); !slices.Equal(statuses, []int{403}) {
		t.Errorf("answers %v; want one", statuses)
	}
}

func TestContinueIsSaidWhenTheBodyIsWanted(t *testing.T) {
	requests := make(chan seen, 10)
	addr, _, _ := start(t, wide, recorder(requests))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	in.ReadString('\n')
	io.WriteString(c, "hi")
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
	if got := <-requests; got.body != "hi" {
		t.Errorf("the handler was given %+v", got)
	}
}

func TestSlowClientsAreCut(t *testing.T) {
	requests := make(chan seen, 10)
	limits := wide
	limits.Slow, limits.Rate = 50*time.Millisecond, 1000
	addr, _, refused := start(t, limits, recorder(requests))
	if statuses := say(t, addr, "GET / HTTP/1.1\r\nHost:", 2); !slices.Equal(statuses, []int{408}) {
		t.Errorf("half a head: answers %v", statuses)
	}
	if rule := <-refused; rule != http1.SlowRequest {
		t.Errorf("half a head: refused by %q", rule)
	}
	say(t, addr, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhell", 2)
	if r := <-requests; r.err == nil {
		t.Errorf("half a body: taken for %q", r.body)
	}
}

func TestAClientThatLeavesCancels(t *testing.T) {
	begun, left := make(chan bool), make(chan bool)
	addr, _, _ := start(t, wide, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-r.Context().Done()
		left <- true
	}))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-begun
	c.Close()
	<-left
}

func TestShutdownLetsRequestsEnd(t *testing.T) {
	begun, goOn := make(chan bool), make(chan bool)
	addr, srv, _ := start(t, wide, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-goOn
		io.WriteString(w, "whole")
	}))
	idle, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	answers := make(chan []int)
	go func() { answers <- say(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 2) }()
	<-begun
	down := make(chan error)
	go func() { down <- srv.Shutdown(context.Background()) }()
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("an idle connection goes on")
	}
	goOn <- true
	if got := <-answers; !slices.Equal(got, []int{200}) {
		t.Errorf("answers %v", got)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func TestAPanicCostsItsConnectionAlone(t *testing.T) {
	addr, _, _ := start(t, wide, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "/panic" {
			panic("boom")
		}
	}))
	if statuses := say(t, addr, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n", 1); len(statuses) > 0 {
		t.Errorf("answers %v", statuses)
	}
	if statuses := say(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1); !slices.Equal(statuses, []int{200}) {
		t.Errorf("answers %v", statuses)
	}
}

func TestAnswersAreNotSplit(t *testing.T) {
	addr, _, _ := start(t, wide, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/\r\nSet-Cookie: a=b")
		w.Header()["X: y"] = []string{"z"}
		w.WriteHeader(http.StatusFound)
	}))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	if all, _ := io.ReadAll(c); strings.Contains(string(all), "Set-Cookie") || strings.Contains(string(all), "X: y") {
		t.Errorf("%q", all)
	}
}
