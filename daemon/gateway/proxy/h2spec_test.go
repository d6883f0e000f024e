package proxy_test

import (
	"crypto/tls"
	"encoding/xml"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// h2spec is the conformance suite for HTTP/2.
const h2spec = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

// The proxy passes at least as many cases as a bare Go server.
func TestH2Spec(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it without -short")
	}
	program := filepath.Join(t.TempDir(), "h2spec")
	install := exec.Command("go", "install", h2spec)
	install.Env = append(os.Environ(), "GOBIN="+filepath.Dir(program), "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bare := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "hello")
	}))
	bare.Config.ErrorLog = log.New(io.Discard, "", 0)
	bare.EnableHTTP2 = true
	bare.TLS = &tls.Config{}
	bare.StartTLS()
	defer bare.Close()
	g := newGate(t, origin(t, `location / { return 200 "hello"; }`).Addr, secure)
	want, got := passes(t, program, bare.Listener.Addr().String()), passes(t, program, g.addr(8080))
	t.Logf("a bare server passes %d, the proxy %d", len(want), len(got))
	if len(got) < len(want) {
		for name := range want {
			if !got[name] {
				t.Errorf("a bare server passes %q, the proxy does not", name)
			}
		}
	}
	if len(want) < 100 {
		t.Errorf("h2spec ran %d cases", len(want))
	}
}

// passes are the cases that a server passes.
func passes(t *testing.T, program, addr string) map[string]bool {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.xml")
	out, err := exec.Command(program, "-t", "-k", "-h", host, "-p", port, "-o", "3", "-j", report).CombinedOutput()
	data, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Fatalf("h2spec: %v, %v\n%s", err, readErr, out)
	}
	var suites struct {
		Suites []struct {
			Package string `xml:"package,attr"`
			Cases   []struct {
				Name    string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(data, &suites); err != nil {
		t.Fatal(err)
	}
	passed := make(map[string]bool)
	for _, s := range suites.Suites {
		for _, c := range s.Cases {
			if c.Failure == nil && c.Error == nil && c.Skipped == nil {
				passed[s.Package+" "+c.Name] = true
			}
		}
	}
	return passed
}
