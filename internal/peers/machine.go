package peers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/crypto/ssh"
)

// MachineSSHD starts OpenSSH as this machine's owner has it: /etc/ssh/sshd_config with its drop-ins, PAM, and the
// machine's host keys. Only the address is ours, and options (of the form that sshd -o takes). The machine's accounts
// log in, so the Server has none.
func MachineSSHD(t TB, options ...string) *Server {
	t.Helper()
	s, err := StartMachineSSHD(options...)
	return must(t, s, err)
}

// StartMachineSSHD starts it; the caller stops it.
func StartMachineSSHD(options ...string) (*Server, error) {
	if err := needRoot(); err != nil {
		return nil, err
	}
	s := &Server{Host: "127.0.0.1"}
	if err := errors.Join(os.MkdirAll("/run/sshd", 0o755), s.machineKeys()); err != nil {
		return nil, err
	}
	err := s.start(func() (command, error) {
		args := []string{"/usr/sbin/sshd", "-D", "-e", "-p", strconv.Itoa(s.Port)}
		for _, o := range slices.Concat(options, []string{"ListenAddress=" + s.Host, "PidFile=none", "LogLevel=ERROR"}) {
			args = append(args, "-o", o)
		}
		return command{args: args}, nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) machineKeys() error {
	files, err := filepath.Glob("/etc/ssh/ssh_host_*_key.pub")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("this machine has no ssh host keys: %w", errors.Join(err, os.ErrNotExist))
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		s.HostKeys = append(s.HostKeys, key)
	}
	return nil
}
