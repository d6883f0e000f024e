package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Rsyslog starts rsyslogd for the length of a test, on UDP and TCP, or on TCP with TLS.
// Received returns what came.
func Rsyslog(t TB, tls bool) *Server {
	t.Helper()
	s, err := setup(nil)
	if err == nil {
		if err = s.startRsyslog(tls); err != nil {
			s.Stop()
		}
	}
	return must(t, s, err)
}

const rsyslogConfig = `%s
input(type="imtcp" address="%s" port="%d")
template(name="raw" type="string" string="%%rawmsg%%\n")
action(type="omfile" file="%s" template="raw" asyncWriting="off" flushOnTXEnd="on")
`

func (s *Server) startRsyslog(tls bool) error {
	if tls {
		if err := s.certify(); err != nil {
			return err
		}
	}
	return s.start(func() (command, error) {
		modules := fmt.Sprintf("module(load=\"imtcp\")\nmodule(load=\"imudp\")\ninput(type=\"imudp\" address=\"%s\" port=\"%d\")", s.Host, s.Port)
		if tls {
			modules = fmt.Sprintf(`global(DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="%s" DefaultNetstreamDriverCertFile="%s" DefaultNetstreamDriverKeyFile="%s")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")`, s.path("ca.pem"), s.path("cert.pem"), s.path("key.pem"))
		}
		config := fmt.Sprintf(rsyslogConfig, modules, s.Host, s.Port, s.received())
		return command{args: []string{"rsyslogd", "-n", "-f", s.path("rsyslog.conf"), "-i", "NONE"}}, s.write("rsyslog.conf", config, 0o644)
	})
}

func (s *Server) received() string { return filepath.Join(s.folder, "received") }

// Received are the lines that a syslog server has got until now.
func (s *Server) Received() []string {
	data, err := os.ReadFile(s.received())
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(data), "\n"), "\n")
}
