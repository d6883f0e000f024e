package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"sealgate/appliance/model"
)

var tlsVersions = map[string]uint16{"TLSV1": tls.VersionTLS10, "TLSV1.0": tls.VersionTLS10, "TLSV1.1": tls.VersionTLS11, "TLSV1.2": tls.VersionTLS12, "TLSV1.3": tls.VersionTLS13}

var tlsCurves = map[string]tls.CurveID{
	"X25519": tls.X25519, "X25519MLKEM768": tls.X25519MLKEM768,
	"P-256": tls.CurveP256, "SECP256R1": tls.CurveP256, "PRIME256V1": tls.CurveP256,
	"P-384": tls.CurveP384, "SECP384R1": tls.CurveP384,
	"P-521": tls.CurveP521, "SECP521R1": tls.CurveP521,
}

// tlsCiphers are names as OpenSSL and as IANA have them.
var tlsCiphers = func() map[string]uint16 {
	m := make(map[string]uint16)
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, c := range list {
			m[c.Name] = c.ID
			m[openSSLName(c.Name)] = c.ID
		}
	}
	return m
}()

// openSSLName turns TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 into ECDHE-RSA-AES128-GCM-SHA256.
func openSSLName(iana string) string {
	s := strings.TrimPrefix(iana, "TLS_")
	s = strings.TrimPrefix(strings.Replace(s, "_WITH_", "-", 1), "RSA-")
	s = strings.NewReplacer("AES_128_CBC", "AES128", "AES_256_CBC", "AES256", "AES_128", "AES128", "AES_256", "AES256", "3DES_EDE_CBC", "DES-CBC3",
		"CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", "RC4_128", "RC4").Replace(s)
	return strings.ReplaceAll(s, "_", "-")
}

// apply sets what settings say. Ciphers and curves that this release does not have
// are left out; that nothing is left is an error. The server's order of ciphers is
// always its own, and those of TLS 1.3 cannot be chosen.
func applyTLS(config *tls.Config, name string, settings model.TLSSettings) error {
	for _, v := range settings.Versions {
		version, ok := tlsVersions[strings.ToUpper(v)]
		if !ok {
			continue
		}
		if config.MinVersion == 0 || version < config.MinVersion {
			config.MinVersion = version
		}
		config.MaxVersion = max(config.MaxVersion, version)
	}
	if config.MinVersion == 0 {
		return fmt.Errorf("SSL settings %q: none of the protocol versions %s is supported", name, strings.Join(settings.Versions, ", "))
	}
	for _, c := range settings.Ciphers {
		if id, ok := tlsCiphers[c]; ok {
			config.CipherSuites = append(config.CipherSuites, id)
		}
	}
	if len(settings.Ciphers) > 0 && len(config.CipherSuites) == 0 && config.MinVersion < tls.VersionTLS13 {
		return fmt.Errorf("SSL settings %q: none of the ciphers is supported", name)
	}
	for _, c := range settings.EllipticCurves {
		if id, ok := tlsCurves[strings.ToUpper(c)]; ok {
			config.CurvePreferences = append(config.CurvePreferences, id)
		}
	}
	if len(settings.EllipticCurves) > 0 && len(config.CurvePreferences) == 0 {
		return fmt.Errorf("SSL settings %q: none of the elliptic curves is supported", name)
	}
	return nil
}

// keyring holds a web service's certificates.
type keyring struct {
	byKey  map[string]*tls.Certificate
	byName map[string]*tls.Certificate // host names, *.suffix too
}

func newKeyring(keys []model.SnapshotKey) (*keyring, error) {
	r := &keyring{byKey: make(map[string]*tls.Certificate), byName: make(map[string]*tls.Certificate)}
	for _, k := range keys {
		if k.PrivateKey == "" {
			return nil, fmt.Errorf("the private key of certificate %q is still sealed", k.Name)
		}
		cert, err := tls.X509KeyPair([]byte(k.Certificate), []byte(k.PrivateKey))
		if err != nil {
			return nil, fmt.Errorf("certificate %q: %s", k.Name, strings.TrimPrefix(err.Error(), "tls: "))
		}
		r.byKey[k.Name] = &cert
		for _, name := range namesOf(cert.Leaf) {
			if _, taken := r.byName[name]; !taken {
				r.byName[name] = &cert
			}
		}
	}
	return r, nil
}

func namesOf(leaf *x509.Certificate) []string {
	names := make([]string, 0, len(leaf.DNSNames)+1)
	for _, n := range leaf.DNSNames {
		names = append(names, strings.ToLower(n))
	}
	if len(names) == 0 && leaf.Subject.CommonName != "" {
		names = append(names, strings.ToLower(leaf.Subject.CommonName))
	}
	return names
}

// choose is the certificate for the name that a client asks for, or fallback.
func (r *keyring) choose(name string, fallback *tls.Certificate) *tls.Certificate {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if cert := r.byName[name]; cert != nil {
		return cert
	}
	if _, suffix, ok := strings.Cut(name, "."); ok {
		if cert := r.byName["*."+suffix]; cert != nil {
			return cert
		}
	}
	return fallback
}

// authorities are the certificates of a key.
func authorities(key *tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, der := range key.Certificate {
		if c, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(c)
		}
	}
	return pool
}

// serverTLS is how clients of an inbound rule are spoken to; nil without certificate.
func (r *keyring) serverTLS(s *model.Snapshot, service *model.SnapshotService, in *model.SnapshotInbound) (*tls.Config, error) {
	if in.Certificate == "" {
		return nil, nil
	}
	fallback := r.byKey[in.Certificate]
	config := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return r.choose(hello.ServerName, fallback), nil
	}}
	if in.SSLSettings != "" {
		if err := applyTLS(config, in.SSLSettings, s.SSLSettings[in.SSLSettings]); err != nil {
			return nil, err
		}
	} else {
		config.MinVersion = tls.VersionTLS12
	}
	if in.Authority != "" {
		config.ClientCAs, config.ClientAuth = authorities(r.byKey[in.Authority]), tls.RequireAndVerifyClientCert
		if slices.ContainsFunc(in.Outbound, func(out model.SnapshotOutbound) bool { return out.ClientRule != "" }) {
			config.ClientAuth = tls.VerifyClientCertIfGiven // each request's way says whom it is for
		}
	}
	config.NextProtos = []string{"http/1.1", "http/1.0"}
	if service.HTTP2 {
		config.NextProtos = append([]string{"h2"}, config.NextProtos...)
	}
	return config, nil
}
