package access

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// disk is a log that can be slow.
type disk struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *disk) Close() error { return nil }

var line = regexp.MustCompile(`^[0-9a-f.:-]+ - \S+ \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "(-|\S+ \S+ \S+)" \d+ (\d+|-) \d+$`)

func TestLines(t *testing.T) {
	to := &disk{}
	l := New(to)
	told := make(chan Entry, 3)
	srv := httptest.NewServer(l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
			t.Errorf("the connection is out of reach: %v", err)
		}
		if r.URL.Path == "/who" {
			Identify(r.Context(), "zoë \"the\" admin")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprint(w, "hello")
	}), func(e Entry) { told <- e }))
	for _, path := range []string{"/a/b?password=S3cret&x=%0aGET", "/who", "/p;jsessionid=S3cret/x"} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	srv.Close()
	if first := <-told; first.Status != 200 || first.Bytes != 5 {
		t.Errorf("told: %+v", first)
	}
	l.Add(Entry{Client: netip.MustParseAddr("2001:db8::1"), Began: time.Now(), Status: 400, Bytes: -1})
	l.Add(Entry{Began: time.Now(), Method: "GET", Target: "/\n192.0.2.1 - x \x1b[2J\xff" + strings.Repeat("/", 2000), Protocol: "HTTP/1.1", Status: 200})
	zoned := netip.MustParseAddr("fe80::1").WithZone("\n192.0.2.1 - x")
	l.Add(Entry{Client: zoned, Began: time.Now(), Method: "GET", Target: "http://u:S3cret@host;S3cret/p", Protocol: "HTTP/1.1", Status: 200})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(to.text.String(), "\n"), "\n")
	if len(got) != 6 {
		t.Fatalf("%d lines:\n%s", len(got), to.text.String())
	}
	for i, part := range []string{`127.0.0.1 - - [`, `127.0.0.1 - zo\xc3\xab\x20\x22the\x22\x20admin [`, `"GET /p;... HTTP/1.1" 200 5 `, `2001:db8::1 - - [`, `"GET /\x0a192.0.2.1\x20-\x20x\x20\x1b[2J\xff/`, `fe80::1 - - [`} {
		if !line.MatchString(got[i]) || !strings.Contains(got[i], part) {
			t.Errorf("line %d: %s", i, got[i])
		}
	}
	if !strings.Contains(got[0], `"GET /a/b?... HTTP/1.1" 200 5 `) || !strings.Contains(got[1], `" 418 5 `) || !strings.Contains(got[3], `] "-" 400 - `) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if !strings.Contains(got[5], `"GET /p HTTP/1.1" `) {
		t.Errorf("%s", got[5])
	}
	if strings.Contains(to.text.String(), "S3cret") || len(got[4]) > 2*maxTarget {
		t.Errorf("%s", to.text.String())
	}
	var none *Log
	none.Add(Entry{}) // nothing, and no crash
}

// A disk that stands still holds up nobody, and what is missing is counted.
func TestSlowDisk(t *testing.T) {
	to := &disk{}
	to.mu.Lock()
	l := New(to)
	e := Entry{Began: time.Now(), Method: "GET", Target: "/" + strings.Repeat("x", 1000), Protocol: "HTTP/1.1", Status: 200}
	const n = 5000
	for range n {
		l.Add(e)
	}
	to.mu.Unlock()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	kept, lost := 0, 0
	for _, text := range strings.Split(strings.TrimSuffix(to.text.String(), "\n"), "\n") {
		if some := 0; strings.HasPrefix(text, "#") {
			fmt.Sscanf(text, "# %d requests are missing", &some)
			lost += some
		} else if line.MatchString(text) {
			kept++
		} else {
			t.Fatalf("a torn line: %.80s", text)
		}
	}
	if kept+lost != n || lost == 0 || kept < flushAt/1000 {
		t.Errorf("%d kept and %d missing of %d", kept, lost, n)
	}
}

// nowhere is a disk that takes everything at once.
type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

func BenchmarkAdd(b *testing.B) {
	l := New(nowhere{io.Discard})
	defer l.Close()
	e := Entry{Client: netip.MustParseAddr("192.0.2.1"), Began: time.Now(), Method: "GET", Target: "/index.html?a=b", Protocol: "HTTP/1.1", Status: 200, Bytes: 1234}
	b.ReportAllocs()
	for b.Loop() {
		l.Add(e)
	}
}
