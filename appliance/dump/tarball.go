package dump

import (
	"archive/tar"
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/pgzip"
)

const (
	// gzipLevel makes files one per cent larger than pigz -6 does, and takes
	// a quarter less time than the next level; docs/BENCHMARKS.md has figures.
	gzipLevel = 5
	// Compression works on blocks of this size, this many at a time.
	gzipBlock  = 1 << 20
	gzipBlocks = 3
	// writeSize is the size of what is written at a time.
	writeSize = 1 << 20
)

// scryptFactor is the work to try one passphrase: 2^16 rounds, 64 MiB. Tests lower it.
var scryptFactor = 16

// tarball writes parts and remembers what it wrote.
type tarball struct {
	tar     *tar.Writer
	layers  []io.Closer // from the inside out
	created time.Time
	parts   []Part
	hash    string // its algorithm
	hasher  *hasher
}

// newTarball stacks tar, gzip and, with a passphrase, age on w.
func newTarball(w io.Writer, passphrase string, created time.Time) (*tarball, error) {
	hash := fastest()
	t := &tarball{created: created, hash: hash.name, hasher: newHasher(hash)}
	// Encryption comes in pieces of 64 KiB; who writes or follows the file is
	// woken for more than that.
	out := bufio.NewWriterSize(w, writeSize)
	t.layers = append(t.layers, flusher{out})
	w = out
	if passphrase != "" {
		sealed := seal(w, passphrase)
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

// flusher closes a buffer.
type flusher struct{ *bufio.Writer }

func (f flusher) Close() error { return f.Flush() }

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

// buffer is an empty one for the next part. It goes back with rows.
func (t *tarball) buffer() []byte { return <-t.hasher.free }

// rows adds a part of a table, whose bytes are in a buffer of ours.
func (t *tarball) rows(name, table string, rows int64, data []byte) error {
	if err := t.header(name, int64(len(data))); err != nil {
		return err
	}
	t.parts = append(t.parts, Part{Name: name, Table: table, Rows: rows, Size: int64(len(data))})
	_, err := t.tar.Write(data)
	t.hasher.work <- piece{data, true}
	return err
}

// file adds a part of size bytes from r, which must have them.
func (t *tarball) file(name string, size int64, r io.Reader) error {
	if err := t.header(name, size); err != nil {
		return err
	}
	t.parts = append(t.parts, Part{Name: name, Size: size})
	for left := size; ; {
		data := t.buffer()
		data = data[:min(left, int64(cap(data)))]
		n, err := io.ReadFull(r, data)
		left -= int64(n)
		if err == nil {
			_, err = t.tar.Write(data)
		}
		t.hasher.work <- piece{data[:n], left == 0}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("%s has %d bytes instead of %d: %w", name, size-left, size, io.ErrUnexpectedEOF)
		case err != nil:
			return err
		case left == 0:
			return nil
		}
	}
}

// hashed ends the hashing and returns the parts with their sums.
func (t *tarball) hashed() []Part {
	for i, sum := range t.hasher.wait()[t.hash] {
		t.parts[i].Sum = sum
	}
	return t.parts
}
