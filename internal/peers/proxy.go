package peers

import (
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ProxyConfig says what kind of proxy to start. The zero value asks for no password and refuses CONNECT to any port
// but 443, as squid is installed.
type ProxyConfig struct {
	Account *Account // nil: one of its own
	// Connect are further ports, or ranges FROM-TO (squid only), that CONNECT is allowed to.
	Connect []string
	// Auth is "", "basic" or "digest" (squid only): the account must log in.
	Auth string
	// Hosts are names that only the proxy resolves, with their addresses (squid only).
	Hosts map[string]string
}

// Squid starts squid for the length of a test.
func Squid(t TB, c ProxyConfig) *Server {
	t.Helper()
	s, err := StartSquid(c)
	return must(t, s, err)
}

// StartSquid starts squid; the caller stops it.
func StartSquid(c ProxyConfig) (*Server, error) { return startProxy(c, (*Server).startSquid) }

// Tinyproxy starts tinyproxy for the length of a test.
func Tinyproxy(t TB, c ProxyConfig) *Server {
	t.Helper()
	s, err := startProxy(c, (*Server).startTinyproxy)
	return must(t, s, err)
}

func startProxy(c ProxyConfig, start func(*Server, ProxyConfig) error) (*Server, error) {
	s, err := setup(c.Account)
	if err != nil {
		return nil, err
	}
	if err := start(s, c); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

const realm = "sealgate test"

// squidConfig is one process that keeps nothing on the disk. The name server is one that is not there, so that only
// the hosts file is asked. Uploads fit the request buffer: squid 5.7 takes a full one for the end of the connection (its
// bug 5405).
const squidConfig = `http_port %s:%d
pid_filename none
access_log none
cache_log stdio:/dev/stderr
cache deny all
pinger_enable off
coredump_dir none
shutdown_lifetime 0 seconds
visible_hostname test
dns_nameservers 127.0.0.1
client_request_buffer_max_size 64 MB
connect_timeout 5 seconds
hosts_file %s
acl connect_ports port 443 %s
acl CONNECT method CONNECT
%s
http_access deny CONNECT !connect_ports
http_access allow all
`

func (s *Server) startSquid(c ProxyConfig) error {
	var hosts strings.Builder
	for name, address := range c.Hosts {
		fmt.Fprintf(&hosts, "%s %s\n", address, name)
	}
	rules, err := s.squidRules(c)
	if err != nil {
		return err
	}
	if err := errors.Join(s.write("hosts", hosts.String(), 0o644), s.mkdir("run"), os.Chown(s.path("run"), s.account.UID, s.account.GID)); err != nil {
		return err
	}
	return s.start(func() (command, error) {
		config := fmt.Sprintf(squidConfig, s.Host, s.Port, s.path("hosts"), strings.Join(c.Connect, " "), rules)
		// The service's name tells shared memory of several squids apart.
		name := fmt.Sprintf("t%d", s.Port)
		return command{
			args: []string{"squid", "-N", "-n", name, "-f", s.path("squid.conf")},
			uid:  uint32(s.account.UID),
			gid:  uint32(s.account.GID),
		}, s.write("squid.conf", config, 0o644)
	})
}

func (s *Server) squidRules(c ProxyConfig) (string, error) {
	var rules []string
	switch c.Auth {
	case "basic":
		hash, err := hashPassword(s.Password)
		if err != nil {
			return "", err
		}
		if err := s.write("users", s.User+":"+hash+"\n", 0o644); err != nil {
			return "", err
		}
		rules = append(rules, "auth_param basic program /usr/lib/squid/basic_ncsa_auth "+s.path("users"))
	case "digest":
		line := fmt.Sprintf("%s:%s:%x\n", s.User, realm, md5.Sum([]byte(s.User+":"+realm+":"+s.Password)))
		if err := s.write("users", line, 0o644); err != nil {
			return "", err
		}
		rules = append(rules, "auth_param digest program /usr/lib/squid/digest_file_auth -c "+s.path("users"))
	default:
		return "", nil
	}
	rules = append(rules, fmt.Sprintf("auth_param %s realm %s", c.Auth, realm), "acl known proxy_auth REQUIRED", "http_access deny !known")
	return strings.Join(rules, "\n"), nil
}

func (s *Server) startTinyproxy(c ProxyConfig) error {
	lines := []string{"Timeout 60", "MaxClients 100", "LogLevel Error", "ConnectPort 443"}
	for _, port := range c.Connect {
		lines = append(lines, "ConnectPort "+port)
	}
	if c.Auth != "" {
		lines = append(lines, fmt.Sprintf("BasicAuth %s %s", s.User, s.Password))
	}
	return s.start(func() (command, error) {
		config := fmt.Sprintf("Listen %s\nPort %d\n%s\n", s.Host, s.Port, strings.Join(lines, "\n"))
		return command{
			args: []string{"tinyproxy", "-d", "-c", s.path("tinyproxy.conf")},
			uid:  uint32(s.account.UID),
			gid:  uint32(s.account.GID),
		}, s.write("tinyproxy.conf", config, 0o644)
	})
}
