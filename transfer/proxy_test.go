package transfer_test

import (
	"crypto/sha256"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

// behind makes p be reached through proxy.
func (p *place) behind(t *testing.T, proxy *peers.Server) {
	t.Helper()
	parsed, err := transfer.ParseProxy(proxy.Addr)
	if err != nil {
		t.Fatal(err)
	}
	p.options.Proxy = parsed
}

func portOf(s *peers.Server) string { return strconv.Itoa(s.Port) }

// closedPort is a port of the loopback interface on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(peers.FreePort(t, "127.0.0.1"))
}

// proxied are ways to be led through a proxy: every one asks for a password.
var proxied = []struct {
	name  string
	start func(peers.TB, peers.ProxyConfig) *peers.Server
	auth  string
}{
	{"squid, basic", peers.Squid, "basic"},
	{"squid, digest", peers.Squid, "digest"},
	{"tinyproxy, basic", peers.Tinyproxy, "basic"},
}

func passive(tls bool) func() (*peers.Server, error) {
	return func() (*peers.Server, error) {
		return peers.StartVSFTPD(peers.VSFTPDConfig{Account: account, TLS: tls, RequireReuse: tls, Passive: 16})
	}
}

// The proxies allow CONNECT to the server's port alone, and to the passive ports for ftp.
func TestUploadThroughProxy(t *testing.T) {
	for _, kind := range proxied {
		t.Run(kind.name, func(t *testing.T) {
			for _, e := range endpoints() {
				if e.protocol == "ftp" {
					e.start = passive(e.name == "ftps")
				}
				t.Run(e.name, func(t *testing.T) {
					noGoroutineLeft(t)
					p := alone(t, e)
					allowed := []string{portOf(p.server)}
					for _, port := range p.server.Passive {
						allowed = append(allowed, strconv.Itoa(port))
					}
					proxy := kind.start(t, peers.ProxyConfig{Account: account, Auth: kind.auth, Connect: allowed})
					p.behind(t, proxy)
					p.options.Proxy.User, p.options.Proxy.Password = proxy.User, "wrong-password"
					_, err := p.upload(t, t.Context(), "file", text("x"))
					mustFail(t, err, transfer.OpProxy, transfer.LoginRefused, "wrong-password", p.options.Password)
					p.options.Proxy.Password = proxy.Password
					for _, size := range []int64{0, 1, 8 << 20} {
						source := &random{size: size, hidden: size > 1}
						if _, err := p.upload(t, t.Context(), "file", source); err != nil {
							t.Fatal(err)
						}
						p.mustHold(t, "file", source.sum())
					}
					if names := p.names(t); len(names) != 1 {
						t.Errorf("the folder holds %q", names)
					}
				})
			}
		})
	}
}

// Whose no it was, the proxy's or the server's, is the first thing to know.
func TestProxyRefusesOrServerRefuses(t *testing.T) {
	strict := peers.Squid(t, peers.ProxyConfig{Account: account})
	locked := peers.Squid(t, peers.ProxyConfig{Account: account, Auth: "basic"})
	tiny := peers.Tinyproxy(t, peers.ProxyConfig{Account: account})
	for _, e := range endpoints() {
		if e.protocol == "ftp" {
			continue // its way round is tested below
		}
		t.Run(e.name, func(t *testing.T) {
			p := at(t, e)
			for _, proxy := range []*peers.Server{strict, tiny} {
				p.behind(t, proxy)
				_, err := p.upload(t, t.Context(), "file", text("x"))
				if e.name == "http" { // needs no CONNECT
					if err != nil {
						t.Fatal(err)
					}
					continue
				}
				fault := mustFail(t, err, transfer.OpProxy, transfer.Refused, p.options.Password)
				if !strings.Contains(fault.Error(), "does not allow connections to "+p.addr) {
					t.Errorf("%v", fault)
				}
			}
			p.behind(t, locked)
			fault := mustFail(t, second(p.upload(t, t.Context(), "file", text("x"))), transfer.OpProxy, transfer.LoginRefused)
			if !strings.Contains(fault.Hint, "--proxy-user") {
				t.Errorf("the hint is %q", fault.Hint)
			}
		})
	}
	open := peers.Squid(t, peers.ProxyConfig{Account: account, Connect: []string{"1024-65535"}})
	eachPlace(t, func(t *testing.T, p *place) {
		p.behind(t, open)
		p.options.Password = "not-the-password"
		mustFail(t, second(p.upload(t, t.Context(), "file", text("x"))), transfer.OpLogin, transfer.LoginRefused, p.options.Password)
		target, err := transfer.ParseTarget(p.protocol, "127.0.0.1:"+closedPort(t)+"/file", "")
		if err != nil {
			t.Fatal(err)
		}
		fault := mustFail(t, second(transfer.Upload(t.Context(), target, text("x"), p.options)), transfer.OpConnect, transfer.Unreachable)
		if !strings.Contains(fault.Error(), "the proxy "+open.Addr+" cannot reach") {
			t.Errorf("%v", fault)
		}
	})
}

func second(_ transfer.Result, err error) error { return err }

// Names that only the proxy knows.
func TestProxyResolvesNames(t *testing.T) {
	const name = "localhost" // the certificate is for this one
	proxy := peers.Squid(t, peers.ProxyConfig{Account: account, Connect: []string{"1024-65535"},
		Hosts: map[string]string{"only.the.proxy.knows.invalid": "127.0.0.1", name: "127.0.0.1"}})
	eachPlace(t, func(t *testing.T, p *place) {
		host := "only.the.proxy.knows.invalid"
		if p.server.CAs != nil {
			p.options.Insecure = true
		}
		p.addr = net.JoinHostPort(host, portOf(p.server))
		p.behind(t, proxy)
		if p.protocol == "scp" {
			p.trust(t)
		}
		if _, err := p.upload(t, t.Context(), "file", text("x")); err != nil {
			t.Fatal(err)
		}
		p.mustHold(t, "file", sha256.Sum256([]byte("x")))
	})
}

func TestProxyUnreachable(t *testing.T) {
	eachPlace(t, func(t *testing.T, p *place) {
		proxy, err := transfer.ParseProxy("127.0.0.1:" + closedPort(t))
		if err != nil {
			t.Fatal(err)
		}
		p.options.Proxy = proxy
		mustFail(t, second(p.upload(t, t.Context(), "file", text("x"))), transfer.OpProxy, transfer.Unreachable)
	})
}

// A proxy that refuses CONNECT to port 21, as squid does, speaks ftp itself.
func TestFTPGateway(t *testing.T) {
	for _, auth := range []string{"", "basic", "digest"} {
		t.Run("auth "+auth, func(t *testing.T) {
			noGoroutineLeft(t)
			p := at(t, endpoints()[0])
			proxy := peers.Squid(t, peers.ProxyConfig{Account: account, Auth: auth})
			p.behind(t, proxy)
			if auth != "" {
				p.options.Proxy.User, p.options.Proxy.Password = proxy.User, proxy.Password
			}
			for _, name := range []string{"plain.txt", "with%3Bsemicolon", "two%20words"} {
				source := &random{size: 4 << 20}
				result, err := p.upload(t, t.Context(), name, source)
				if err != nil {
					t.Fatal(err)
				}
				stored := strings.NewReplacer("%3B", ";", "%20", " ").Replace(name)
				p.mustHold(t, stored, source.sum())
				if len(result.Notices) != 1 || !strings.Contains(result.Notices[0], "in the clear") {
					t.Errorf("notices: %q", result.Notices)
				}
			}
			target, err := transfer.ParseTarget("ftp", p.addr+"/"+p.folder+"/absolute", "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := transfer.Upload(t.Context(), target, text("x"), p.options); err != nil {
				t.Fatal(err)
			}
			p.mustHold(t, "absolute", sha256.Sum256([]byte("x")))
		})
	}
}

func TestFTPGatewayRefuses(t *testing.T) {
	proxy := peers.Squid(t, peers.ProxyConfig{Account: account})
	p := at(t, endpoints()[0])
	p.behind(t, proxy)
	if err := os.Mkdir(filepath.Join(p.folder, "closed"), 0o555); err != nil {
		t.Fatal(err)
	}
	p.again()
	p.options.Notice = func(line string) {
		if strings.Contains(line, "again") {
			t.Errorf("said: %s", line)
		}
	}
	fault := mustFail(t, second(p.upload(t, t.Context(), "closed/x", text("x"))), transfer.OpWrite, transfer.Refused, p.options.Password)
	if !strings.Contains(fault.Error(), "the server answered 553 Could not create file") || !strings.Contains(fault.Hint, "may write there") {
		t.Errorf("%v (%s)", fault, fault.Hint)
	}
	p.options.Password = "not-the-password"
	mustFail(t, second(p.upload(t, t.Context(), "x", text("x"))), transfer.OpLogin, transfer.LoginRefused, p.options.Password)

	// A proxy that does not know ftp: the refusal of CONNECT is what counts.
	p = at(t, endpoints()[0])
	p.behind(t, peers.Tinyproxy(t, peers.ProxyConfig{Account: account}))
	mustFail(t, second(p.upload(t, t.Context(), "x", text("x"))), transfer.OpProxy, transfer.Refused, p.options.Password)
	p.mustBeEmpty(t)
}

// sendThrough uploads through f as a proxy.
func sendThrough(t *testing.T, protocol string, f *fake) error {
	t.Helper()
	target, err := transfer.ParseTarget(protocol, "server.invalid/file", "")
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := transfer.ParseProxy(f.addr)
	if err != nil {
		t.Fatal(err)
	}
	proxy.User, proxy.Password = "proxy", "secret"
	return second(transfer.Upload(t.Context(), target, text("x"), transfer.Options{Policy: loopback, User: "user", Password: "hunter2", Proxy: proxy, Retries: -1}))
}

func TestHostileProxy(t *testing.T) {
	const token = "cHJveHk6c2VjcmV0" // proxy:secret
	for _, test := range []struct {
		name, answer string
		op           transfer.Op
		kind         transfer.Kind
		says         string
	}{
		{"escapes in the status", "HTTP/1.1 403 " + nasty + "\r\n\r\n", transfer.OpProxy, transfer.Refused, `\x1b[2J`},
		{"the password comes back", "HTTP/1.1 407 proxy:secret " + token + "\r\nProxy-Authenticate: Basic\r\n\r\n", transfer.OpProxy, transfer.LoginRefused, "***"},
		{"endless header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20), transfer.OpProxy, transfer.Unreachable, "longer than"},
		{"endless interim answers", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1<<16), transfer.OpProxy, transfer.Unreachable, "longer than"},
		{"another protocol", "SSH-2.0-" + nasty + "\r\n\r\n", transfer.OpProxy, transfer.Unreachable, "malformed"},
		{"nothing", "", transfer.OpProxy, transfer.Unreachable, "closed the connection"},
		{"an unknown scheme", "HTTP/1.1 407 x\r\nProxy-Authenticate: " + nasty + "\r\nProxy-Authenticate: NTLM\r\n\r\n", transfer.OpProxy, transfer.Unreachable, "malformed"},
		{"NTLM alone", "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM\r\n\r\n", transfer.OpProxy, transfer.LoginRefused, "wants NTLM"},
		{"a nonce that is always stale", "HTTP/1.1 407 x\r\nProxy-Authenticate: Digest realm=\"x\", nonce=\"y\", stale=true\r\n\r\n", transfer.OpProxy, transfer.LoginRefused, "again and again"},
		{"a digest that cannot be answered", "HTTP/1.1 407 x\r\nProxy-Authenticate: Digest realm=\"x\", nonce=\"y\", algorithm=ROT13\r\n\r\n", transfer.OpProxy, transfer.LoginRefused, "wants Digest"},
	} {
		t.Run(test.name, func(t *testing.T) {
			noGoroutineLeft(t)
			f := newFake(t, speakHTTP(test.answer))
			err := sendThrough(t, "https", f)
			fault := mustFail(t, err, test.op, test.kind, "secret", token, "hunter2")
			if !strings.Contains(fault.Error()+" "+fault.Hint, test.says) {
				t.Errorf("%v does not say %q", fault, test.says)
			}
			if f.heard("hunter2") || f.heard("PUT") {
				t.Errorf("the proxy heard what is the server's: %q", f.said)
			}
		})
	}
}

// Once a proxy has asked for Digest, asking for Basic does not get it the password.
func TestProxyPasswordStaysUnderDigest(t *testing.T) {
	f := newFake(t, speakHTTP(
		"HTTP/1.1 407 x\r\nProxy-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
		"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n"))
	mustFail(t, sendThrough(t, "scp", f), transfer.OpProxy, transfer.LoginRefused, "secret")
	if f.heard("Basic ") || !f.heard("Digest username=") {
		t.Errorf("the proxy heard %q", f.said)
	}
}

// What a proxy sends right behind its answer belongs to the server.
func TestProxyAnswersAhead(t *testing.T) {
	f := newFake(t, speakHTTP("HTTP/1.1 200 OK\r\n\r\n421 too many\r\n"))
	fault := mustFail(t, sendThrough(t, "ftp", f), transfer.OpLogin, transfer.Refused)
	if !strings.Contains(fault.Error(), "421 too many") {
		t.Errorf("%v", fault)
	}
}

func TestParseProxy(t *testing.T) {
	for raw, want := range map[string]string{
		"proxy": "proxy:1080", "Proxy:3128": "proxy:3128", "http://proxy:8080/": "proxy:8080", "[::1]": "[::1]:1080", "192.0.2.1:1": "192.0.2.1:1",
	} {
		if got, err := transfer.ParseProxy(raw); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "socks5://proxy", "https://proxy", "user:hunter2@proxy", "proxy:0", "proxy/path", "-proxy", "a b", "proxy\x1b"} {
		_, err := transfer.ParseProxy(raw)
		mustFail(t, err, transfer.OpTarget, transfer.BadTarget, "hunter2")
	}
}
