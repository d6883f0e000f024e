// Package certificate is the certificate of the management address, and the key
// that gateways know their management server by.
//
// HOME/certificate/management.pem holds a chain, the server's own first, and its
// key: one file, so that they always belong together. It is made at the first start and
// replaced whole; a [Keeper] shows the new one to the next connection and leaves
// those that are there alone. HOME/certificate/link.pem is never replaced: gateways
// pin it.
//
// The folder is shared with the role, so what is read there is a stranger's: a regular
// file of bounded size, never a link.
package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/atomicfile"
	"sealgate/appliance/ownership"
	"sealgate/appliance/token"
)

const (
	management = "management.pem"
	link       = "link.pem"
	pending    = "request.key" // of a request that no certificate has answered yet
)

const (
	// validity of a certificate that we make ourselves: clients pin it or accept it,
	// so its end only surprises.
	validity = 10 * 365 * 24 * time.Hour
	// MaxPEM bounds a chain with its key, in bytes.
	MaxPEM = 64 << 10
)

// Names are what a certificate is for.
type Names struct {
	Common    string   // the appliance's name
	Addresses []net.IP // beside loopback
}

// NamesOf are the names of an appliance that listens on HOST:PORT.
func NamesOf(name, listening string) Names {
	n := Names{Common: name}
	host, _, _ := net.SplitHostPort(listening)
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() && !ip.IsLoopback() {
		n.Addresses = append(n.Addresses, ip)
	}
	return n
}

// Ensure makes what is not there yet.
func Ensure(home appliance.Home, names Names, now time.Time) error {
	for _, name := range []string{management, link} {
		if _, err := os.Lstat(filepath.Join(home.Certificate(), name)); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := makeSelfSigned(home, name, names, now); err != nil {
			return err
		}
	}
	return nil
}

// Renew replaces the certificate of the management address with a fresh one of its own.
func Renew(home appliance.Home, names Names, now time.Time) error {
	return makeSelfSigned(home, management, names, now)
}

func makeSelfSigned(home appliance.Home, file string, names Names, now time.Time) error {
	data, err := selfSigned(names, now)
	if err != nil {
		return err
	}
	return write(home, file, data)
}

func write(home appliance.Home, file string, data []byte) error {
	if err := os.MkdirAll(home.Certificate(), 0o700); err != nil {
		return err
	}
	mode, err := ownership.FileMode(home.Certificate())
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(home.Certificate(), file), data, mode)
}

func read(home appliance.Home, file string) ([]byte, error) {
	path := filepath.Join(home.Certificate(), file)
	f, err := ownership.OpenShared(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxPEM+1))
	if err == nil && len(data) > MaxPEM {
		err = fmt.Errorf("%s has more than %d bytes", path, MaxPEM)
	}
	return data, err
}

// Secrets are the files with private keys that are there, for who searches for them.
func Secrets(home appliance.Home) (list [][]byte, err error) {
	for _, file := range []string{management, link, pending} {
		data, err := read(home, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, data)
	}
	return list, nil
}

func selfSigned(names Names, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               subject(names),
		DNSNames:              []string{names.Common, "localhost"},
		IPAddresses:           append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, names.Addresses...),
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := marshalKey(key)
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), private...), err
}

func subject(names Names) pkix.Name {
	return pkix.Name{CommonName: names.Common, Organization: []string{"Sealgate"}}
}

func marshalKey(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// Info is what may be told of a certificate.
type Info struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	DNSNames  []string  `json:"dns_names"`
	Addresses []net.IP  `json:"addresses"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	SHA256    string    `json:"sha256"` // of the certificate, as clients show it
	Chain     int       `json:"chain"`  // certificates beside its own
}

// Show tells of the certificate of the management address.
func Show(home appliance.Home) (Info, error) {
	pair, err := load(home, management)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, appliance.Faultf("impctl server start makes one", "there is no certificate yet")
	}
	if err != nil {
		return Info{}, err
	}
	return infoOf(pair), nil
}

func infoOf(pair tls.Certificate) Info {
	c := pair.Leaf
	sum := sha256.Sum256(c.Raw)
	return Info{c.Subject.String(), c.Issuer.String(), c.DNSNames, c.IPAddresses, c.NotBefore.UTC(), c.NotAfter.UTC(),
		hex.EncodeToString(sum[:]), len(pair.Certificate) - 1}
}

func load(home appliance.Home, file string) (tls.Certificate, error) {
	data, err := read(home, file)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(data, data)
	if err == nil && pair.Leaf == nil {
		pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0])
	}
	return pair, err
}

// Link is the certificate of the link, whose key gateways pin.
func Link(home appliance.Home) (tls.Certificate, error) { return load(home, link) }

// LinkPin is the pin of the key that gateways know their management server by.
func LinkPin(home appliance.Home) (token.Pin, error) {
	pair, err := Link(home)
	if err != nil {
		return token.Pin{}, err
	}
	return sha256.Sum256(pair.Leaf.RawSubjectPublicKeyInfo), nil
}

// equalKeys says whether two public keys are the same.
func equalKeys(a, b any) bool {
	x, err1 := x509.MarshalPKIXPublicKey(a)
	y, err2 := x509.MarshalPKIXPublicKey(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
