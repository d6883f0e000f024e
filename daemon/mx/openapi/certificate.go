package openapi

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// SSL certificates are written by hand: they are no objects of the configuration,
// because their private keys are in none of its documents.

type certificates struct{ resource }

func (a *API) certificateOperations() []Operation {
	s := certificates{a.at(model.WebService, servicePath)}
	path := servicePath + "/sslCertificates"
	shown := []model.Field{{Name: "sslKeyName"}, {Name: "hsm", Type: model.Bool}, {Name: "issuer"}, {Name: "validFrom", Type: model.Int, Max: 1 << 53}, {Name: "validTo", Type: model.Int, Max: 1 << 53}}
	taken := []model.Field{{Name: "format", OneOf: []string{"pem", "pkcs12"}}, {Name: "private"}, {Name: "password"}, {Name: "certificate"}, {Name: "hsm", Type: model.Bool}, {Name: "pkcs12file"}}
	text := model.Field{}
	operation := func(method, path, summary string, in, out []model.Field, do func(context.Context, *Call) (any, error), codes ...int) Operation {
		return Operation{Method: method, Path: path, Resource: model.SSLKey, Summary: summary, In: in, Out: out, Do: do, Codes: append(s.missingCodes(), codes...)}
	}
	return []Operation{
		operation(http.MethodGet, path, "list the SSL certificates of a web service", nil, []model.Field{{Name: "sslKeyName", Type: model.List, Of: &text}}, s.list),
		operation(http.MethodGet, path+"/{sslKeyName}", "read an SSL certificate", nil, shown, s.read, 10301),
		operation(http.MethodPost, path+"/{sslKeyName}", "add an SSL certificate with its private key", taken, nil, s.create, 10005, 10016, 10302, 10303, 10304, 10305),
		operation(http.MethodDelete, path+"/{sslKeyName}", "delete an SSL certificate", nil, nil, s.remove, 10301, 10178),
	}
}

func (s certificates) list(ctx context.Context, c *Call) (any, error) {
	names := []string{}
	err := s.store.Read(ctx, func(q *store.Reader) error {
		chain, err := c.locate(ctx, q, s.steps)
		if err != nil {
			return err
		}
		keys, err := q.SSLKeys(ctx, chain[len(chain)-1].ID)
		for _, key := range keys {
			names = append(names, key.Name)
		}
		return err
	})
	return map[string]any{"sslKeyName": names}, err
}

// key finds the certificate of a path.
func (s certificates) key(ctx context.Context, c *Call, q reader) (store.SSLKey, error) {
	chain, err := c.locate(ctx, q, s.steps)
	if err != nil {
		return store.SSLKey{}, err
	}
	keys, err := q.SSLKeys(ctx, chain[len(chain)-1].ID)
	if err != nil {
		return store.SSLKey{}, err
	}
	for _, key := range keys {
		if key.Name == c.Path["sslKeyName"] {
			return key, nil
		}
	}
	return store.SSLKey{}, Faultf(10301, "there is no SSL certificate %q%s", short(c.Path["sslKeyName"]), inside(chain))
}

func (s certificates) read(ctx context.Context, c *Call) (any, error) {
	var key store.SSLKey
	err := s.store.Read(ctx, func(q *store.Reader) (err error) {
		key, err = s.key(ctx, c, q)
		return err
	})
	return struct {
		Name   string `json:"sslKeyName"`
		HSM    bool   `json:"hsm"`
		Issuer string `json:"issuer"`
		From   int64  `json:"validFrom"` // milliseconds
		To     int64  `json:"validTo"`
	}{key.Name, key.HSM, key.Issuer, key.ValidFrom.UnixMilli(), key.ValidTo.UnixMilli()}, err
}

func (s certificates) create(ctx context.Context, c *Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	if s.sealer == nil {
		return nil, errors.New("this server cannot seal secrets")
	}
	if body["hsm"] == true || body["hsm"] == "true" {
		return nil, Faultf(10302, "hsm is true, and this appliance keeps no keys in an HSM")
	}
	chain, private, err := s.keyPair(ctx, body)
	if err != nil {
		return nil, err
	}
	leaf := chain[0]
	var text bytes.Buffer
	for _, certificate := range chain {
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}); err != nil {
			return nil, err
		}
	}
	key := store.SSLKey{Name: c.Path["sslKeyName"], Certificate: text.String(), Issuer: leaf.Issuer.String(), ValidFrom: leaf.NotBefore, ValidTo: leaf.NotAfter}
	if len(key.Name) > model.MaxName || key.Name == "" {
		return nil, Faultf(10016, "sslKeyName has %d bytes, allowed are 1 to %d", len(key.Name), model.MaxName)
	}
	return nil, s.write(ctx, c, s.summary("add an SSL key to", c), func(tx *store.Tx) error {
		found, err := c.locate(ctx, tx, s.steps)
		if err != nil {
			return err
		}
		key.ServiceID = found[len(found)-1].ID
		_, err = tx.AddSSLKey(ctx, key, s.sealer, private)
		if errors.Is(err, store.ErrExists) {
			return Faultf(10005, "SSL certificate %q exists already%s", short(key.Name), inside(found))
		}
		return err
	})
}

// keyPair reads the certificates, leaf first, and the private key as PEM.
func (s certificates) keyPair(ctx context.Context, body map[string]any) ([]*x509.Certificate, []byte, error) {
	switch format := strings.ToLower(textIn(body, "format")); format {
	case "pem", "":
		return fromPEM(body)
	case "pkcs12":
		return s.bounded(ctx, body)
	default:
		return nil, nil, Faultf(10016, "format is %q, must be pem or pkcs12", short(format))
	}
}

func fromPEM(body map[string]any) ([]*x509.Certificate, []byte, error) {
	private, err := decodeBase64(body, "private", 10303)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := decodeBase64(body, "certificate", 10304)
	if err != nil {
		return nil, nil, err
	}
	var chain []*x509.Certificate
	for rest := certificate; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, Faultf(10304, "certificate holds a PEM block that is no X.509 certificate")
		}
		chain = append(chain, parsed)
	}
	if len(chain) == 0 {
		return nil, nil, Faultf(10304, "certificate must be the base64 of PEM text with a CERTIFICATE block")
	}
	key, err := parseKey(private)
	if err != nil {
		return nil, nil, err
	}
	return matching(chain, key)
}

func decodeBase64(body map[string]any, field string, code int) ([]byte, error) {
	text := strings.Join(strings.Fields(textIn(body, field)), "")
	if text == "" {
		return nil, Faultf(code, "%s is missing, must be base64", field)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, Faultf(code, "%s is not base64", field)
	}
	return raw, nil
}

func parseKey(text []byte) (crypto.PrivateKey, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, Faultf(10303, "private must be the base64 of PEM text with a PRIVATE KEY block")
		}
		if strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
			return nil, Faultf(10303, "private is encrypted; send it decrypted, or as pkcs12 with its password")
		}
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key, nil
		}
	}
}

// pkcs12Patience is how long a PKCS #12 file may take to open.
const pkcs12Patience = 10 * time.Second

// bounded opens one PKCS #12 file at a time: the file itself says how often its
// password is hashed.
func (s certificates) bounded(ctx context.Context, body map[string]any) ([]*x509.Certificate, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pkcs12Patience)
	defer cancel()
	select {
	case s.pkcs12 <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, Faultf(10001, "another PKCS #12 file is being opened; try again")
	}
	type opened struct {
		chain   []*x509.Certificate
		private []byte
		err     error
	}
	done := make(chan opened, 1)
	go func() {
		defer func() { <-s.pkcs12 }()
		chain, private, err := fromPKCS12(body)
		done <- opened{chain, private, err}
	}()
	select {
	case o := <-done:
		return o.chain, o.private, o.err
	case <-ctx.Done():
		return nil, nil, Faultf(10304, "pkcs12file takes more than %s to open; export it with fewer iterations", pkcs12Patience)
	}
}

func fromPKCS12(body map[string]any) ([]*x509.Certificate, []byte, error) {
	file, err := decodeBase64(body, "pkcs12file", 10304)
	if err != nil {
		return nil, nil, err
	}
	key, leaf, others, err := pkcs12.DecodeChain(file, textIn(body, "password"))
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return nil, nil, Faultf(10303, "password does not open pkcs12file")
	}
	if err != nil || leaf == nil {
		return nil, nil, Faultf(10304, "pkcs12file is no PKCS #12 file with a certificate and its private key")
	}
	return matching(append([]*x509.Certificate{leaf}, others...), key)
}

// matching wants the key to be the leaf's, and writes it as PKCS #8.
func matching(chain []*x509.Certificate, key crypto.PrivateKey) ([]*x509.Certificate, []byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, Faultf(10303, "the private key is of a kind that is not supported; RSA, ECDSA and Ed25519 are")
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain[0].Raw})
	if _, err := tls.X509KeyPair(leaf, private); err != nil {
		return nil, nil, Faultf(10305, "the private key is not that of certificate %q", short(fmt.Sprint(chain[0].Subject)))
	}
	return chain, private, nil
}

func (s certificates) remove(ctx context.Context, c *Call) (any, error) {
	return nil, s.write(ctx, c, s.summary("delete an SSL key of", c), func(tx *store.Tx) error {
		key, err := s.key(ctx, c, tx)
		if err != nil {
			return err
		}
		return tx.DeleteSSLKey(ctx, key.ID)
	})
}
