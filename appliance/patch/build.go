package patch

import (
	"archive/tar"
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"sealgate/appliance/anchor"
)

// Build writes an unsigned patch with the files of folder to out, whose position
// must be its beginning. m says the rest. It is the vendor's.
func Build(out *os.File, folder string, m Manifest, recipient age.Recipient) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	m.Product = Product
	if m.Files, err = describe(root); err != nil {
		return err
	}
	// The manifest is first, and known last: the payload waits beside.
	beside, err := os.CreateTemp(filepath.Dir(out.Name()), ".payload-*")
	if err != nil {
		return err
	}
	defer os.Remove(beside.Name())
	defer beside.Close()
	hashed := &hasher{w: beside}
	if err := pack(hashed, root, m.Files, recipient); err != nil {
		return err
	}
	m.Payload = Payload{Piece: pieceSize, SHA256: hashed.end()}
	if hashed.size > MaxPayload {
		return fmt.Errorf("the payload would have %d bytes, and at most %d are read", hashed.size, int64(MaxPayload))
	}
	if err := m.validate(hashed.size); err != nil {
		return fmt.Errorf("the patch would not hold: %w", err)
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(manifest) > MaxManifest {
		return fmt.Errorf("the manifest would have %d bytes, and at most %d are read", len(manifest), MaxManifest)
	}
	h := header{manifest: int64(len(manifest)), payload: hashed.size}
	unsigned := append(h.bytes(), make([]byte, ed25519.SignatureSize)...)
	if _, err := out.Write(append(unsigned, manifest...)); err != nil {
		return err
	}
	if _, err := beside.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(out, beside)
	return err
}

// describe lists the files below root, in the order of their names.
func describe(root *os.Root) (files []File, err error) {
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is no file", name)
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		sum := sha256.New()
		n, err := io.Copy(sum, f)
		if err != nil {
			return err
		}
		mode := uint32(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		files = append(files, File{Name: name, Size: n, Mode: mode, SHA256: hex.EncodeToString(sum.Sum(nil))})
		return nil
	})
	return files, err
}

// pack writes the payload.
func pack(w io.Writer, root *os.Root, files []File, recipient age.Recipient) (err error) {
	sealed, err := age.Encrypt(w, recipient)
	if err != nil {
		return err
	}
	squeezed, err := zstd.NewWriter(sealed, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(8<<20))
	if err != nil {
		return err
	}
	archive := tar.NewWriter(squeezed)
	for _, f := range files {
		if err := add(archive, root, f); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", f.Name, err), squeezed.Close())
		}
	}
	return errors.Join(archive.Close(), squeezed.Close(), sealed.Close())
}

func add(archive *tar.Writer, root *os.Root, f File) error {
	in, err := root.Open(f.Name)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.Name, Size: f.Size, Mode: int64(f.Mode)}); err != nil {
		return err
	}
	_, err = io.Copy(archive, in)
	return err
}

// hasher hashes the pieces of what it passes on.
type hasher struct {
	w     io.Writer
	size  int64
	piece []byte
	sums  []string
}

func (h *hasher) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), pieceSize-len(h.piece))
		h.piece, rest = append(h.piece, rest[:n]...), rest[n:]
		if len(h.piece) == pieceSize {
			h.sum()
		}
	}
	n, err := h.w.Write(p)
	h.size += int64(n)
	return n, err
}

func (h *hasher) sum() {
	sum := sha256.Sum256(h.piece)
	h.sums, h.piece = append(h.sums, hex.EncodeToString(sum[:])), h.piece[:0]
}

func (h *hasher) end() []string {
	if len(h.piece) > 0 {
		h.sum()
	}
	return h.sums
}

// Sign signs a patch in its place, whoever signed it before. It is the vendor's.
func Sign(file *os.File, private ed25519.PrivateKey) (*Manifest, error) {
	in := bufio.NewReader(io.NewSectionReader(file, 0, int64(manifestAt+MaxManifest)))
	h, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	manifest := make([]byte, h.manifest)
	if err := read(in, manifest); err != nil {
		return nil, err
	}
	m, err := decode(manifest, h.payload)
	if err != nil {
		return nil, err
	}
	h.key = anchor.IDOf(private.Public().(ed25519.PublicKey))
	head := h.bytes()
	_, err = file.WriteAt(append(head, ed25519.Sign(private, signedPart(head, manifest))...), 0)
	return m, errors.Join(err, file.Sync())
}
