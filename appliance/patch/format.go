package patch

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"sealgate/appliance"
	"sealgate/appliance/anchor"
)

// A patch is, numbers big-endian,
//
//	"SGPATCH\0", 8 bytes
//	format, 4 bytes: 1
//	length of the manifest, 4 bytes
//	length of the payload, 8 bytes
//	id of the signer's anchor, 8 bytes
//	Ed25519 signature of "sealgate patch 1\0", the 32 bytes above and the manifest, 64 bytes
//	the manifest, JSON
//	the payload: an age file for the vendor's X25519 recipient, of a zstd stream, of
//	a tar with the manifest's files in its order
const (
	magic  = "SGPATCH\x00"
	format = 1
	domain = "sealgate patch 1\x00"

	headerSize = len(magic) + 4 + 4 + 8 + len(anchor.ID{})
	manifestAt = headerSize + ed25519.SignatureSize
	keyAt      = headerSize - len(anchor.ID{})
)

// Bounds of a patch.
const (
	MaxManifest = 1 << 20 // bytes
	MaxPayload  = 2 << 30 // bytes
	MaxUnpacked = 4 << 30 // bytes of all files together
	pieceSize   = 1 << 20 // bytes of the payload that one hash of the manifest is for
	maxFiles    = 4096
	maxFrom     = 256
	maxName     = 255 // bytes
	maxDepth    = 8   // folders above a file, and itself
)

// Product is what a patch must be for.
const Product = "sealgate"

// Program is the file that every release has.
const Program = "sealgated"

// Manifest is what a vendor signs.
type Manifest struct {
	Product  string   `json:"product"`
	From     []string `json:"from"`     // releases that it may be installed on
	To       string   `json:"to"`       // the release that it brings
	Sequence uint64   `json:"sequence"` // grows with every release of a vendor
	Payload  Payload  `json:"payload"`
	Files    []File   `json:"files"`
}

// Payload says what each piece of the payload hashes to, so that none is
// decrypted that the vendor did not sign.
type Payload struct {
	Piece  int64    `json:"piece"`  // bytes of each but the last
	SHA256 []string `json:"sha256"` // hexadecimal
}

// File is one file of a release.
type File struct {
	Name   string `json:"name"` // a relative path, folders with /
	Size   int64  `json:"size"` // bytes
	Mode   uint32 `json:"mode"` // 0644 or 0755, as a number
	SHA256 string `json:"sha256"`
}

// Unpacked is the size of all files together, in bytes.
func (m *Manifest) Unpacked() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

var (
	versionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$`)
	elementForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*$`)
)

// checkVersion keeps versions fit for names of folders. The names of links are not.
func checkVersion(v string) error {
	if !versionForm.MatchString(v) || v == currentName {
		return fmt.Errorf("release %.80q: it is 1 to 63 letters, digits, '.', '_', '+' or '-', and begins with a letter or digit", v)
	}
	return nil
}

// validate says which rule m breaks, whoever signed it.
func (m *Manifest) validate(payload int64) error {
	if m.Sequence == 0 {
		return errors.New("it has no sequence")
	}
	if len(m.From) == 0 || len(m.From) > maxFrom {
		return fmt.Errorf("it is for %d releases, not 1 to %d", len(m.From), maxFrom)
	}
	for _, v := range append(slices.Clone(m.From), m.To) {
		if err := checkVersion(v); err != nil {
			return err
		}
	}
	if slices.Contains(m.From, m.To) {
		return fmt.Errorf("it brings release %s to itself", m.To)
	}
	if err := m.Payload.validate(payload); err != nil {
		return err
	}
	return validateFiles(m.Files)
}

func (p *Payload) validate(size int64) error {
	if p.Piece != pieceSize || int64(len(p.SHA256)) != (size+pieceSize-1)/pieceSize {
		return fmt.Errorf("it has %d hashes of %d bytes each for a payload of %d bytes", len(p.SHA256), p.Piece, size)
	}
	for _, sum := range p.SHA256 {
		if !isSum(sum) {
			return errors.New("a hash of its payload is none")
		}
	}
	return nil
}

func isSum(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == s
}

func validateFiles(files []File) error {
	if len(files) == 0 || len(files) > maxFiles {
		return fmt.Errorf("it has %d files, not 1 to %d", len(files), maxFiles)
	}
	var total int64
	is := map[string]string{} // each path, and whether it is a file or a folder
	for _, f := range files {
		if err := checkName(f.Name); err != nil {
			return err
		}
		switch {
		case is[f.Name] != "":
			return fmt.Errorf("it has %q twice", f.Name)
		case f.Size < 0 || f.Size > MaxUnpacked:
			return fmt.Errorf("the size of %q is %d", f.Name, f.Size)
		case f.Mode != 0o644 && f.Mode != 0o755:
			return fmt.Errorf("the mode of %q is %04o, neither 0644 nor 0755", f.Name, f.Mode)
		case !isSum(f.SHA256):
			return fmt.Errorf("the hash of %q is none", f.Name)
		}
		is[f.Name] = "file"
		for dir := path.Dir(f.Name); dir != "."; dir = path.Dir(dir) {
			if is[dir] == "file" {
				return fmt.Errorf("%q is a file and a folder", dir)
			}
			is[dir] = "folder"
		}
		if total += f.Size; total > MaxUnpacked {
			return fmt.Errorf("its files have more than %d bytes", int64(MaxUnpacked))
		}
	}
	if !slices.ContainsFunc(files, func(f File) bool { return f.Name == Program && f.Mode == 0o755 }) {
		return fmt.Errorf("it has no program %s", Program)
	}
	return nil
}

// checkName keeps files inside their release. What begins with a dot is the
// appliance's own.
func checkName(name string) error {
	elements := strings.Split(name, "/")
	if len(name) > maxName || len(elements) > maxDepth ||
		slices.ContainsFunc(elements, func(e string) bool { return !elementForm.MatchString(e) }) {
		return fmt.Errorf("the name %.80q leads elsewhere, or has other characters than letters, digits, '.', '_', '+' and '-'", name)
	}
	return nil
}

// header is the beginning of a patch, of whose words nothing is proven.
type header struct {
	manifest  int64
	payload   int64
	key       anchor.ID
	raw       [headerSize]byte
	signature [ed25519.SignatureSize]byte
}

// errShort means that a file is not as long as it says.
var errShort = errors.New("it is cut short")

func readHeader(r io.Reader) (h header, err error) {
	if err := read(r, h.raw[:]); err != nil {
		return h, err
	}
	if string(h.raw[:len(magic)]) != magic {
		return h, errors.New("the file is no patch")
	}
	rest := h.raw[len(magic):]
	if n := binary.BigEndian.Uint32(rest); n != format {
		return h, fmt.Errorf("it has format %d, and this release reads format %d", n, format)
	}
	h.manifest = int64(binary.BigEndian.Uint32(rest[4:]))
	payload := binary.BigEndian.Uint64(rest[8:])
	h.key = anchor.ID(h.raw[keyAt:])
	if h.manifest > MaxManifest || payload > MaxPayload {
		return h, fmt.Errorf("it is too large: a manifest of %d and a payload of %d bytes, and %d and %d are read", h.manifest, payload, MaxManifest, int64(MaxPayload))
	}
	h.payload = int64(payload)
	return h, read(r, h.signature[:])
}

func read(r io.Reader, into []byte) error {
	if _, err := io.ReadFull(r, into); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errShort
		}
		return err
	}
	return nil
}

// bytes is the header of a patch that is about to be signed by key.
func (h *header) bytes() []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	b = binary.BigEndian.AppendUint32(b, format)
	b = binary.BigEndian.AppendUint32(b, uint32(h.manifest))
	b = binary.BigEndian.AppendUint64(b, uint64(h.payload))
	return append(b, h.key[:]...)
}

// signedPart is what the signature is over.
func signedPart(header, manifest []byte) []byte {
	return append(append([]byte(domain), header...), manifest...)
}

// decode reads a manifest whose signature holds. What this release does not know
// may be a restriction.
func decode(data []byte, payload int64) (*Manifest, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var m Manifest
	if err := d.Decode(&m); err != nil || d.InputOffset() != int64(len(data)) {
		return nil, refused("ask the vendor for one that fits this release", "it says what this release does not understand")
	}
	if err := m.validate(payload); err != nil {
		return nil, refused("ask the vendor for another one", "%v", err)
	}
	return &m, nil
}

// ErrRefused means that a patch is not installed, and that nothing was touched.
var ErrRefused = errors.New("the patch is refused")

func refused(hint, format string, args ...any) error {
	return appliance.Faultf(hint, "%w: %w", ErrRefused, fmt.Errorf(format, args...))
}

// damagedHint is for what a second download may mend.
const damagedHint = "download it again; if it stays so, ask the vendor for another one"
