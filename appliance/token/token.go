// Package token is registration tokens: what lets a gateway register at a
// management server instead of the *secure* password.
//
// A token is "SGT1-" and, in base64url without padding, the pin of the key that the
// management server shows to gateways (the SHA-256 of its public key, 32 bytes) and
// 128 secret bits. It is good for registering, until a time, for as many gateways as
// licences let in. The server keeps the secret's SHA-256: of 128 random bits, that
// tells nothing.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// Prefix begins every token.
const Prefix = "SGT1-"

const (
	secretSize = 16
	// Life is how long a token is good.
	Life = 24 * time.Hour
)

// Pin is the SHA-256 of a public key in PKIX form.
type Pin [sha256.Size]byte

// Token is what a gateway is given.
type Token struct {
	Pin    Pin
	secret [secretSize]byte
}

// New is a fresh token for gateways that are to meet the key that has this pin.
func New(pin Pin) Token {
	t := Token{Pin: pin}
	rand.Read(t.secret[:])
	return t
}

func (t Token) String() string {
	return Prefix + base64.RawURLEncoding.EncodeToString(append(t.Pin[:], t.secret[:]...))
}

// Verifier is what the server keeps of t.
func (t Token) Verifier() string {
	sum := sha256.Sum256(append([]byte("sealgate registration\x00"), t.secret[:]...))
	return hex.EncodeToString(sum[:])
}

// ErrForm means that a text is no token. It never repeats the text.
var ErrForm = errors.New("that is no whole registration token, which begins with " + Prefix)

// Parse reads a token.
func Parse(text string) (Token, error) {
	body, ours := strings.CutPrefix(text, Prefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if !ours || err != nil || len(raw) != len(Pin{})+secretSize {
		return Token{}, ErrForm
	}
	t := Token{Pin(raw), [secretSize]byte(raw[len(Pin{}):])}
	if t.String() != text { // the decoder skips line ends
		return Token{}, ErrForm
	}
	return t, nil
}
