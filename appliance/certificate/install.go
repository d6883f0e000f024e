package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/atomicfile"
)

const (
	maxChain = 8
	minRSA   = 2048
)

// Request makes a key and gives a request for a certificate of it, PEM. The key waits
// in the appliance for [Install], and takes the place of one that waited before.
func Request(home appliance.Home, names Names, also []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{Subject: subject(names), DNSNames: []string{names.Common}, IPAddresses: names.Addresses}
	for _, name := range also {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, err
	}
	private, err := marshalKey(key)
	if err != nil {
		return nil, err
	}
	// For the supervisor alone: the role has no use for it.
	if err := atomicfile.Write(filepath.Join(home.Certificate(), pending), private, 0o600); err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// Install replaces the certificate of the management address with a chain, the server's
// own certificate first. Its key is in the PEM text too, or is that of [Request], or
// the one that is in use.
func Install(home appliance.Home, text []byte, now time.Time) (Info, error) {
	chain, key, err := parse(text)
	if err != nil {
		return Info{}, err
	}
	if err := check(chain, now); err != nil {
		return Info{}, err
	}
	if key == nil {
		if key = waitingKey(home, chain[0]); key == nil {
			return Info{}, refused("send the private key in the same text, or have the request of impctl server certificate request signed",
				"the certificate is for a key that the appliance does not have")
		}
	}
	if !equalKeys(key.Public(), chain[0].PublicKey) {
		return Info{}, refused("the server's own certificate comes first in the chain", "the private key is not the first certificate's")
	}
	data, err := marshalKey(key)
	if err != nil {
		return Info{}, err
	}
	for _, c := range slices.Backward(chain) {
		data = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), data...)
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return Info{}, refused("", "%v", err)
	}
	pair.Leaf = chain[0]
	if err := write(home, management, data); err != nil {
		return Info{}, err
	}
	os.Remove(filepath.Join(home.Certificate(), pending)) // it has become the key, or is out of date
	return infoOf(pair), nil
}

func refused(hint, format string, args ...any) error {
	return appliance.Faultf(hint, "the certificate is not installed: %s", fmt.Sprintf(format, args...))
}

// parse takes PEM text apart. What it holds is never repeated.
func parse(text []byte) (chain []*x509.Certificate, key crypto.Signer, err error) {
	const hint = "it is read from standard input: ssh admin@mx impctl server certificate install - <chain.pem"
	if len(text) > MaxPEM {
		return nil, nil, refused(hint, "the text has more than %d bytes", MaxPEM)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, refused(hint, "certificate %d of the text is damaged", len(chain)+1)
			}
			chain = append(chain, c)
		case "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY":
			if key != nil {
				return nil, nil, refused(hint, "the text holds two private keys")
			}
			if key = parseKey(block.Bytes); key == nil {
				return nil, nil, refused("openssl pkey writes one that is not encrypted", "the private key is encrypted, damaged, or of an unknown kind")
			}
		case "ENCRYPTED PRIVATE KEY":
			return nil, nil, refused("openssl pkey writes it without a password", "the private key is encrypted")
		}
	}
	if len(chain) == 0 || len(chain) > maxChain {
		return nil, nil, refused(hint, "the text holds %d certificates in PEM form, and must hold 1 to %d", len(chain), maxChain)
	}
	return chain, key, nil
}

func parseKey(der []byte) crypto.Signer {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, _ := key.(crypto.Signer)
		return signer
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	return nil
}

// check looks whether clients could take the chain.
func check(chain []*x509.Certificate, now time.Time) error {
	c := chain[0]
	switch {
	case now.After(c.NotAfter):
		return refused("ask for a new one", "it ended on %s", c.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return refused("wait, or look at the appliance's clock", "it begins on %s", c.NotBefore.UTC().Format("2006-01-02 15:04:05 UTC"))
	case len(c.DNSNames)+len(c.IPAddresses) == 0:
		return refused("ask for one with subject alternative names", "it names no host, which clients need")
	case len(c.ExtKeyUsage) > 0 && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny):
		return refused("ask for one for server authentication", "it is not for servers")
	}
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
		return refused("ask for one of a longer key", "its RSA key has %d bits, and must have %d", key.N.BitLen(), minRSA)
	}
	for i := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(chain[i+1]); err != nil {
			return refused("send the server's own certificate first, then the one that signed it, and so on", "certificate %d is not signed by certificate %d", i+1, i+2)
		}
	}
	return nil
}

// waitingKey is the appliance's own key that a certificate is for, or nil.
func waitingKey(home appliance.Home, c *x509.Certificate) crypto.Signer {
	for _, file := range []string{pending, management} {
		data, err := read(home, file)
		if err != nil {
			continue
		}
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "PRIVATE KEY" {
				continue
			}
			if key := parseKey(block.Bytes); key != nil && equalKeys(key.Public(), c.PublicKey) {
				return key
			}
		}
	}
	return nil
}
