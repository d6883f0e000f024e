// Package secret keeps what must not be read: the key that seals secrets at
// rest, and the verifiers of the *system* and *secure* passwords. It is the only
// reader of HOME/keys, a folder that no dump contains.
//
// It promises that
//
//   - a password is kept only as an argon2id verifier, and compared in constant time;
//   - one hash is computed at a time in a process, and a verifier that was failed
//     makes the next attempt at it wait, so a flood of guesses costs neither the
//     machine's memory nor the users of other passwords;
//   - what is sealed opens only with this appliance's key and under the id that it
//     was sealed for;
//   - no password and no plaintext is ever part of an error.
package secret

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/chacha20poly1305"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/guard"
)

// Which names one of the passwords that an appliance has.
type Which string

// The passwords of an appliance.
const (
	System Which = "system" // guards the database: exports and imports ask for it
	Secure Which = "secure" // registers gateways
)

// ErrExists means that an appliance has its keys already.
var ErrExists = errors.New("keys exist already")

// Keys are an appliance's keys, read once. They may be used concurrently.
type Keys struct {
	aead      cipher.AEAD
	verifiers verifiers
	attempts  guard.Guard
	master    []byte
}

// verifiers is the shape of verifiers.json: PHC strings.
type verifiers struct {
	System string `json:"system"`
	Secure string `json:"secure"`
}

func folder(home string) string        { return filepath.Join(home, "keys") }
func masterFile(home string) string    { return filepath.Join(folder(home), "master.key") }
func verifiersFile(home string) string { return filepath.Join(folder(home), "verifiers.json") }

// Create makes the keys of a new appliance. The master key is written last: keys
// without it are an attempt that was cut short, which Create does again.
func Create(home, system, secure string) error {
	if _, err := os.Lstat(masterFile(home)); err == nil {
		return fmt.Errorf("%w in %s", ErrExists, folder(home))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(folder(home), 0o700); err != nil {
		return err
	}
	if err := os.Chmod(folder(home), 0o700); err != nil {
		return err
	}
	ctx := context.Background()
	var v verifiers
	var err error
	if v.System, err = Hash(ctx, system); err != nil {
		return err
	}
	if v.Secure, err = Hash(ctx, secure); err != nil {
		return err
	}
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(verifiersFile(home), append(data, '\n'), 0o600); err != nil {
		return err
	}
	master := make([]byte, chacha20poly1305.KeySize)
	rand.Read(master)
	if err := atomicfile.Write(masterFile(home), master, 0o600); err != nil {
		return err
	}
	return atomicfile.SyncDir(home)
}

// Open reads the keys of an appliance.
func Open(home string) (*Keys, error) {
	master, err := os.ReadFile(masterFile(home))
	if err != nil {
		return nil, fmt.Errorf("cannot read the master key: %w", err)
	}
	if len(master) != chacha20poly1305.KeySize {
		return nil, fmt.Errorf("%s is damaged: %d bytes, a key has %d", masterFile(home), len(master), chacha20poly1305.KeySize)
	}
	aead, err := chacha20poly1305.NewX(master)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(verifiersFile(home))
	if err != nil {
		return nil, fmt.Errorf("cannot read the password verifiers: %w", err)
	}
	keys := &Keys{aead: aead, master: master}
	if err := json.Unmarshal(data, &keys.verifiers); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", verifiersFile(home), err)
	}
	for _, v := range []string{keys.verifiers.System, keys.verifiers.Secure} {
		if _, err := parsePHC(v); err != nil {
			return nil, fmt.Errorf("%s is damaged: %w", verifiersFile(home), err)
		}
	}
	return keys, nil
}

// Verify reports whether password is the one that which names. It waits its turn
// and, after failures, longer; ctx ends the wait. [guard.ErrBusy] means that too many
// attempts at this password are waiting already.
func (k *Keys) Verify(ctx context.Context, which Which, password string) (bool, error) {
	switch which {
	case System:
		return k.Matches(ctx, string(which), k.verifiers.System, password)
	case Secure:
		return k.Matches(ctx, string(which), k.verifiers.Secure, password)
	}
	return false, fmt.Errorf("there is no password named %q", string(which))
}

// Matches reports whether a verifier that Hash made is password's. Attempts under
// the same name (a user's, say) hold each other up after failures, and no others.
func (k *Keys) Matches(ctx context.Context, name, verifier, password string) (bool, error) {
	parsed, err := parsePHC(verifier)
	if err != nil {
		return false, err
	}
	return k.attempts.Attempt(ctx, name, func() (bool, error) {
		return parsed.matches(ctx, password)
	})
}
