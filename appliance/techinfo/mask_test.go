package techinfo

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// keyLines are what a private key has between its first and last line.
var keyLines = []string{
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2",
	"OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r",
	"1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G",
}

func random(n int) []byte {
	r := mathrand.New(mathrand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(128 + r.IntN(100)) // no line ends, and no JSON
	}
	return b
}

var secrets = [][]byte{
	[]byte("S3cret!"),
	[]byte(`quo"te\d & <tagged> ü`),
	[]byte(strings.Join(keyLines, "\n") + "\n"),
	random(200),
}

// forms are ways in which a secret may be written.
var forms = map[string]func([]byte) string{
	"plain":       func(s []byte) string { return string(s) },
	"hex":         hex.EncodeToString,
	"HEX":         func(s []byte) string { return strings.ToUpper(hex.EncodeToString(s)) },
	"base64":      base64.StdEncoding.EncodeToString,
	"base64url":   base64.RawURLEncoding.EncodeToString,
	"in base64":   func(s []byte) string { return base64.StdEncoding.EncodeToString([]byte("u:" + string(s) + "@host")) },
	"in base64 1": func(s []byte) string { return base64.StdEncoding.EncodeToString([]byte("u" + string(s) + "@host")) },
	"json": func(s []byte) string {
		quoted, _ := json.Marshal(string(s))
		return string(quoted)
	},
	"go": func(s []byte) string { return fmt.Sprintf("%q", s) },
}

func masked(t testing.TB, m *masker, text string) string {
	t.Helper()
	var b bytes.Buffer
	n, err := m.copy(&b, iotest.HalfReader(strings.NewReader(text)))
	if err != nil || n != int64(len(text)) || b.Len() != len(text) {
		t.Fatalf("%d of %d bytes were copied: %v", b.Len(), len(text), err)
	}
	return b.String()
}

// Whatever is written around it, no six bytes in a row of any secret are left.
func TestSecretsAreMasked(t *testing.T) {
	m := newMasker(secrets)
	for name, form := range forms {
		for i, secret := range secrets {
			if (name == "json" || name == "go") && !utf8.Valid(secret) {
				continue
			}
			written := form(secret)
			for _, around := range []string{"", "x", strings.Repeat("y", maskSize-10), strings.Repeat("z", 2*maskSize-len(written)/2)} {
				got := masked(t, m, around+written+around)
				if !strings.HasPrefix(got, around) || !strings.HasSuffix(got, around) {
					t.Errorf("%s of secret %d: what is around it has changed", name, i)
				}
				inside := strings.TrimSuffix(strings.TrimPrefix(got, around), around)
				if left := longestRun(inside); left > leftOver(name) {
					t.Errorf("%s of secret %d: %d characters in a row are left: %q", name, i, left, inside)
				}
			}
		}
	}
}

// leftOver is how many characters may be left: quotes, the digits of base64 that a
// neighbour shares, and what the test wrote around the secret.
func leftOver(form string) int {
	if strings.HasPrefix(form, "in ") {
		return 12
	}
	return 4
}

func longestRun(s string) int {
	longest, run := 0, 0
	for _, r := range s {
		if run++; r == '*' || r == '\n' {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// What is no secret stays, byte for byte.
func TestOthersAreNotMasked(t *testing.T) {
	noise := make([]byte, 3*maskSize+17)
	rand.Read(noise)
	if got := masked(t, newMasker(secrets), string(noise)); got != string(noise) {
		t.Error("bytes that are no secret have changed")
	}
	if got := masked(t, newMasker(nil), "anything"); got != "anything" {
		t.Errorf("without secrets: %q", got)
	}
}

// FuzzMask compares with the plain way.
func FuzzMask(f *testing.F) {
	f.Add([]byte("S3cret!"), []byte("a S3cret!S3cret! b"))
	f.Fuzz(func(t *testing.T, secret, text []byte) {
		if len(secret) < minSecret || len(secret) > blockSize || bytes.ContainsAny(secret, "\r\n*") || bytes.HasPrefix(secret, []byte("-----")) {
			return
		}
		text = bytes.Join([][]byte{text, secret, text}, nil)
		got := masked(t, newMasker([][]byte{secret}), string(text))
		if strings.Contains(got, string(secret)) {
			t.Errorf("%q is left in %q", secret, got)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	var many [][]byte
	for range 200 {
		s := make([]byte, 32)
		rand.Read(s)
		many = append(many, s)
	}
	m := newMasker(many)
	text := make([]byte, maskSize)
	for i := range text {
		text[i] = byte(' ' + mathrand.IntN(90))
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		m.mask(text, len(text))
	}
}
