package account

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func line(t *testing.T, public any) string {
	t.Helper()
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func ed25519Line(t *testing.T) string {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return line(t, public)
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "anna": true, "a-1": true, strings.Repeat("a", 31): true,
		"": false, "Anna": false, "1a": false, "-a": false, "a_b": false, "a.b": false, "a b": false, "a:b": false, "a\n": false,
		"a/b": false, "..": false, "ä": false, "root\x00": false, strings.Repeat("a", 32): false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	good := ed25519Line(t)
	k, err := ParseKey("  " + good + " anna@\x1b[31mhome ä ")
	if err != nil {
		t.Fatal(err)
	}
	if want := good + " anna@?[31mhome ?\n"; k.Line != want || k.Type != "ssh-ed25519" || !strings.HasPrefix(k.Fingerprint, "SHA256:") {
		t.Errorf("%+v, want the line %q", k, want)
	}
	again, err := ParseKey(k.Line)
	if err != nil || again != k {
		t.Errorf("%+v became %+v, %v", k, again, err)
	}
	weak := &rsa.PublicKey{N: weakModulus(), E: 65537}
	for name, bad := range map[string]string{
		"nothing":     "",
		"words":       "let me in",
		"options":     `command="/bin/sh" ` + good,
		"an option":   "no-pty " + good,
		"principals":  "cert-authority " + good,
		"two lines":   good + "\n" + good,
		"a NUL":       good + "\x00",
		"a comment":   "# " + good,
		"cut":         good[:40],
		"long":        good + strings.Repeat("x", maxKeyLine),
		"a short rsa": line(t, weak),
	} {
		if k, err := ParseKey(bad); err == nil {
			t.Errorf("%s is taken: %+v", name, k)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJk2b0Nn0cnkXbV1xjmbI1Zb2mTMWsIvLhcLNr0k3wSb a")
	f.Add(`command="x" ssh-rsa AAAA`)
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseKey(s)
		if err != nil {
			return
		}
		if strings.Count(k.Line, "\n") != 1 || !strings.HasPrefix(k.Line, k.Type+" ") {
			t.Fatalf("%q is written as %q", s, k.Line)
		}
		if again, err := ParseKey(k.Line); err != nil || again != k {
			t.Fatalf("%q became %+v, then %+v, %v", s, k, again, err)
		}
	})
}

// weakModulus has 1024 bits.
func weakModulus() *big.Int { return new(big.Int).SetBit(big.NewInt(1), 1023, 1) }
