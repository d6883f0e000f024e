package mx

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

// What is no HTTP never comes to the API: docs/OPENAPI.md says with which status.
func TestWhatIsNoHTTPIsAnsweredByStatus(t *testing.T) {
	srv := newServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), slog.New(slog.DiscardHandler))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(ln)
	defer srv.Close()
	for _, c := range []struct {
		path   string
		header int
		status int
	}{{"/a", 1, 200}, {"/%zz", 1, 400}, {"/a", 60 << 10, 200}, {"/a", 2 << 20, 431}} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		go fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", c.path, strings.Repeat("x", c.header))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != c.status {
			t.Errorf("%s with %d bytes of headers: %v, %v, want %d", c.path, c.header, resp, err, c.status)
		}
		conn.Close()
	}
}
