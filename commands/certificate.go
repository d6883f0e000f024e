package commands

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"sealgate/appliance/certificate"
	"sealgate/control"
)

type certificateCmd struct {
	Show    certificateShowCmd    `cmd:"" example:"impctl server certificate show" rights:"operator" help:"what clients see, and its fingerprint"`
	Renew   certificateRenewCmd   `cmd:"" example:"impctl server certificate renew" help:"make a new key and a certificate that nobody else has signed"`
	Request certificateRequestCmd `cmd:"" example:"impctl server certificate request --name mx.example.com" help:"make a new key, and a request to have a certificate signed for it"`
	Install certificateInstallCmd `cmd:"" example:"impctl server certificate install -" help:"take a certificate from standard input"`
}

type certificateShowCmd struct{}

func (certificateShowCmd) Run(_ context.Context, e *Env) error {
	info, err := certificate.Show(e.Host.Home())
	if err != nil {
		return err
	}
	return e.Out(info, certificateLines(info))
}

func certificateLines(i certificate.Info) string {
	issuer := i.Issuer
	if i.Issuer == i.Subject {
		issuer = "itself"
	}
	names := append([]string{}, i.DNSNames...)
	for _, ip := range i.Addresses {
		names = append(names, ip.String())
	}
	return row("subject", "%s", i.Subject) +
		row("signed by", "%s, %d more in the chain", issuer, i.Chain) +
		row("names", "%s", strings.Join(names, ", ")) +
		row("valid", "%s to %s", stamp(i.NotBefore), stamp(i.NotAfter)) +
		row("SHA-256", "%s", i.SHA256)
}

// names are those of this appliance.
func (e *Env) names() certificate.Names {
	return certificate.NamesOf(e.Host.Config().Name, e.Host.Status().Service.Address)
}

type certificateRenewCmd struct{}

func (certificateRenewCmd) Help() string {
	return `Clients that have the old one pinned or accepted must accept the new one.
Connections that are there stay.`
}

func (certificateRenewCmd) Run(ctx context.Context, e *Env) error {
	if err := certificate.Renew(e.Host.Home(), e.names(), time.Now()); err != nil {
		return err
	}
	return certificateShowCmd{}.Run(ctx, e)
}

type certificateRequestCmd struct {
	Name []string `placeholder:"HOST,…" help:"host names and addresses that it is for, beside the appliance's own"`
}

func (certificateRequestCmd) Help() string {
	return `The key stays in the appliance until the signed certificate is installed; another
request replaces it. Nothing changes for clients until then.`
}

func (c *certificateRequestCmd) Run(_ context.Context, e *Env) error {
	for _, name := range c.Name {
		if !validHost(name) {
			return usage("--name mx.example.com", "--name %s is neither a host name nor an address", quote(name))
		}
	}
	request, err := certificate.Request(e.Host.Home(), e.names(), c.Name)
	if err != nil {
		return err
	}
	return e.Out(map[string]string{"request": string(request)}, string(request))
}

func validHost(name string) bool {
	if net.ParseIP(name) != nil {
		return true
	}
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimPrefix(name, "*."), ".") {
		ok := len(label) > 0 && len(label) <= 63 && label[0] != '-'
		for _, r := range label {
			ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
		}
		if !ok {
			return false
		}
	}
	return true
}

type certificateInstallCmd struct {
	Chain string `arg:"" enum:"-" help:"-: PEM text on standard input, the server's certificate first, then those that signed it; with the private key, unless the appliance made it (request)"`
}

func (certificateInstallCmd) Help() string {
	return `From another machine, with the key in the text or after a request:
ssh admin@mx impctl server certificate install - <chain.pem
Connections that are there stay, new ones see the new certificate.`
}

func (certificateInstallCmd) Run(ctx context.Context, e *Env) error {
	text, err := e.input(ctx, certificate.MaxPEM)
	if err != nil {
		return err
	}
	info, err := certificate.Install(e.Host.Home(), []byte(text), time.Now())
	if err != nil {
		return err
	}
	return e.Out(info, "installed\n"+certificateLines(info))
}

// input is the whole of standard input, of limit bytes at most. A terminal has no
// end of input.
func (e *Env) input(ctx context.Context, limit int) (string, error) {
	if e.Terminal {
		return "", usage("on your machine: ssh "+e.Caller.Name+"@HOST impctl server certificate install - <chain.pem",
			"the text is read from standard input, and a terminal is there")
	}
	var b strings.Builder
	for {
		line, err := e.UI.Ask(ctx, control.Question{Secret: true})
		if ctx.Err() != nil {
			return "", errInterrupted
		}
		if err != nil { // the end of it
			return b.String(), nil
		}
		if b.Len()+len(line) >= limit {
			return "", usage("", "standard input has more than %d bytes", limit)
		}
		fmt.Fprintln(&b, line)
	}
}
