package peers

import (
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ApacheConfig says what kind of Apache to start. The zero value speaks http and has WebDAV for the account, with basic
// authentication.
type ApacheConfig struct {
	Account *Account // nil: one of its own
	TLS     bool
	// Digest asks for digest authentication instead.
	Digest bool
	// Server holds more directives of the server.
	Server []string
}

// Apache starts Apache for the length of a test.
func Apache(t TB, c ApacheConfig) *Server {
	t.Helper()
	s, err := StartApache(c)
	return must(t, s, err)
}

// StartApache starts Apache; the caller stops it.
func StartApache(c ApacheConfig) (*Server, error) {
	s, err := setup(c.Account)
	if err != nil {
		return nil, err
	}
	if err := s.startApache(c); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

var apacheModules = strings.Fields("mpm_event authn_core authn_file authz_core authz_user auth_basic auth_digest dav dav_fs dav_lock ssl socache_shmcb alias")

// apacheConfig runs as the account, whose files it then serves and writes.
const apacheConfig = `ServerRoot %[1]s
DefaultRuntimeDir %[1]s
PidFile %[1]s/pid
Listen %[2]s:%[3]d
ServerName localhost
ErrorLog %[1]s/log
LogLevel error
DavLockDB %[1]s/locks
DocumentRoot %[4]s
<Directory %[4]s>
	Dav On
	AuthType %[5]s
	AuthName "%[6]s"
	Auth%[5]sProvider file
	AuthUserFile %[7]s
	Require valid-user
</Directory>
`

func (s *Server) startApache(c ApacheConfig) error {
	var lines []string
	for _, module := range apacheModules {
		lines = append(lines, fmt.Sprintf("LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so", module))
	}
	hash, err := hashPassword(s.Password)
	if err != nil {
		return err
	}
	kind, users := "Basic", s.User+":"+hash
	if c.Digest {
		kind, users = "Digest", fmt.Sprintf("%s:%s:%x", s.User, realm, md5.Sum([]byte(s.User+":"+realm+":"+s.Password)))
	}
	if c.TLS {
		if err := s.certify(); err != nil {
			return err
		}
		lines = append(lines, "SSLEngine on", "SSLCertificateFile "+s.path("cert.pem"), "SSLCertificateKeyFile "+s.path("key.pem"))
	}
	err = errors.Join(s.mkdir("run"), os.Chown(s.path("run"), s.account.UID, s.account.GID), s.write("users", users+"\n", 0o644))
	if err != nil {
		return err
	}
	lines = append(lines, c.Server...)
	return s.start(func() (command, error) {
		config := strings.Join(lines, "\n") + "\n" + fmt.Sprintf(apacheConfig, s.path("run"), s.Host, s.Port, s.Root, kind, realm, s.path("users"))
		return command{
			args: []string{"apache2", "-DFOREGROUND", "-f", s.path("apache.conf")},
			uid:  uint32(s.account.UID),
			gid:  uint32(s.account.GID),
		}, s.write("apache.conf", config, 0o644)
	})
}
