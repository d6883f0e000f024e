package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealedFormat is the first byte of everything sealed: XChaCha20-Poly1305, a
// 24-byte nonce, the ciphertext and its tag, with the id as additional data.
const sealedFormat = 1

// Overhead is how many bytes longer than its plaintext a sealed secret is.
const Overhead = 1 + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// Seal encrypts a secret to this appliance's key. It opens under the same id only.
func (k *Keys) Seal(id string, plaintext []byte) []byte {
	sealed := make([]byte, 1+chacha20poly1305.NonceSizeX, len(plaintext)+Overhead)
	sealed[0] = sealedFormat
	rand.Read(sealed[1:])
	return k.aead.Seal(sealed, sealed[1:], plaintext, []byte(id))
}

// Unseal opens what Seal, or a Recipient, sealed for id.
func (k *Keys) Unseal(id string, sealed []byte) ([]byte, error) {
	if len(sealed) > 0 && sealed[0] == publicFormat {
		return k.unsealPublic(id, sealed[1:])
	}
	if len(sealed) < Overhead || sealed[0] != sealedFormat {
		return nil, fmt.Errorf("secret %q is not in the form that this release seals", id)
	}
	nonce, box := sealed[1:1+chacha20poly1305.NonceSizeX], sealed[1+chacha20poly1305.NonceSizeX:]
	plaintext, err := k.aead.Open(nil, nonce, box, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("secret %q does not open with this appliance's key", id)
	}
	return plaintext, nil
}

// Derive gives 32 bytes that follow from this appliance's key and label. They
// tell nothing about the key or what other labels give.
func (k *Keys) Derive(label string) []byte {
	mac := hmac.New(sha256.New, k.master)
	mac.Write([]byte("sealgate derive\x00" + label))
	return mac.Sum(nil)
}
