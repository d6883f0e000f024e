package secret

import (
	"context"
	"errors"

	"sealgate/appliance/secret/cpace"
)

// Hashing says how a password becomes the representative that a key exchange by it
// takes: argon2id, as its verifier was made.
type Hashing struct {
	Salt   []byte `json:"salt"`
	Memory uint32 `json:"memory_kib"`
	Passes uint32 `json:"passes"`
	Lanes  uint8  `json:"lanes"`
}

const maxSalt = 64

// ErrHashing means that a hash is asked for which costs too much, or too little.
var ErrHashing = errors.New("the password is to be hashed in a way that this release does not")

// SecureExchange begins the side of a key exchange that has the verifier of the *secure*
// password, and says how the other side is to hash what was typed.
func (k *Keys) SecureExchange(channel, session []byte) (Hashing, *cpace.Exchange, error) {
	v, err := parsePHC(k.verifiers.Secure)
	if err != nil {
		return Hashing{}, nil, err
	}
	return Hashing{v.salt, v.memory, v.passes, v.lanes}, cpace.New(cpace.Initiator, v.hash, channel, session), nil
}

// Hash is the representative of a password. What is asked for comes from a stranger, and
// is bounded.
func (h Hashing) Hash(ctx context.Context, password string) ([]byte, error) {
	if len(h.Salt) < saltSize || len(h.Salt) > maxSalt || h.Memory < memoryKiB || h.Memory > maxMemoryKiB ||
		h.Passes < passes || h.Passes > maxPasses || h.Lanes < lanes || h.Lanes > maxLanes {
		return nil, ErrHashing
	}
	return derive(ctx, password, h.Salt, h.Passes, h.Memory, h.Lanes)
}

// PasswordExchange begins the side that has a password, by its hash.
func PasswordExchange(hash, channel, session []byte) *cpace.Exchange {
	return cpace.New(cpace.Responder, hash, channel, session)
}
