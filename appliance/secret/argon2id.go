package secret

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What new verifiers cost: OWASP's Password Storage Cheat Sheet, second choice
// for argon2id, 19 MiB and two passes.
const (
	memoryKiB = 19456
	passes    = 2
	lanes     = 1
	saltSize  = 16
	hashSize  = 32
)

// What a verifier may ask for. Verifiers come back from dumps, and one that asks
// for gigabytes must not be obeyed.
const (
	maxMemoryKiB = 64 << 10
	maxPasses    = 10
	maxLanes     = 4
)

// turn is held while a hash is computed: the memory of one hash is what all
// passwords of a process ever cost.
var turn = make(chan struct{}, 1)

func derive(ctx context.Context, password string, salt []byte, passes, memory uint32, lanes uint8) ([]byte, error) {
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(password), salt, passes, memory, lanes, hashSize), nil
}

// Hash returns the verifier of a password, a PHC string:
// $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH.
func Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	hash, err := derive(ctx, password, salt, passes, memoryKiB, lanes)
	if err != nil {
		return "", err
	}
	return FormatVerifier(salt, hash), nil
}

// FormatVerifier writes a verifier down. Test data uses it for users that no
// password opens.
func FormatVerifier(salt, hash []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memoryKiB, passes, lanes,
		b64.EncodeToString(salt), b64.EncodeToString(hash))
}

// phc is a verifier, taken apart.
type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, hash     []byte
}

var errVerifier = errors.New("a password verifier is damaged")

func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, errVerifier
	}
	var p phc
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil || n != 3 || parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.passes, p.lanes) {
		return phc{}, errVerifier
	}
	if p.memory < 8 || p.memory > maxMemoryKiB || p.passes < 1 || p.passes > maxPasses || p.lanes < 1 || p.lanes > maxLanes {
		return phc{}, fmt.Errorf("%w: it asks for %d KiB, %d passes and %d lanes", errVerifier, p.memory, p.passes, p.lanes)
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(p.salt) < 8 {
		return phc{}, errVerifier
	}
	if p.hash, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.hash) != hashSize {
		return phc{}, errVerifier
	}
	return p, nil
}

// CheckVerifier says whether a verifier, from a dump say, is one that Matches obeys.
func CheckVerifier(verifier string) error {
	_, err := parsePHC(verifier)
	return err
}

// Check reports whether a verifier that Hash made is password's. It waits for its
// turn and for nothing else: who takes attempts from strangers limits them.
func Check(ctx context.Context, verifier, password string) (bool, error) {
	parsed, err := parsePHC(verifier)
	if err != nil {
		return false, err
	}
	return parsed.matches(ctx, password)
}

func (p phc) matches(ctx context.Context, password string) (bool, error) {
	hash, err := derive(ctx, password, p.salt, p.passes, p.memory, p.lanes)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(hash, p.hash) == 1, nil
}
