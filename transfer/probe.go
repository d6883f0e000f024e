package transfer

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Step is one part of the way to a server, as Probe has tried it.
type Step struct {
	Name    Op // OpResolve, OpProxy, OpConnect, OpTLS, OpHostKey, OpLogin, OpWrite or OpDelete
	Took    time.Duration
	Note    string // what was found, one line, safe on a terminal; may be empty
	Skipped bool   // it could not be tried; Note says why
	Err     error  // an *Error
}

// Probe goes the way of an upload to t, a step at a time, and tells done about each when it has ended; it stops at the
// first that fails and returns its error. What it writes is a few bytes under a name of its own beside t's, which it
// deletes again; where a server could not delete, it writes nothing. Nothing is tried twice, so
// Options.Retries is ignored, as are Progress and Notice.
func Probe(ctx context.Context, t Target, o Options, done func(Step)) error {
	o.Retries, o.Progress, o.Notice = -1, nil, nil
	p := &probe{session: newSession(t, o)}
	if err := p.check(); err != nil {
		return err
	}
	name := "sealgate-probe-" + strings.ToLower(rand.Text()[:8])
	p.target.Path = p.target.folder() + name
	if p.target.RawPath != "" {
		folder, _ := path.Split(p.target.RawPath)
		p.target.RawPath = folder + name
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.o.TotalTimeout, &overdue{p.o.TotalTimeout})
	defer cancel()
	for _, step := range p.steps() {
		begin := time.Now()
		note, err := step.try(ctx)
		skipped, skip := errors.AsType[*notTried](err)
		if skip {
			note, err = skipped.why, nil
		}
		done(Step{step.name, time.Since(begin), SafeText(note), skip, err})
		if err != nil || skip {
			return err
		}
	}
	return nil
}

// notTried ends a probe that could go no further without harm.
type notTried struct{ why string }

func (n *notTried) Error() string { return n.why }

// probe is one on its way. What a step learns about a later one is kept for that.
type probe struct {
	*session
	connected error // what the proxy says about the server
	entered   error // ftp: what the server says about the folder
	gateway   bool  // ftp: the proxy speaks it for us
}

type probeStep struct {
	name Op
	try  func(context.Context) (note string, err error)
}

func (p *probe) steps() []probeStep {
	steps := []probeStep{{OpResolve, p.resolve}}
	if p.o.Proxy.set() {
		steps = append(steps, probeStep{OpProxy, p.askProxy})
	}
	steps = append(steps, probeStep{OpConnect, p.connect})
	switch p.target.Protocol {
	case "ftp":
		steps = append(steps, probeStep{OpTLS, p.ftpTLS}, probeStep{OpLogin, p.ftpEnter})
	case "scp":
		steps = append(steps, probeStep{OpHostKey, p.hostKey}, probeStep{OpLogin, p.sshEnter})
	case "https":
		steps = append(steps, probeStep{OpTLS, p.httpTLS}, probeStep{OpLogin, p.httpEnter})
	default:
		steps = append(steps, probeStep{OpLogin, p.httpEnter})
	}
	return append(steps, probeStep{OpWrite, p.write}, probeStep{OpDelete, p.delete})
}

// resolve looks up whoever is dialled: a proxy resolves the server's name itself.
func (p *probe) resolve(ctx context.Context) (string, error) {
	host, more := p.target.Host, ""
	if p.o.Proxy.set() {
		host, more = p.o.Proxy.Host, "; the proxy resolves "+p.target.Host
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host + " is an address" + more, nil
	}
	limited, cancel := context.WithTimeout(ctx, p.o.ConnectTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(limited, "ip", host)
	if err != nil {
		return "", p.fault(ctx, OpResolve, err)
	}
	var addresses []string
	for _, address := range found {
		addresses = append(addresses, address.Unmap().String())
	}
	return host + " is " + strings.Join(addresses, ", ") + more, nil
}

// askProxy has the proxy connect to the server. When it tries to and cannot, that is the next step's failure.
func (p *probe) askProxy(ctx context.Context) (string, error) {
	c, err := p.dialProxy(ctx)
	if err != nil {
		return "", err
	}
	c.Close()
	note := p.o.Proxy.String()
	if p.target.Protocol == "http" {
		_, err = p.ask(ctx, http.MethodHead, p.folderTarget(), OpConnect)
	} else if c, err = p.tunnel(ctx, p.target.addr()); err == nil {
		c.Close()
	}
	if p.mayUseGateway(err) && p.target.Protocol == "ftp" {
		refused := err
		var answer *httpAnswer
		answer, err = p.ask(ctx, http.MethodHead, p.folderTarget(), OpConnect)
		switch {
		case err == nil && notAGateway(answer.Response):
			return "", refused
		case err == nil && (answer.StatusCode == http.StatusProxyAuthRequired || answer.StatusCode/100 == 5):
			err = p.proxyRefused(answer.Response, p.target.addr())
		}
		p.gateway, note = true, note+" refuses CONNECT for ftp, so its FTP gateway is used"
	}
	if fault, ok := errors.AsType[*Error](err); ok && fault.Op == OpConnect && !fault.ended() {
		p.connected, err = fault, nil
	}
	return note, err
}

func (p *probe) connect(ctx context.Context) (string, error) {
	if p.o.Proxy.set() {
		return "through the proxy", p.connected
	}
	c, err := p.dial(ctx, p.target.addr())
	if err != nil {
		return "", p.fault(ctx, OpConnect, err)
	}
	defer c.Close()
	return c.RemoteAddr().String(), nil
}

func (p *probe) ftpTLS(ctx context.Context) (string, error) {
	if p.gateway {
		return "none on the way to the proxy: the password and the file travel in the clear", nil
	}
	line, err := p.ftpDial(ctx)
	if err != nil {
		return "", err
	}
	defer line.control.Close()
	if secured, ok := line.control.Conn.(*tls.Conn); ok {
		return p.certificate(secured), nil
	}
	return "the server offers none: the password and the file travel in the clear", nil
}

func (p *probe) httpTLS(ctx context.Context) (string, error) {
	c, err := p.dial(ctx, p.target.addr())
	if err != nil {
		return "", p.fault(ctx, OpConnect, err)
	}
	defer c.Close()
	secured, err := p.handshake(ctx, c, p.tlsConfig(p.target.Host))
	if err != nil {
		return "", p.fault(ctx, OpTLS, err)
	}
	return p.certificate(secured), nil
}

// certificate says how a connection is protected.
func (p *probe) certificate(secured *tls.Conn) string {
	state := secured.ConnectionState()
	text := tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		text += ", certificate valid until " + state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)
	}
	if p.o.Insecure {
		text += ", not verified"
	}
	return text
}

func (p *probe) hostKey(ctx context.Context) (string, error) {
	if err := p.needUser(); err != nil {
		return "", err
	}
	check, err := p.newHostKeyCheck()
	if err != nil {
		return "", err
	}
	key, err := p.fetchKey(ctx, check.algorithms)
	if err != nil {
		return "", p.withoutKnownType(ctx, check, err)
	}
	check.judge(p.target.addr(), &net.TCPAddr{IP: net.IPv4zero}, key)
	if check.unknown {
		err = p.settle(ctx, key)
	} else {
		err = check.fault
	}
	return fingerprint(key), err
}

func (p *probe) sshEnter(ctx context.Context) (string, error) {
	_, client, err := p.sshLogin(ctx)
	if err != nil {
		return "", err
	}
	client.Close()
	return p.as(), nil
}

// ftpEnter logs in, and enters the folder, which is where the next step begins.
func (p *probe) ftpEnter(ctx context.Context) (string, error) {
	if p.gateway {
		return p.httpEnter(ctx)
	}
	server, err := p.ftpLogin(ctx, false)
	if fault, ok := errors.AsType[*Error](err); ok && fault.Op == OpCreate && !fault.ended() {
		p.entered, err = fault, nil
	}
	if server != nil {
		server.Quit()
	}
	return p.as(), err
}

// httpEnter asks for the folder: whatever the server says, it is no refusal unless it asks for another password.
func (p *probe) httpEnter(ctx context.Context) (string, error) {
	answer, err := p.ask(ctx, http.MethodHead, p.folderTarget(), OpLogin)
	if err == nil && answer.StatusCode == http.StatusUnauthorized {
		err = p.statusFault(answer, OpLogin)
	}
	if p.o.User != "" && p.target.Protocol == "http" {
		return p.as() + "; the password and the file travel in the clear", err
	}
	return p.as(), err
}

func (p *probe) as() string {
	if p.o.User == "" {
		return "without a user"
	}
	return "as " + p.o.User
}

// write uploads the probe as any file is.
func (p *probe) write(ctx context.Context) (string, error) {
	if p.entered != nil {
		return "", p.entered
	}
	if err := p.mayDelete(ctx); err != nil {
		return "", err
	}
	u := newUpload(p.target, probeText, p.o)
	u.trusted = p.trusted
	if err := u.run(ctx); err != nil {
		return "", p.tidy(ctx, err)
	}
	return p.target.name(), nil
}

// tidy deletes the probe after a failure that does not tell whether it is there.
func (p *probe) tidy(ctx context.Context, err error) error {
	fault, ok := errors.AsType[*Error](err)
	if !ok || !fault.ended() && !slices.Contains([]Kind{ConnectionLost, ProtocolBroken, SizeMismatch}, fault.Kind) {
		return err
	}
	return p.discard(ctx, err, p.target.name(), func(ctx context.Context) error {
		if err := p.remove(ctx); !isReply(err, 550) {
			return err
		}
		return nil
	})
}

// probeText is what is written.
const probeText probeSource = "Sealgate tries whether it can write here.\n"

type probeSource string

func (s probeSource) Size() int64 { return int64(len(s)) }

func (s probeSource) Open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(s))), nil
}

// mayDelete finds out whether the probe would stay.
func (p *probe) mayDelete(ctx context.Context) error {
	switch {
	case p.gateway:
		return &notTried{"a proxy's FTP gateway deletes nothing, so the probe would stay"}
	case p.target.Protocol == "ftp" || p.target.Protocol == "scp":
		return p.mayRemove(ctx)
	}
	answer, err := p.askToDelete(ctx, OpWrite)
	if err != nil {
		return err
	}
	switch code := answer.StatusCode; {
	case code/100 == 3, code == http.StatusForbidden, code == http.StatusMethodNotAllowed, code == http.StatusNotImplemented:
		return &notTried{fmt.Sprintf("the server answers DELETE with %s, so the probe would stay; an upload may work", answer.Status)}
	}
	return nil
}

// mayRemove tries to remove what is not there.
func (p *probe) mayRemove(ctx context.Context) error {
	err := p.remove(ctx)
	fault, ok := errors.AsType[*Error](err)
	switch refused := ok && fault.Kind == Refused; {
	case isReply(err, 500, 502), refused && p.target.Protocol == "scp":
		return &notTried{"the server deletes nothing for this user, so the probe would stay; an upload may work"}
	case refused:
		return nil // 550 says nothing about what is there
	}
	return err
}

func (p *probe) delete(ctx context.Context) (string, error) {
	err := p.remove(ctx)
	if fault, ok := errors.AsType[*Error](err); ok && fault.Kind == Refused {
		return "", addHint(err, p.target.name()+" may have stayed on the server")
	}
	return "", p.tidy(ctx, err)
}

// remove deletes the probe; that it is not there is no error, where the server tells.
func (p *probe) remove(ctx context.Context) error {
	switch p.target.Protocol {
	case "ftp":
		server, err := p.ftpLogin(ctx, false)
		if err != nil {
			return err
		}
		defer server.Quit()
		if err := server.Delete(p.target.name()); err != nil {
			return p.ftpFault(ctx, OpDelete, err)
		}
		return nil
	case "scp":
		server, err := p.scpLogin(ctx)
		if err != nil {
			return err
		}
		defer server.close()
		if server.files == nil {
			return server.removeOld(ctx, p.target.Path)
		}
		if err := server.files.Remove(p.target.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return server.fault(ctx, OpDelete, err)
		}
		return nil
	}
	answer, err := p.askToDelete(ctx, OpDelete)
	if err == nil && answer.StatusCode/100 != 2 && answer.StatusCode != http.StatusNotFound {
		err = p.statusFault(answer, OpDelete)
	}
	return err
}

// askToDelete asks where redirects lead, as the upload does.
func (p *probe) askToDelete(ctx context.Context, op Op) (*httpAnswer, error) {
	p.login = newLogin(p.target, p.o)
	to := p.target
	for hops := 0; ; hops++ {
		answer, err := p.ask(ctx, http.MethodDelete, to, op)
		if err != nil || !repeats(answer.Response) || hops == maxHops {
			return answer, err
		}
		if to, err = p.follow(to, answer.Header.Get("Location"), true); err != nil {
			return nil, err
		}
	}
}

// folderTarget is where the probe is to be written.
func (p *probe) folderTarget() Target {
	t := p.target
	t.Path, t.Query = t.folder(), ""
	t.RawPath, _ = path.Split(t.RawPath)
	return t
}

// ask makes a request without a body, and again with what authorization it is asked for.
func (p *probe) ask(ctx context.Context, method string, to Target, op Op) (*httpAnswer, error) {
	transport := p.httpTransport(ctx)
	defer transport.CloseIdleConnections()
	for asked := 0; ; asked++ {
		request, err := p.request(ctx, method, to, nil)
		if err != nil {
			return nil, err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return nil, p.fault(ctx, op, err)
		}
		answer := newAnswer(response, func() {})
		response.Body.Close()
		if asked < maxAsked && p.learns(to, response) {
			continue
		}
		if p.proxySaid(to, response) && to.Protocol != "ftp" { // its gateway speaks for the server, too
			return nil, p.proxyRefused(response, to.addr())
		}
		return answer, nil
	}
}
