package openapi_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pkcs12File is one that OpenSSL makes, with a chain of two certificates.
func pkcs12File(t *testing.T, password string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	openssl := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", args[0], err, out)
		}
	}
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test Authority", "-days", "30")
	openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=shop.example")
	openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "leaf.pem", "-days", "10", "-set_serial", "2")
	openssl(append([]string{"pkcs12", "-export", "-inkey", "leaf.key", "-in", "leaf.pem", "-certfile", "ca.pem", "-out", "all.p12", "-passout", "pass:" + password}, flags...)...)
	file, err := os.ReadFile(filepath.Join(dir, "all.p12"))
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(file)
}

func pkcs12Body(t *testing.T, file, password string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"format": "pkcs12", "pkcs12file": file, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestPKCS12(t *testing.T) {
	s := newServer(t)
	s.ok("POST", group, "")
	s.ok("POST", service, "")
	keys := service + "/sslCertificates/"
	file := pkcs12File(t, "päss word")
	s.ok("POST", keys+"modern", pkcs12Body(t, file, "päss word"))
	if body := s.ok("GET", keys+"modern", ""); !strings.Contains(body, `"issuer":"CN=Test Authority"`) {
		t.Error(body)
	}
	s.ok("POST", keys+"legacy", pkcs12Body(t, pkcs12File(t, "x", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"), "x"))
	for _, key := range s.keys() {
		if strings.Count(key.Certificate, "BEGIN CERTIFICATE") != 2 {
			t.Errorf("%s has lost its chain:\n%s", key.Name, key.Certificate)
		}
	}
	const secret = "not the password"
	if answer := s.refused("POST", keys+"wrong", pkcs12Body(t, file, secret), "IMP-10303"); strings.Contains(answer, secret) {
		t.Error("the answer repeats the password")
	}
	s.refused("POST", keys+"modern", pkcs12Body(t, file, "päss word"), "IMP-10005")
	for name, body := range map[string]string{
		"no file": pkcs12Body(t, "", "x"), "not base64": pkcs12Body(t, "*", "x"), "no PKCS 12": pkcs12Body(t, base64.StdEncoding.EncodeToString([]byte("hello")), "x"),
		"cut short": pkcs12Body(t, file[:len(file)/2/4*4], "päss word"),
	} {
		t.Run(name, func(t *testing.T) { s.refused("POST", keys+"bad", body, "IMP-10304") })
	}
}
