package transfer

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
)

const (
	// mostTLSServers is how many ftp servers are remembered; the one that came first is forgotten first.
	mostTLSServers = 10_000
	// maxTLSServers bounds the file, in bytes: no name is longer than 255.
	maxTLSServers = mostTLSServers * 270
)

// TLSServers lists the ftp servers that have offered TLS, as HOST:PORT. A file that is not there has none.
func TLSServers(file string) ([]string, error) {
	text, err := readSmall(file, maxTLSServers)
	if err != nil {
		return nil, tlsServersFault(file, err)
	}
	return strings.Fields(string(text)), nil
}

// ForgetTLSServer makes the ftp server at host:port one that may do without TLS, and says whether it was none before.
func ForgetTLSServer(file, host string, port int) (forgotten bool, err error) {
	name := tlsServer(host, port)
	err = changeTLSServers(file, func(servers []string) []string {
		kept := slices.DeleteFunc(servers, func(s string) bool { return s == name })
		forgotten = len(kept) < len(servers)
		return kept
	})
	return forgotten, err
}

func changeTLSServers(file string, change func([]string) []string) error {
	return changeFile(file, maxTLSServers, func(text []byte) ([]byte, error) {
		servers := change(strings.Fields(string(text)))
		var out bytes.Buffer
		for _, server := range servers[max(0, len(servers)-mostTLSServers):] {
			out.WriteString(server + "\n")
		}
		return out.Bytes(), nil
	}, tlsServersFault)
}

func tlsServersFault(file string, err error) error {
	return &Error{Op: OpTLS, Kind: LocalFailure, Err: inWords(err, "ftp servers with TLS %s", file)}
}

func tlsServer(host string, port int) string {
	return net.JoinHostPort(strings.ToLower(host), strconv.Itoa(port))
}

// hasTLS remembers that the server offers TLS. A disk that is full is no reason to keep the file here.
func (s *session) hasTLS() {
	if s.o.TLSServers == "" {
		return
	}
	name := tlsServer(s.target.Host, s.target.Port)
	servers, err := TLSServers(s.o.TLSServers)
	if err == nil && !slices.Contains(servers, name) {
		err = changeTLSServers(s.o.TLSServers, func(servers []string) []string { return append(servers, name) })
	}
	if err != nil {
		s.notice("it cannot be remembered that this server offers TLS: " + err.Error())
	}
}

// withoutTLS is asked before anything is told to the server in the clear: whoever once offered TLS may not stop, since
// somebody in between could make it look so.
func (s *session) withoutTLS() error {
	if s.o.TLSServers == "" {
		return nil
	}
	servers, err := TLSServers(s.o.TLSServers)
	if err != nil {
		return err
	}
	name := tlsServer(s.target.Host, s.target.Port)
	if !slices.Contains(servers, name) {
		return nil
	}
	return s.wrap(OpTLS, TLSWithdrawn, errors.New("this server has offered TLS before and offers none now; somebody may be listening in"),
		"when its owner confirms that: impctl known-hosts remove "+name)
}
