package http1

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What we take, net/http takes as the same request: a head that we read otherwise
// than a server behind us would be a hole.
func FuzzHead(f *testing.F) {
	for _, raw := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
		"POST /a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
		"GET http://b:1/x HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\n\r\n",
		"OPTIONS * HTTP/1.0\r\n\r\n",
	} {
		f.Add(raw)
	}
	limits := &Limits{Head: 8 << 10, Headers: 50, URL: 2 << 10}
	f.Fuzz(func(t *testing.T, raw string) {
		n := endOfHead([]byte(raw), 0)
		if n == 0 {
			return
		}
		h, refusal := parseHead(raw[:n], limits)
		if refusal != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw[:n])))
		if err != nil {
			// Paths, hosts and trailers that it finds odd are refused: no other meaning.
			return
		}
		if r.Method != h.method || r.Host != h.host && h.host != "" || r.ProtoMinor != h.minor {
			t.Errorf("%q: %s %s %d and %s %s %d", raw[:n], h.method, h.host, h.minor, r.Method, r.Host, r.ProtoMinor)
		}
		if r.ContentLength != h.length {
			t.Errorf("%q: length %d and %d", raw[:n], h.length, r.ContentLength)
		}
	})
}

// A body ends where net/http finds its end.
func FuzzChunks(f *testing.F) {
	for _, body := range []string{"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\nrest", "a\r\n0123456789\r\n00\r\nX: y\r\n\r\n", "5;x\r\nhello\r\n0\r\n\r\n"} {
		f.Add(body)
	}
	const begin = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	f.Fuzz(func(t *testing.T, raw string) {
		client, server := net.Pipe()
		go func() {
			io.WriteString(client, raw)
			client.Close()
		}()
		srv := &Server{Log: slog.New(slog.DiscardHandler)}
		c := &conn{Conn: server, srv: srv, ctx: context.Background(), limits: &Limits{Head: 8 << 10, Headers: 50, Slow: time.Minute}}
		b := &body{c: c, chunked: true, first: true}
		got, err := io.ReadAll(b)
		rest := string(c.buffered())
		more, _ := io.ReadAll(server)
		rest += string(more)
		server.Close()
		if err != nil {
			return
		}
		in := bufio.NewReader(strings.NewReader(begin + raw))
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(r.Body)
		theirs, _ := io.ReadAll(in)
		if err != nil || string(got) != string(want) || rest != string(theirs) {
			t.Errorf("%q: body %q, then %q; net/http: %q, %v, then %q", raw, got, rest, want, err, theirs)
		}
	})
}
