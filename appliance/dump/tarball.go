package dump

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
	"github.com/klauspost/pgzip"
)

const (
	// gzipLevel makes files of the size that pigz -6 makes.
	gzipLevel = 6
	// Compression works on blocks of this size, this many at a time.
	gzipBlock  = 512 << 10
	gzipBlocks = 3
	// scryptFactor is the work to try one passphrase: 2^16 rounds, 64 MiB.
	scryptFactor = 16
)

// tarball writes parts and remembers what it wrote.
type tarball struct {
	tar     *tar.Writer
	layers  []io.Closer // from the inside out
	created time.Time
	parts   []Part
}

// newTarball stacks tar, gzip and, with a passphrase, age on w.
func newTarball(w io.Writer, passphrase string, created time.Time) (*tarball, error) {
	t := &tarball{created: created}
	if passphrase != "" {
		recipient, err := age.NewScryptRecipient(passphrase)
		if err != nil {
			return nil, err
		}
		recipient.SetWorkFactor(scryptFactor)
		sealed, err := age.Encrypt(w, recipient)
		if err != nil {
			return nil, fmt.Errorf("encrypt the dump: %w", err)
		}
		t.layers = append(t.layers, sealed)
		w = sealed
	}
	gz, err := pgzip.NewWriterLevel(w, gzipLevel)
	if err != nil {
		return nil, err
	}
	if err := gz.SetConcurrency(gzipBlock, gzipBlocks); err != nil {
		return nil, err
	}
	t.layers = append(t.layers, gz)
	t.tar = tar.NewWriter(gz)
	t.layers = append(t.layers, t.tar)
	return t, nil
}

// Close writes what is still held back, through all layers.
func (t *tarball) Close() error {
	for i := len(t.layers) - 1; i >= 0; i-- {
		if err := t.layers[i].Close(); err != nil {
			return err
		}
	}
	return nil
}

func (t *tarball) header(name string, size int64) error {
	return t.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: t.created, Format: tar.FormatPAX,
	})
}

// json adds v without making it a part.
func (t *tarball) json(name string, v any) error {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if err := t.header(name, int64(len(data))); err != nil {
		return err
	}
	_, err = t.tar.Write(data)
	return err
}

// rows adds a part of a table.
func (t *tarball) rows(name, table string, rows int64, data []byte) error {
	if err := t.header(name, int64(len(data))); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	t.parts = append(t.parts, Part{name, table, rows, int64(len(data)), hex.EncodeToString(sum[:])})
	_, err := t.tar.Write(data)
	return err
}

// file adds a part of size bytes from r, which must have them.
func (t *tarball) file(name string, size int64, r io.Reader) error {
	if err := t.header(name, size); err != nil {
		return err
	}
	hash := sha256.New()
	n, err := io.CopyN(t.tar, io.TeeReader(r, hash), size)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s has %d bytes instead of %d: %w", name, n, size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return err
	}
	t.parts = append(t.parts, Part{Name: name, Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))})
	return nil
}
