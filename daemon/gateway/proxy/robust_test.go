package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/proxy"
	"sealgate/daemon/gateway/waf"
)

// Each attack hides a second request in a first one. nginx is the server behind, and
// writes down whatever it takes for a request.
func TestNginxBehindSeesNoSmuggledRequest(t *testing.T) {
	log := filepath.Join(os.TempDir(), fmt.Sprintf("sealgatetest-%d-access.log", os.Getpid()))
	defer os.Remove(log)
	os.WriteFile(log, nil, 0o666)
	os.Chmod(log, 0o666)
	server := origin(t, "access_log "+log+";", `location / { return 200 "ok"; }`)
	hidden := "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	for name, raw := range map[string]string{
		"CL.TE":                  fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", 5+len(hidden), hidden),
		"TE.CL":                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk,
		"TE.TE, a space":         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding : chunked\r\n\r\n" + chunk,
		"TE.TE, a tab":           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding:\tchunked\r\n\r\n" + chunk,
		"TE.TE, xchunked":        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: xchunked\r\n\r\n" + chunk,
		"TE.TE, a second one":    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + hidden,
		"TE.TE, folded":          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding:\r\n chunked\r\n\r\n" + chunk,
		"TE.TE, after bare LF":   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n" + chunk,
		"TE.TE, after bare CR":   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n" + chunk,
		"TE.TE, underscored":     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer_Encoding: chunked\r\n\r\n" + chunk,
		"CL.0":                   fmt.Sprintf("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden),
		"CL.CL":                  fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden),
		"a list of lengths":      fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, %d\r\n\r\n%s", len(hidden), hidden),
		"a plus":                 fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +%d\r\n\r\n%s", len(hidden), hidden),
		"HTTP/1.0 with TE":       "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk,
		"an extension":           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n" + hidden,
		"an extension with LF":   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\n0\r\n\r\n" + hidden,
		"a chunk that overflows": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n0\r\n\r\n" + hidden,
		"a trailer that frames":  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\nContent-Length: 40\r\n\r\n" + hidden[:0],
		"a split URL":            "GET / HTTP/1.1\r\nX: GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
		"expect":                 fmt.Sprintf("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden),
		"an upgrade":             "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"connection drops TE":    "POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk,
		"connection drops CL":    fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden),
	} {
		for _, engine := range []bool{false, true} {
			change := func(*gate, *proxy.Options) {}
			if engine {
				change = withEngine(blockAttack)
			}
			g := newGate(t, server.Addr, change)
			c, err := net.Dial("tcp", g.addr(8080))
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(time.Minute))
			io.WriteString(c, raw)
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
			c.Close()
			// One that was left over for the next client would show now.
			if status, body := g.get("/after"); status != 200 || body != "ok" {
				t.Errorf("%s: the next client got %d %q", name, status, body)
			}
			var seen []byte
			for range 6000 { // it is written behind the answer
				if seen, err = os.ReadFile(log); err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(seen, []byte("GET /after")) {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if !bytes.Contains(seen, []byte("GET /after")) || bytes.Contains(seen, []byte(`"GET /smuggled`)) {
				t.Errorf("%s (inspected: %v): nginx saw\n%s", name, engine, seen)
			}
			os.Truncate(log, 0)
		}
	}
}

func TestASwapUnderLoadLosesNoRequest(t *testing.T) {
	first, second := origin(t, `location / { return 200 "first"; }`), origin(t, `location / { return 200 "second"; }`)
	g := newGate(t, first.Addr, secure, withEngine(blockAttack))
	stop := make(chan struct{})
	var asked, wrong atomic.Int64
	var asking sync.WaitGroup
	for version, client := range clients(t) {
		client.MaxIdleConnsPerHost = 10
		for range 4 {
			asking.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					r, _ := http.NewRequest("POST", "https://"+g.addr(8080)+"/", strings.NewReader("body"))
					resp, err := client.RoundTrip(r)
					if err != nil {
						wrong.Add(1)
						t.Errorf("%s: %v", version, err)
						return
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if asked.Add(1); resp.StatusCode != 200 || err != nil || string(body) != "first" && string(body) != "second" {
						wrong.Add(1)
						t.Errorf("%s: %d %q, %v", version, resp.StatusCode, body, err)
						return
					}
				}
			})
		}
	}
	rule := &g.service().Inbound[0].Outbound[0]
	for i := range 40 {
		to := first
		if i%2 == 0 {
			to = second
		}
		before := asked.Load()
		rule.Port = to.Port
		g.snapshot.Revision++
		g.snapshot.Group.Limits.Streams = 100 + i%3
		// A port more, a port less.
		g.service().Inbound[0].Ports = []int{8080, 8081}[:1+i%2]
		g.apply()
		for asked.Load() < before+20 && wrong.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	asking.Wait()
	t.Log(asked.Load(), "requests")
}

func TestARulesPanicCostsItsRequestAlone(t *testing.T) {
	server := origin(t, echo)
	boom := func(t *fakeTransaction) {
		t.headers = func() waf.Verdict {
			if strings.Contains(t.URI, "boom") {
				panic("a rule")
			}
			return waf.Verdict{}
		}
	}
	g := newGate(t, server.Addr, withEngine(boom))
	if status, _ := g.get("/boom"); status != 200 {
		t.Errorf("open: %d", status)
	}
	g.snapshot.Group.FailMode = model.FailClosed
	g.apply()
	if status, _ := g.get("/boom"); status != 503 {
		t.Errorf("closed: %d", status)
	}
	if status, _ := g.get("/"); status != 200 {
		t.Errorf("another request: %d", status)
	}
	g.service().Mode = model.ModeSimulation
	g.apply()
	if status, _ := g.get("/boom"); status != 200 {
		t.Errorf("simulation: %d", status)
	}
}

func TestHeldBodiesAreBounded(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	g := newGate(t, server, withEngine(blockAttack), func(g *gate, _ *proxy.Options) {
		g.snapshot.Group.FailMode, g.snapshot.Group.Limits.HeldBytes = model.FailClosed, 40_000
	})
	post := func(size int, chunked bool) string {
		var body io.Reader = strings.NewReader(strings.Repeat("x", size) + "attack")
		if chunked {
			body = io.MultiReader(body)
		}
		resp, err := http.Post(g.url("/"), "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(resp.StatusCode, " ", string(answer[:min(len(answer), 5)]))
	}
	for _, chunked := range []bool{false, true} {
		for _, c := range []struct {
			size int
			want string
		}{{20_000, "403 <!DOC"}, {60_000, "503 503 S"}, {20_000, "403 <!DOC"}} {
			if got := post(c.size, chunked); got != c.want {
				t.Errorf("closed, %d bytes, chunked %v: %s", c.size, chunked, got)
			}
		}
	}
	g.snapshot.Group.FailMode = ""
	g.apply()
	for _, chunked := range []bool{false, true} {
		if got := post(60_000, chunked); got != "200 60006" {
			t.Errorf("open, chunked %v: %s", chunked, got)
		}
	}
}

// Clients that announce much and send little, or hold what they may, do not keep others'
// bodies from being inspected.
func TestOneClientLeavesRoomForOthers(t *testing.T) {
	server := origin(t, `location / { return 200 "ok"; }`)
	var come atomic.Int64
	g := newGate(t, server.Addr, withEngine(func(t *fakeTransaction) {
		blockAttack(t)
		judge := t.body
		t.body = func(p []byte) waf.Verdict {
			come.Add(int64(len(p)))
			return judge(p)
		}
	}))
	begin := func(from, announced, sent int) {
		t.Helper()
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(from))}}).Dial("tcp", g.addr(8080))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", announced, strings.Repeat("x", sent))
	}
	arrived := func(n int64) {
		t.Helper()
		for range 6000 {
			if come.Load() >= n {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%d bytes of %d have come", come.Load(), n)
	}
	attack := func(from int) int {
		t.Helper()
		client := &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(from))}}).DialContext}
		r, _ := http.NewRequest("POST", g.url("/"), strings.NewReader("attack"))
		status, _ := g.do(client, r)
		return status
	}
	for range 100 {
		begin(2, 1<<20+1, 2)
	}
	arrived(200)
	for from := 2; from <= 3; from++ {
		if status := attack(from); status != 403 {
			t.Errorf("after much was announced, 127.0.0.%d: %d", from, status)
		} else if v := g.event(); v.Type != "test rule" {
			t.Errorf("%+v", v)
		}
	}
	// What has come is held, up to the client's share.
	for range 12 {
		before := come.Load()
		begin(4, 1<<20, 700_000)
		if len(g.events) > 0 {
			break
		}
		for i := 0; i < 1000 && come.Load() < before+700_000 && len(g.events) == 0; i++ {
			time.Sleep(10 * time.Millisecond)
		}
	}
	if v := g.event(); v.Type != "Inspection Not Completed" || v.Severity != "high" || v.Action != "none" || v.SourceIP != "127.0.0.4" {
		t.Errorf("%+v", v)
	}
	if status := attack(4); status != 200 {
		t.Errorf("whoever has its share: %d", status)
	}
	if status := attack(3); status != 403 {
		t.Errorf("another one: %d", status)
	}
	if v := g.event(); v.Type != "test rule" {
		t.Errorf("the event was told again: %+v", v)
	}
}

func TestLimits(t *testing.T) {
	server := origin(t, `location / { return 200 "ok"; }`)
	g := newGate(t, server.Addr, secure, func(g *gate, _ *proxy.Options) {
		g.snapshot.Group.Limits = model.GatewayLimits{Headers: 20, URLBytes: 200, BodyBytes: 1000}
	})
	for version, client := range clients(t) {
		for name, c := range map[string]struct {
			path   string
			header int
			body   int
			status int
		}{
			"all within":   {"/", 5, 1000, 200},
			"a long URL":   {"/" + strings.Repeat("a", 300), 0, 0, 414},
			"many headers": {"/", 30, 0, 431},
			"a long body":  {"/", 0, 2000, 413},
		} {
			r, _ := http.NewRequest("POST", "https://"+g.addr(8080)+c.path, strings.NewReader(strings.Repeat("b", c.body)))
			for i := range c.header {
				r.Header.Set(fmt.Sprintf("X-%d", i), "a")
			}
			if status, _ := g.do(client, r); status != c.status {
				t.Errorf("%s, %s: %d; want %d", version, name, status, c.status)
			}
		}
	}
}

// Limits that change hold for both versions of HTTP.
func TestLimitsChange(t *testing.T) {
	server := origin(t, "large_client_header_buffers 4 64k;", `location / { return 200 "ok"; }`)
	g := newGate(t, server.Addr, secure)
	all := clients(t)
	for _, c := range []struct{ most, sent, status int }{{0, 8000, 200}, {2000, 8000, 431}, {2000, 1000, 200}, {60_000, 40_000, 200}} {
		g.snapshot.Group.Limits.HeaderBytes = c.most
		g.apply()
		for version, client := range all {
			client.CloseIdleConnections()
			r, _ := http.NewRequest("GET", "https://"+g.addr(8080)+"/", nil)
			r.Header.Set("X-Long", strings.Repeat("a", c.sent))
			if status, _ := g.do(client, r); status != c.status {
				t.Errorf("%s: %d of %d bytes: %d; want %d", version, c.sent, c.most, status, c.status)
			}
		}
	}
	r, _ := http.NewRequest("GET", "https://"+g.addr(8080)+"/", nil)
	g.snapshot.Group.Limits.HeaderBytes = 2000
	g.apply()
	for range len(g.events) {
		<-g.events
	}
	r.Header.Set("X-Long", strings.Repeat("a", 2000))
	if status, _ := g.do(all["HTTP/2.0"], r); status != 431 {
		t.Errorf("a little too long: %d", status)
	}
	if v := g.event(); v.Type != "Header Line Too Long" {
		t.Errorf("%+v", v)
	}
}

// A client of HTTP/2 has no more time than others.
func TestSlowBodiesOfHTTP2(t *testing.T) {
	server := origin(t, `location / { return 200 "ok"; }`)
	g := newGate(t, server.Addr, secure, withEngine(blockAttack))
	g.snapshot.Group.Limits.SlowSeconds, g.snapshot.Group.Limits.BodyRate = 1, 1<<20
	g.apply()
	for name, drip := range map[string]bool{"drips": true, "stops": false} {
		body, from := io.Pipe()
		go func() {
			for _, err := from.Write([]byte("x")); drip && err == nil; _, err = from.Write([]byte("x")) {
				time.Sleep(100 * time.Millisecond)
			}
		}()
		r, _ := http.NewRequest("POST", "https://"+g.addr(8080)+"/", body)
		if status, _ := g.do(clients(t)["HTTP/2.0"], r); status != 408 {
			t.Errorf("a body that %s: %d", name, status)
		}
		body.Close()
		if v := g.event(); v.Type != "Slow Request" {
			t.Errorf("%+v", v)
		}
	}
}

// A client of HTTP/2 is not slow while the server takes nothing.
func TestServersThatTakeBodiesLateOverHTTP2(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2500 * time.Millisecond)
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	g := newGate(t, server, secure)
	g.snapshot.Group.Limits.SlowSeconds = 1
	g.apply()
	r, _ := http.NewRequest("POST", "https://"+g.addr(8080)+"/", bytes.NewReader(make([]byte, 32<<20)))
	if status, body := g.do(clients(t)["HTTP/2.0"], r); status != 200 || body != fmt.Sprint(32<<20) {
		t.Errorf("%d %q", status, body)
	}
	if len(g.events) > 0 {
		t.Errorf("an event: %+v", <-g.events)
	}
}

// A connection of HTTP/2 is there no longer than the configuration says that now holds.
func TestIdleConnectionsOfHTTP2(t *testing.T) {
	g := newGate(t, origin(t, echo).Addr, secure)
	dial := func() net.Conn {
		t.Helper()
		c, err := tls.Dial("tcp", g.addr(8080), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(time.Minute))
		io.WriteString(c, http2.ClientPreface)
		if err := http2.NewFramer(c, c).WriteSettings(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := dial()
	g.service().ConnectionTimeout = 1
	g.apply()
	for name, c := range map[string]net.Conn{"one from before": before, "one that came later": dial()} {
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConnectionsOfOneAddress(t *testing.T) {
	server := origin(t, echo)
	g := newGate(t, server.Addr, func(g *gate, _ *proxy.Options) { g.snapshot.Group.Limits.ConnectionsPerAddress = 3 })
	ask := func(c net.Conn) bool {
		if c == nil {
			return false
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		_, err := http.ReadResponse(bufio.NewReader(c), nil)
		return err == nil
	}
	dial := func(from string) net.Conn {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", g.addr(8080))
		if errors.Is(err, syscall.ECONNRESET) {
			return nil // it was refused so soon
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var open []net.Conn
	for range 3 {
		c := dial("127.0.0.2")
		if !ask(c) {
			t.Fatal("one of three was refused")
		}
		open = append(open, c)
	}
	if ask(dial("127.0.0.2")) {
		t.Error("the fourth was served")
	}
	if !ask(dial("127.0.0.3")) {
		t.Error("another address was refused")
	}
	open[0].Close()
	for range 6000 {
		if ask(dial("127.0.0.2")) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a place that came free is not given again")
}

// Streams that are begun and reset at once must not keep servers busy beyond what one
// connection may have.
func TestRapidReset(t *testing.T) {
	var now, most atomic.Int64
	release := make(chan struct{})
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if r.URL.Path == "/slow" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	})
	defer close(release)
	g := newGate(t, server, secure, func(g *gate, _ *proxy.Options) { g.snapshot.Group.Limits.Streams = 10 })
	c, err := tls.Dial("tcp", g.addr(8080), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, http2.ClientPreface)
	framer := http2.NewFramer(c, c)
	framer.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/slow"}} {
		encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	goneAway := make(chan http2.ErrCode, 1)
	go func() {
		defer close(goneAway)
		for {
			f, err := framer.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.GoAwayFrame:
				goneAway <- f.ErrCode
				return
			case *http2.PingFrame:
				if f.IsAck() {
					return
				}
			}
		}
	}()
	// Each begins anew: an encoder's table would tell later blocks otherwise.
	for id := uint32(1); id < 4000; id += 2 {
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}) != nil ||
			framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break
		}
		if id == 1 {
			block.Reset()
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/slow"}} {
				encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
		}
	}
	framer.WritePing(false, [8]byte{1})
	if code, ok := <-goneAway; ok && code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("gone away with %v", code)
	}
	// The gateway has 10 at a time; the server hears a little later of those that are gone.
	if n := most.Load(); n > 200 {
		t.Errorf("%d of 2000 requests were at the server at a time; one connection may have 10", n)
	}
	client := clients(t)["HTTP/2.0"]
	r, _ := http.NewRequest("GET", "https://"+g.addr(8080)+"/", nil)
	if status, _ := g.do(client, r); status != 200 {
		t.Errorf("another client: %d", status)
	}
}

func TestShutdownDrains(t *testing.T) {
	begun, goOn := make(chan bool), make(chan bool)
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-goOn
		io.WriteString(w, "whole")
	})
	g := newGate(t, server, secure)
	type answer struct {
		status int
		body   string
	}
	answers := make(chan answer, 2)
	for _, client := range clients(t) {
		go func() {
			r, _ := http.NewRequest("GET", "https://"+g.addr(8080)+"/", nil)
			resp, err := client.RoundTrip(r)
			if err != nil {
				answers <- answer{0, err.Error()}
				return
			}
			body, _ := io.ReadAll(resp.Body)
			answers <- answer{resp.StatusCode, string(body)}
		}()
		<-begun
	}
	down := make(chan bool)
	go func() {
		g.Shutdown(context.Background())
		close(down)
	}()
	for range 6000 {
		c, err := net.Dial("tcp", g.addr(8080))
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(10 * time.Millisecond)
	}
	goOn <- true
	goOn <- true
	for range 2 {
		if a := <-answers; a.status != 200 || a.body != "whole" {
			t.Errorf("%+v", a)
		}
	}
	<-down
}

// A server's name that gets another address is followed when its record expires.
func TestNamesAreResolvedAgain(t *testing.T) {
	var address atomic.Pointer[net.IP]
	first, second := net.IPv4(127, 0, 0, 21), net.IPv4(127, 0, 0, 22)
	address.Store(&first)
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var questions atomic.Int64
	names := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		if q.Question[0].Name == "lb.internal." && q.Question[0].Qtype == dns.TypeA {
			questions.Add(1)
			a.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "lb.internal.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: *address.Load()}}
		}
		w.WriteMsg(a)
	})}
	go names.ActivateAndServe()
	defer names.Shutdown()
	config := filepath.Join(t.TempDir(), "resolv.conf")
	os.WriteFile(config, fmt.Appendf(nil, "nameserver 127.0.0.1\n"), 0o600)
	port := ""
	for i, ip := range []net.IP{first, second} {
		ln, err := net.Listen("tcp", net.JoinHostPort(ip.String(), port))
		if i == 0 && err == nil {
			_, port, _ = net.SplitHostPort(ln.Addr().String())
		}
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, ip.String()) })}
		go srv.Serve(ln)
		defer srv.Close()
	}
	g := newGate(t, "lb.internal:"+port, func(_ *gate, o *proxy.Options) {
		at := netip.MustParseAddrPort(packets.LocalAddr().String())
		o.Resolver = proxy.Resolver{Config: config, Hosts: "/nonexistent", Port: fmt.Sprint(at.Port())}
	})
	if status, body := g.get("/"); status != 200 || body != first.String() {
		t.Fatalf("%d %q", status, body)
	}
	before := questions.Load()
	g.get("/")
	address.Store(&second)
	for range 6000 {
		if _, body := g.get("/"); body == second.String() {
			if questions.Load() == before {
				t.Error("nobody asked")
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the new address is never used")
}
