package peers

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// NginxConfig says what kind of nginx to start. The zero value speaks http and takes PUT from the account, with basic
// authentication.
type NginxConfig struct {
	Account *Account // nil: one of its own
	TLS     bool
	Open    bool // anybody may ask, nobody may PUT
	// Server holds more directives of the server block, locations too.
	Server []string
	HTTP   []string // of the http block
}

// Nginx starts nginx for the length of a test.
func Nginx(t TB, c NginxConfig) *Server {
	t.Helper()
	s, err := StartNginx(c)
	return must(t, s, err)
}

// StartNginx starts nginx; the caller stops it.
func StartNginx(c NginxConfig) (*Server, error) {
	s, err := setup(c.Account)
	if err != nil {
		return nil, err
	}
	if err := s.startNginx(c); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// nginxConfig is one process without a master, which runs as the account: a folder that is not writable is so for it
// too, and there is no worker to outlive a killed master. Temporary files lie on the same file system as Root, so that
// a PUT ends in a rename.
const nginxConfig = `daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	client_max_body_size 0;
	%[7]s
	server {
		listen %[2]s:%[3]d%[4]s;
		root %[5]s;
		%[6]s
	}
}
`

func (s *Server) startNginx(c NginxConfig) error {
	hash, err := hashPassword(s.Password)
	if err != nil {
		return err
	}
	tls := ""
	directives := c.Server
	if !c.Open {
		directives = append([]string{`auth_basic "sealgate test";`, "auth_basic_user_file " + s.path("users") + ";", "dav_methods PUT DELETE;"}, directives...)
	}
	if c.TLS {
		if err := s.certify(); err != nil {
			return err
		}
		tls = " ssl"
		directives = append([]string{"ssl_certificate " + s.path("cert.pem") + ";", "ssl_certificate_key " + s.path("key.pem") + ";"}, directives...)
	}
	err = errors.Join(
		s.mkdir("run"),
		os.Chown(s.path("run"), s.account.UID, s.account.GID),
		s.write("users", s.User+":"+hash+"\n", 0o644),
	)
	if err != nil {
		return err
	}
	return s.start(func() (command, error) {
		config := fmt.Sprintf(nginxConfig, s.path("run"), s.Host, s.Port, tls, s.Root, strings.Join(directives, "\n\t\t"), strings.Join(c.HTTP, "\n\t"))
		return command{
			args: []string{"nginx", "-p", s.path("run"), "-e", "stderr", "-c", s.path("nginx.conf")},
			uid:  uint32(s.account.UID),
			gid:  uint32(s.account.GID),
		}, s.write("nginx.conf", config, 0o644)
	})
}
