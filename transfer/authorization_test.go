package transfer_test

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/icholy/digest"

	"sealgate/transfer"
)

// Lists of challenges may come in one line, as intermediaries join them; what is in them is found all the same.
func TestHTTPChallengesInOneLine(t *testing.T) {
	for asks, want := range map[string]string{
		`Negotiate, NTLM, Basic realm="a, b"`:                                        "Basic ",
		`Basic realm="Digest nonce=\"x\", qop=auth"`:                                 "Basic ",
		`NTLM TlRMTVNTUA==, Digest realm="r", nonce="n", qop="auth"`:                 `nonce="n"`,
		`Basic realm="r", Digest realm = "r", nonce="n", qop="auth, auth-int"`:       `nonce="n"`,
		`Digest realm="r", nonce="n", qop="auth-int", Digest realm="r", nonce="m" ,`: `nonce="m"`,
	} {
		f, _ := newRefusing(t, "HTTP/1.1 401 x\r\nWWW-Authenticate: "+asks+"\r\nContent-Length: 0\r\n\r\n")
		if err := send(t, "http", f, text("x")); err != nil {
			t.Errorf("%s: %v", asks, err)
		}
		if !f.heard(want) {
			t.Errorf("%s: it heard %q", asks, f.said)
		}
	}
}

// What cannot be given is named, so that the server's owner knows what to change.
func TestHTTPForeignDigest(t *testing.T) {
	for asks, says := range map[string]string{
		`Digest realm="r", nonce="n", qop="auth-int"`:                   "wants Digest with qop=auth-int",
		`Digest realm="r", nonce="n", algorithm=ROT13`:                  "wants Digest with algorithm=ROT13",
		`Digest realm="r", nonce="n", algorithm=MD5-sess`:               "wants Digest with algorithm=MD5-sess",
		`Negotiate, Digest realm="r", nonce="n", algorithm=` + "\u202e": "wants Negotiate, Digest",
	} {
		f, asked := newRefusing(t, "HTTP/1.1 401 x\r\nWWW-Authenticate: "+asks+"\r\nContent-Length: 0\r\n\r\n")
		fault := mustFail(t, send(t, "http", f, text("x")), transfer.OpLogin, transfer.LoginRefused, "hunter2")
		if !strings.Contains(fault.Error(), says) || !strings.Contains(fault.Hint, "qop=auth and MD5") {
			t.Errorf("%s: %v (%s)", asks, fault, fault.Hint)
		}
		if asked.Load() != 1 || f.heard("Digest") || f.heard("Basic") {
			t.Errorf("%s: it heard %q", asks, f.said)
		}
	}
}

// Every algorithm that a server may ask for. The server here is right when curl can log in to it.
func TestHTTPDigestAlgorithms(t *testing.T) {
	sums := map[string]func(string) string{
		"MD5":     func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) },
		"SHA-256": func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) },
	}
	for _, algorithm := range []string{"MD5", "SHA-256", "MD5-sess", "SHA-256-sess"} {
		t.Run(algorithm, func(t *testing.T) {
			plain, session := strings.CutSuffix(algorithm, "-sess")
			sum := sums[plain]
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				said, err := digest.ParseCredentials(r.Header.Get("Authorization"))
				if err == nil && said.Algorithm == algorithm && said.URI == r.RequestURI {
					key := sum("user:r:pass\"word")
					if session {
						key = sum(key + ":n:" + said.Cnonce)
					}
					want := sum(fmt.Sprintf("%s:n:%08x:%s:auth:%s", key, said.Nc, said.Cnonce, sum(r.Method+":"+said.URI)))
					if said.Response == want {
						io.Copy(io.Discard, r.Body)
						return
					}
				}
				w.Header().Set("WWW-Authenticate", `Digest realm="r", nonce="n", qop="auth", algorithm=`+algorithm)
				w.WriteHeader(http.StatusUnauthorized)
			}))
			t.Cleanup(server.Close)
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			curl := exec.Command("curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--digest", "--user", `user:pass"word`, "--upload-file", file, server.URL+"/folder/file?a=b")
			if out, err := curl.CombinedOutput(); err != nil {
				t.Fatalf("curl: %v: %s", err, out)
			}
			target, err := transfer.ParseTarget("http", server.URL+"/folder/file?a=b", "")
			if err != nil {
				t.Fatal(err)
			}
			// Asked first, and once more with the same nonce for the body that a first answer spared.
			for _, source := range []*random{{size: 10}, {size: 2 << 20}} {
				if _, err := transfer.Upload(t.Context(), target, source, transfer.Options{Policy: loopback, User: "user", Password: `pass"word`, Retries: -1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
