package proxy_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/proxy"
)

// selfSigned is a certificate for a name, and its key, PEM.
func selfSigned(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// A path behind a certificate is for nobody without one, however it is spelled. What the
// server gets is what the client sent.
func TestACertificateIsAskedForHoweverThePathIsSpelled(t *testing.T) {
	server := origin(t, `location / { return 200 "$request_uri"; }`)
	authority, private := selfSigned(t, "alice")
	alice, err := tls.X509KeyPair([]byte(authority), []byte(private))
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, server.Addr, secure, func(g *gate, _ *proxy.Options) {
		g.service().Keys = append(g.service().Keys, model.SnapshotKey{Name: "authority", Certificate: authority, PrivateKey: private})
		in := &g.service().Inbound[0]
		in.Authority, in.ClientRules = "authority", map[string]string{"alice": "^CN=alice$"}
		admin, rest, free := outbound(t, server.Addr), outbound(t, server.Addr), outbound(t, server.Addr)
		admin.ExternalHost, admin.URLPrefix, admin.ClientRule = "www.example", "//%61dmin/./", "alice"
		rest.Priority, rest.ExternalHost = 2, "www.example"
		free.Priority = 3
		in.Outbound = []model.SnapshotOutbound{admin, rest, free}
	})
	ask := func(host, target string, who ...tls.Certificate) (int, string) {
		t.Helper()
		c, err := tls.Dial("tcp", g.addr(8080), &tls.Config{InsecureSkipVerify: true, Certificates: who})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, host)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for _, target := range []string{"/admin/x", "/%61dmin/x", "/.//admin/x", "/./admin/x", "/ADMIN/x", "/admin;a=b/x", "/%3Bv/%2E/adm%69n//x?q", "http://www.example/%61dmin/x"} {
		if status, body := ask("www.example", target); status != 403 {
			t.Errorf("%s without a certificate: %d %q", target, status, body)
		} else if v := g.event(); v.Type != "Client Certificate" {
			t.Errorf("%s: %+v", target, v)
		}
	}
	for _, target := range []string{"/y/../admin/x", "/y/..;/admin/x", "/%2561dmin/x", "/y%2f..%2fadmin/x", `/y\..\admin\x`, "/admin%00/x", "/y/%c0%ae%c0%ae/admin/x", "/y#/../admin/x", "//y/admin/x"} {
		for _, who := range [][]tls.Certificate{nil, {alice}} {
			if status, body := ask("www.example", target, who...); status != 400 {
				t.Errorf("%s has two readings: %d %q", target, status, body)
			} else if v := g.event(); v.Type != "Illegal Byte in URL" || v.Action != "block" || v.Path != target || v.Host != "www.example" {
				t.Errorf("%s: %+v", target, v)
			}
		}
		// Nothing is behind a certificate there.
		if status, body := ask("free.example", target); status != 200 && status != 400 || status == 200 && body != target {
			t.Errorf("%s at the free host: %d %q", target, status, body)
		}
	}
	for _, target := range []string{"/admin/x", "/%61dmin/x?a=%2f", "/admin//./x"} {
		if status, body := ask("www.example", target, alice); status != 200 || body != target {
			t.Errorf("%s with a certificate: %d %q", target, status, body)
		}
	}
	for _, target := range []string{"/y/x", "/administrator", "/caf%C3%A9;v=1?p=/../admin/"} {
		if status, body := ask("www.example", target); status != 200 || body != target {
			t.Errorf("%s: %d %q", target, status, body)
		}
	}
	if len(g.events) > 0 {
		t.Errorf("a further event: %+v", <-g.events)
	}
}
