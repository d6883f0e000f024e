package peers

import (
	"fmt"
	"os"
	"strings"
)

// beside is where deploy/peers unpacks the ftp servers that Debian does not install beside vsftpd.
const beside = "/usr/local/lib/sealgate-peers"

// FTPConfig says what kind of proftpd or pure-ftpd to start. The zero value offers no TLS.
type FTPConfig struct {
	Account *Account // nil: one of its own
	// TLS offers explicit TLS and demands it for logins and data.
	TLS bool
	// IPv6 listens on ::1 instead of 127.0.0.1.
	IPv6 bool
	// Extra lines of proftpd.conf, or further arguments of pure-ftpd.
	Extra []string
}

// ProFTPD starts proftpd for the length of a test.
func ProFTPD(t TB, c FTPConfig) *Server {
	t.Helper()
	s, err := StartProFTPD(c)
	return must(t, s, err)
}

// StartProFTPD starts proftpd; the caller stops it.
func StartProFTPD(c FTPConfig) (*Server, error) { return startFTP(c, (*Server).startProFTPD) }

// PureFTPD starts pure-ftpd for the length of a test.
func PureFTPD(t TB, c FTPConfig) *Server {
	t.Helper()
	s, err := StartPureFTPD(c)
	return must(t, s, err)
}

// StartPureFTPD starts pure-ftpd; the caller stops it.
func StartPureFTPD(c FTPConfig) (*Server, error) { return startFTP(c, (*Server).startPureFTPD) }

func startFTP(c FTPConfig, start func(*Server, FTPConfig) error) (*Server, error) {
	s, err := setup(c.Account)
	if err != nil {
		return nil, err
	}
	if c.IPv6 {
		s.Host = "::1"
	}
	if c.TLS {
		err = s.certify()
	}
	if err == nil {
		err = start(s, c)
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// ftpUser is a line of an account file, which both servers read, with Root as the home.
func (s *Server) ftpUser() (string, error) {
	hash, err := hashPassword(s.Password)
	return fmt.Sprintf("%s:%s:%d:%d::%s:", s.User, hash, s.account.UID, s.account.GID, s.Root), err
}

// proftpdConfig starts as the distribution's does where it says anything that a client notices.
const proftpdConfig = `ModulePath %[1]s/usr/lib/proftpd
LoadModule mod_tls.c
ServerType standalone
ServerName test
DefaultAddress %[2]s
SocketBindTight on
Port %[3]d
UseIPv6 on
UseReverseDNS off
User %[4]s
Group nogroup
PidFile %[5]s/pid
ScoreboardFile none
DelayEngine off
WtmpLog off
TransferLog none
SystemLog none
AuthOrder mod_auth_file.c
AuthUserFile %[5]s/users
RequireValidShell off
AllowOverwrite on
Umask 022
`

func (s *Server) startProFTPD(c FTPConfig) error {
	user, err := s.ftpUser()
	if err != nil {
		return err
	}
	if err := s.write("users", user+"/bin/sh\n", 0o600); err != nil {
		return err
	}
	lines := c.Extra
	if c.TLS {
		lines = append([]string{"TLSEngine on", "TLSRequired on", "TLSECCertificateFile " + s.path("cert.pem"), "TLSECCertificateKeyFile " + s.path("key.pem")}, lines...)
		if err := os.Chmod(s.path("key.pem"), 0o600); err != nil {
			return err
		}
	}
	return s.start(func() (command, error) {
		config := fmt.Sprintf(proftpdConfig, beside, s.Host, s.Port, s.User, s.folder) + strings.Join(lines, "\n") + "\n"
		return command{args: []string{beside + "/usr/sbin/proftpd", "--nodaemon", "--quiet", "--config", s.path("proftpd.conf")}},
			s.write("proftpd.conf", config, 0o600)
	})
}
