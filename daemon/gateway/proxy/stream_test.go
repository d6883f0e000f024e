package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/metrics"
	"sealgate/daemon/gateway/proxy"
	"sealgate/daemon/gateway/waf"
)

// behind starts an origin of ours, for what nginx cannot do. It speaks HTTP/1 and
// HTTP/2 without TLS.
func behind(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// secure gives the web service a certificate.
func secure(g *gate, _ *proxy.Options) {
	certificate, key := selfSigned(g.t, "shop.example")
	g.service().Keys = []model.SnapshotKey{{Name: "shop", Certificate: certificate, PrivateKey: key}}
	g.service().Inbound[0].Certificate = "shop"
}

// clients are clients of both versions, over TLS.
func clients(t *testing.T) map[string]*http.Transport {
	t.Helper()
	m := map[string]*http.Transport{}
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols), ExpectContinueTimeout: 1 << 40, DisableCompression: true}
		tr.Protocols.SetHTTP1(!h2)
		tr.Protocols.SetHTTP2(h2)
		t.Cleanup(tr.CloseIdleConnections)
		m[name] = tr
	}
	return m
}

func TestStreamsBothWays(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			fmt.Fprintf(w, "data: %s\n\n", lines.Text())
			w.(http.Flusher).Flush()
		}
	})
	g := newGate(t, server, secure)
	for version, client := range clients(t) {
		t.Run(version, func(t *testing.T) {
			body, write := io.Pipe()
			r, _ := http.NewRequest("POST", "https://"+g.addr(8080)+"/", body)
			go io.WriteString(write, "event 0\n") // net/http's client sends no head before it has some body
			resp, err := client.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.Proto != version {
				t.Errorf("spoke %s", resp.Proto)
			}
			// Each event is answered before the next one is sent.
			in := bufio.NewReader(resp.Body)
			for i := range 5 {
				if i > 0 {
					fmt.Fprintf(write, "event %d\n", i)
				}
				line, err := in.ReadString('\n')
				if want := fmt.Sprintf("data: event %d\n", i); line != want || err != nil {
					t.Fatalf("%q, %v; want %q", line, err, want)
				}
				in.ReadString('\n')
			}
			write.Close()
			if _, err := in.ReadByte(); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

func TestTrailersInterimAnswersAndExpect(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Announced")
		fmt.Fprintf(w, "%s|%s", body, r.Trailer.Get("X-Sum"))
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
	})
	g := newGate(t, server, secure, withEngine(blockAttack))
	for version, client := range clients(t) {
		t.Run(version, func(t *testing.T) {
			var interim []string
			ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					interim = append(interim, fmt.Sprint(code, h.Get("Link")))
					return nil
				},
				Got100Continue: func() { interim = append(interim, "continue") },
			})
			r, _ := http.NewRequestWithContext(ctx, "POST", "https://"+g.addr(8080)+"/", io.MultiReader(strings.NewReader("hel"), strings.NewReader("lo")))
			r.Trailer = http.Header{"X-Sum": {"7"}}
			r.Header.Set("Expect", "100-continue")
			resp, err := client.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if string(body) != "hello|7" || err != nil {
				t.Errorf("%q, %v", body, err)
			}
			if resp.Trailer.Get("X-Announced") != "1" || resp.Trailer.Get("X-Late") != "2" {
				t.Errorf("trailers %v", resp.Trailer)
			}
			if !slices.Contains(interim, "103</style.css>; rel=preload") || !slices.Contains(interim, "continue") {
				t.Errorf("interim answers %v", interim)
			}
		})
	}
}

// A server that wants no body is asked before the client sends one.
func TestExpectReachesTheServer(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusExpectationFailed) })
	g := newGate(t, server)
	c, err := net.Dial("tcp", g.addr(8080))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "HTTP/1.1 417 Expectation Failed\r\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}

func TestCurlUploadsAndDownloads(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		sum := sha1.New()
		n, _ := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %x\n", n, sum.Sum(nil))
		w.Write(bytes.Repeat([]byte("0123456789"), 1<<20))
	})
	g := newGate(t, server, secure, withEngine(blockAttack))
	big := bytes.Repeat([]byte("abcdefghij"), 1<<20)
	sum := sha1.Sum(big)
	for _, args := range [][]string{{"--http1.1"}, {"--http2"}, {"--http1.1", "-H", "Transfer-Encoding: chunked"}, {"--http1.0"}} {
		cmd := exec.Command("curl", append(args, "-sSk", "--data-binary", "@-", "https://"+g.addr(8080)+"/")...)
		cmd.Stdin = bytes.NewReader(big)
		out, err := cmd.Output()
		first, rest, _ := bytes.Cut(out, []byte("\n"))
		if want := fmt.Sprintf("%d %x", len(big), sum); err != nil || string(first) != want || len(rest) != 10<<20 {
			t.Errorf("%v: %v, %q and %d bytes; want %q", args, err, first, len(rest), want)
		}
	}
}

func TestWebSocket(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		conn, in, _ := w.(http.Hijacker).Hijack()
		defer conn.Close()
		accept := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n\x81\x02hi", base64.StdEncoding.EncodeToString(accept[:]))
		io.Copy(conn, in)
	})
	g := newGate(t, server, withEngine(blockAttack))
	c, err := net.Dial("tcp", g.addr(8080))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The first frame comes right behind the request.
	io.WriteString(c, "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nfirst")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("%v, %v", resp, err)
	}
	expect := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
	expect("\x81\x02hi")
	expect("first")
	for i := range 3 {
		fmt.Fprintf(c, "frame %d", i)
		expect(fmt.Sprintf("frame %d", i))
	}
	// A change of configuration leaves it open.
	g.apply()
	io.WriteString(c, "after")
	expect("after")
	if status, _ := g.get("/chat", "Connection", "Upgrade", "Upgrade", "h2c"); status != http.StatusUpgradeRequired {
		t.Errorf("another protocol: %d", status)
	}
}

func TestGRPC(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		message := make([]byte, 5+3)
		for {
			if _, err := io.ReadFull(r.Body, message); err != nil {
				break
			}
			w.Write(message)
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", "done")
	})
	g := newGate(t, server, secure, withEngine(blockAttack))
	call := func(t *testing.T, client *http.Transport, url string) {
		body, write := io.Pipe()
		r, _ := http.NewRequest("POST", url+"/service/Method", body)
		r.Header.Set("Content-Type", "application/grpc+proto")
		r.Header.Set("Te", "trailers")
		resp, err := client.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		for i := range 3 {
			message := fmt.Appendf(nil, "\x00\x00\x00\x00\x03m%02d", i)
			write.Write(message)
			got := make([]byte, len(message))
			if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("message %d: %q, %v", i, got, err)
			}
		}
		write.Close()
		io.Copy(io.Discard, resp.Body)
		if resp.Trailer.Get("Grpc-Status") != "0" || resp.Trailer.Get("Grpc-Message") != "done" {
			t.Errorf("trailers %v", resp.Trailer)
		}
	}
	t.Run("over TLS", func(t *testing.T) { call(t, clients(t)["HTTP/2.0"], "https://"+g.addr(8080)) })
	t.Run("with prior knowledge", func(t *testing.T) {
		plain := newGate(t, server)
		client := &http.Transport{Protocols: new(http.Protocols)}
		client.Protocols.SetUnencryptedHTTP2(true)
		defer client.CloseIdleConnections()
		call(t, client, "http://"+plain.addr(8080))
	})
}

// An answer may end, with a trailer, while its beginning is judged.
func TestTrailersThatComeWhileTheBeginningIsJudged(t *testing.T) {
	judged := make(chan bool)
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Trailer", "X-Announced")
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-judged
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
	})
	g := newGate(t, server, func(g *gate, o *proxy.Options) {
		g.service().InspectResponses = true
		withEngine(func(t *fakeTransaction) {
			t.responseBody = func(p []byte) waf.Verdict {
				if len(p) == 0 {
					judged <- true
					time.Sleep(200 * time.Millisecond)
				}
				return waf.Verdict{}
			}
		})(g, o)
	})
	resp, err := http.Get(g.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, ok := resp.Trailer["X-Announced"]; !ok || len(resp.Trailer) != 1 {
		t.Errorf("announced: %v", resp.Trailer)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "first" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if resp.Trailer.Get("X-Announced") != "1" || resp.Trailer.Get("X-Late") != "2" {
		t.Errorf("trailers %v", resp.Trailer)
	}
}

// Who calls by gRPC may listen for longer than a body may pause.
func TestSilentCallersOfGRPC(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.(http.Flusher).Flush()
		io.Copy(w, r.Body)
	})
	g := newGate(t, server, secure)
	g.snapshot.Group.Limits.SlowSeconds = 1
	g.apply()
	body, write := io.Pipe()
	r, _ := http.NewRequest("POST", "https://"+g.addr(8080)+"/service/Method", body)
	r.Header.Set("Content-Type", "application/grpc")
	go func() {
		time.Sleep(1500 * time.Millisecond)
		io.WriteString(write, "\x00\x00\x00\x00\x07message")
		write.Close()
	}()
	if status, got := g.do(clients(t)["HTTP/2.0"], r); status != 200 || !strings.HasSuffix(got, "message") {
		t.Errorf("%d %q", status, got)
	}
}

// The hole: a body of the type of gRPC went on unseen, whatever it was and however it came,
// to servers that never ask for the type. What must hold: it is framed as messages, or refused.
func TestWhatIsNotFramedAsGRPCIsRefused(t *testing.T) {
	seen := make(chan string, 10)
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- string(body)
	})
	g := newGate(t, server, secure, withEngine(blockAttack))
	ask := func(version, kind string, pieces ...string) int {
		t.Helper()
		body, write := io.Pipe()
		r, _ := http.NewRequest("POST", "https://"+g.addr(8080)+"/", body)
		r.Header.Set("Content-Type", kind)
		go func() {
			for _, piece := range pieces {
				io.WriteString(write, piece)
			}
			write.Close()
		}()
		status, _ := g.do(clients(t)[version], r)
		return status
	}
	const message = "\x00\x00\x00\x00\x03abc\x01\x00\x00\x00\x00"
	for name, c := range map[string]struct {
		version, kind string
		pieces        []string
		status        int
	}{
		"a form":                     {"HTTP/2.0", "application/grpc", []string{"q=attack"}, 400},
		"JSON":                       {"HTTP/2.0", "application/grpc+json", []string{`{"q":`, `"attack"}`}, 400},
		"a form behind messages":     {"HTTP/2.0", "application/grpc;x", []string{message, message[:3], message[3:] + "&q=attack"}, 400},
		"a form over HTTP/1.1":       {"HTTP/1.1", "application/grpc", []string{"q=attack"}, 403},
		"a form for the web":         {"HTTP/2.0", "application/grpc-web", []string{"q=attack"}, 403},
		"a type that begins like it": {"HTTP/2.0", "application/grpcs", []string{"q=attack"}, 403},
	} {
		if status := ask(c.version, c.kind, c.pieces...); status != c.status {
			t.Errorf("%s: %d", name, status)
		}
		if v := g.event(); v.Action != "block" {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if status := ask("HTTP/2.0", "application/grpc", message, message[:3], message[3:]); status != 200 {
		t.Errorf("messages: %d", status)
	}
	for len(seen) > 0 {
		if body := <-seen; strings.Contains(body, "attack") {
			t.Errorf("the server was sent %q", body)
		}
	}
}

// What two readers could understand in two ways is refused over HTTP/2 as well: the server
// gets it over HTTP/1.1.
func TestHeadersOfHTTP2AreReadInOneWay(t *testing.T) {
	g := newGate(t, origin(t, echo).Addr, secure, withEngine(blockAttack))
	for name, header := range map[string]http.Header{
		"two types":                {"Content-Type": {"text/plain", "application/json"}},
		"a type with underscore":   {"Content_type": {"application/json"}},
		"a length with underscore": {"Content_length": {"0"}},
	} {
		r, _ := http.NewRequest("POST", "https://"+g.addr(8080)+"/", strings.NewReader("a=1"))
		r.Header = header
		if status, _ := g.do(clients(t)["HTTP/2.0"], r); status != 400 {
			t.Errorf("%s: %d", name, status)
		}
		if v := g.event(); v.Type != "Malformed Header Line" {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// The hole: servers that merge trailers into headers could be told there what no client
// may say in a header. What must hold: neither who it is nor what was judged before.
func TestClaimsInTrailersAreDropped(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Trailer)
	})
	g := newGate(t, server, secure, withEngine(blockAttack))
	for version, client := range clients(t) {
		body, write := io.Pipe()
		r, _ := http.NewRequest("POST", "https://"+g.addr(8080)+"/", body)
		r.Trailer = http.Header{"X-Sum": {"7"}, "X-Real-Ip": {"spoof"}, "X_forwarded_host": {"spoof"}, "X-Original-Url": {"spoof"}}
		if version == "HTTP/2.0" { // over HTTP/1.1 that is refused
			r.Trailer["Cookie"] = []string{"a=spoof"}
		}
		go func() { io.WriteString(write, "a=1"); write.Close() }()
		if status, told := g.do(client, r); status != 200 || told != "map[X-Sum:[7]]" {
			t.Errorf("over %s: %d, the server is told %s", version, status, told)
		}
	}
}

func TestAnswersThatBreakOffAreNotMadeWhole(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		if n := r.URL.Query().Get("length"); n != "" {
			w.Header().Set("Content-Length", n)
		}
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	g := newGate(t, server, secure)
	for version, client := range clients(t) {
		for _, path := range []string{"/", "/?length=8"} {
			r, _ := http.NewRequest("GET", "https://"+g.addr(8080)+path, nil)
			resp, err := client.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%s %s: taken for whole: %q", version, path, body)
			}
			resp.Body.Close()
		}
	}
}

func TestBodiesAreJudgedBeforeTheyArrive(t *testing.T) {
	arrived := make(chan string, 100)
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- fmt.Sprint(len(body), " ", r.ContentLength)
	})
	g := newGate(t, server, secure, withEngine(blockAttack), func(g *gate, _ *proxy.Options) { g.snapshot.Group.Limits.InspectedBytes = 100_000 })
	pad := strings.Repeat("x", 50_000)
	for version, client := range clients(t) {
		post := func(body string, known bool) int {
			var in io.Reader = strings.NewReader(body)
			if !known {
				in = io.MultiReader(in)
			}
			r, _ := http.NewRequest("POST", "https://"+g.addr(8080)+"/", in)
			status, _ := g.do(client, r)
			return status
		}
		for _, known := range []bool{true, false} {
			if status := post(pad+"attack", known); status != 403 || len(arrived) > 0 {
				t.Errorf("%s: %d, %d arrived", version, status, len(arrived))
			}
			g.event()
			if status := post(pad, known); status != 200 {
				t.Errorf("%s: %d", version, status)
			}
			// Of known length whether the client said so or not: it was held as a whole.
			if got := <-arrived; got != "50000 50000" {
				t.Errorf("%s: %s arrived", version, got)
			}
			long := strings.Repeat("y", 1_000_000)
			if status := post(long, known); status != 200 {
				t.Errorf("%s: %d", version, status)
			}
			if got := <-arrived; !strings.HasPrefix(got, strconv.Itoa(len(long))+" ") {
				t.Errorf("%s: %s arrived", version, got)
			}
		}
	}
}

// inspectAnswers has answers judged that have leak in their text.
func inspectAnswers(g *gate, o *proxy.Options) {
	g.service().InspectResponses = true
	withEngine(func(t *fakeTransaction) {
		var seen []byte
		t.responseBody = func(p []byte) waf.Verdict {
			if seen = append(seen, p...); len(p) == 0 && bytes.Contains(seen, []byte("leak")) {
				return t.match("RESPONSE_BODY", "", "leak")
			}
			return waf.Verdict{}
		}
	})(g, o)
}

// Whatever a client says that it can decode, answers come as the inspection reads them.
func TestAnswersAreInspectedForClientsThatTakeThemCompressed(t *testing.T) {
	server := origin(t, "gzip on; gzip_min_length 1; gzip_types text/plain;", `location / { default_type text/plain; return 200 "this is a leak of the database's words"; }`)
	g := newGate(t, server.Addr, inspectAnswers)
	if status, body := g.get("/", "Accept-Encoding", "gzip, deflate, br"); status != 403 || strings.Contains(body, "leak") {
		t.Errorf("%d %q", status, body)
	}
	if v := g.event(); v.Type != "test rule" || v.Action != "block" {
		t.Errorf("%+v", v)
	}
	encoded := behind(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Encoding", r.URL.Query().Get("as"))
		io.WriteString(w, "a leak")
	})
	g = newGate(t, encoded, inspectAnswers)
	for range 2 {
		if status, body := g.get("/?as=br"); status != 200 || body != "a leak" {
			t.Errorf("a server that encodes all the same: %d %q", status, body)
		}
	}
	if v := g.event(); v.Type != "Inspection Not Completed" || v.ViolatedItem != "Content-Encoding:br" || v.Action != "none" {
		t.Errorf("%+v", v)
	}
	if status, _ := g.get("/?as=identity"); status != 403 {
		t.Errorf("identity: %d", status)
	}
	if v := g.event(); v.Type != "test rule" {
		t.Errorf("the event was told again: %+v", v)
	}
}

// A reader of a stream gets what has come before what comes next, also where answers are
// inspected, and what has come is inspected.
func TestInspectedAnswersStream(t *testing.T) {
	next := make(chan bool)
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		say := func(words string) {
			io.WriteString(w, words)
			w.(http.Flusher).Flush()
		}
		switch r.URL.Path {
		case "/stream":
			say("first\n")
			select {
			case <-next:
				say("second\n")
			case <-r.Context().Done():
			}
		case "/flood": // never pauses for long
			for r.Context().Err() == nil {
				say("tick\n")
				time.Sleep(5 * time.Millisecond)
			}
		case "/leak":
			say("a leak\n")
			<-r.Context().Done()
		case "/slow":
			w.Header().Set("Content-Length", "12")
			say("a le")
			time.Sleep(300 * time.Millisecond)
			say("ak, slow")
		}
	})
	registry := new(metrics.Registry)
	g := newGate(t, server, secure, inspectAnswers, func(_ *gate, o *proxy.Options) { o.Registry = registry })
	for version, client := range clients(t) {
		open := func(path, kind string) (*http.Response, *bufio.Reader) {
			t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			t.Cleanup(cancel)
			r, _ := http.NewRequestWithContext(ctx, "GET", "https://"+g.addr(8080)+path+"?type="+kind, nil)
			resp, err := client.RoundTrip(r)
			if err != nil {
				t.Fatalf("%s: %s %s: %v", version, path, kind, err)
			}
			t.Cleanup(func() { resp.Body.Close() })
			return resp, bufio.NewReader(resp.Body)
		}
		for _, kind := range []string{"text/plain", "text/html", "application/x-ndjson"} {
			_, body := open("/stream", kind)
			first, err := body.ReadString('\n')
			if err != nil || first != "first\n" {
				t.Fatalf("%s: %s: %q, %v", version, kind, first, err)
			}
			next <- true
			if rest, err := io.ReadAll(body); err != nil || string(rest) != "second\n" {
				t.Errorf("%s: %s: %q, %v", version, kind, rest, err)
			}
		}
		resp, body := open("/flood", "text/plain")
		if line, err := body.ReadString('\n'); err != nil || line != "tick\n" {
			t.Errorf("%s: %q, %v", version, line, err)
		}
		resp.Body.Close()
		for _, c := range [][2]string{{"/leak", "text/plain"}, {"/slow", "text/plain"}, {"/leak", "multipart/byteranges"}} {
			if resp, _ := open(c[0], c[1]); resp.StatusCode != 403 {
				t.Errorf("%s: %s: %d", version, c, resp.StatusCode)
			}
			g.event()
		}
	}
	givenBack(t, registry) // a server is heard of once more after its client has gone
}

// An answer of which nothing has come takes no room while it is waited for.
func TestIdleStreamsHoldNoRoom(t *testing.T) {
	server := behind(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	registry := new(metrics.Registry)
	g := newGate(t, server, inspectAnswers, func(_ *gate, o *proxy.Options) { o.Registry = registry })
	resp, err := http.Get(g.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	givenBack(t, registry)
}

// givenBack waits until no room is taken for bodies.
func givenBack(t *testing.T, registry *metrics.Registry) {
	t.Helper()
	var counters bytes.Buffer
	for range 6000 {
		counters.Reset()
		registry.Write(&counters)
		if strings.Contains(counters.String(), "\nsealgate_held_bytes 0\n") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("room is not given back:\n%s", &counters)
}
