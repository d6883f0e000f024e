package account

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Key is an SSH public key that opens an account.
type Key struct {
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"` // SHA256:…
	Comment     string `json:"comment,omitempty"`

	// Line is the key as sshd reads it, with a line end.
	Line string `json:"-"`
}

const (
	maxKeyLine = 8 << 10 // bytes; RSA keys of 16384 bits have 3 KiB
	maxComment = 100     // bytes
	minRSA     = 2048    // bits
)

// keyTypes are those of OpenSSH that are keys, not certificates, and not broken.
var keyTypes = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA,
	ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256}

// ParseKey reads one line of an authorized_keys file. Options are refused, for
// they would say what sshd runs and forwards. Only what was understood becomes
// part of the key's Line.
func ParseKey(line string) (Key, error) {
	line = strings.TrimSpace(line)
	if len(line) > maxKeyLine || strings.ContainsAny(line, "\r\n\x00") {
		return Key{}, fmt.Errorf("a key is one line of at most %d bytes", maxKeyLine)
	}
	key, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil || len(rest) > 0:
		return Key{}, errors.New("it is no OpenSSH public key")
	case len(options) > 0:
		return Key{}, errors.New("options before the key are not accepted")
	case !slices.Contains(keyTypes, key.Type()):
		return Key{}, errors.New("keys are of type ed25519, ecdsa or rsa")
	case shortRSA(key):
		return Key{}, fmt.Errorf("an rsa key has %d bits or more", minRSA)
	}
	k := Key{Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key), Comment: plain(comment)}
	k.Line = strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
	if k.Comment != "" {
		k.Line += " " + k.Comment
	}
	k.Line += "\n"
	return k, nil
}

func shortRSA(key ssh.PublicKey) bool {
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return false
	}
	public, ok := crypto.CryptoPublicKey().(*rsa.PublicKey)
	return ok && public.N.BitLen() < minRSA
}

// plain keeps a comment fit for files and terminals.
func plain(comment string) string {
	comment = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, comment)
	return strings.TrimSpace(comment[:min(len(comment), maxComment)])
}
