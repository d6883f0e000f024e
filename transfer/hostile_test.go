package transfer_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sealgate/transfer"
)

// fake is a server that misbehaves on purpose.
type fake struct {
	addr string
	mu   sync.Mutex
	said []string // the lines that clients have sent
}

func newFake(t *testing.T, serve func(f *fake, c net.Conn)) *fake {
	t.Helper()
	return newFakeAt(t, "127.0.0.1:0", serve)
}

func newFakeAt(t *testing.T, addr string, serve func(f *fake, c net.Conn)) *fake {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{addr: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(2 * patience))
				serve(f, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return f
}

func (f *fake) hear(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, strings.TrimSpace(line))
}

func (f *fake) heard(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range f.said {
		if strings.Contains(line, what) {
			return true
		}
	}
	return false
}

// speakFTP answers each command with what answers has for its first word.
func speakFTP(greeting string, answers map[string]string) func(*fake, net.Conn) {
	return func(f *fake, c net.Conn) {
		io.WriteString(c, greeting)
		for lines := bufio.NewReader(c); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			f.hear(line)
			word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			answer, ok := answers[word]
			if !ok {
				answer = "502 no\r\n"
			}
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	}
}

const nasty = "\x1b]52;c;aGk=\x07\x1b[2J\u202eno\u200b\u009b31m"

func send(t *testing.T, protocol string, f *fake, src transfer.Source) error {
	t.Helper()
	return sendWithin(t, protocol, f, src, patience)
}

// sendWithin gives up when nothing moves for limit.
func sendWithin(t *testing.T, protocol string, f *fake, src transfer.Source, limit time.Duration) error {
	t.Helper()
	target, err := transfer.ParseTarget(protocol, f.addr+"/file", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = transfer.Upload(t.Context(), target, src, transfer.Options{
		Policy: loopback, User: "user", Password: "hunter2", ConnectTimeout: patience, IdleTimeout: limit, Retries: -1,
		KnownHosts: filepath.Join(t.TempDir(), "known_hosts"),
	})
	return err
}

func TestHostileFTP(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	login := func(more ...string) map[string]string {
		answers := map[string]string{"USER": "331 ok\r\n", "PASS": "230 ok\r\n", "TYPE": "200 ok\r\n"}
		for i := 0; i < len(more); i += 2 {
			answers[more[i]] = more[i+1]
		}
		return answers
	}
	for _, test := range []struct {
		name, greeting string
		answers        map[string]string
		op             transfer.Op
		kind           transfer.Kind
		says           string
		silent         bool // no user name may be sent
	}{
		{"escapes in the greeting", "421 " + nasty + "\r\n", nil, transfer.OpLogin, transfer.Refused, "421", true},
		{"escapes in the answer to USER", "220 hi\r\n", map[string]string{"USER": "530 " + nasty + "\r\n"}, transfer.OpLogin, transfer.LoginRefused, `\x1b[2J`, false},
		{"the password comes back", "220 hi\r\n", login("PASS", "530 hunter2 is wrong\r\n"), transfer.OpLogin, transfer.LoginRefused, "***", false},
		{"several lines", "220-one\r\n220 two\r\n", login("PASS", "530-first "+nasty+"\r\n second\r\n530 third\r\n"), transfer.OpLogin, transfer.LoginRefused, "third", false},
		{"endless greeting", long, nil, transfer.OpLogin, transfer.ProtocolBroken, "longer than", true},
		{"endless lines in the greeting", strings.Repeat("220-x\r\n", 100_000), nil, transfer.OpLogin, transfer.ProtocolBroken, "longer than", true},
		{"endless answer to PASS", "220 hi\r\n", login("PASS", "530-"+long), transfer.OpLogin, transfer.ProtocolBroken, "longer than", false},
		{"another protocol", "SSH-2.0-" + nasty + "\r\n", nil, transfer.OpLogin, transfer.ProtocolBroken, "not an ftp server", true},
		{"TLS offered and garbage instead", "220 hi\r\n", login("AUTH", "234 go\r\n220 welcome\r\n"), transfer.OpTLS, transfer.ProtocolBroken, "TLS", true},
		{"TLS not now", "220 hi\r\n", login("AUTH", "431 later\r\n"), transfer.OpTLS, transfer.Refused, "431", true},
		{"PASV inside out", "220 hi\r\n", login("PASV", "227 )(\r\n"), transfer.OpCreate, transfer.ProtocolBroken, "cannot be understood", false},
		{"PASV without numbers", "220 hi\r\n", login("PASV", "227 (a,b,c,d,e,f)\r\n"), transfer.OpCreate, transfer.ProtocolBroken, "", false},
		{"PASV to port 0", "220 hi\r\n", login("PASV", "227 (10,0,0,1,0,0)\r\n"), transfer.OpConnect, transfer.Unreachable, "port 0", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			noGoroutineLeft(t)
			f := newFake(t, speakFTP(test.greeting, test.answers))
			fault := mustFail(t, send(t, "ftp", f, text("x")), test.op, test.kind, "hunter2")
			if !strings.Contains(fault.Error()+" "+fault.Hint, test.says) {
				t.Errorf("%v does not say %q", fault, test.says)
			}
			if test.silent && (f.heard("USER") || f.heard("hunter2")) {
				t.Errorf("the login was sent: %q", f.said)
			}
		})
	}
}

// speakHTTP reads a request's header, sends what it is told, and reads on.
func speakHTTP(answers ...string) func(*fake, net.Conn) {
	var mu sync.Mutex
	next := 0
	return func(f *fake, c net.Conn) {
		lines := bufio.NewReader(c)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			f.hear(line)
			if strings.TrimSpace(line) == "" {
				break
			}
		}
		mu.Lock()
		answer := answers[min(next, len(answers)-1)]
		next++
		mu.Unlock()
		io.WriteString(c, answer)
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, lines)
	}
}

func TestHostileHTTP(t *testing.T) {
	const asText = "Content-Type: text/plain; charset=utf-8\r\n\r\n"
	for _, test := range []struct {
		name, answer string
		op           transfer.Op
		kind         transfer.Kind
		says         string
	}{
		{"escapes in the status", "HTTP/1.1 403 " + nasty + "\r\n\r\n", transfer.OpWrite, transfer.Refused, `\x1b[2J`},
		{"escapes in the body", "HTTP/1.1 507 Full\r\n" + asText + nasty, transfer.OpWrite, transfer.Refused, `\u202e`},
		{"endless body", "HTTP/1.1 413 Too Large\r\n" + asText + strings.Repeat("long ", 1<<20), transfer.OpWrite, transfer.Refused, "413"},
		{"a page of HTML", "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script>", transfer.OpWrite, transfer.Refused, "(404 Not Found)"},
		{"the password comes back", "HTTP/1.1 401 No\r\n" + asText + "user:hunter2 Basic dXNlcjpodW50ZXIy", transfer.OpLogin, transfer.LoginRefused, "***"},
		{"giant header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", transfer.OpWrite, transfer.ProtocolBroken, "exceeded"},
		{"no HTTP", nasty + "\r\n", transfer.OpWrite, transfer.ProtocolBroken, ""},
		{"success before the file", "HTTP/1.1 201 Created\r\n\r\n", transfer.OpWrite, transfer.ProtocolBroken, "before it had the whole file"},
		{"redirect with escapes", "HTTP/1.1 307 x\r\nLocation: http://other/" + nasty + "\r\n\r\n", transfer.OpWrite, transfer.ProtocolBroken, "malformed"},
		{"redirect with a password", "HTTP/1.1 307 x\r\nLocation: http://user:hunter2@other/x?token=hunter2\r\n\r\n", transfer.OpWrite, transfer.Refused, "another host"},
		{"redirect to nowhere", "HTTP/1.1 308 x\r\n\r\n", transfer.OpWrite, transfer.Refused, "no URL"},
		{"405", "HTTP/1.1 405 x\r\n\r\n", transfer.OpWrite, transfer.Refused, "PUT"},
		{"409", "HTTP/1.1 409 x\r\n\r\n", transfer.OpWrite, transfer.Refused, "create the folder"},
		{"411", "HTTP/1.1 411 x\r\n\r\n", transfer.OpWrite, transfer.Refused, "size first"},
		{"nothing", "", transfer.OpWrite, transfer.ConnectionLost, "closed the connection"},
	} {
		t.Run(test.name, func(t *testing.T) {
			noGoroutineLeft(t)
			f := newFake(t, speakHTTP(test.answer))
			fault := mustFail(t, send(t, "http", f, &random{size: 8 << 20}), test.op, test.kind, "hunter2", "dXNlcjpodW50ZXIy")
			if !strings.Contains(fault.Error()+" "+fault.Hint, test.says) {
				t.Errorf("%v (%s) does not say %q", fault, fault.Hint, test.says)
			}
		})
	}
}

// What gives permission is not repeated, however a server spells it back: the password, and the signature in a URL, the
// user's or a redirect's.
func TestSecretsComeBack(t *testing.T) {
	const password, signature, later = `p"ss wörd/2`, "c2lnbmF0dXJl/bG9uZw==", "the-signature-of-another"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/file" && r.URL.Query().Get("to") != "" {
			w.Header().Set("Location", "/next?sig="+later)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		user, said, _ := r.BasicAuth()
		if user == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "no %s %q %s %s %s %s", r.RequestURI, said, said, url.QueryEscape(said), url.PathEscape(said), r.URL.Query().Get("sig"))
	}))
	t.Cleanup(server.Close)
	secrets := []string{password, `p\"ss`, "p%22ss", "ss+w", signature, url.QueryEscape(signature), later}
	for _, query := range []string{"?sig=" + url.QueryEscape(signature), "?to=next&sig=" + url.QueryEscape(signature)} {
		target, err := transfer.ParseURL(server.URL + "/file" + query)
		if err != nil {
			t.Fatal(err)
		}
		options := transfer.Options{Policy: loopback, User: "user", Password: password, Retries: -1}
		mustFail(t, second(transfer.Upload(t.Context(), target, text("x"), options)), transfer.OpWrite, transfer.Refused, secrets...)
		_, err = transfer.Download(t.Context(), target, filepath.Join(t.TempDir(), "x.part"), options)
		mustFail(t, err, transfer.OpReceive, transfer.Refused, secrets...)
	}
}

// A server that does not know Expect gets the request once more without it.
func TestExpectationFailed(t *testing.T) {
	source := &random{size: 2 << 20}
	f := newFake(t, func(f *fake, c net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			t.Error(err)
			return
		}
		if request.Header.Get("Expect") != "" {
			io.WriteString(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
			return
		}
		if n, err := io.Copy(io.Discard, request.Body); n != source.size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	if err := send(t, "http", f, source); err != nil {
		t.Fatal(err)
	}
	if n := source.opened.Load(); n != 2 {
		t.Errorf("the source was opened %d times", n)
	}
}

// speakSSH is an SSH server that records what it is told.
func speakSSH(config *ssh.ServerConfig) func(*fake, net.Conn) {
	return func(f *fake, c net.Conn) {
		if _, _, _, err := ssh.NewServerConn(c, config); err == nil {
			f.hear("logged in")
		}
	}
}

func TestHostileSSH(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("no password before the host key is known", func(t *testing.T) {
		var f *fake
		config := &ssh.ServerConfig{
			BannerCallback: func(ssh.ConnMetadata) string { return nasty },
			PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
				f.hear(string(password))
				return nil, errors.New(nasty)
			},
		}
		config.AddHostKey(signer)
		f = newFake(t, speakSSH(config))
		mustFail(t, send(t, "scp", f, text("x")), transfer.OpHostKey, transfer.HostKeyUnknown, "hunter2")
		if f.heard("hunter2") {
			t.Error("the password was sent")
		}
	})
	t.Run("a question that is not about the password", func(t *testing.T) {
		config := &ssh.ServerConfig{
			KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				answers, err := ask("", nasty, []string{nasty + "your PIN: "}, []bool{true})
				return nil, fmt.Errorf("%q %w", answers, err)
			},
		}
		config.AddHostKey(signer)
		f := newFake(t, speakSSH(config))
		file := filepath.Join(t.TempDir(), "known_hosts")
		target, err := transfer.ParseTarget("scp", f.addr+"/file", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transfer.AddKnownHost(file, target.Host, target.Port, signer.PublicKey()); err != nil {
			t.Fatal(err)
		}
		_, err = transfer.Upload(t.Context(), target, text("x"), transfer.Options{Policy: loopback, User: "user", Password: "hunter2", KnownHosts: file})
		mustFail(t, err, transfer.OpLogin, transfer.LoginRefused, "hunter2")
	})
	for name, greeting := range map[string]string{
		"escapes before the version": strings.Repeat(nasty+"\r\n", 10) + "SSH-2.0-x\r\n" + nasty,
		"endless version":            strings.Repeat("x", 1<<20),
		"another protocol":           "220 " + nasty + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			noGoroutineLeft(t)
			f := newFake(t, func(_ *fake, c net.Conn) {
				io.WriteString(c, greeting)
				c.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, c)
			})
			err := send(t, "scp", f, text("x"))
			var fault *transfer.Error
			if !errors.As(err, &fault) || fault.Op != transfer.OpHostKey {
				t.Fatalf("got %v", err)
			}
			mustFail(t, err, transfer.OpHostKey, fault.Kind, "hunter2")
		})
	}
}
