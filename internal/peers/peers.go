// Package peers starts the distribution's own servers (sshd, vsftpd, nginx) on loopback, so that tests and benchmarks
// talk to what users have. It is for tests only.
//
// Each server gets a free port, a folder of its own and a configuration of its own, has its own process group, and ends
// when Stop is called, when the test is over, or when the program that started it dies. A server that is not installed
// is an error, never a reason to skip.
//
// The servers check passwords of the operating system, so starting them needs root: they share throw-away accounts
// (NewAccount) whose names begin with "sealgatetest".
package peers

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/crypto/ssh"
)

// TB is the part of testing.TB that starting a server needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Server is a running server.
type Server struct {
	Host string // an address of the loopback interface
	Port int
	Addr string // Host:Port

	Passive []int // ports of vsftpd's passive data connections, where they are limited

	// Root is a folder that the account may write: where an ftp login begins, where the paths of nginx begin, and an
	// absolute path for sshd.
	Root string
	// User and Password are the account's.
	User, Password string

	CAs      *x509.CertPool  // what the server's certificate verifies with; nil without TLS
	CertFile string          // the same as a PEM file
	HostKeys []ssh.PublicKey // of sshd, in the order of SSHDConfig.KeyTypes

	process *process
	folder  string
	account *Account
	owned   bool // the account was made for this server
}

// Stop ends the server and removes its folder. It may be called again.
func (s *Server) Stop() {
	s.Kill()
	os.RemoveAll(s.folder)
	if s.owned {
		s.account.Remove()
	}
}

// Kill ends the server and everything it has started, at once and without a goodbye, as a power failure would.
func (s *Server) Kill() {
	if s.process != nil {
		s.process.kill()
	}
}

// PID is the server's process.
func (s *Server) PID() int { return s.process.pid }

// setup makes the folder, and the account where the caller brought none.
func setup(account *Account) (*Server, error) {
	if err := needRoot(); err != nil {
		return nil, err
	}
	s := &Server{Host: "127.0.0.1", account: account}
	if account == nil {
		made, err := NewAccount()
		if err != nil {
			return nil, err
		}
		s.account, s.owned = made, true
	}
	s.User, s.Password = s.account.Name, s.account.Password
	folder, err := os.MkdirTemp("", fmt.Sprintf("%s-%d-", AccountPrefix, os.Getpid()))
	if err != nil {
		s.Stop()
		return nil, err
	}
	s.folder, s.Root = folder, filepath.Join(folder, "root")
	err = errors.Join(
		os.Chmod(folder, 0o755), // the account must get through
		os.Mkdir(s.Root, 0o755),
		os.Chown(s.Root, s.account.UID, s.account.GID),
	)
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// path is a file in the server's own folder, outside Root.
func (s *Server) path(name string) string { return filepath.Join(s.folder, name) }

func (s *Server) write(name, text string, mode os.FileMode) error {
	return os.WriteFile(s.path(name), []byte(text), mode)
}

func (s *Server) mkdir(name string) error { return os.Mkdir(s.path(name), 0o755) }

// start runs the command that configure returns for a free port. Between finding a port and listening on it somebody
// else may take it, so it tries a few.
func (s *Server) start(configure func() (command, error)) error {
	var err error
	for range 5 {
		if s.Port, err = freePorts(s.Host, 1); err != nil {
			return err
		}
		s.Addr = net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
		var c command
		if c, err = configure(); err != nil {
			return err
		}
		if s.process, err = start(c, s.Addr); err == nil {
			return nil
		}
	}
	return err
}

// FreePort is one that nobody listens on at this address.
func FreePort(t TB, host string) int {
	t.Helper()
	return FreePorts(t, host, 1)
}

// FreePorts is the first of some in a row that nobody listens on at this address.
func FreePorts(t TB, host string, count int) int {
	t.Helper()
	first, err := freePorts(host, count)
	if err != nil {
		t.Fatalf("peers: %v", err)
	}
	return first
}

// must turns a failed start into a failed test and a running server into one that ends with the test.
func must(t TB, s *Server, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatalf("peers: %v", err)
	}
	t.Cleanup(s.Stop)
	return s
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("servers with password logins need root; this is uid %d", os.Geteuid())
	}
	return nil
}

// claims are sockets whose names say that a port is this process's. The kernel forgets them with the process.
var claims struct {
	mu   sync.Mutex
	held []net.PacketConn
}

// freePorts looks below the ports that the kernel hands out, so that no listener or connection of another test comes to
// have one before its server does. Nobody is given a port twice while this process lives.
func freePorts(host string, count int) (first int, err error) {
	claims.mu.Lock()
	defer claims.mu.Unlock()
	for range 100 {
		first = 10000 + rand.IntN(20000)
		var held []net.PacketConn
		for len(held) < count {
			claim, err := claimPort(host, first+len(held))
			if err != nil {
				break
			}
			held = append(held, claim)
		}
		if len(held) == count {
			claims.held = append(claims.held, held...)
			return first, nil
		}
		for _, claim := range held {
			claim.Close()
		}
	}
	return 0, fmt.Errorf("no %d ports in a row are free at %q", count, host)
}

func claimPort(host string, port int) (net.PacketConn, error) {
	claim, err := net.ListenPacket("unixgram", fmt.Sprintf("@sealgate-test-port-%d", port))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		claim.Close()
		return nil, err
	}
	return claim, l.Close()
}

// concat makes one file of several.
func (s *Server) concat(name string, parts ...string) error {
	var whole []byte
	for _, part := range parts {
		text, err := os.ReadFile(s.path(part))
		if err != nil {
			return err
		}
		whole = append(whole, text...)
	}
	return s.write(name, string(whole), 0o600)
}
