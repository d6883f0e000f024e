package peers

import (
	"fmt"
	"strings"
)

// VSFTPDConfig says what kind of vsftpd to start. The zero value offers no TLS.
type VSFTPDConfig struct {
	Account *Account // nil: one of its own
	// TLS offers explicit TLS and demands it for logins and data.
	TLS bool
	// RequireReuse demands that data connections resume the control connection's TLS session.
	RequireReuse bool
	// TLS12 offers TLS 1.2 and nothing later.
	TLS12 bool
	// IPv6 listens on ::1 instead of 127.0.0.1.
	IPv6 bool
	// Passive is how many ports passive data connections may have, Server.Passive lists them; 0 is all.
	Passive int
	// Extra lines of vsftpd.conf.
	Extra []string
}

// VSFTPD starts vsftpd for the length of a test.
func VSFTPD(t TB, c VSFTPDConfig) *Server {
	t.Helper()
	s, err := StartVSFTPD(c)
	return must(t, s, err)
}

// StartVSFTPD starts vsftpd; the caller stops it.
func StartVSFTPD(c VSFTPDConfig) (*Server, error) {
	s, err := setup(c.Account)
	if err != nil {
		return nil, err
	}
	if err := s.startVSFTPD(c); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) startVSFTPD(c VSFTPDConfig) error {
	lines := []string{
		"background=NO", "anonymous_enable=NO", "local_enable=YES", "write_enable=YES", "local_umask=022",
		"pam_service_name=vsftpd", "local_root=" + s.Root, "use_localtime=NO", "xferlog_enable=NO",
		"secure_chroot_dir=" + s.path("empty"), "utf8_filesystem=YES",
	}
	if err := s.mkdir("empty"); err != nil {
		return err
	}
	if c.TLS {
		if err := s.certify(); err != nil {
			return err
		}
		lines = append(lines, "ssl_enable=YES", "ssl_tlsv1=YES", "ssl_ciphers=HIGH", "force_local_logins_ssl=YES", "force_local_data_ssl=YES",
			"rsa_cert_file="+s.path("cert.pem"), "rsa_private_key_file="+s.path("key.pem"), "require_ssl_reuse="+yes(c.RequireReuse))
	}
	var env []string
	if c.TLS12 {
		// vsftpd has no setting of its own for this, the library under it does.
		if err := s.write("openssl.cnf", opensslTLS12, 0o644); err != nil {
			return err
		}
		env = append(env, "OPENSSL_CONF="+s.path("openssl.cnf"))
	}
	address := "listen=YES\nlisten_address=%s\nlisten_port=%d\n"
	if c.IPv6 {
		s.Host, address = "::1", "listen=NO\nlisten_ipv6=YES\nlisten_address6=%s\nlisten_port=%d\n"
	}
	if c.Passive > 0 {
		first, err := freePorts("", c.Passive)
		if err != nil {
			return err
		}
		for port := first; port < first+c.Passive; port++ {
			s.Passive = append(s.Passive, port)
		}
		lines = append(lines, fmt.Sprintf("pasv_min_port=%d", first), fmt.Sprintf("pasv_max_port=%d", first+c.Passive-1))
	}
	lines = append(lines, c.Extra...)
	return s.start(func() (command, error) {
		config := fmt.Sprintf(address, s.Host, s.Port) + strings.Join(lines, "\n") + "\n"
		return command{args: []string{"vsftpd", s.path("vsftpd.conf")}, env: env}, s.write("vsftpd.conf", config, 0o600)
	})
}

const opensslTLS12 = `openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = limits
[limits]
MaxProtocol = TLSv1.2
`

func yes(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}
