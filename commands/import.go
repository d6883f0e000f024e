package commands

import (
	"context"
	"fmt"
	"strings"

	"sealgate/appliance/dump"
	"sealgate/appliance/folder"
	"sealgate/transfer"
)

// importFlags say how a dump is taken.
type importFlags struct {
	Pwd       string `required:"" placeholder:"PASSWORD" secret:"database system password" help:"the database system password; - asks for it"`
	Securepwd string `placeholder:"PASSWORD" secret:"secure password" help:"the secure password, which a server has from its creation; - asks for it"`
	Imptype   int    `enum:"1,2" default:"1" placeholder:"{1,2}" values:"1=in the place of all data|2=beside them: what is missing is added" help:"what becomes of the data here"`
	Copyfiles int    `enum:"1,2" default:"1" placeholder:"{1,2}" values:"1=with configuration files|2=without: those here stay" help:"whether configuration files come along"`
}

// importRules ends the help of both.
const importRules = `The management server must be stopped: impctl server stop, import, impctl server
start. The dump is checked as a whole before anything changes; whatever goes
wrong, the old data stay as they are. 'impctl server rollback-import' puts them
back afterwards.

With --imptype 2 what is here stays and what is missing comes. An object of both
(the same id, or the same name in the same place) takes the form that was written
later. Users, SSL keys, credentials, archives, events and files that are here
stay as they are; the history and the jobs of the dump are not taken.

Never imported are licences, anchors, the audit log, the names and keys of the
appliance, its passwords and its administrators' accounts.`

func (f importFlags) options(passphrase string) dump.ImportOptions {
	return dump.ImportOptions{Merge: f.Imptype == 2, KeepFiles: f.Copyfiles == 2, Passphrase: passphrase}
}

type importLocalCmd struct {
	importFlags
	Dmpfile    string `required:"" placeholder:"FILE" complete:"dumps" help:"a dump that files list shows"`
	Encryptpwd string `placeholder:"PASSWORD" secret:"password that the dump is encrypted with" help:"what the dump is encrypted with (mandatory if it is); - asks for it"`
}

func (importLocalCmd) Help() string { return importRules }

func (c *importLocalCmd) Run(ctx context.Context, e *Env) error {
	file, err := folder.Open(e.Host.Home(), c.Dmpfile, folder.Dump)
	if err != nil {
		return err
	}
	file.Close()
	return e.importDump(ctx, c.importFlags, Import{Name: c.Dmpfile, Options: c.options(c.Encryptpwd)})
}

type importRemoteCmd struct {
	importFlags
	downloadFlags
	Encryptpwd string `required:"" placeholder:"PASSWORD" secret:"password that the dump is encrypted with" help:"what the dump is encrypted with; - asks for it"`
	URL        string `arg:"" name:"url" help:"where it is: ftp://, http://, https:// or scp://, HOST[:PORT]/path"`
}

func (importRemoteCmd) Help() string {
	return "The dump is downloaded whole, imported, and deleted here.\n\n" + importRules
}

func (c *importRemoteCmd) Run(ctx context.Context, e *Env) error {
	from, err := c.download(e, c.URL)
	if err != nil {
		return err
	}
	return e.importDump(ctx, c.importFlags, Import{Download: &from, Options: c.options(c.Encryptpwd)})
}

func (e *Env) importDump(ctx context.Context, f importFlags, x Import) error {
	if f.Securepwd == "" {
		return usage("add --securepwd PASSWORD, or --securepwd - to be asked", "--securepwd is missing: this server has its secure password")
	}
	if err := e.Host.VerifySystem(ctx, f.Pwd); err != nil {
		return err
	}
	if err := e.Host.VerifySecure(ctx, f.Securepwd); err != nil {
		return err
	}
	r, err := e.Host.Import(ctx, e.Caller, x, e.UI)
	if err != nil {
		return err
	}
	return e.Out(r, importLines(r))
}

func importLines(r ImportResult) string {
	var b strings.Builder
	h := r.Header
	fmt.Fprintf(&b, "%s: %d rows and %d files of %s, exported %s, in %s\n", r.Name, r.Rows, r.Files, oneLine(h.Name), stamp(h.Created), brief(r.Elapsed))
	for _, t := range r.Changes {
		fmt.Fprintf(&b, "%-16s %d added, %d kept, %d changed\n", string(t.Kind)+":", t.Added, t.Kept, t.Changed)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	b.WriteString("impctl server start starts the server; impctl server rollback-import puts the old data back\n")
	return b.String()
}

// downloadFlags say how a file is fetched and as whom.
type downloadFlags struct {
	User     string `placeholder:"USER[:PASSWORD]" secret:"user and password on the server" pair:"password on the server" help:"account on the server (mandatory for scp); - asks for both, USER:- for the password"`
	Insecure bool   `help:"accept a TLS certificate that does not verify"`
	proxyFlags
}

// download checks what can be checked before any work is done.
func (f downloadFlags) download(e *Env, url string) (Download, error) {
	proxy, err := f.proxy()
	if err != nil {
		return Download{}, err
	}
	target, err := transfer.ParseURL(url)
	if err != nil {
		r := ResultOf(err)
		return Download{}, usage(orElse(r.Hint, "write it as scp://HOST[:PORT]/path"), "%s", r.Error)
	}
	user, password, _ := strings.Cut(f.User, ":")
	if target.Protocol == "scp" && user == "" {
		return Download{}, usage("add --user USER", "scp needs a user")
	}
	return Download{URL: url, Access: Access{User: user, Password: password, Insecure: f.Insecure, Proxy: proxy, Ask: e.Terminal}}, nil
}

type rollbackImportCmd struct {
	Yes bool `help:"do not ask"`
}

func (rollbackImportCmd) Help() string {
	return `The management server must be stopped. The data from before the last import are
kept until the next one; the imported ones, and all that was written since, are
removed. At a terminal it asks first; a script says --yes.`
}

func (c *rollbackImportCmd) Run(ctx context.Context, e *Env) error {
	if err := e.sure(ctx, c.Yes, "remove the imported data, and put the old ones back? (yes/no) "); err != nil {
		return err
	}
	made, err := e.Host.RollbackImport(ctx)
	if err != nil {
		return err
	}
	return e.Out(struct {
		Restored string `json:"restored"`
	}{stamp(made)}, fmt.Sprintf("the data that were begun %s are in use again\nimpctl server start starts the server\n", stamp(made)))
}
