package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"time"
)

// demoCmd puts a site of its own behind a gateway, over the REST API: what make run
// shows.
type demoCmd struct {
	Server      string        `required:"" placeholder:"ADDR:PORT" help:"the management server; standard input has its user admin's password"`
	Certificate string        `required:"" placeholder:"FILE" help:"the certificate that it must show"`
	Gateway     string        `required:"" placeholder:"NAME" help:"a gateway on this machine, in the default group and with the default alias; it is waited for"`
	Within      time.Duration `default:"60s" help:"how long it may take until the site is served (default 60s)"`
}

const page = `<!DOCTYPE html>
<html><head><title>Demonstration site</title></head><body>
<h1>Demonstration site</h1>
<p>The gateway lets this page through. Ask for something that it does not:</p>
<form><input name="id" size="40" value="1' or 1=1--"> <button>Ask</button></form>
</body></html>
`

// Run prints where the gateway serves the site, and is the site until it is ended.
func (c *demoCmd) Run(ctx context.Context) error {
	password, err := bufio.NewReader(io.LimitReader(os.Stdin, 1024)).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read the password from standard input: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	site := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
	})}
	defer context.AfterFunc(ctx, func() { site.Close() })()
	end := make(chan error, 1)
	go func() { end <- site.Serve(listener) }()
	address, err := c.configure(ctx, strings.TrimSuffix(password, "\n"), listener.Addr().(*net.TCPAddr).Port)
	if err != nil {
		return err
	}
	fmt.Println(address)
	if err := <-end; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// configure has the gateway protect the site on a port, and returns its address there.
func (c *demoCmd) configure(ctx context.Context, password string, site int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	a, err := newAPI(c.Server, c.Certificate, password)
	if err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	const service = "/conf/webServices/Default Site/Demo/Site"
	const applied = `{"applyTo":[{"operation":"add","siteName":"Default Site","serverGroupName":"Demo"}]}`
	// The rule is the last, so that the site is guarded from its first request on.
	for _, write := range []struct{ method, path, body string }{
		{"POST", login, ""},
		{"POST", "/conf/serverGroups/Default Site/Demo", ""},
		{"PUT", "/conf/serverGroups/Default Site/Demo", `{"operationMode":"active"}`},
		{"POST", service, fmt.Sprintf(`{"ports":[%d]}`, port)},
		{"PUT", "/conf/policies/security/webApplicationSignaturesPolicies/Default Web Application Signatures Policy", applied},
		{"PUT", "/conf/policies/security/httpProtocolPolicies/Default HTTP Protocol Policy", applied},
	} {
		if err := a.do(ctx, write.method, write.path, write.body); err != nil {
			return "", err
		}
	}
	if err := until(ctx, func() error { return a.do(ctx, "GET", "/conf/gateways/"+c.Gateway, "") }); err != nil {
		return "", fmt.Errorf("the gateway does not register: %w", err)
	}
	rule := fmt.Sprintf("%s/krpInboundRules/Default Gateway Group/AWS Default/%d", service, port)
	if err := a.do(ctx, "POST", rule, fmt.Sprintf(`{"outboundRules":{"1":{"internalIpHost":"127.0.0.1","serverPort":%d}}}`, site)); err != nil {
		return "", err
	}
	address := fmt.Sprintf("http://127.0.0.1:%d/", port)
	if err := until(ctx, func() error { return served(ctx, address) }); err != nil {
		return "", fmt.Errorf("the gateway does not serve the site: %w", err)
	}
	return address, nil
}

// freePort is 8080, or the first after it that nobody has.
func freePort() (port int, err error) {
	for port = 8080; port < 8180; port++ {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}

// until tries again and again; when time is over it returns what was wrong before.
func until(ctx context.Context, try func() error) error {
	for last := ctx.Err(); ; time.Sleep(100 * time.Millisecond) {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return cmp.Or(last, err)
		}
		last = err
	}
}

func served(ctx context.Context, address string) error {
	r, err := http.NewRequestWithContext(ctx, "GET", address, nil)
	if err != nil {
		return err
	}
	status, answer, err := send(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, r)
	if err == nil && answer != page {
		err = fmt.Errorf("it answers %d %s", status, http.StatusText(status))
	}
	return err
}

// api is the REST API of a management server; the session is a cookie.
type api struct {
	client         *http.Client
	base, password string
}

const login = "/auth/session"

func newAPI(server, certificate, password string) (*api, error) {
	pem, err := os.ReadFile(certificate)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("there is no certificate in %s", certificate)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	return &api{client, "https://" + server + "/SecureSphere/api/v1", password}, nil
}

func (a *api) do(ctx context.Context, method, path, body string) error {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	if path == login {
		r.SetBasicAuth("admin", a.password)
	}
	status, answer, err := send(a.client, r)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s %s: %d %q", method, path, status, answer)
	}
	return err
}

// send reads 64 KiB of the answer at most.
func send(client *http.Client, r *http.Request) (status int, answer string, err error) {
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, string(data), errors.Join(err, resp.Body.Close())
}
