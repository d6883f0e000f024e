package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance"
	"sealgate/appliance/account"
	"sealgate/appliance/audit"
	"sealgate/appliance/dump"
	"sealgate/appliance/folder"
	"sealgate/appliance/model"
	"sealgate/appliance/seal"
	"sealgate/appliance/techinfo"
	"sealgate/control"
	"sealgate/transfer"
)

// host is an appliance that only notes what it is asked to do.
type host struct {
	home     appliance.Home
	role     appliance.Role
	export   *Export
	send     *Send
	imported *Import
	events   Events
	blocks   model.Blocks

	techInfo   *TechInfo
	registered *Register
	acts       []string
	note       string
	audit      *audit.Log
}

func (h *host) Home() appliance.Home { return h.home }
func (h *host) Config() appliance.Config {
	return appliance.NewConfig("id", h.role, "box", time.Unix(0, 0))
}
func (h *host) Status() Status {
	return Status{Role: h.role, Name: "box", Sealed: true, Version: "1", Service: Service{State: "running"}, Note: h.note,
		Releases: []Release{{Version: "1", State: "runs", Runs: true}}}
}
func (h *host) AuditHead() audit.Head             { return h.audit.Head() }
func (h *host) StartRole(context.Context) error   { h.acts = append(h.acts, "start"); return nil }
func (h *host) StopRole(context.Context) error    { h.acts = append(h.acts, "stop"); return nil }
func (h *host) RestartRole(context.Context) error { h.acts = append(h.acts, "restart"); return nil }
func (h *host) VerifySystem(_ context.Context, password string) error {
	if password != "right" {
		return ErrWrongPassword
	}
	return nil
}
func (h *host) VerifySecure(_ context.Context, password string) error {
	if password != "secure" {
		return ErrWrongSecure
	}
	return nil
}
func (h *host) Import(_ context.Context, _ Caller, x Import, _ control.UI) (ImportResult, error) {
	h.imported = &x
	return ImportResult{Name: "box.tgz", Imported: dump.Imported{Notes: []string{"one"}}}, nil
}
func (h *host) RollbackImport(context.Context) (time.Time, error) {
	h.acts = append(h.acts, "rollback")
	return time.Unix(0, 0), nil
}
func (h *host) Unlock(_ context.Context, _ Caller, key string) (seal.State, error) {
	h.acts = append(h.acts, "unlock "+key)
	return seal.State{Licence: &seal.Licence{ID: "L1", Features: []string{seal.Unseal}}}, nil
}
func (h *host) Blocks(context.Context) (model.Blocks, error) { return h.blocks, nil }
func (h *host) Unblock(_ context.Context, u model.Unblock) (model.Unblocked, error) {
	h.acts = append(h.acts, fmt.Sprint("unblock ", u.Who, u.All))
	if u.Who == "203.0.113.1" {
		return model.Unblocked{}, nil
	}
	return model.Unblocked{Lifted: 2}, nil
}
func (h *host) Seal(Caller) error { h.acts = append(h.acts, "seal"); return nil }
func (h *host) Export(_ context.Context, _ Caller, x Export, _ control.UI) (ExportResult, error) {
	h.export = &x
	return ExportResult{Made: Made{Name: "box.tgz"}}, nil
}
func (h *host) Send(_ context.Context, _ Caller, x Send, _ control.UI) (SendResult, error) {
	h.send = &x
	return SendResult{}, nil
}
func (h *host) TechInfo(_ context.Context, _ Caller, x TechInfo, _ control.UI) (TechInfoResult, error) {
	h.techInfo = &x
	return TechInfoResult{}, nil
}
func (h *host) AWSLogs(context.Context, Caller, AWSLogs, control.UI) (TechInfoResult, error) {
	return TechInfoResult{}, nil
}
func (h *host) Licences(context.Context, Caller, control.UI) (Licences, error) {
	return Licences{}, nil
}
func (h *host) AcceptHostKey(context.Context, Caller, AcceptHostKey, control.UI) ([]HostKey, error) {
	return nil, nil
}
func (h *host) History(_ context.Context, _ Caller, x History, _ control.UI) ([]Revision, error) {
	return []Revision{{Number: 7, Author: "admin", Summary: "change\x1b[2J site", Changes: 1, Difference: []Difference{{Kind: "site", Name: "Shop", What: "created", After: "{}"}}}}, nil
}
func (h *host) Events(_ context.Context, _ Caller, x Events, _ control.UI) ([]Event, error) {
	h.events = x
	return []Event{{Time: time.Unix(0, 0), Severity: "high", Source: "gw1", Code: "server-down", Text: "the server a\x1b[2Jb does not answer"}}, nil
}
func (h *host) AskGateway(_ context.Context, _ Caller, x AskGateway, _ control.UI) (GatewayAnswer, error) {
	return GatewayAnswer{Gateway: x.Gateway, Kind: x.Kind}, nil
}
func (h *host) SearchGateways(_ context.Context, _ Caller, x SearchGateways) (FoundGateways, error) {
	if x.Prefix == "many" {
		return FoundGateways{Gateways: []FoundGateway{{Name: "many-a1"}, {Name: "many-a2"}}, More: 3, Last: "many-a9"}, nil
	}
	all := []FoundGateway{{Name: "edge", Group: "Shop"}, {Name: "gw1", Group: "Shop"}, {Name: "gw 2", Group: "a\x1b[2J"}}
	return FoundGateways{Gateways: slices.DeleteFunc(all, func(g FoundGateway) bool { return !strings.HasPrefix(g.Name, x.Prefix) })}, nil
}
func (h *host) Revert(_ context.Context, _ Caller, x Revert, _ control.UI) (RevertResult, error) {
	return RevertResult{To: x.Number, Revision: 8}, nil
}
func (h *host) TestConnection(_ context.Context, _ Caller, x ConnectionTest, ui control.UI) (ConnectionResult, error) {
	ui.Text(control.Out, ConnectionStep{Name: transfer.OpResolve, State: "failed", Note: "no such host"}.Line())
	return ConnectionResult{Target: x.Upload.URL, Error: "no such host", Hint: "check it", Exit: control.ExitTransfer}, nil
}

func (h *host) Register(_ context.Context, _ Caller, r Register, _ control.UI) (Registration, error) {
	h.registered = &r
	return Registration{Name: "box", Server: r.ManagementServer, ServerName: "mx\x1b[2J", Group: r.GatewayGroup, Pin: "aa", Since: time.Unix(0, 0)}, nil
}
func (h *host) Unregister(_ context.Context, _ Caller, forget bool, _ control.UI) (Registration, error) {
	h.acts = append(h.acts, fmt.Sprintf("unregister %v", forget))
	return Registration{Server: "mx:8083"}, nil
}

func (h *host) Accounts(context.Context) ([]account.Account, error) {
	return []account.Account{{Name: "anna", Rights: account.Administrator, Password: true}, {Name: "otto", Rights: account.Operator, Keys: make([]account.Key, 1)}}, nil
}
func (h *host) AddAccount(_ context.Context, _ Caller, n account.New) error {
	h.acts = append(h.acts, fmt.Sprintf("add %+v", n))
	return nil
}
func (h *host) RemoveAccount(_ context.Context, _ Caller, name string) error {
	h.acts = append(h.acts, "remove "+name)
	return nil
}
func (h *host) AddKey(_ context.Context, _ Caller, name, _ string) (account.Key, error) {
	h.acts = append(h.acts, "key of "+name)
	return account.Key{}, nil
}
func (h *host) RemoveKey(_ context.Context, _ Caller, name, fingerprint string) (account.Key, error) {
	h.acts = append(h.acts, "no "+fingerprint+" of "+name)
	return account.Key{}, nil
}
func (h *host) Restart(context.Context, Caller) error { h.acts = append(h.acts, "restart"); return nil }
func (h *host) Patch(_ context.Context, _ Caller, x Patch, _ control.UI) (PatchResult, error) {
	h.acts = append(h.acts, "patch "+x.Download.URL)
	return PatchResult{Name: x.Download.URL, Release: "1.1", Before: "1.0", Files: 1, Bytes: 1024}, nil
}
func (h *host) RollbackRelease(context.Context, Caller) (RollbackResult, error) {
	h.acts = append(h.acts, "rollback")
	return RollbackResult{Release: "1.0", Instead: "1.1"}, nil
}
func (h *host) Reboot(context.Context, Caller) error { h.acts = append(h.acts, "reboot"); return nil }

// ui answers questions from a list and keeps what is printed.
type ui struct {
	out, err strings.Builder
	answers  []string
	asked    []string
}

func (u *ui) Text(s control.Stream, text string) {
	if s == control.Out {
		u.out.WriteString(text)
	} else {
		u.err.WriteString(text)
	}
}
func (u *ui) Progress(control.Progress) {}
func (u *ui) Ask(_ context.Context, q control.Question) (string, error) {
	u.asked = append(u.asked, q.Prompt)
	if len(u.answers) == 0 {
		return "", errors.New("nobody is there")
	}
	answer := u.answers[0]
	u.answers = u.answers[1:]
	return answer, nil
}

func newEnv(t testing.TB, role appliance.Role, rights Rights) (*Env, *host, *ui) {
	h := &host{home: appliance.Home(t.TempDir()), role: role}
	h.audit = audit.New(h.home.Audit())
	for _, dir := range []string{h.home.Exports(), h.home.TechInfo()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	u := &ui{}
	return &Env{Host: h, Caller: Caller{Name: "anna", Rights: rights}, UI: u}, h, u
}

func TestEveryFlagReachesTheBundle(t *testing.T) {
	e, h, _ := newEnv(t, appliance.Gateway, Administrator)
	all := "--case-number 7 --last-server-archives 3 --last-archives-by-date 12312025 --no-big-logs --upgrade --get-access-log --coredumps --agents-traffic-analysis --server-debug"
	if res, _ := Run(t.Context(), e, words("gti-remote --dump "+all)); res.Exit != control.ExitFailed || !strings.Contains(res.Hint, "impctl support key set") || h.techInfo != nil {
		t.Errorf("core files without a key: %+v", res)
	}
	if res, _ := Run(t.Context(), e, words("impctl support key set age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")); res.Exit != 0 {
		t.Fatalf("%+v", res)
	}
	want := techinfo.Options{Case: "7", Archives: 3, Since: time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC), NoBigLogs: true,
		Upgrade: true, AccessLog: true, Cores: true, Traffic: true, Debug: true}
	for line, x := range map[string]TechInfo{
		"gti-remote --dump ":                             {Options: want, Dump: true},
		"impctl support get-tech-info ":                  {Options: want},
		"gti-remote --protocol http --user u host/case ": {Options: want, Upload: &Upload{Protocol: "http", URL: "host/case", Access: Access{User: "u"}}},
	} {
		x.Status = h.Status()
		if res, _ := Run(t.Context(), e, words(line+all)); res.Exit != 0 {
			t.Errorf("%s: %+v", line, res)
		} else if d := cmp.Diff(&x, h.techInfo); d != "" {
			t.Errorf("%s:\n%s", line, d)
		}
	}
}

// What is not one choice is refused before anything is sent.
func TestBundlesOfGatewaysAreChosen(t *testing.T) {
	e, h, u := newEnv(t, appliance.ManagementServer, Administrator)
	send := func(words string) control.Result {
		h.send = nil
		res, _ := Run(t.Context(), e, strings.Fields("gti-gw-remote --protocol http --url host/up/ "+words))
		return res
	}
	if res := send("--latest"); res.Exit != control.ExitFailed || !strings.Contains(res.Error, "no bundle of a gateway is here") {
		t.Errorf("without any: %+v", res)
	}
	if err := os.MkdirAll(h.home.GatewayInfo(), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{"gateways/gw1_3.tgz", "gateways/gw2_2.tgz", "gateways/gw1_1.tgz", "own.tgz"} {
		path = filepath.Join(h.home.TechInfo(), path)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(1000-i), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for line, name := range map[string]string{"--latest": "gw1_3.tgz", "gw2_2.tgz": "gw2_2.tgz"} {
		if res := send(line); res.Exit != 0 || h.send == nil || h.send.Name != name || h.send.Upload.URL != "host/up/" || !slices.Equal(h.send.Kinds, []string{folder.Gateway}) {
			t.Errorf("%s: %+v, %+v", line, res, h.send)
		}
	}
	for line, want := range map[string]string{"": "one of", "--latest --send-all": "one of", "--latest gw1_1.tgz": "one of", "own.tgz": `named "own.tgz"`, "../own.tgz": `named "../own.tgz"`} {
		if res := send(line); !strings.Contains(res.Error, want) || h.send != nil {
			t.Errorf("%s: %+v", line, res)
		}
	}
	if res, _ := Run(t.Context(), e, words("gti-gw-remote --protocol http --url host/up --send-all")); res.Exit != control.ExitUsage {
		t.Errorf("one name for all: %+v", res)
	}
	u.out.Reset()
	if res := send("--send-all --json"); res.Exit != 0 || strings.Count(u.out.String(), `"sent":`) != 4 {
		t.Errorf("all: %+v %s", res, u.out.String())
	}
	if res := Complete(t.Context(), e, words("gti-gw-remote --latest gw1")); len(res.Candidates) != 2 || res.Candidates[0].Value != "gw1_1.tgz" {
		t.Errorf("Tab: %+v", res)
	}
}

func words(line string) []string { return strings.Split(line, " ") }

func TestEveryFlagReachesTheExport(t *testing.T) {
	e, h, u := newEnv(t, appliance.ManagementServer, Administrator)
	res, _ := Run(t.Context(), e, words("export-remote --protocol scp --user u --password p --insecure --pwd right --exptype 2 "+
		"--includefailedarc --nossl --noauditdata --nodbcredentials --encryptpwd=e host:22/x/"))
	if res.Exit != 0 {
		t.Fatalf("%+v", res)
	}
	want := &Export{Upload: &Upload{Protocol: "scp", URL: "host:22/x/", Access: Access{User: "u", Password: "p", Insecure: true}}}
	want.Options.NoAlerts, want.Options.FailedArchives, want.Options.NoSSL = true, true, true
	want.Options.NoAudit, want.Options.NoCredentials, want.Options.Passphrase = true, true, "e"
	if d := cmp.Diff(want, h.export); d != "" {
		t.Error(d)
	}
	if !strings.Contains(u.out.String(), "box.tgz") {
		t.Errorf("output %q", u.out.String())
	}
	for _, secret := range []string{"right", "p", "e"} {
		if slices.Contains(res.History, secret) || slices.Contains(res.History, "--encryptpwd=e") {
			t.Errorf("history %q holds %q", res.History, secret)
		}
	}
	Run(t.Context(), e, words("export-local --pwd right --noarchive"))
	if h.export.Upload != nil || !h.export.Options.NoArchives || h.export.Options.NoAlerts {
		t.Errorf("%+v", h.export)
	}
}

// Secrets given as "-" are asked for in the order of the line, new ones twice
// at a terminal, and a slip between the two is an error.
func TestSecretsAreAskedFor(t *testing.T) {
	e, h, u := newEnv(t, appliance.ManagementServer, Administrator)
	e.Terminal = true
	u.answers = []string{"e", "e", "right"}
	if res, _ := Run(t.Context(), e, words("export-local --encryptpwd - --pwd -")); res.Exit != 0 {
		t.Fatalf("%+v", res)
	}
	if h.export.Options.Passphrase != "e" {
		t.Errorf("%+v", h.export)
	}
	if d := cmp.Diff([]string{"password to encrypt the dump with: ", "the same again: ", "database system password: "}, u.asked); d != "" {
		t.Error(d)
	}
	for _, answers := range [][]string{{"e", "f", "right"}, {""}, nil} {
		h.export, u.answers = nil, answers
		if res, _ := Run(t.Context(), e, words("export-local --encryptpwd - --pwd -")); res.Exit != control.ExitUsage || h.export != nil {
			t.Errorf("answers %q: %+v", answers, res)
		}
	}
}

// Every command states its help, its exit statuses and at least who may run
// it, and every flag is explained.
func TestEveryCommandExplainsItself(t *testing.T) {
	for _, role := range []appliance.Role{appliance.ManagementServer, appliance.Gateway} {
		e, _, u := newEnv(t, role, Administrator)
		p, err := newParser(role, Administrator)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range p.kong.Model.Leaves(false) {
			path := commandPath(n)
			for _, f := range n.Flags {
				if f.Help == "" {
					t.Errorf("%s --%s has no help", path, f.Name)
				}
				if secret := strings.Contains(f.Name, "p") && strings.HasSuffix(f.Name, "pwd") || strings.HasSuffix(f.Name, "password"); secret && f.Tag.Get("secret") == "" {
					t.Errorf("%s --%s is not declared a secret", path, f.Name)
				}
			}
			if path == "help" {
				continue // help explains help by listing
			}
			for _, ask := range []string{"help " + path, "? " + path, path + " -h", path + " --help", path + " ?"} {
				u.out.Reset()
				if res, _ := Run(t.Context(), e, words(ask)); res.Exit != 0 || !strings.HasPrefix(u.out.String(), path+": ") ||
					!strings.Contains(u.out.String(), "exit status:\n  0    done") {
					t.Errorf("%q: %+v\n%s", ask, res, u.out.String())
				}
			}
		}
	}
}

func TestRights(t *testing.T) {
	for _, c := range []struct {
		role   appliance.Role
		rights Rights
		line   string
		exit   int
	}{
		{appliance.ManagementServer, Operator, "status", 0},
		{appliance.ManagementServer, Operator, "impctl server status", 0},
		{appliance.ManagementServer, Operator, "files list", 0},
		{appliance.ManagementServer, Operator, "impctl server stop", control.ExitDenied},
		{appliance.ManagementServer, Operator, "export-local --pwd right", control.ExitDenied},
		{appliance.ManagementServer, Operator, "unlock", control.ExitDenied},
		{appliance.ManagementServer, Operator, "unlock SG1-AAAA", control.ExitDenied},
		{appliance.ManagementServer, Operator, "impctl seal", control.ExitDenied},
		{appliance.Gateway, Administrator, "unlock SG1-AAAA", 0},
		{appliance.Gateway, Administrator, "impctl seal", 0},
		{appliance.ManagementServer, Nobody, "version", control.ExitDenied},
		{appliance.ManagementServer, Nobody, "help", control.ExitDenied},
		{appliance.Gateway, Administrator, "impctl gateway stop", 0},
		{appliance.Gateway, Administrator, "impctl server stop", control.ExitUsage},
		{appliance.Gateway, Administrator, "export-local --pwd right", control.ExitUsage},
		{appliance.ManagementServer, Administrator, "impctl gateway stop", control.ExitUsage},
	} {
		e, h, u := newEnv(t, c.role, c.rights)
		res, _ := Run(t.Context(), e, words(c.line))
		if res.Exit != c.exit || (c.exit != 0 && (res.Error == "" || res.Hint == "" || h.export != nil || h.acts != nil)) {
			t.Errorf("%s as %v on %s: %+v, %v", c.line, c.rights, c.role, res, h.acts)
		}
		u.out.Reset()
		if c.rights == Operator {
			if Run(t.Context(), e, []string{"help"}); strings.Contains(u.out.String(), "export-") {
				t.Errorf("help lists what an operator has not:\n%s", u.out.String())
			}
		}
	}
}

// A login leaves for a real shell by its rights and its first word alone.
func TestWhoLeaves(t *testing.T) {
	for rights, want := range map[Rights]bool{Nobody: false, Operator: false, Administrator: true} {
		if got := MayLeave(Caller{Rights: rights}); got != want {
			t.Errorf("rights %d: %v", rights, got)
		}
	}
	for word, want := range map[string]bool{"export-remote": true, "impctl": true, "quit": true, "help": true, "?": true,
		"": false, "ls": false, "status;": false, "Status": false, "/usr/bin/impctl": false} {
		if got := Knows(word); got != want {
			t.Errorf("%q: %v", word, got)
		}
	}
}

func TestComplete(t *testing.T) {
	e, h, _ := newEnv(t, appliance.ManagementServer, Administrator)
	for _, name := range []string{"a.tgz", "b c.tgz", ".hidden", "half.tgz.part"} {
		if err := os.WriteFile(h.home.Exports()+"/"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	os.Symlink("/etc/passwd", h.home.Exports()+"/link.tgz")
	for line, want := range map[string][]string{
		"ex":                             {"exit", "export-local", "export-remote"},
		"sh":                             {"show"},
		"impctl ":                        {"gateway", "known-hosts", "platform", "reboot", "restart", "seal", "server", "ssh-key", "status", "support", "teardown", "test-connection", "transfer-policy", "user"},
		"impctl server st":               {"start", "status", "stop"},
		"help fi":                        {"files"},
		"? impctl server re":             {"restart", "revert"},
		"files delete ":                  {"a.tgz", "b c.tgz", "--json"},
		"files delete a.tgz b":           {"b c.tgz"},
		"files delete --":                {"--json"},
		"export-local --exptype ":        {"1", "2"},
		"export-local --exptype=":        {"--exptype=1", "--exptype=2"},
		"export-local --pwd x --enc":     {"--encryptpwd"},
		"export-local --pw":              {"--pwd"},
		"export-local --pwd x --pw":      nil,
		"export-local --pwd ":            nil,
		"export-remote --protocol h":     {"http", "https"},
		"export-remote --protocol=s":     {"--protocol=scp"},
		"nothing ":                       nil,
		"files send a.tgz --protocol sc": {"scp"},
		"files list a":                   nil,
	} {
		var got []string
		for _, c := range Complete(t.Context(), e, words(line)).Candidates {
			got = append(got, c.Value)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", line, d)
		}
	}
	// Mandatory flags come first, each with its help.
	list := Complete(t.Context(), e, words("export-remote ")).Candidates
	if list[0].Value != "--encryptpwd" || list[1].Value != "--protocol" || list[2].Value != "--pwd" || list[0].Help == "" {
		t.Errorf("%+v", list[:3])
	}
}

func TestNext(t *testing.T) {
	e, _, _ := newEnv(t, appliance.ManagementServer, Administrator)
	for line, want := range map[string]string{
		"":                          "export-local",
		"export-local --pwd ":       "PASSWORD: the database system password",
		"export-local --exptype ":   "without alert data",
		"export-remote --proto":     "--protocol",
		"files send --protocol ":    "  https  PUT\n  scp    over SSH, as SFTP\n",
		"impctl known-hosts add ":   "HOST: HOST[:PORT]",
		"nonsense ":                 "unknown command",
		"export-local --pwd x --zz": "nothing may follow",
	} {
		if got := Next(t.Context(), e, words(line)); !strings.Contains(got, want) {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func TestRedact(t *testing.T) {
	for line, want := range map[string]string{
		"export-local --pwd s3 --exptype 2":           "export-local --pwd - --exptype 2",
		"export-local --pwd=s3":                       "export-local --pwd=-",
		"export-local --pwd -":                        "export-local --pwd -",
		"files send a u:s3@h/x":                       "files send a u:********@h/x",
		"files send a ftp://u:s3@h/x":                 "files send a ftp://u:********@h/x",
		"files send a u:a://s3@h/x":                   "files send a u:********@h/x",
		"files send a h:21/x":                         "files send a h:21/x",
		"files send a h/x?sig=s3":                     "files send a h/x?…",
		"files send a u:s3/x?y@h/x":                   "files send a u:********",
		"files send a https://u:s3?@h/x":              "files send a https://u:********",
		"files send a a?b://u@h:80/x":                 "files send a a?b://u@h:80/x",
		"files send a h/x?sig=s3@s3":                  "files send a h/x?********",
		"export-remote --proxy-user u:s3 --user anna": "export-remote --proxy-user - --user anna",
		"export-remote --proxy u:s3@h:1 --user anna":  "export-remote --proxy u:********@h:1 --user anna",

		"export-remote --user u:s3 --insecure": "export-remote --user u:******** --insecure",
		"files send a h/x --user=u:s3":         "files send a h/x --user=u:********",
		"files send a h/x --user u:-":          "files send a h/x --user u:-",
		"impctl test-connection --user u:s3":   "impctl test-connection --user u:********",

		"gti-gw-remote --latest --url u:s3@h/x?sig=s3":  "gti-gw-remote --latest --url u:********@h/x?…",
		"gti-gw-remote --latest --url=https://h/?s3":    "gti-gw-remote --latest --url=https://h/?…",
		"gti-gw-remote --latest --url=u:s3/x?y@h/x":     "gti-gw-remote --latest --url=u:********",
		"gti-gw-remote --latest --url":                  "gti-gw-remote --latest --url",
		"gti-gw-remote --latest --url h/x?sig=s3 gw.gz": "gti-gw-remote --latest --url h/x?… gw.gz",

		"impctl support key set AGE-SECRET-KEY-1S3": "impctl support key set ********",
		"impctl gateway drain SGT1-S3CRET":          "impctl gateway drain ********",
		"impctl support key set age1abc":            "impctl support key set age1abc",

		"unlock SG1-s3":     "unlock -",
		"unlock s3 s3":      "unlock - ********",
		"unlok SG1-s3":      "unlok ********",
		"SG1-s3":            "********",
		"files list SG1-s3": "files list ********",

		// What is no public key.
		"impctl user key add anna s3":                   "impctl user key add anna ********",
		"--json impctl user key add anna s3":            "--json impctl user key add anna ********",
		"impctl --json user key add anna s3":            "impctl --json user key add anna ********",
		"impctl user key add anna ssh-ed25519 s3":       "impctl user key add anna ******** ********",
		"impctl user add anna --key s3":                 "impctl user add anna --key ********",
		"impctl user add anna --role operator --key=s3": "impctl user add anna --role operator --key=********",
		"impctl user add anna --key":                    "impctl user add anna --key",

		// Slips: the value is missing, or stands elsewhere than it should.
		"export-local --pwd --encryptpwd s3": "export-local --pwd --encryptpwd -",
		"export-local --encryptpwd --pwd s3": "export-local --encryptpwd --pwd -",
		"export-local --pwd --json s3":       "export-local --pwd --json ********",
		"export-local --pwd my s3":           "export-local --pwd - ********",
		"export-local --pwd -- s3":           "export-local --pwd - ********",
		"export-local --pwd -h s3":           "export-local --pwd - ********",
		"export-local --pwd:s3":              "export-local --pwd********",
		"export-local --pwds3":               "export-local --pwd********",
		"export-local --paswd s3":            "export-local --paswd ********",
		"export-local --paswd=s3 --nossl":    "export-local --paswd******** --nossl",
		"export-local --paswd --nossl":       "export-local --paswd --nossl",
		"export-local pwd=s3":                "export-local pwd=********",
		"pwd=s3 export-local":                "pwd=******** export-local",
		"export-local \u2014pwd s3":          "export-local \u2014pwd -",
		"export-local -ps3":                  "export-local -p********",
		"export-local -pwd s3":               "export-local -pwd -",
		"export-local s3":                    "export-local ********",
	} {
		if got := strings.Join(Redact(words(line)), " "); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
		if got := strings.Join(Skeleton(words(line)), " "); strings.Contains(got, "s3") {
			t.Errorf("%q: a log would keep %q", line, got)
		}
		if !strings.Contains(line, "s3") {
			continue
		}
		e, _, u := newEnv(t, appliance.ManagementServer, Administrator)
		long := strings.ReplaceAll(line, "s3", "s3cret-word")
		res, entry := Run(t.Context(), e, words(long))
		said := res.Error + res.Hint + u.out.String() + u.err.String()
		kept := strings.Join(append(res.History, entry.Words...), " ") + entry.Error
		if strings.Contains(said, "s3cret") || strings.Contains(kept, "s3cret") {
			t.Errorf("%q says %q and keeps %q", long, said, kept)
		}
	}
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICQGCz3zmHT90RgW4qWzTpwKC8FyTxkdJkxkgsb+f5rJ anna@laptop"
	for _, line := range [][]string{{"impctl", "user", "key", "add", "anna", key}, {"impctl", "user", "add", "anna", "--key", key}} {
		if diff := cmp.Diff(line, Redact(line)); diff != "" {
			t.Errorf("a public key: %s", diff)
		}
	}
	// A password typed as a command is not logged.
	if got := Skeleton([]string{"Sg-TOPSECRET01"}); len(got) != 1 || got[0] != "…" {
		t.Errorf("a log would keep %q", got)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"export-local", "export-remote", "status", "files"}
	for word, want := range map[string]string{
		"exprot-local": "export-local", "statsu": "status", "file": "files", "zzz": "", "x": "",
		strings.Repeat("status", 1000): "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("%.20q: %q, want %q", word, got, want)
		}
	}
}

func FuzzCommands(f *testing.F) {
	for _, seed := range []string{"export-local --pwd x", "help", "? ?", "impctl --version", "files delete -- --json", "--", "- -",
		"export-remote --protocol=scp --pwd= --encryptpwd y h/", "impctl server -x", "--json", "exit=", "export-local --exptype 999999999999999999999"} {
		f.Add(seed)
	}
	e, _, _ := newEnv(f, appliance.ManagementServer, Administrator)
	f.Fuzz(func(t *testing.T, line string) {
		list := words(line)
		res, _ := Run(context.Background(), e, list)
		if res.Error != "" && strings.ContainsAny(res.Error+res.Hint, "\n") {
			t.Errorf("%q: more than one line: %q", line, res.Error)
		}
		Complete(t.Context(), e, list)
		Next(t.Context(), e, list)
	})
}

// A test that failed is one result: its steps, and the error with them.
func TestConnectionTestAsJSON(t *testing.T) {
	e, _, u := newEnv(t, appliance.ManagementServer, Administrator)
	res, entry := Run(t.Context(), e, words("impctl test-connection --json --protocol http 127.0.0.1:1/x"))
	var r ConnectionResult
	if err := json.Unmarshal([]byte(u.out.String()), &r); err != nil {
		t.Fatalf("%v in %q", err, u.out.String())
	}
	if r.OK || r.Error != "no such host" || r.Hint == "" || r.Exit != control.ExitTransfer {
		t.Errorf("the result is %+v", r)
	}
	if res.Exit != control.ExitTransfer || res.Error != "" || entry.Error != "no such host" {
		t.Errorf("the end is %+v, the log keeps %+v", res, entry)
	}
}

func TestGatewayRegister(t *testing.T) {
	e, h, u := newEnv(t, appliance.Gateway, Administrator)
	u.answers = []string{"secure"}
	res, _ := Run(t.Context(), e, words("impctl gateway register --management-server ::1 --gateway-group G --alias A --data-address 192.0.2.1 --licensing on-demand"))
	want := &Register{Password: "secure"}
	want.Joining = appliance.Joining{ManagementServer: "[::1]:8083", GatewayGroup: "G", Alias: "A", DataAddress: "192.0.2.1", Licensing: "on-demand"}
	if d := cmp.Diff(want, h.registered); d != "" || res.Exit != 0 {
		t.Errorf("%+v %s", res, d)
	}
	if strings.Contains(u.out.String(), "\x1b") {
		t.Errorf("the server's name reaches the terminal raw: %q", u.out.String())
	}
	res, _ = Run(t.Context(), e, words("impctl gateway register --management-server mx --registration-token SGT1-x"))
	if h.registered.Token != "SGT1-x" || h.registered.Password != "" || h.registered.ManagementServer != "mx:8083" || slices.Contains(res.History, "SGT1-x") {
		t.Errorf("%+v, history %q", h.registered, res.History)
	}
	for _, line := range []string{"impctl gateway register", "impctl gateway register --management-server mx:x", "impctl gateway register --management-server mx --data-address gw",
		"impctl gateway register --management-server mx --licensing free", "impctl gateway register --management-server mx"} {
		if res, _ := Run(t.Context(), e, words(line)); res.Exit != control.ExitUsage {
			t.Errorf("%s: %+v", line, res)
		}
	}
	if res, _ := Run(t.Context(), e, words("impctl gateway unregister --forget")); res.Exit != 0 || !slices.Contains(h.acts, "unregister true") {
		t.Errorf("%+v, %q", res, h.acts)
	}
}

// What a management server did not do as a gateway asked is shown, and cannot write to the
// terminal.
func TestNoteOfARegistration(t *testing.T) {
	text := registrationLines(Registration{Name: "gw1", Server: "mx:8083", Note: "it stays in \x1b[2J"})
	if !strings.Contains(text, "note:") || !strings.Contains(text, "it stays in ") || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
}

// A line of flags alone names no command.
func TestLineWithoutACommand(t *testing.T) {
	for line, want := range map[string]string{
		"--json":       `{"error":"no command is in the line","hint":"help lists the commands","exit":2}` + "\n",
		"--json --yes": `{"error":"\"--yes\" stands where a command is expected","hint":"help","exit":2}` + "\n",
	} {
		e, _, u := newEnv(t, appliance.ManagementServer, Administrator)
		if res, _ := Run(t.Context(), e, words(line)); res.Exit != control.ExitUsage || u.out.String() != want {
			t.Errorf("%s: %+v, %s", line, res, u.out.String())
		}
	}
}
