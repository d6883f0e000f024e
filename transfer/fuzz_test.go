package transfer

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jlaffaye/ftp"
	"golang.org/x/crypto/ssh"
)

// What servers and proxies say is read here with no server behind it: no parser panics, reads on after an answer, or lets
// a stranger's bytes or our secrets through to an error.

const fuzzSecret = "hunter2-the-secret"

// fuzzed is a session of protocol whose server and proxy are the fuzzer.
func fuzzed(t *testing.T, protocol string) *session {
	t.Helper()
	target, err := ParseTarget(protocol, "backup.example.com/dumps/file", "")
	if err != nil {
		t.Fatal(err)
	}
	return newSession(target, Options{User: "anna", Password: fuzzSecret, Proxy: Proxy{"proxy.example.com", 3128, "otto", fuzzSecret}})
}

// answering is a connection on which the other side says data and hangs up.
func answering(data []byte) (*conn, *scripted) {
	s := &scripted{answers: bytes.NewReader(data)}
	return &conn{Conn: s, clock: &idleClock{limit: time.Minute}, release: func() bool { return true }}, s
}

type scripted struct{ answers *bytes.Reader }

func (s *scripted) Read(p []byte) (int, error)       { return s.answers.Read(p) }
func (s *scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (s *scripted) Close() error                     { return nil }
func (s *scripted) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (s *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 2} }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// mustBeClear checks an error that a stranger's words are in.
func mustBeClear(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	fault, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	for _, text := range []string{fault.Error(), fault.Hint} {
		if safe := SafeText(text); text == "" || safe != text && !strings.HasSuffix(safe, "…") {
			t.Errorf("not clear: %q, hint %q", fault.Error(), fault.Hint)
		}
		if strings.Contains(text, fuzzSecret) {
			t.Errorf("repeats a secret: %q", text)
		}
	}
}

func FuzzFTPAnswer(f *testing.F) {
	for _, seed := range []string{"220 hi\r\n", "220-one\r\n two\r\n220 three\r\nmore", "234", "22x\n", "-12 \n", "530-" + strings.Repeat("x", 300)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := fuzzed(t, "ftp")
		c, rest := answering(data)
		control := &ftpControl{Conn: c, budget: maxFTPReply}
		for {
			reply, err := control.answer()
			if err != nil {
				mustBeClear(t, s.fault(t.Context(), OpLogin, err))
				return
			}
			if read := len(data) - rest.answers.Len(); data[read-1] != '\n' || reply.Code < 100 || reply.Code > 999 {
				t.Fatalf("%d after %d bytes", reply.Code, read)
			}
			mustBeClear(t, s.ftpFault(t.Context(), OpLogin, reply))
		}
	})
}

// The library reads the answers to FEAT, EPSV, PASV, SIZE, MDTM and all the others.
func FuzzFTPSession(f *testing.F) {
	const login = "331 ok\r\n230 ok\r\n211-\r\n MDTM\r\n UTF8\r\n211 end\r\n200 ok\r\n200 ok\r\n213 5\r\n213 20260102030405\r\n"
	for _, seed := range []string{
		login + "229 ok (|||47000|)\r\n350 ok\r\n150 ok\r\n226 ok\r\n213 5\r\n250 ok\r\n",
		login + "502 no\r\n227 ok (10,0,0,1,10,10)\r\n150 ok\r\n226 ok\r\n",
		login + "229 )(\r\n227 )(\r\n", login + "229 (|||99999|)\r\n", "530 no\r\n",
		"331 ok\r\n230 ok\r\n211-\r\n MFMT\r\n MLST type*;\r\n211\r\n",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, store bool) {
		s := fuzzed(t, "ftp")
		d := &download{session: s, meter: &meter{}, size: -1}
		c, _ := answering(data)
		control := &ftpControl{Conn: c, greeting: strings.NewReader("220 \r\n"), budget: maxFTPReply}
		first := true
		server, err := ftp.Dial("backup.example.com:21", ftp.DialWithDialFunc(func(string, string) (net.Conn, error) {
			if first {
				first = false
				return control, nil
			}
			body, _ := answering(data)
			return &ftpData{Conn: body, raw: body, control: control}, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer server.Quit()
		if err := server.Login("anna", fuzzSecret); err != nil {
			mustBeClear(t, s.ftpLoginFault(t.Context(), "anna", err))
			return
		}
		if size, mark := d.ftpState(server); size < -1 || size < 0 && mark != "" {
			t.Fatalf("a size of %d and the mark %q", size, mark)
		}
		if store {
			if err = stor(server, "file", strings.NewReader("12345"), 2); err == nil {
				err = server.Rename("file", "other")
			}
		} else if body, failed := retr(server, "file", 0); failed != nil {
			err = failed
		} else {
			io.Copy(io.Discard, body)
			err = body.Close()
		}
		if err != nil {
			mustBeClear(t, s.ftpFault(t.Context(), OpWrite, err))
		}
	})
}

func FuzzConnectAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 ok\r\n\r\nSSH-2.0-x", "HTTP/1.0 200\r\nContent-Length: 5\r\n\r\n220 hi\r\n", "HTTP/1.1 100 go\r\n\r\nHTTP/1.1 200 ok\r\n\r\n",
		"HTTP/1.1 407 x\r\nProxy-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\"\r\n\r\n", "HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := fuzzed(t, "scp")
		c, _ := answering(data)
		answer, err := c.connect("backup.example.com:22", "", time.Minute)
		switch {
		case err != nil:
			mustBeClear(t, s.proxyFault(t.Context(), err))
		case answer.StatusCode/100 == 2:
			behind, err := io.ReadAll(c)
			if err != nil || !bytes.HasSuffix(data, behind) || bytes.Count(data[:len(data)-len(behind)], []byte("\n")) == 0 {
				t.Fatalf("%q is behind the answer, %v", behind, err)
			}
		default:
			s.proxy.learn(challengesOf(answer.Header, "Proxy-Authenticate"))
			mustBeClear(t, s.proxyRefused(answer, "backup.example.com:22"))
		}
	})
}

func FuzzHTTPAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 503 x\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n\r\nlater " + fuzzSecret,
		"HTTP/1.1 307 x\r\nLocation: //other:81/x?" + fuzzSecret + "\r\n\r\n", "HTTP/1.1 302 x\r\nLocation: https://backup.example.com/\r\n\r\n",
		"HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 502 x\r\nX-Squid-Error: ERR\r\nProxy-Status: x; error=y\r\n\r\n",
		"HTTP/1.1 502 x\r\nX-Squid-Error: ERR_FTP_FAILURE 0\r\n\r\n<pre>STOR x\n</pre><pre>553 &lt;no&gt; " + fuzzSecret + "\n</pre>",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, upload bool) {
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
		if err != nil {
			mustBeClear(t, fuzzed(t, "http").fault(t.Context(), OpWrite, err))
			return
		}
		defer response.Body.Close()
		s := fuzzed(t, "https")
		op := OpReceive
		if upload {
			op = OpWrite
		}
		answer := newAnswer(response, func() {})
		mustBeClear(t, s.gatewayFault(t.Context(), answer, op))
		mustBeClear(t, s.proxyRefused(response, s.target.addr()))
		s.learns(s.target, response)
		notAGateway(response)
		next, err := s.follow(s.target, response.Header.Get("Location"), upload)
		mustBeClear(t, err)
		if err == nil && (next.Protocol != "https" || upload && next.addr() != s.target.addr() || next.check() != nil) {
			t.Fatalf("it leads to %+v", next)
		}
	})
}

func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 5-9/10", "bytes 5-1/2", "bytes -5--9/-10", "bytes 5-9/*", "bytes 9223372036854775807-0/1", "bytes 5-9/10 and more"} {
		f.Add(seed, int64(5), int64(10))
		f.Add(seed, int64(5), int64(-1))
	}
	f.Fuzz(func(t *testing.T, said string, at, size int64) {
		d := &download{session: fuzzed(t, "http"), at: at, size: size}
		err := d.goesOn(&http.Response{Header: http.Header{"Content-Range": {said}}})
		mustBeClear(t, err)
		if err == nil && (d.size <= at || at <= 0 || size >= 0 && d.size != size) {
			t.Fatalf("%q is taken for the rest from %d of %d", said, at, size)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"5", "-5", "99999999999", "Tue, 24 Nov 2026 18:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if wait := parseRetryAfter(value, time.Unix(1_800_000_000, 0)); wait < 0 {
			t.Fatalf("%v", wait)
		}
	})
}

func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{
		`Digest realm="a", nonce="b", qop="auth, auth-int", algorithm=SHA-256, opaque="c"`, `Digest realm="\"", nonce=b, stale=true`,
		"Basic realm=x", "Negotiate", "NTLM TlRMTVNTUA==", "Digest ", `Digest qop=auth-int, nonce=x`, `Digest realm="a", nonce="b", userhash=true, charset=UTF-8`,
		`Negotiate, Basic realm="a, \"b", Digest realm = "c", nonce="d", qop="auth", algorithm=MD5-sess`, `,"\`,
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		a := &authorization{user: "anna", password: fuzzSecret}
		asked := false // for Digest
		challenges := challengesOf(http.Header{"Www-Authenticate": {first, second}}, "WWW-Authenticate")
		for range maxAsked {
			a.learn(challenges)
			asked = asked || a.digest != nil
			header := a.header(http.MethodPut, "/dumps/file")
			if strings.Contains(header, fuzzSecret) || asked && strings.HasPrefix(header, "Basic") {
				t.Fatalf("tells the password: %q", header)
			}
			if strings.ContainsAny(header, "\r\n") && !strings.ContainsAny(first+second, "\r\n") {
				t.Fatalf("more than a line: %q", header)
			}
		}
		foreign(challenges)
	})
}

func FuzzKnownHosts(f *testing.F) {
	const key = " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	for _, seed := range []string{
		"backup.example.com" + key + " anna\n", "[backup.example.com]:22,*.example.com,!x" + key, "|1|AAAA|AAAA" + key, "@revoked backup.example.com" + key,
		"@cert-authority *" + key, "# comment\n\n", "backup.example.com ssh-ed25519 AAAA", "a b c d e f",
	} {
		f.Add([]byte(seed))
	}
	file := filepath.Join(f.TempDir(), "known_hosts")
	key2, _, _, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(key)))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := parseKnownHosts(file, text)
		if err != nil {
			mustBeClear(t, err)
		}
		for _, entry := range entries {
			entry.names("backup.example.com")
			if entry.Key == nil || entry.Line < 1 || entry.Line > bytes.Count(text, []byte("\n"))+1 {
				t.Fatalf("%+v", entry)
			}
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := fuzzed(t, "scp")
		s.o.KnownHosts = file
		check, err := s.newHostKeyCheck()
		if err != nil {
			mustBeClear(t, err)
			return
		}
		check.judge(s.target.addr(), &net.TCPAddr{IP: net.IPv4zero}, key2)
		mustBeClear(t, check.fault)
		if check.accepted && !bytes.Contains(text, bytes.Fields([]byte(key))[1]) {
			t.Fatal("it accepts a key that is not there")
		}
	})
}

// A server's greeting, its first packets, and what it calls itself.
func FuzzSSHGreeting(f *testing.F) {
	for _, seed := range []string{
		"SSH-2.0-OpenSSH_9.2\r\n\x00\x00\x00\x0c\x0a\x14", "banner\r\nSSH-2.0-x\r\n", "SSH-1.5-x\r\n", "HTTP/1.1 400 x\r\n\r\n", "SSH-2.0-\x1b]52;c;\x07\r\n\xff\xff\xff\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := fuzzed(t, "scp")
		c, _ := answering(data)
		line := gather(c)
		defer line.Close()
		_, _, _, err := ssh.NewClientConn(line, s.target.addr(), &ssh.ClientConfig{User: "anna", Auth: s.sshAuth(), HostKeyCallback: ssh.InsecureIgnoreHostKey()})
		if err == nil {
			t.Fatal("logged in")
		}
		mustBeClear(t, s.fault(t.Context(), OpHostKey, err))
	})
}

// What a server asks when it wants more than a password, or says when it refuses one.
func FuzzSSHQuestion(f *testing.F) {
	f.Add("Password: ", false)
	f.Add("\x1b[2JPIN of "+fuzzSecret, true)
	f.Fuzz(func(t *testing.T, question string, echo bool) {
		s := fuzzed(t, "scp")
		s.o.Key, _ = ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
		answers, err := s.answerQuestions("", "", []string{question}, []bool{echo})
		if echo != (err != nil) || err == nil && answers[0] != fuzzSecret {
			t.Fatalf("%q, %v", answers, err)
		}
		if err != nil {
			mustBeClear(t, s.sshLoginFault(t.Context(), err))
		}
		mustBeClear(t, s.sshLoginFault(t.Context(), errors.New("ssh: "+question)))
	})
}
