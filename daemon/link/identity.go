package link

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/atomicfile"
	"sealgate/appliance/ownership"
	"sealgate/appliance/secret"
	"sealgate/appliance/token"
)

// Identity is who a gateway is, and where it is registered. The keys come first and
// stay until it is unregistered: a registration that was cut is made again with them.
type Identity struct {
	Key     ed25519.PrivateKey `json:"key"`
	Sealing []byte             `json:"sealing"` // private X25519 key
	Registration
}

// Registration is where a gateway belongs; the zero value is nowhere.
type Registration struct {
	Server      string    `json:"server,omitempty"` // HOST:PORT
	Pin         token.Pin `json:"pin,omitzero"`     // of the server's key
	ServerName  string    `json:"server_name,omitempty"`
	Name        string    `json:"name,omitempty"`
	Group       string    `json:"group,omitempty"`
	DataAddress string    `json:"data_address,omitempty"`
	Since       time.Time `json:"since,omitzero"`
	Note        string    `json:"note,omitempty"` // what is not as was asked; not kept
}

// Registered says whether the gateway belongs to a management server.
func (r Registration) Registered() bool { return r.Server != "" }

// ErrNoIdentity means that a gateway has no keys yet.
var ErrNoIdentity = errors.New("the gateway has no identity yet")

// maxShared bounds a file of the link, in bytes.
const maxShared = 16 << 10

func identityFile(home appliance.Home) string { return filepath.Join(home.Link(), "identity.json") }

// NewIdentity makes fresh keys.
func NewIdentity() (*Identity, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	sealing, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Identity{Key: key, Sealing: sealing.Bytes()}, nil
}

// ReadIdentity reads the identity of a gateway, from a folder that the role shares.
func ReadIdentity(home appliance.Home) (*Identity, error) {
	data, err := readShared(identityFile(home))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoIdentity
	}
	if err != nil {
		return nil, err
	}
	var id Identity
	if json.Unmarshal(data, &id) != nil || len(id.Key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("%s is damaged", identityFile(home))
	}
	if _, err := secret.NewOpener(id.Sealing); err != nil {
		return nil, fmt.Errorf("%s is damaged", identityFile(home))
	}
	return &id, nil
}

// Write keeps the identity.
func (id *Identity) Write(home appliance.Home) error {
	return writeShared(home, identityFile(home), id)
}

// readShared reads a file of a folder that the role shares: whatever is there, it is
// read as a file, and not for long.
func readShared(path string) ([]byte, error) {
	f, err := ownership.OpenShared(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxShared))
}

func writeShared(home appliance.Home, path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	mode, err := ownership.FileMode(home.Link())
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'), mode)
}

// Forget removes the identity: the gateway belongs nowhere, and is somebody else
// from now on.
func Forget(home appliance.Home) error {
	for _, path := range []string{nextFile(home), identityFile(home)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return atomicfile.SyncDir(home.Link())
}

// Pin is what the management server knows the gateway by.
func (id *Identity) Pin() token.Pin { return pinOfKey(id.Key.Public().(ed25519.PublicKey)) }

// pinOfKey is the pin of a gateway's key.
func pinOfKey(key ed25519.PublicKey) token.Pin {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err) // an Ed25519 key has a form
	}
	return sha256.Sum256(der)
}

// Opener opens what was sealed to the gateway.
func (id *Identity) Opener() (secret.Opener, error) { return secret.NewOpener(id.Sealing) }

// certificate is the identity's key in the form that TLS wants. Nobody reads the rest.
func (id *Identity) certificate() (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "sealgate gateway"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280: none
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, id.Key.Public(), id.Key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: id.Key}, err
}
