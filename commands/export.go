package commands

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sealgate/appliance/dump"
	"sealgate/transfer"
)

// databaseFlags choose what an export holds.
type databaseFlags struct {
	Pwd              string `required:"" placeholder:"PASSWORD" secret:"database system password" help:"the database system password; - asks for it"`
	Exptype          int    `enum:"1,2" default:"1" placeholder:"{1,2}" values:"1=everything|2=without alert data: alerts and violations" help:"what is exported"`
	Includefailedarc bool   `help:"with failed archives"`
	Noarchive        bool   `help:"without archive files"`
	Nossl            bool   `help:"without SSL keys"`
	Noauditdata      bool   `help:"without audit data"`
	Nodbcredentials  bool   `help:"without database and server credentials"`
}

func (f databaseFlags) options(passphrase string) dump.Options {
	return dump.Options{
		NoAlerts:       f.Exptype == 2,
		FailedArchives: f.Includefailedarc,
		NoArchives:     f.Noarchive,
		NoSSL:          f.Nossl,
		NoAudit:        f.Noauditdata,
		NoCredentials:  f.Nodbcredentials,
		Passphrase:     passphrase,
	}
}

// Validate refuses what contradicts itself.
func (f databaseFlags) Validate() error {
	if f.Noarchive && f.Includefailedarc {
		return fmt.Errorf("--noarchive and --includefailedarc contradict each other")
	}
	return nil
}

type exportLocalCmd struct {
	databaseFlags
	Encryptpwd string `placeholder:"PASSWORD" secret:"password to encrypt the dump with" twice:"" help:"encrypt the dump; - asks for the password"`
}

func (exportLocalCmd) Help() string {
	return `The dump lies in the export folder as NAME_YYYYMMDD_HHMMSS.tgz (UTC) when the
command says so, and never half. It is a gzipped tar, or with --encryptpwd the
same as an age file. Without --encryptpwd private keys and passwords are left
out, because nothing would protect them.`
}

func (c *exportLocalCmd) Run(ctx context.Context, e *Env) error {
	return e.export(ctx, c.Pwd, Export{Options: c.options(c.Encryptpwd)})
}

type exportRemoteCmd struct {
	databaseFlags
	uploadFlags
	Encryptpwd string `required:"" placeholder:"PASSWORD" secret:"password to encrypt the dump with" twice:"" help:"encrypt the dump; - asks for the password"`
	URL        string `arg:"" name:"url" help:"where to: HOST[:PORT]/path; a path that ends in / is a folder"`
}

func (exportRemoteCmd) Help() string {
	return `The dump is made and uploaded at the same time, under a temporary name that
becomes the final one when all of it is there. Until then a copy stays in the
export folder: when the upload fails, 'files send' sends it again.`
}

func (c *exportRemoteCmd) Run(ctx context.Context, e *Env) error {
	up, err := c.upload(e, c.URL)
	if err != nil {
		return err
	}
	return e.export(ctx, c.Pwd, Export{Options: c.options(c.Encryptpwd), Upload: &up})
}

func (e *Env) export(ctx context.Context, pwd string, x Export) error {
	if err := e.Host.VerifySystem(ctx, pwd); err != nil {
		return err
	}
	r, err := e.Host.Export(ctx, e.Caller, x, e.UI)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(r.words(fmt.Sprintf("%d rows", r.Rows), "export"))
	for _, o := range r.Omitted {
		fmt.Fprintf(&b, "left out: %s\n", o)
	}
	return e.Out(r, b.String())
}

// words are how much is in it, how long it took, and where it is: in one of the
// appliance's folders, or where it was sent.
func (m Made) words(content, folder string) string {
	where := "in the " + folder + " folder"
	if m.Uploaded != "" {
		where = "sent to " + m.Uploaded
	}
	return fmt.Sprintf("%s: %s, %s in %s, %s\n", m.Name, size(m.Bytes), content, brief(m.Elapsed), where)
}

func brief(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// uploadFlags say where a file goes and as whom.
type uploadFlags struct {
	Protocol string `required:"" enum:"ftp,http,https,scp" placeholder:"{ftp,http,https,scp}" values:"ftp=with TLS where the server offers it|http=PUT, in the clear|https=PUT|scp=over SSH, as SFTP" help:"how to send it"`
	accountFlags
}

func (f uploadFlags) upload(e *Env, url string) (Upload, error) {
	return f.accountFlags.upload(e, f.Protocol, url)
}

// accountFlags are the rest of them.
type accountFlags struct {
	User     string `placeholder:"USERNAME" account:"" help:"account on the server (mandatory for scp)"`
	Password string `placeholder:"PASSWORD" secret:"password on the server" help:"the password of that account; - asks for it"`
	Insecure bool   `help:"accept a TLS certificate that does not verify"`
	proxyFlags
}

// proxyFlags say which proxy to go through.
type proxyFlags struct {
	Proxy     string `placeholder:"HOST[:PORT]" help:"HTTP proxy to go through, port 1080 when left out"`
	ProxyUser string `name:"proxy-user" placeholder:"USER[:PASSWORD]" secret:"user and password on the proxy" pair:"password on the proxy" help:"account on the proxy; - asks for both, USER:- for the password"`
}

// upload checks what can be checked before any work is done.
func (f accountFlags) upload(e *Env, protocol, url string) (Upload, error) {
	proxy, err := f.proxy()
	if err != nil {
		return Upload{}, err
	}
	if _, err := transfer.ParseTarget(protocol, url, "name"); err != nil {
		r := ResultOf(err)
		return Upload{}, usage(orElse(r.Hint, "the URL is HOST[:PORT]/path, for example backup.example.com/dumps/"), "%s", r.Error)
	}
	if strings.Contains(f.User, ":") { // as downloads take it
		return Upload{}, usage("--user USERNAME --password -, which asks for it", "--user takes a name alone, and no password behind a colon")
	}
	if protocol == "scp" && f.User == "" {
		return Upload{}, usage("add --user USERNAME", "scp needs a user")
	}
	if f.Password != "" && f.User == "" {
		return Upload{}, usage("add --user USERNAME", "--password is of an account, and none is named")
	}
	return Upload{Protocol: protocol, URL: url, Access: Access{User: f.User, Password: f.Password, Insecure: f.Insecure, Proxy: proxy, Ask: e.Terminal}}, nil
}

func (f proxyFlags) proxy() (transfer.Proxy, error) {
	if f.Proxy == "" && f.ProxyUser != "" {
		return transfer.Proxy{}, usage("add --proxy HOST[:PORT]", "--proxy-user is for a proxy, and none is named")
	}
	if f.Proxy == "" {
		return transfer.Proxy{}, nil
	}
	proxy, err := transfer.ParseProxy(f.Proxy)
	if err != nil {
		r := ResultOf(err)
		return proxy, usage(orElse(r.Hint, "for example --proxy proxy.example.com:3128"), "--proxy: %s", r.Error)
	}
	proxy.User, proxy.Password, _ = strings.Cut(f.ProxyUser, ":")
	return proxy, nil
}
