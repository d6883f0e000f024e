package seed

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"

	"sealgate/appliance/store"
)

// certificate adds a self-signed certificate with its key. Ed25519 is what makes
// the same key and signature from the same stream; other kinds of keys draw from
// the machine's randomness whatever they are given.
func (c *configurer) certificate(ctx context.Context, tx *store.Tx, n int, service, host string) (string, error) {
	seed, serial := make([]byte, ed25519.SeedSize), make([]byte, 16)
	c.Read(seed)
	c.Read(serial)
	serial[0] = serial[0]&0x7f | 0x40 // positive, and always 16 bytes
	key := ed25519.NewKeyFromSeed(seed)
	name := fmt.Sprintf("%s%04d", MarkSSLKey, n+1)
	from := c.options.Base.AddDate(0, 0, -c.in(1, 300))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: host, Organization: []string{name}},
		NotBefore: from, NotAfter: from.AddDate(1, 0, 0), DNSNames: []string{host, "www." + host},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(c.stream, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	// PEM allows text before the key, so the secret can begin with its marker.
	text := bytes.NewBufferString(name + "\n")
	if err := pem.Encode(text, &pem.Block{Type: "PRIVATE KEY", Bytes: private}); err != nil {
		return "", err
	}
	id, err := tx.AddSSLKey(ctx, store.SSLKey{
		ID: c.uuid(c.options.Base), SecretID: c.uuid(c.options.Base), ServiceID: service, Name: name,
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})),
		Issuer:      template.Subject.String(), ValidFrom: template.NotBefore, ValidTo: template.NotAfter,
	}, c.sealer, text.Bytes())
	if err == nil {
		c.made(store.SSLKeys, 1, 0)
	}
	return id, err
}
