package peers

import (
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Dropbear starts dropbear for the length of a test: passwords, one Ed25519 key, and the distribution's sftp-server.
func Dropbear(t TB, account *Account) *Server {
	t.Helper()
	s, err := StartDropbear(account)
	return must(t, s, err)
}

// StartDropbear starts dropbear; the caller stops it. A nil account is one of its own.
func StartDropbear(account *Account) (*Server, error) { return startDropbear(account) }

// StartDropbearAlone starts it as on a machine that has no sftp-server.
func StartDropbearAlone(account *Account) (*Server, error) {
	return startDropbear(account, "unshare", "--mount", "sh", "-c", `mount --bind /dev/null /usr/lib/sftp-server && exec "$@"`, "sh")
}

func startDropbear(account *Account, within ...string) (*Server, error) {
	s, err := setup(account)
	if err != nil {
		return nil, err
	}
	if err := s.startDropbear(within); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) startDropbear(within []string) error {
	out, err := exec.Command("dropbearkey", "-t", "ed25519", "-f", s.path("host")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("dropbearkey: %w: %s", err, strings.TrimSpace(string(out)))
	}
	for line := range strings.Lines(string(out)) {
		if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil {
			s.HostKeys = append(s.HostKeys, key)
		}
	}
	return s.start(func() (command, error) {
		return command{args: append(within, "dropbear", "-F", "-E", "-r", s.path("host"), "-p", s.Addr, "-P", s.path("pid"))}, nil
	})
}
