// Package commands is the closed list of what a user can say to the appliance.
// One file holds one command: its grammar (a kong struct), its help, who may
// run it, and one call into the appliance, the transfers or the [Host]. What
// the list does not name does not exist.
//
// The same list serves the prompt, scripts, Tab, `?` and help. The package
// runs in the daemon: it trusts no word that it is handed, opens no file that a
// word names (only names inside the appliance's own folders), reads no
// environment, and repeats no secret in a text.
package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"sealgate/control"
)

// grammar is the whole list. Tags beside kong's own:
//
//	roles:"mx"           only this role has it (default: both)
//	rights:"operator"    a read-only user may run it (default: administrators)
//	looks:""             for administrators, and changes nothing all the same
//	room:""              makes room: runs although the audit log takes nothing
//	exits:"0,1,2"        exit statuses beyond 0, 1, 2 and 3
//	secret:"…"           the value is a secret; "-" asks for it with this name
//	pair:"…"             it may be NAME:SECRET; NAME:- asks for the secret with this name
//	address:""           the value is a URL: what may be secret in it is not kept
//	account:""           the value is a name: what stands behind a colon is not kept
//	complete:"…"         where completions of a value come from
//	example:"…"          a line that works
type grammar struct {
	Help         helpCmd         `cmd:"" example:"help export-local" rights:"operator" help:"list the commands, or explain one"`
	Exit         exitCmd         `cmd:"" example:"exit" rights:"operator" aliases:"quit,logout" help:"leave (also Ctrl-D)"`
	Status       statusCmd       `cmd:"" example:"status" rights:"operator" help:"how the appliance is"`
	Version      versionCmd      `cmd:"" example:"version" rights:"operator" help:"what the appliance runs"`
	ExportLocal  exportLocalCmd  `cmd:"" example:"export-local --pwd - --encryptpwd - --exptype 2 --noarchive" roles:"mx" exits:"130" help:"export the database into the appliance's export folder"`
	ExportRemote exportRemoteCmd `cmd:"" example:"export-remote --protocol scp --user backup --password - --pwd - --encryptpwd - backup.example.com/dumps/" roles:"mx" exits:"4,130" help:"export the database and upload it"`
	ImportLocal  importLocalCmd  `cmd:"" example:"import-local --pwd - --securepwd - --encryptpwd - --dmpfile mx1_20260102_030405.tgz" roles:"mx" exits:"130" help:"import a dump that files list shows"`
	ImportRemote importRemoteCmd `cmd:"" example:"import-remote --user backup:- --pwd - --securepwd - --encryptpwd - scp://backup.example.com/dumps/mx1_20260102_030405.tgz" roles:"mx" exits:"4,130" help:"download a dump and import it"`
	PatchRemote  patchRemoteCmd  `cmd:"" example:"patch-remote --user vendor:- https://patches.example.com/sealgate-1.1.enc" exits:"4,130" help:"download a patch, verify it and install its release"`
	Files        filesCmd        `cmd:"" example:"files list | tail 5" help:"what lies in the export and tech-info folders"`
	GtiRemote    gtiRemoteCmd    `cmd:"" name:"gti-remote" example:"gti-remote --dump | match version" exits:"4,130" help:"collect a support bundle and upload or show it"`
	AWSLogs      awsLogsCmd      `cmd:"" name:"aws-logs-remote" example:"aws-logs-remote --protocol scp --user support --password - support.example.com/srv/cases/" exits:"4,130" help:"collect AWS logs and configuration and upload them"`
	Ec2log       ec2logCmd       `cmd:"" name:"ec2log" example:"ec2log | tail 5" looks:"" exits:"130" help:"show the first-time-login log"`
	GtiGwRemote  gtiGwRemoteCmd  `cmd:"" name:"gti-gw-remote" example:"gti-gw-remote --latest --protocol scp --user backup --password - --url support.example.com/cases/" roles:"mx" exits:"4,130" help:"upload support bundles that were pulled from gateways"`
	Unlock       unlockCmd       `cmd:"" example:"unlock" exits:"130" help:"unseal the appliance with a licence key"`
	Impctl       impctlCmd       `cmd:"" example:"impctl status" help:"control the appliance"`
	Show         showCmd         `cmd:"" example:"show audit --last 20" help:"read the appliance's own records"`

	JSON bool `name:"json" help:"print the result as one JSON object"`
}

// Caller is who runs a command.
type Caller struct {
	UID    uint32
	Name   string // account name, or the uid in digits
	Rights Rights
}

// Rights say what a caller may do. The zero value may do nothing.
type Rights int

// From nothing to everything.
const (
	Nobody Rights = iota
	Operator
	Administrator
)

// Env is what a command works with.
type Env struct {
	Host     Host
	Caller   Caller
	UI       control.UI
	Terminal bool       // a person sits there
	Prompt   bool       // commands may be abbreviated
	Filters  [][]string // of standard output, as the words behind each |
	// Begin is told of a command that changes something before it runs, and
	// its error keeps it from running.
	Begin func(Entry) error

	note   string // for the entry
	json   bool
	told   bool // the JSON result says what failed, too
	leave  bool
	parser *parser
}

// Entry is what a log may keep of a command.
type Entry struct {
	Words []string
	Error string
	Note  string // what the words do not say
}

// maxLogged words are kept of a line that did not parse.
const maxLogged = 64

// entry leaves out what was typed where a line did not parse, or by somebody
// without rights.
func (e *Env) entry(words []string, res control.Result) Entry {
	if res.Exit == control.ExitUsage || e.Caller.Rights == Nobody {
		kept := Skeleton(words[:min(len(words), maxLogged)])
		return Entry{Words: append(kept, filterSkeleton(e.Filters)...), Error: "usage"}
	}
	return Entry{Words: e.redacted(words), Error: res.Error, Note: e.note}
}

// redacted is the line without its secrets, filters included.
func (e *Env) redacted(words []string) []string {
	kept := Redact(words)
	for _, f := range redactFilters(e.Filters) {
		kept = append(append(kept, "|"), f...)
	}
	return kept
}

// Out prints a result: v as JSON where the user asked for that, else text.
func (e *Env) Out(v any, text string) error {
	if !e.json {
		e.UI.Text(control.Out, text)
		return nil
	}
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	e.UI.Text(control.Out, string(line)+"\n")
	return nil
}

// Say prints a line that is not a result.
func (e *Env) Say(format string, args ...any) {
	e.UI.Text(control.Err, fmt.Sprintf(format, args...)+"\n")
}

// Run runs words for e's caller. The result's History and the entry are fit to
// be kept.
func Run(ctx context.Context, e *Env, words []string) (control.Result, Entry) {
	words, res := e.run(ctx, words)
	entry := e.entry(words, res)
	if res.Error != "" && e.told {
		res.Error, res.Hint = "", ""
	} else if res.Error != "" && e.json {
		line, _ := json.Marshal(struct {
			Error string `json:"error"`
			Hint  string `json:"hint,omitempty"`
			Exit  int    `json:"exit"`
		}{res.Error, res.Hint, res.Exit})
		e.UI.Text(control.Out, string(line)+"\n")
		res.Error, res.Hint = "", ""
	}
	res.History, res.Filters = Redact(words), redactFilters(e.Filters)
	res.Leave = e.leave
	return res, entry
}

// run also returns the words, written out where they were abbreviated.
func (e *Env) run(ctx context.Context, words []string) ([]string, control.Result) {
	if len(words) == 0 {
		return words, control.Result{}
	}
	if e.Caller.Rights == Nobody {
		return words, ResultOf(denied("account %s has no rights on this appliance", quote(e.Caller.Name)))
	}
	e.json = wantsJSON(words) || filtersJSON(e.Filters)
	words, err := e.look(words)
	if err != nil {
		return words, ResultOf(err)
	}
	stages, err := newStages(e.Filters)
	if err != nil {
		return words, ResultOf(err)
	}
	if len(stages) > 0 {
		ui := e.UI
		f := &filtered{UI: ui, ctx: ctx, stages: stages}
		e.UI = f
		defer func() { f.end(); e.UI = ui }()
	}
	return words, run(ctx, e, words)
}

// look readies the grammar of e's caller, and writes abbreviations out.
func (e *Env) look(words []string) ([]string, error) {
	p, err := sharedParser(e.Host.Config().Role, e.Caller.Rights)
	if err != nil {
		return words, err
	}
	e.parser = p
	if !e.Prompt {
		return words, nil
	}
	return p.expand(words)
}

func run(ctx context.Context, e *Env, words []string) control.Result {
	p := e.parser
	if topic, ok := helpTopic(words); ok {
		return ResultOf(p.explain(e, topic))
	}
	if len(words) == 2 && words[0] == "impctl" && words[1] == "--version" {
		words = []string{"version"}
	}
	kctx, err := p.parse(words)
	if err != nil {
		return ResultOf(err)
	}
	if err := askSecrets(ctx, e, kctx); err != nil {
		return ResultOf(err)
	}
	if err := e.begin(kctx.Selected(), words); err != nil {
		return ResultOf(err)
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	err = kctx.Run(e)
	if err != nil && ctx.Err() != nil && !errors.As(err, new(*Failure)) {
		err = errInterrupted
	}
	return ResultOf(err)
}

// askSecrets replaces each secret that was given as "-" with an answer, in the
// order in which they stand in the line.
func askSecrets(ctx context.Context, e *Env, kctx *kong.Context) error {
	for _, element := range kctx.Path {
		value := element.Positional
		if element.Flag != nil {
			value = element.Flag.Value
		}
		if value == nil || value.Tag.Get("secret") == "" {
			continue
		}
		before, name, asks := asksFor(value)
		if !asks {
			continue
		}
		secret, err := e.askSecret(ctx, name, value.Tag.Has("twice"))
		if err != nil {
			return err
		}
		value.Target.SetString(before + secret)
	}
	return nil
}

// asksFor says whether value asks for a secret, what that is called, and what
// stands before it.
func asksFor(value *kong.Value) (before, name string, asks bool) {
	given := value.Target.String()
	if user, ok := strings.CutSuffix(given, ":-"); ok && value.Tag.Has("pair") {
		return user + ":", value.Tag.Get("pair"), true
	}
	return "", value.Tag.Get("secret"), given == "-"
}

// askSecret asks for one secret; at a terminal twice where a slip of the finger
// would be found too late.
func (e *Env) askSecret(ctx context.Context, name string, twice bool) (string, error) {
	prompts := []string{name + ": "}
	if e.Terminal && twice {
		prompts = append(prompts, "the same again: ")
	}
	first := ""
	for i, prompt := range prompts {
		answer, err := e.UI.Ask(ctx, control.Question{Prompt: prompt, Secret: true})
		switch {
		case ctx.Err() != nil:
			return "", errInterrupted
		case err != nil:
			return "", usage("each - takes one line of standard input, in the order of the line", "the %s cannot be read: %s", name, oneLine(err.Error()))
		case answer == "":
			return "", usage("", "the %s must not be empty", name)
		case i > 0 && answer != first:
			return "", usage("run it again, and type the same twice", "the two answers differ")
		}
		first = answer
	}
	return first, nil
}

// wantsJSON looks before the grammar does, so that usage errors are JSON too.
func wantsJSON(words []string) bool {
	for _, w := range words {
		if w == "--" {
			return false
		}
		if w == "--json" || w == "--json=true" {
			return true
		}
	}
	return false
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
