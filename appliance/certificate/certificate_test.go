package certificate_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/certificate"
)

var names = certificate.Names{Common: "mx1"}

func newHome(t *testing.T) appliance.Home {
	t.Helper()
	home := appliance.Home(t.TempDir())
	if err := certificate.Ensure(home, names, time.Now()); err != nil {
		t.Fatal(err)
	}
	return home
}

// authority is openssl's own: what it signs is what administrators bring.
type authority struct{ dir string }

func openssl(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{t.TempDir()}
	openssl(t, a.dir, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
		"-subj", "/CN=Our CA", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")
	return a
}

// sign signs a request for ten days, with what extensions say.
func (a authority) sign(t *testing.T, request []byte, extensions string) string {
	t.Helper()
	for name, data := range map[string]string{"r.csr": string(request), "r.ext": extensions} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"x509", "-req", "-in", "r.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "r.pem", "-extfile", "r.ext", "-days", "10"}
	openssl(t, a.dir, args...)
	return a.file(t, "r.pem")
}

func (a authority) file(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const forServers = "subjectAltName=DNS:mx.example.com,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"

// serve answers with the certificate of home, and says to whom.
func serve(t *testing.T, home appliance.Home) (addr string) {
	t.Helper()
	keeper, err := certificate.NewKeeper(home, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{TLSConfig: &tls.Config{GetCertificate: keeper.Get, MinVersion: tls.VersionTLS12},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })}
	go srv.ServeTLS(ln, "", "")
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().String()
}

func TestReplacedWithoutCuttingConnections(t *testing.T) {
	home, ca := newHome(t), newAuthority(t)
	addr := serve(t, home)
	old, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()

	request, err := certificate.Request(home, names, []string{"mx.example.com", "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := certificate.Show(home); err != nil || info.Issuer != info.Subject {
		t.Errorf("a request changes the certificate: %+v, %v", info, err)
	}
	info, err := certificate.Install(home, []byte(ca.sign(t, request, forServers)+ca.file(t, "ca.pem")), time.Now())
	if err != nil || info.Issuer != "CN=Our CA" || info.Chain != 1 {
		t.Fatalf("%+v, %v", info, err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca.file(t, "ca.pem")))
	fresh, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: "mx.example.com"})
	if err != nil {
		t.Fatalf("a new connection does not see it: %v", err)
	}
	fresh.Close()
	fmt.Fprint(old, "GET / HTTP/1.1\r\nHost: mx\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(old), nil)
	if err != nil {
		t.Fatalf("a connection that was there: %v", err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "hello" {
		t.Errorf("it answers %q", body)
	}

	// The link's key is not the certificate's: gateways pin it.
	pin, err := certificate.LinkPin(home)
	if err != nil {
		t.Fatal(err)
	}
	if err := certificate.Renew(home, names, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := certificate.Ensure(home, names, time.Now()); err != nil {
		t.Fatal(err)
	}
	if again, err := certificate.LinkPin(home); err != nil || again != pin {
		t.Errorf("the pin changed: %v", err)
	}
	if renewed, _ := certificate.Show(home); renewed.Issuer != renewed.Subject || renewed.SHA256 == info.SHA256 {
		t.Errorf("renewed: %+v", renewed)
	}
}

// A file that cannot be used leaves clients the certificate that they had.
func TestDamagedFileKeepsTheOld(t *testing.T) {
	home := newHome(t)
	addr := serve(t, home)
	path := filepath.Join(home.Certificate(), "management.pem")
	for _, damage := range []func() error{
		func() error { return os.WriteFile(path, []byte("nonsense"), 0o600) },
		func() error { return os.Remove(path) },
		func() error { return os.Symlink("/etc/passwd", path) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if _, err := certificate.Show(home); err == nil {
		t.Error("a link is followed")
	}
}

func TestInstallRefuses(t *testing.T) {
	home, ca := newHome(t), newAuthority(t)
	before, err := os.ReadFile(filepath.Join(home.Certificate(), "management.pem"))
	if err != nil {
		t.Fatal(err)
	}
	request, err := certificate.Request(home, names, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := ca.sign(t, request, forServers)
	openssl(t, ca.dir, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", "weak.key")
	openssl(t, ca.dir, "req", "-new", "-key", "weak.key", "-subj", "/CN=x", "-out", "weak.csr")
	weak := ca.sign(t, []byte(ca.file(t, "weak.csr")), forServers) + ca.file(t, "weak.key")
	openssl(t, ca.dir, "pkey", "-in", "weak.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
	openssl(t, ca.dir, "genpkey", "-algorithm", "ED25519", "-out", "other.key")
	for text, want := range map[string]string{
		"":                              "holds 0 certificates",
		"hunter2 is no certificate":     "holds 0 certificates",
		string(request):                 "holds 0 certificates",
		strings.Repeat("x", 70<<10):     "more than 65536 bytes",
		strings.Repeat(good, 9):         "holds 9 certificates",
		weak:                            "1024 bits",
		good + ca.file(t, "locked.key"): "encrypted",
		good + ca.file(t, "other.key"):  "not the first certificate's",
		good + ca.file(t, "other.key") + ca.file(t, "other.key"): "two private keys",
		ca.file(t, "ca.pem") + good:                              "names no host",
		good + good:                                              "not signed by",
		ca.sign(t, request, "extendedKeyUsage=clientAuth\nsubjectAltName=DNS:x\n"): "not for servers",
		ca.sign(t, []byte(ca.file(t, "weak.csr")), forServers):                     "1024 bits",
	} {
		_, err := certificate.Install(home, []byte(text), time.Now())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.40q…: %v, not %q", text, err, want)
		}
	}
	if after, _ := os.ReadFile(filepath.Join(home.Certificate(), "management.pem")); !bytes.Equal(before, after) {
		t.Error("what was refused changed the certificate")
	}
	for days, want := range map[int]string{20: "it ended on", -1: "it begins on"} {
		if _, err := certificate.Install(home, []byte(good), time.Now().AddDate(0, 0, days)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d days from now: %v", days, err)
		}
	}
	// Another key than the appliance has.
	other := newHome(t)
	if _, err := certificate.Install(other, []byte(good), time.Now()); err == nil || !strings.Contains(err.Error(), "does not have") {
		t.Errorf("somebody else's certificate: %v", err)
	}
	if _, err := certificate.Install(home, []byte(good), time.Now()); err != nil {
		t.Error(err)
	}
	// The key is in use now, and signs again.
	if _, err := certificate.Install(home, []byte(ca.sign(t, request, forServers)), time.Now()); err != nil {
		t.Error(err)
	}
}
