package peers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// SSHDConfig says what kind of OpenSSH server to start. The zero value takes passwords and has one Ed25519 key.
type SSHDConfig struct {
	Account  *Account // nil: one of its own
	KeyTypes []string // of "ed25519", "ecdsa", "rsa"
	// KeyboardInteractive asks for the password that way only, through PAM.
	KeyboardInteractive bool
	// AuthorizedKeys log in as the account.
	AuthorizedKeys []ssh.PublicKey
	// NoSFTP leaves the sftp subsystem out.
	NoSFTP bool
	// Extra lines of sshd_config.
	Extra []string
}

// SSHD starts OpenSSH for the length of a test.
func SSHD(t TB, c SSHDConfig) *Server {
	t.Helper()
	s, err := StartSSHD(c)
	return must(t, s, err)
}

// StartSSHD starts OpenSSH; the caller stops it.
func StartSSHD(c SSHDConfig) (*Server, error) {
	s, err := setup(c.Account)
	if err != nil {
		return nil, err
	}
	if err := s.startSSHD(c); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) startSSHD(c SSHDConfig) error {
	// Where sshd locks its unprivileged half in; on a machine whose own sshd never ran it is missing.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		return err
	}
	lines := []string{
		"PidFile none", "LogLevel ERROR", "StrictModes no", "UseDNS no", "PrintMotd no", "AuthorizedKeysFile " + s.path("authorized_keys"),
		"MaxStartups 100:1:200", "AllowUsers " + s.User,
	}
	if c.KeyboardInteractive {
		lines = append(lines, "UsePAM yes", "PasswordAuthentication no", "KbdInteractiveAuthentication yes")
	} else {
		lines = append(lines, "UsePAM no", "PasswordAuthentication yes", "KbdInteractiveAuthentication no")
	}
	if !c.NoSFTP {
		lines = append(lines, "Subsystem sftp internal-sftp")
	}
	types := c.KeyTypes
	if len(types) == 0 {
		types = []string{"ed25519"}
	}
	for _, keyType := range types {
		if err := s.hostKey(keyType); err != nil {
			return err
		}
		lines = append(lines, "HostKey "+s.path("host_"+keyType))
	}
	lines = append(lines, c.Extra...)
	if err := s.authorize(c.AuthorizedKeys); err != nil {
		return err
	}
	return s.start(func() (command, error) {
		config := append([]string{fmt.Sprintf("ListenAddress %s:%d", s.Host, s.Port)}, lines...)
		// sshd starts itself again for each connection, so it wants its full path.
		return command{args: []string{"/usr/sbin/sshd", "-D", "-e", "-f", s.path("sshd_config")}},
			s.write("sshd_config", strings.Join(config, "\n")+"\n", 0o600)
	})
}

func (s *Server) authorize(keys []ssh.PublicKey) error {
	var lines strings.Builder
	for _, key := range keys {
		lines.Write(ssh.MarshalAuthorizedKey(key))
	}
	return s.write("authorized_keys", lines.String(), 0o644)
}

func (s *Server) hostKey(keyType string) error {
	key, err := newHostKey(keyType)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return err
	}
	s.HostKeys = append(s.HostKeys, signer.PublicKey())
	return s.write("host_"+keyType, string(pem.EncodeToMemory(block)), 0o600)
}

func newHostKey(keyType string) (crypto.Signer, error) {
	switch keyType {
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("no host key type %q", keyType)
}
