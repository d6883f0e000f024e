package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
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

// Limits of the anchors' folder.
const (
	maxAnchors    = 64
	maxAnchorSize = 4 << 10 // bytes
)

// anchors are the public keys whose licences hold here.
type anchors struct {
	dir     string
	keys    map[keyID]ed25519.PublicKey
	refused []error // why files in dir are none
}

// readAnchors reads the *.pub files of the home's anchor folder. A folder or a
// file that somebody else than its owner could have written is refused.
func readAnchors(home appliance.Home) anchors {
	a := anchors{dir: home.Anchors(), keys: map[keyID]ed25519.PublicKey{}}
	owners := []uint32{0}
	if !home.Installed() {
		owners = append(owners, uint32(os.Geteuid()))
	}
	dir, err := openOwned(a.dir, unix.O_DIRECTORY, owners)
	if errors.Is(err, fs.ErrNotExist) {
		return a
	}
	if err != nil {
		a.refused = append(a.refused, err)
		return a
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		a.refused = append(a.refused, err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".pub") })
	slices.Sort(names)
	if len(names) > maxAnchors {
		a.refused = append(a.refused, fmt.Errorf("%s holds %d anchors, and %d are read", a.dir, len(names), maxAnchors))
		names = names[:maxAnchors]
	}
	for _, name := range names {
		public, err := readAnchor(filepath.Join(a.dir, name), owners)
		if err != nil {
			a.refused = append(a.refused, err)
			continue
		}
		a.keys[idOf(public)] = public
	}
	return a
}

func readAnchor(path string, owners []uint32) (ed25519.PublicKey, error) {
	f, err := openOwned(path, 0, owners)
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

// openOwned opens a folder or regular file, no link, that belongs to one of
// owners and that nobody else may write.
func openOwned(path string, flags int, owners []uint32) (*os.File, error) {
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

// find is the anchor that signed a key.
func (a anchors) find(id keyID) (ed25519.PublicKey, error) {
	if public := a.keys[id]; public != nil {
		return public, nil
	}
	hint := "the vendor's anchor, a file NAME.pub, belongs in " + a.dir
	if len(a.refused) > 0 {
		return nil, refused(hint+", owned and writable by root alone", "no anchor here is its signer's (key id %s), and %v", id, a.refused[0])
	}
	return nil, refused(hint, "no anchor here is its signer's (key id %s)", id)
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
