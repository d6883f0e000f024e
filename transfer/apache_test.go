package transfer_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

func apache(c peers.ApacheConfig) endpoint {
	c.Account = account
	protocol := "http"
	if c.TLS {
		protocol = "https"
	}
	return endpoint{"apache", protocol, func() (*peers.Server, error) { return peers.StartApache(c) }, false}
}

func TestApache(t *testing.T) {
	for _, config := range []peers.ApacheConfig{{}, {Digest: true}, {TLS: true}, {TLS: true, Digest: true}} {
		t.Run(fmt.Sprintf("TLS %v digest %v", config.TLS, config.Digest), func(t *testing.T) {
			noGoroutineLeft(t)
			p := alone(t, apache(config))
			for _, source := range []*random{{size: 3 << 20}, {size: 0}, {size: 100}, {size: 2 << 20, hidden: true}} {
				if _, err := p.upload(t, t.Context(), "ü%20%2525", source); err != nil {
					t.Fatal(err)
				}
				p.mustHold(t, "ü %25", source.sum())
				dst, fetched, err := p.download(t, t.Context(), "ü%20%2525")
				mustBe(t, dst, fetched, err, source.sum())
			}
			p.options.Password = "not-the-password"
			source := &random{size: 2 << 20}
			mustFail(t, second(p.upload(t, t.Context(), "file", source)), transfer.OpLogin, transfer.LoginRefused, p.options.Password)
			if n := source.opened.Load(); n > 2 {
				t.Errorf("it was sent %d times to a server that does not know the password", n)
			}
			_, _, err := p.download(t, t.Context(), "file")
			mustFail(t, err, transfer.OpLogin, transfer.LoginRefused, p.options.Password)
		})
	}
}

// What servers refuse is said with what to do about it, whatever is sent.
func TestHTTPStatusWords(t *testing.T) {
	p := alone(t, apache(peers.ApacheConfig{Server: []string{
		"Redirect 404 /404", "Redirect 405 /405", "Redirect 411 /411", "Redirect 507 /507",
		"<Location /403>", "Require all denied", "</Location>",
		"<Location /413>", "LimitRequestBody 1048576", "</Location>",
	}}))
	missing := strings.TrimPrefix(p.url("missing/x"), p.addr)
	for _, test := range []struct{ path, status, says, hint string }{
		{"/403/x", "403", "may not write there", "permissions of the folder"},
		{"/404/x", "404", "no such place", "folder exists"},
		{"/405/x", "405", "takes no uploads", "WebDAV"},
		{missing, "409", "the folder does not exist", "create the folder"},
		{"/411/x", "411", "wants to know the size", "finished file"},
		{"/413", "413", "too large", "limit for uploads"},
		{"/507/x", "507", "storage is full", "make room"},
	} {
		t.Run(test.status, func(t *testing.T) {
			target, err := transfer.ParseTarget("http", p.addr+test.path, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, source := range []*random{{size: 100}, {size: 4 << 20}, {size: 4 << 20, hidden: true}} {
				if test.status == "413" && source.size < 1<<20 {
					continue
				}
				_, err = transfer.Upload(t.Context(), target, source, p.options)
				fault := mustFail(t, err, transfer.OpWrite, transfer.Refused, p.options.Password)
				if !strings.Contains(fault.Error(), test.status) || !strings.Contains(fault.Error(), test.says) || !strings.Contains(fault.Hint, test.hint) {
					t.Errorf("%v (%s)", fault, fault.Hint)
				}
			}
		})
	}
	p.mustBeEmpty(t)
}

// What lies there at the end is not what was sent: that is no success.
func TestHTTPSizeCompared(t *testing.T) {
	const created = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
	for _, test := range []struct {
		head string
		kind transfer.Kind // "": it arrived
	}{
		{"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 3\r\n\r\n", ""},
		{"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 2\r\n\r\n", transfer.SizeMismatch},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", ""}, // a page about it, perhaps
		{"HTTP/1.1 403 x\r\nContent-Length: 2\r\n\r\n", ""},
		{"", ""},
	} {
		f := newFake(t, func(f *fake, c net.Conn) {
			request, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return
			}
			f.hear(request.Method)
			if io.Copy(io.Discard, request.Body); request.Method == http.MethodHead {
				io.WriteString(c, test.head)
			} else {
				io.WriteString(c, created)
			}
		})
		err := send(t, "http", f, text("all"))
		if test.kind != "" {
			mustFail(t, err, transfer.OpVerify, test.kind, "hunter2")
		} else if err != nil {
			t.Errorf("after %q: %v", test.head, err)
		}
		if !f.heard("HEAD") {
			t.Errorf("it heard %q", f.said)
		}
	}
}

// A server that wants an authorization that is not known here says so, and not that the password is wrong.
func TestHTTPForeignAuthorization(t *testing.T) {
	f := newFake(t, speakHTTP("HTTP/1.1 401 x\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"))
	fault := mustFail(t, send(t, "http", f, text("x")), transfer.OpLogin, transfer.LoginRefused, "hunter2")
	if !strings.Contains(fault.Error(), "Negotiate, NTLM") || !strings.Contains(fault.Hint, "Basic and Digest") {
		t.Errorf("%v (%s)", fault, fault.Hint)
	}
}

// newRefusing is a server that answers with each of refusals and takes the file then. It hears the authorizations, and
// counts how often it was asked.
func newRefusing(t *testing.T, refusals ...string) (*fake, *atomic.Int32) {
	asked := new(atomic.Int32)
	return newFake(t, func(f *fake, c net.Conn) {
		lines := bufio.NewReader(c)
		request, err := http.ReadRequest(lines)
		if err != nil {
			return
		}
		f.hear(request.Header.Get("Authorization"))
		if n := int(asked.Add(1)); n <= len(refusals) {
			io.WriteString(c, refusals[n-1])
		} else {
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			io.Copy(io.Discard, request.Body)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, lines)
	}), asked
}

// A password that Digest protects is not told in the clear afterwards, and a nonce that has become stale is replaced.
func TestHTTPDigestStale(t *testing.T) {
	ask := func(nonce, stale string) string {
		return fmt.Sprintf("HTTP/1.1 401 x\r\nWWW-Authenticate: Digest realm=\"r\", nonce=%q, qop=\"auth\", algorithm=SHA-256%s\r\nContent-Length: 0\r\n\r\n", nonce, stale)
	}
	f, _ := newRefusing(t, ask("first", ""), ask("second", ", stale=true"))
	if err := send(t, "http", f, text("x")); err != nil {
		t.Fatal(err)
	}
	if !f.heard(`nonce="first"`) || !f.heard(`nonce="second"`) || f.heard("hunter2") || f.heard("Basic") {
		t.Errorf("it heard %q", f.said)
	}
}

// Over http a password is told when it is asked for, and in the clear only where the server takes it no other way.
func TestHTTPPasswordWhenAsked(t *testing.T) {
	const (
		basic  = "WWW-Authenticate: Basic realm=\"r\"\r\n"
		digest = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n"
	)
	ask := func(how string) string { return "HTTP/1.1 401 x\r\n" + how + "Content-Length: 0\r\n\r\n" }
	again := ask(basic) + strings.Repeat("x", 1<<20) // more than it says
	for _, test := range []struct {
		name          string
		refusals      []string // before it takes the file; it repeats the last one to who is not taken
		basic, digest bool     // how the password is told
		refused       bool
		tries         int
	}{
		{"asks for nothing", nil, false, false, false, 1},
		{"takes Basic", []string{ask(basic)}, true, false, false, 2},
		{"takes Digest", []string{ask(digest)}, false, true, false, 2},
		{"takes either", []string{ask(basic + digest)}, false, true, false, 2},
		{"takes Basic, and not this one", []string{again, again, again, again}, true, false, true, 2},
		{"takes Digest, then Basic", []string{ask(digest), again, again, again}, false, true, true, 2},
		{"finds every nonce stale", slices.Repeat([]string{ask(strings.TrimSpace(digest) + ", stale=true\r\n")}, 9), false, true, true, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			noGoroutineLeft(t)
			f, asked := newRefusing(t, test.refusals...)
			source := &random{size: 100_000}
			err := send(t, "http", f, source)
			if test.refused {
				mustFail(t, err, transfer.OpLogin, transfer.LoginRefused, "hunter2")
			} else if err != nil {
				t.Error(err)
			}
			if f.heard("Basic dXNlcjpodW50ZXIy") != test.basic || f.heard("Digest username=") != test.digest {
				t.Errorf("it heard %q", f.said)
			}
			if n := int(asked.Load()); n != test.tries {
				t.Errorf("it was asked %d times, want %d", n, test.tries)
			}
		})
	}
}

// A server that refuses without asking is not told the password; the hint says so.
func TestHTTPRefusesUnasked(t *testing.T) {
	f := newFake(t, speakHTTP("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n"))
	fault := mustFail(t, send(t, "http", f, text("x")), transfer.OpWrite, transfer.Refused, "hunter2")
	if f.heard("Authorization") || !strings.Contains(fault.Hint, "asked for no password") {
		t.Errorf("the hint is %q; it heard %q", fault.Hint, f.said)
	}
}

// A server that has nothing after TLS 1.1 is not spoken to.
func TestOldTLS(t *testing.T) {
	server := peers.Nginx(t, peers.NginxConfig{Account: account, TLS: true})
	pair, err := tls.LoadX509KeyPair(server.TLSFiles())
	if err != nil {
		t.Fatal(err)
	}
	f := newFake(t, func(f *fake, c net.Conn) {
		old := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
		if old.Handshake() == nil {
			f.hear("spoken to")
		}
	})
	target, err := transfer.ParseTarget("https", f.addr+"/x", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = transfer.Upload(t.Context(), target, text("x"), transfer.Options{Policy: loopback, Insecure: true, Retries: -1})
	fault := mustFail(t, err, transfer.OpTLS, transfer.ProtocolBroken)
	if !strings.Contains(fault.Hint, "TLS 1.2") || f.heard("spoken to") {
		t.Errorf("the hint is %q", fault.Hint)
	}
}

// Servers that never come to an end.
func TestHTTPWithoutEnd(t *testing.T) {
	drip := func(first string) func(*fake, net.Conn) {
		return func(_ *fake, c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			for text := first; ; text = "x" {
				if _, err := io.WriteString(c, text); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
	for _, test := range []struct {
		name  string
		serve func(*fake, net.Conn)
		kind  transfer.Kind
	}{
		{"100 Continue again and again", speakHTTP(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100_000)), transfer.ProtocolBroken},
		{"a header that drips", drip("HTTP/1.1 200 OK\r\nX: "), transfer.ConnectionLost},
		{"a text that drips", drip("HTTP/1.1 403 x\r\nContent-Type: text/plain\r\n\r\n"), transfer.Refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			noGoroutineLeft(t)
			mustFail(t, sendWithin(t, "http", newFake(t, test.serve), text("x"), 2*time.Second), transfer.OpWrite, test.kind)
		})
	}
}
