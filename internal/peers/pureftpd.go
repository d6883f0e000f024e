package peers

import (
	"fmt"
	"os/exec"
	"strconv"
)

func (s *Server) startPureFTPD(c FTPConfig) error {
	user, err := s.ftpUser()
	if err != nil {
		return err
	}
	// After the home stand limits, none of them set.
	if err := s.write("users", user+":::::::::::\n", 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(beside+"/usr/bin/pure-pw", "mkdb", s.path("users.pdb"), "-f", s.path("users")).CombinedOutput(); err != nil {
		return fmt.Errorf("pure-pw: %w: %s", err, out)
	}
	options := []string{"--login", "puredb:" + s.path("users.pdb"), "--noanonymous", "--umask", "022:022", "--dontresolve", "--pidfile", s.path("pid")}
	if c.TLS {
		if err := s.concat("both.pem", "key.pem", "cert.pem"); err != nil {
			return err
		}
		options = append(options, "--tls", "3", "--certfile", s.path("both.pem"))
	}
	options = append(options, c.Extra...)
	return s.start(func() (command, error) {
		bind := []string{beside + "/usr/sbin/pure-ftpd", "--bind", s.Host + "," + strconv.Itoa(s.Port)}
		return command{args: append(bind, options...)}, nil
	})
}
