// Package cpace is the key exchange by a password CPACE-RISTR255-SHA512 of
// draft-irtf-cfrg-cpace-21, initiator and responder, with its key confirmation.
//
// Who does not know the password can try one guess for each exchange that the other
// side takes part in, and learns from what was sent nothing to try more with. The
// password's representative is best the output of a slow hash.
package cpace

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"errors"

	"github.com/bwesterb/go-ristretto"
)

const (
	group = "CPaceRistretto255"
	block = sha512.BlockSize
)

// Sizes of what is sent, in bytes.
const (
	ShareSize        = 32
	ConfirmationSize = sha512.Size
)

// Role is a side of an exchange.
type Role string

// The sides: their names are the associated data of what they send.
const (
	Initiator Role = "initiator"
	Responder Role = "responder"
)

// ErrShare means that the other side's share is none.
var ErrShare = errors.New("it is no share of a key exchange")

// Exchange is one side of an exchange, which is used once.
type Exchange struct {
	role   Role
	sid    []byte
	scalar ristretto.Scalar
	share  [ShareSize]byte
}

// New begins an exchange. Both sides need the same password representative, the same
// channel identifier, which says who speaks with whom over what, and the same session
// id, which no other exchange has.
func New(role Role, password, channel, session []byte) *Exchange {
	var scalar ristretto.Scalar
	for scalar.IsNonZeroI() == 0 {
		scalar.Rand()
	}
	return with(role, generator(password, channel, session), session, scalar)
}

func with(role Role, base ristretto.Point, session []byte, scalar ristretto.Scalar) *Exchange {
	e := &Exchange{role: role, sid: bytes.Clone(session), scalar: scalar}
	var share ristretto.Point
	share.ScalarMult(&base, &scalar).BytesInto(&e.share)
	return e
}

func generator(password, channel, session []byte) (g ristretto.Point) {
	padding := max(0, block-1-len(lengthValue([]byte(password)))-len(lengthValue([]byte(group))))
	g.DeriveDalek(lengthValue([]byte(group), password, make([]byte, padding), channel, session))
	return g
}

// lengthValue puts before each part its length, and all of them together.
func lengthValue(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(binary.AppendUvarint(all, uint64(len(p))), p...)
	}
	return all
}

// Share is what the other side needs.
func (e *Exchange) Share() []byte { return e.share[:] }

// Confirmation is what each side proves with that it has the same key.
type Confirmation struct{ own, others [ConfirmationSize]byte }

// Finish takes the other side's share.
func (e *Exchange) Finish(other []byte) (*Confirmation, error) {
	key, err := e.key(other)
	if err != nil {
		return nil, err
	}
	mac := sha512.Sum512(append(append([]byte("CPaceMac"), e.sid...), key...))
	own, others := e.sent(other)
	return &Confirmation{confirm(mac[:], own), confirm(mac[:], others)}, nil
}

func confirm(key, sent []byte) (sum [ConfirmationSize]byte) {
	h := hmac.New(sha512.New, key)
	h.Write(sent)
	h.Sum(sum[:0])
	return sum
}

// key is the draft's ISK.
func (e *Exchange) key(other []byte) ([]byte, error) {
	secret, ok := multiply(&e.scalar, other)
	if !ok {
		return nil, ErrShare
	}
	first, second := e.sent(other)
	if e.role == Responder {
		first, second = second, first
	}
	h := sha512.New()
	for _, part := range [][]byte{lengthValue([]byte(group+"_ISK"), e.sid, secret), first, second} {
		h.Write(part)
	}
	return h.Sum(nil), nil
}

// sent is what this side and the other one sent, with the associated data.
func (e *Exchange) sent(other []byte) (own, others []byte) {
	peer := Responder
	if e.role == Responder {
		peer = Initiator
	}
	return lengthValue(e.share[:], []byte(e.role)), lengthValue(other, []byte(peer))
}

// multiply is the draft's scalar_mult_vfy: ok is false for what is no point, and for
// the neutral one.
func multiply(scalar *ristretto.Scalar, encoded []byte) (secret []byte, ok bool) {
	if len(encoded) != ShareSize {
		return nil, false
	}
	var p, neutral ristretto.Point
	if !p.SetBytes((*[ShareSize]byte)(encoded)) {
		return nil, false
	}
	p.ScalarMult(&p, scalar)
	return p.Bytes(), !p.Equals(neutral.SetZero())
}

// Own is what this side proves with.
func (c *Confirmation) Own() []byte { return c.own[:] }

// Confirms says whether the other side proved that it has the same key.
func (c *Confirmation) Confirms(proof []byte) bool { return hmac.Equal(c.others[:], proof) }
