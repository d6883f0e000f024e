package dump

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime/debug"
	"strconv"

	"filippo.io/age"
	"github.com/klauspost/compress/gzip"
)

// maxScryptFactor is the most work that a dump may ask for before it opens: 2^18
// rounds, 256 MiB.
const maxScryptFactor = 18

// readSize is the size of what is read at a time.
const readSize = 256 << 10

// layers are what the tar of a dump lies in.
type layers struct {
	encrypted bool
	file      *bufio.Reader // as it lies on the disk
	gzip      *gzip.Reader
	in        *bufio.Reader // what gzip reads
}

// unwrap opens the layers of a dump. Whether it is encrypted must be as the
// passphrase says: who gives one relies on it.
func unwrap(r io.Reader, passphrase string) (*layers, error) {
	l := &layers{file: bufio.NewReaderSize(r, readSize)}
	magic, err := l.file.Peek(len(ageMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	l.encrypted = bytes.Equal(magic, ageMagic)
	l.in = l.file
	switch {
	case l.encrypted && passphrase == "":
		return nil, refused("encryption", "add --encryptpwd PASSWORD, or --encryptpwd - to be asked", "the dump is encrypted, and no password is given")
	case l.encrypted:
		plain, err := decrypt(l.file, passphrase)
		if err != nil {
			return nil, err
		}
		l.in = bufio.NewReaderSize(plain, readSize)
	case !bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return nil, foreign("structure", "the file is no dump: it is neither gzip nor an age file")
	case passphrase != "":
		return nil, refused("encryption", "export it with --encryptpwd, or import it with import-local and without --encryptpwd", "the dump is not encrypted, so its password proves nothing")
	}
	if l.gzip, err = gzip.NewReader(l.in); err != nil {
		return nil, readFault(err)
	}
	l.gzip.Multistream(false)
	return l, nil
}

// end says whether anything follows the tar.
func (l *layers) end() error {
	if n, err := io.CopyN(io.Discard, l.gzip, 1); n > 0 {
		return damaged("structure", "something follows the manifest")
	} else if !errors.Is(err, io.EOF) {
		return readFault(err)
	}
	if _, err := l.in.ReadByte(); err == nil {
		return damaged("structure", "something follows the compressed data")
	} else if !errors.Is(err, io.EOF) {
		return readFault(err)
	}
	return nil
}

func decrypt(r io.Reader, passphrase string) (io.Reader, error) {
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	plain, err := age.Decrypt(r, &bounded{id})
	debug.FreeOSMemory() // the key's derivation took 64 MiB and more
	var work *workError
	switch {
	case err == nil:
		return plain, nil
	case errors.As(err, &work):
		return nil, foreign("encryption", "the file asks for work of factor %s, more than %d", strconv.Quote(work.factor), maxScryptFactor)
	case errors.Is(err, errIncorrect):
		return nil, ErrPassphrase
	}
	return nil, damaged("encryption", "the head of the age file: %w", err)
}

// bounded is an identity that looks at the work before it does any.
type bounded struct{ scrypt *age.ScryptIdentity }

type workError struct{ factor string }

func (e *workError) Error() string { return "work factor " + strconv.Quote(e.factor) }

var errIncorrect = errors.New("incorrect passphrase")

// Unwrap opens the file's key.
func (b *bounded) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type != "scrypt" || len(s.Args) != 2 {
			return nil, errors.New("it is not encrypted to a password alone")
		}
		if n, err := strconv.Atoi(s.Args[1]); err != nil || n > maxScryptFactor {
			return nil, &workError{s.Args[1][:min(len(s.Args[1]), 16)]}
		}
	}
	b.scrypt.SetMaxWorkFactor(maxScryptFactor)
	key, err := b.scrypt.Unwrap(stanzas)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, errIncorrect // not age's own, for which it would go on to another identity
	}
	return key, err
}

// readFault words what reading a layer ended with.
func readFault(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return refused("structure", cutHint, "the dump ends early")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return damaged("structure", "the compressed data are damaged")
	}
	return damaged("structure", "the dump cannot be read: %w", err)
}
