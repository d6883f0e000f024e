package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"sealgate/appliance"
	"sealgate/appliance/anchor"
)

// A licence key is "SG1-" and the unpadded base64url of
//
//	id of the signer's anchor, 8 bytes
//	Ed25519 signature of "sealgate licence 1\0", id and licence, 64 bytes
//	the licence as JSON
//	CRC-32 (IEEE) of all that, 4 bytes, big-endian
//
// The checksum proves nothing. It tells a slip of the hand from a forgery.
const (
	Prefix = "SG1-"
	MaxKey = 1024 // characters

	domain     = "sealgate licence 1\x00"
	bodyAt     = len(anchor.ID{}) + ed25519.SignatureSize
	leastBytes = bodyAt + crc32.Size
)

// signedPart is what the signature is over.
func signedPart(id anchor.ID, body []byte) []byte {
	return append(append([]byte(domain), id[:]...), body...)
}

// Mint signs a licence. It is the vendor's.
func Mint(private ed25519.PrivateKey, l Licence) (string, error) {
	if err := l.validate(); err != nil {
		return "", fmt.Errorf("the licence does not hold: %w", err)
	}
	body, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	key := sign(private, body)
	if len(key) > MaxKey {
		return "", fmt.Errorf("the licence key would have %d characters, and at most %d are read", len(key), MaxKey)
	}
	return key, nil
}

func sign(private ed25519.PrivateKey, body []byte) string {
	id := anchor.IDOf(private.Public().(ed25519.PublicKey))
	raw := append(append(id[:], ed25519.Sign(private, signedPart(id, body))...), body...)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return Prefix + base64.RawURLEncoding.EncodeToString(raw)
}

// unpacked is a licence key whose signature nobody has looked at.
type unpacked struct {
	id        anchor.ID
	signature []byte
	body      []byte
}

// unpack takes a key apart. There is one spelling of each key.
func unpack(key string) (unpacked, error) {
	damaged := func(what string) (unpacked, error) {
		return unpacked{}, appliance.Faultf("paste the whole line that the vendor sent; it begins with "+Prefix,
			"%w: %s", ErrDamaged, what)
	}
	text, ours := strings.CutPrefix(key, Prefix)
	switch {
	case len(key) > MaxKey:
		return damaged(fmt.Sprintf("it has more than %d characters", MaxKey))
	case !ours:
		return damaged("it does not begin with " + Prefix)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	switch {
	case err != nil, base64.RawURLEncoding.EncodeToString(raw) != text: // the decoder skips line ends
		return damaged("it holds characters that no licence key has, or is cut short")
	case len(raw) < leastBytes:
		return damaged("it is cut short")
	}
	raw, sum := raw[:len(raw)-crc32.Size], raw[len(raw)-crc32.Size:]
	if crc32.ChecksumIEEE(raw) != binary.BigEndian.Uint32(sum) {
		return damaged("it is cut short or mistyped")
	}
	return unpacked{anchor.ID(raw), raw[len(anchor.ID{}):bodyAt], raw[bodyAt:]}, nil
}

// open checks the signature of a key, and only then reads what it says.
func open(key string, anchors anchor.Set) (*Licence, error) {
	u, err := unpack(key)
	if err != nil {
		return nil, err
	}
	public, err := anchors.Find(u.id)
	if err != nil {
		var fault *appliance.Fault
		errors.As(err, &fault)
		return nil, refused(fault.Hint, "%v", err)
	}
	if !ed25519.Verify(public, signedPart(u.id, u.body), u.signature) {
		return nil, refused("ask the vendor for a genuine one", "it is forged: the signature does not hold")
	}
	var l Licence
	d := json.NewDecoder(bytes.NewReader(u.body))
	d.DisallowUnknownFields() // what this release does not know may be a restriction
	if err := d.Decode(&l); err != nil || d.InputOffset() != int64(len(u.body)) {
		return nil, refused("ask the vendor for one that fits this release", "it says what this release does not understand")
	}
	if err := l.validate(); err != nil {
		return nil, refused("ask the vendor for another one", "%v", err)
	}
	return &l, nil
}
