package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sealgate/appliance/account"
	"sealgate/appliance/secret"
	"sealgate/control"
)

type userCmd struct {
	List   userListCmd   `cmd:"" example:"impctl user list" rights:"operator" help:"list administrators and operators"`
	Add    userAddCmd    `cmd:"" example:"impctl user add anna --role administrator --password -" help:"add an account"`
	Remove userRemoveCmd `cmd:"" example:"impctl user remove anna" help:"remove an account and end its sessions"`
	Key    userKeyCmd    `cmd:"" example:"impctl user key list anna" help:"SSH keys that open an account"`
}

type userKeyCmd struct {
	List   userKeyListCmd   `cmd:"" example:"impctl user key list anna" rights:"operator" help:"list the keys of an account"`
	Add    userKeyAddCmd    `cmd:"" example:"impctl user key add anna 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICQGCz3zmHT90RgW4qWzTpwKC8FyTxkdJkxkgsb+f5rJ anna@laptop'" help:"let one more key open an account"`
	Remove userKeyRemoveCmd `cmd:"" example:"impctl user key remove anna SHA256:68yJ9HZVeHot39yFygWe3Y1bEoO4fnn5YUEm2NRyStM" help:"forget a key"`
}

type userListCmd struct{}

func (userListCmd) Run(ctx context.Context, e *Env) error {
	list, err := e.Host.Accounts(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, a := range list {
		fmt.Fprintf(&b, "%-32s %-14s %s\n", a.Name, a.Rights, opensWith(a))
	}
	if len(list) == 0 && !e.json {
		e.Say("no accounts; impctl user add NAME --role administrator --password - adds one")
	}
	return e.Out(map[string][]account.Account{"accounts": list}, b.String())
}

// opensWith says how somebody can log in.
func opensWith(a account.Account) string {
	var ways []string
	if a.Password {
		ways = append(ways, "password")
	}
	if n := len(a.Keys); n > 0 {
		ways = append(ways, fmt.Sprintf("%d SSH %s", n, plural(n, "key")))
	}
	if len(ways) == 0 {
		return "cannot log in"
	}
	return strings.Join(ways, ", ")
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

type userAddCmd struct {
	Name     string         `arg:"" help:"the account's name: 1 to 31 lower-case letters, digits and '-'"`
	Role     account.Rights `required:"" enum:"administrator,operator" placeholder:"{administrator,operator}" values:"administrator=may do everything|operator=may look" help:"what the account may do"`
	Password string         `placeholder:"PASSWORD" secret:"password of the new account" twice:"" help:"its password; - asks for it"`
	Key      string         `placeholder:"'TYPE KEY COMMENT'" sshkey:"" help:"its SSH public key: the line of the .pub file, in quotes"`
}

func (userAddCmd) Help() string {
	return `An account of the machine is made, whose login shell is the sealed shell. It
opens with a password, an SSH key, or both:
--key 'ssh-ed25519 AAAA… nightly@backup'`
}

func (c *userAddCmd) Run(ctx context.Context, e *Env) error {
	if err := account.CheckName(c.Name); err != nil {
		return usage("for example anna or backup-2", "%s: %s", quote(c.Name), err)
	}
	if c.Password == "" && c.Key == "" {
		return usage("add --password -, --key 'ssh-ed25519 …', or both", "the account could not log in")
	}
	if c.Password != "" {
		if err := secret.CheckPassword("account's", c.Password, c.Name); err != nil {
			return usage("choose another one", "%s", err)
		}
	}
	if err := checkKey(c.Key); c.Key != "" && err != nil {
		return err
	}
	if err := e.Host.AddAccount(ctx, e.Caller, account.New{Name: c.Name, Rights: c.Role, Password: c.Password, Key: c.Key}); err != nil {
		return err
	}
	return e.Out(struct {
		Added string         `json:"added"`
		Role  account.Rights `json:"role"`
	}{c.Name, c.Role}, fmt.Sprintf("added the %s %s\n", c.Role, c.Name))
}

func checkKey(line string) error {
	if _, err := account.ParseKey(line); err != nil {
		return usage("it is the one line of a .pub file, in quotes: 'ssh-ed25519 AAAA… comment'", "the key is not accepted: %s", err)
	}
	return nil
}

type userRemoveCmd struct {
	Name string `arg:"" complete:"users" help:"an account that impctl user list shows"`
}

func (userRemoveCmd) Help() string {
	return `Its sessions end at once. Nobody removes the account that he works with, and
the last administrator stays.`
}

func (c *userRemoveCmd) Run(ctx context.Context, e *Env) error {
	if c.Name == e.Caller.Name {
		return &Failure{control.ExitFailed, "this is the account that you work with", "another administrator can remove it"}
	}
	if err := e.Host.RemoveAccount(ctx, e.Caller, c.Name); err != nil {
		return err
	}
	return e.Out(struct {
		Removed string `json:"removed"`
	}{c.Name}, fmt.Sprintf("removed %s\n", c.Name))
}

type userKeyListCmd struct {
	Name string `arg:"" complete:"users" help:"an account that impctl user list shows"`
}

func (c *userKeyListCmd) Run(ctx context.Context, e *Env) error {
	list, err := e.Host.Accounts(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(a account.Account) bool { return a.Name == c.Name })
	if i < 0 {
		return &Failure{control.ExitFailed, fmt.Sprintf("there is no account %s", quote(c.Name)), "impctl user list"}
	}
	if len(list[i].Keys) == 0 && !e.json {
		e.Say("no key opens the account %s", c.Name)
	}
	return e.Out(map[string]any{"keys": list[i].Keys}, keyLines(list[i].Keys...))
}

func keyLines(keys ...account.Key) string {
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-20s %s  %s", k.Type, k.Fingerprint, k.Comment), " ") + "\n")
	}
	return b.String()
}

type userKeyAddCmd struct {
	Name string `arg:"" complete:"users" help:"an account that impctl user list shows"`
	Key  string `arg:"" sshkey:"" help:"an SSH public key: the line of a .pub file, in quotes"`
}

func (c *userKeyAddCmd) Run(ctx context.Context, e *Env) error {
	if err := checkKey(c.Key); err != nil {
		return err
	}
	key, err := e.Host.AddKey(ctx, e.Caller, c.Name, c.Key)
	if err != nil {
		return err
	}
	return e.Out(key, "added\n"+keyLines(key))
}

type userKeyRemoveCmd struct {
	Name        string `arg:"" complete:"users" help:"an account that impctl user list shows"`
	Fingerprint string `arg:"" help:"SHA256:… as impctl user key list shows it"`
}

func (userKeyRemoveCmd) Help() string {
	return "The last key of an account without a password stays."
}

func (c *userKeyRemoveCmd) Run(ctx context.Context, e *Env) error {
	if !fingerprint.MatchString(c.Fingerprint) {
		return usage("impctl user key list "+c.Name, "a fingerprint is SHA256: and 43 letters, digits, + or /")
	}
	key, err := e.Host.RemoveKey(ctx, e.Caller, c.Name, c.Fingerprint)
	if err != nil {
		return err
	}
	return e.Out(key, "removed\n"+keyLines(key))
}

// completionTime is more than a list of accounts takes, and less than a person
// waits for Tab.
const completionTime = time.Second

func (e *Env) userCandidates(prefix string) []control.Candidate {
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	accounts, err := e.Host.Accounts(ctx)
	if err != nil {
		return nil
	}
	var list []control.Candidate
	for _, a := range accounts {
		list = append(list, control.Candidate{Value: prefix + a.Name, Help: string(a.Rights)})
	}
	return list
}
