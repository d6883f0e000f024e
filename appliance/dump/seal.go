package dump

import (
	"fmt"
	"io"

	"filippo.io/age"
)

// sealer encrypts to a passphrase. Deriving the key takes a core for half a
// second, in which the others compress what is written first.
type sealer struct {
	ready chan struct{} // closed when the key is derived
	age   io.WriteCloser
	err   error
}

// seal starts deriving a key, and writes the file's head to w when it has it.
func seal(w io.Writer, passphrase string) *sealer {
	s := &sealer{ready: make(chan struct{})}
	go func() {
		defer close(s.ready)
		recipient, err := age.NewScryptRecipient(passphrase)
		if err == nil {
			recipient.SetWorkFactor(scryptFactor)
			s.age, err = age.Encrypt(w, recipient)
		}
		if err != nil {
			s.err = fmt.Errorf("encrypt the dump: %w", err)
		}
	}()
	return s
}

func (s *sealer) Write(p []byte) (int, error) {
	if <-s.ready; s.err != nil {
		return 0, s.err
	}
	return s.age.Write(p)
}

// Close writes what is still held back, and the end that proves it whole.
func (s *sealer) Close() error {
	if <-s.ready; s.err != nil {
		return s.err
	}
	return s.age.Close()
}
