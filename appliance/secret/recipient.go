package secret

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"sealgate/appliance/atomicfile"
)

// publicFormat is the first byte of what a Recipient sealed: RFC 9180 in base mode
// with X25519, HKDF-SHA256 and ChaCha20-Poly1305; the encapsulated key, the
// ciphertext and its tag, with the id as info.
const publicFormat = 2

// Recipient seals secrets for an appliance and can open none: it is what the role
// has, which must not read what it does not use.
type Recipient struct{ key hpke.PublicKey }

// Seal encrypts a secret. Keys.Unseal opens it, under the same id only.
func (r Recipient) Seal(id string, plaintext []byte) []byte {
	sealed, err := hpke.Seal(r.key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info(id), plaintext)
	if err != nil {
		panic(err) // a parsed X25519 key takes any plaintext
	}
	return append([]byte{publicFormat}, sealed...)
}

func info(id string) []byte { return []byte("sealgate secret\x00" + id) }

// private follows from the master key, so that it is kept nowhere.
func (k *Keys) private() (hpke.PrivateKey, error) {
	return hpke.DHKEM(ecdh.X25519()).DeriveKeyPair(k.Derive("recipient"))
}

func (k *Keys) unsealPublic(id string, sealed []byte) ([]byte, error) {
	key, err := k.private()
	if err != nil {
		return nil, err
	}
	return Opener{key}.open(id, sealed)
}

// Opener opens what was sealed for its key: a gateway's.
type Opener struct{ key hpke.PrivateKey }

// NewOpener takes a private X25519 key.
func NewOpener(private []byte) (Opener, error) {
	key, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(private)
	return Opener{key}, err
}

// Recipient is the public key, for ParseRecipient.
func (o Opener) Recipient() []byte { return o.key.PublicKey().Bytes() }

// Open opens what a Recipient sealed for id.
func (o Opener) Open(id string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != publicFormat {
		return nil, fmt.Errorf("secret %q is not in the form that this release seals", id)
	}
	return o.open(id, sealed[1:])
}

func (o Opener) open(id string, sealed []byte) ([]byte, error) {
	plaintext, err := hpke.Open(o.key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info(id), sealed)
	if err != nil {
		return nil, fmt.Errorf("secret %q does not open with this appliance's key", id)
	}
	return plaintext, nil
}

// PublishRecipient writes the recipient's public key to a file that the role reads,
// unless it is there.
func (k *Keys) PublishRecipient(path string) error {
	key, err := k.private()
	if err != nil {
		return err
	}
	line := []byte(base64.StdEncoding.EncodeToString(key.PublicKey().Bytes()) + "\n")
	have, err := os.ReadFile(path)
	if err == nil && bytes.Equal(have, line) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return atomicfile.Write(path, line, 0o644)
}

// ReadRecipient reads what PublishRecipient wrote.
func ReadRecipient(path string) (Recipient, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Recipient{}, err
	}
	raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		return Recipient{}, fmt.Errorf("%s is damaged", path)
	}
	to, err := ParseRecipient(raw)
	if err != nil {
		return Recipient{}, fmt.Errorf("%s is damaged", path)
	}
	return to, nil
}

// ParseRecipient takes a public X25519 key.
func ParseRecipient(public []byte) (Recipient, error) {
	key, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(public)
	return Recipient{key}, err
}
