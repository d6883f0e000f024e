// Package anchor reads trust anchors: Ed25519 public keys, as files, whose
// signatures hold here. No anchor is compiled in.
package anchor

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
)

// ID names an anchor: the first bytes of its public key's SHA-256.
type ID [8]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IDOf is the name of a public key.
func IDOf(public ed25519.PublicKey) ID {
	sum := sha256.Sum256(public)
	return ID(sum[:len(ID{})])
}

// Limits of the anchors' folder.
const (
	maxAnchors    = 64
	maxAnchorSize = 4 << 10 // bytes
)

// Set is what a folder holds.
type Set struct {
	dir     string
	keys    map[ID]ed25519.PublicKey
	retired map[ID]bool
	refused []error // why files in dir are none
}

// The endings of anchors' files. A key is retired by the other name.
const (
	ending  = ".pub"
	retired = ".retired"
)

// Read reads the *.pub and *.retired files of a folder. A folder or a file that
// somebody else than owners could have written is refused.
func Read(dir string, owners []uint32) Set {
	s := Set{dir: dir, keys: map[ID]ed25519.PublicKey{}, retired: map[ID]bool{}}
	folder, err := OpenOwned(dir, unix.O_DIRECTORY, owners)
	if errors.Is(err, fs.ErrNotExist) {
		return s
	}
	if err != nil {
		s.refused = append(s.refused, err)
		return s
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		s.refused = append(s.refused, err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ending) && !strings.HasSuffix(n, retired) })
	slices.Sort(names)
	if len(names) > maxAnchors {
		s.refused = append(s.refused, fmt.Errorf("%s holds %d anchors, and %d are read", dir, len(names), maxAnchors))
		names = names[:maxAnchors]
	}
	for _, name := range names {
		public, err := readAnchor(filepath.Join(dir, name), owners)
		if err != nil {
			s.refused = append(s.refused, err)
			continue
		}
		if strings.HasSuffix(name, retired) {
			s.retired[IDOf(public)] = true
		} else {
			s.keys[IDOf(public)] = public
		}
	}
	return s
}

// Owners are the accounts whose anchors and releases hold for a home: root, and
// where the appliance is not the installed one, whoever runs it.
func Owners(home appliance.Home) []uint32 {
	if home.Installed() {
		return []uint32{0}
	}
	return []uint32{0, uint32(os.Geteuid())}
}

func readAnchor(path string, owners []uint32) (ed25519.PublicKey, error) {
	f, err := OpenOwned(path, 0, owners)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAnchorSize+1))
	if err != nil {
		return nil, err
	}
	public, err := ParsePublic(data)
	if err != nil {
		return nil, fmt.Errorf("anchor %s: %w", path, err)
	}
	return public, nil
}

// OpenOwned opens a folder or regular file, no link, that belongs to one of
// owners and that nobody else may write.
func OpenOwned(path string, flags int, owners []uint32) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, fmt.Errorf("anchor %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		f.Close()
		return nil, err
	}
	why := ""
	switch {
	case flags == 0 && st.Mode&unix.S_IFMT != unix.S_IFREG:
		why = "is not a file"
	case !slices.Contains(owners, st.Uid):
		why = fmt.Sprintf("belongs to uid %d", st.Uid)
	case st.Mode&0o022 != 0:
		why = fmt.Sprintf("can be written by others (mode %04o)", st.Mode&0o7777)
	}
	if why != "" {
		f.Close()
		return nil, fmt.Errorf("anchor %s is refused: it %s", path, why)
	}
	return f, nil
}

// Find is the anchor of that name. Why there is none comes with a hint.
func (s Set) Find(id ID) (ed25519.PublicKey, error) {
	hint := "the vendor's anchor, a file NAME.pub, belongs in " + s.dir
	switch public := s.keys[id]; {
	case s.retired[id]:
		return nil, appliance.Faultf("ask the vendor for one that the present key signed", "its signer's key is retired here (key id %s)", id)
	case public != nil:
		return public, nil
	case len(s.refused) > 0:
		return nil, appliance.Faultf(hint+", owned and writable by root alone", "no anchor here is its signer's (key id %s), and %v", id, s.refused[0])
	}
	return nil, appliance.Faultf(hint, "no anchor here is its signer's (key id %s)", id)
}

// The PEM types of the two halves of a vendor's key, as openssl writes them.
const (
	publicType  = "PUBLIC KEY"
	privateType = "PRIVATE KEY"
)

// MarshalKey gives both halves of a vendor's key as files: PKCS #8 and PKIX, PEM.
func MarshalKey(key ed25519.PrivateKey) (private, public []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: privateType, Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: publicType, Bytes: pub}), nil
}

// ParsePublic reads an anchor.
func ParsePublic(data []byte) (ed25519.PublicKey, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != publicType || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("it is not one public key in PEM form")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	public, ok := key.(ed25519.PublicKey)
	if err != nil || !ok {
		return nil, errors.New("it is not an Ed25519 public key")
	}
	return public, nil
}

// ParsePrivate reads the vendor's half.
func ParsePrivate(data []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != privateType {
		return nil, errors.New("it is not a private key in PEM form")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := key.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("it is not an Ed25519 private key")
	}
	return private, nil
}
