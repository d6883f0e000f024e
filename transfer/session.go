package transfer

import (
	"crypto/tls"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// session is what all connections of one transfer share, in either direction.
type session struct {
	target  Target
	o       Options
	idle    *idleClock
	tls     tls.ClientSessionCache
	notices []string
	began   atomic.Bool // the file itself was begun once: until then, a server that is not there is not waited for

	login   *authorization // of http
	proxy   *authorization
	control *ftpControl   // of the last login to an ftp server
	noSFTP  bool          // the ssh server has been asked for sftp and offers none
	trusted ssh.PublicKey // the host key that was accepted during this transfer
	queries []string      // of all URLs that were asked for

	// ours is this side's own failure, nil as long as there is none: what the network says then only follows from it.
	ours func() error
}

func newSession(t Target, o Options) *session {
	o = o.withDefaults()
	return &session{
		target: t,
		o:      o,
		idle:   &idleClock{limit: o.IdleTimeout},
		tls:    tls.NewLRUClientSessionCache(4),
		login:  newLogin(t, o),
		proxy:  &authorization{user: o.Proxy.User, password: o.Proxy.Password},
		ours:   func() error { return nil },
	}
}

// newLogin tells a server the password at once where TLS protects it, as servers that hide what they hold do not ask,
// and where a proxy's FTP gateway takes no other way. Over http the server is asked first, for it may want Digest.
func newLogin(t Target, o Options) *authorization {
	return &authorization{user: o.User, password: o.Password, basic: o.User != "" && t.Protocol != "http"}
}

// check is what must hold before anything is sent.
func (s *session) check() error {
	if err := s.target.check(); err != nil {
		return err
	}
	return s.checkLogins()
}

func (s *session) checkLogins() error {
	if strings.ContainsAny(s.o.User+s.o.Password, "\r\n\x00") {
		return s.wrap(OpLogin, BadTarget, errors.New("the user or the password holds a line break or a NUL"), "")
	}
	if strings.ContainsAny(s.o.Proxy.User+s.o.Proxy.Password, "\r\n\x00") {
		return s.wrap(OpProxy, BadTarget, errors.New("the proxy's user or password holds a line break or a NUL"), "")
	}
	return nil
}

// notice tells the user once.
func (s *session) notice(line string) {
	line = SafeText(line)
	if slices.Contains(s.notices, line) {
		return
	}
	s.notices = append(s.notices, line)
	if s.o.Notice != nil {
		s.o.Notice(line)
	}
}

// secrets are the forms in which a server or a proxy could hand our passwords back, and the signatures of URLs.
func (s *session) secrets() []string {
	var forms []string
	for _, login := range [][2]string{{s.o.User, s.o.Password}, {s.o.Proxy.User, s.o.Proxy.Password}} {
		if password := login[1]; password != "" {
			quoted := strconv.Quote(password)
			forms = append(forms, password, basicToken(login[0], password), url.QueryEscape(password), url.PathEscape(password), quoted[1:len(quoted)-1])
		}
	}
	for _, query := range slices.Concat(s.queries, []string{s.target.Query}) {
		if query != "" {
			forms = append(forms, query)
		}
		values, _ := url.ParseQuery(query) // what of it can be read
		for _, value := range slices.Concat(slices.Collect(maps.Values(values))...) {
			if len(value) >= shortestSignature {
				forms = append(forms, value, url.QueryEscape(value))
			}
		}
	}
	return forms
}

// shortestSignature tells the values in a query that give permission from those that are words.
const shortestSignature = 16
