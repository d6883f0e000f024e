package commands

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/alecthomas/kong"

	"sealgate/appliance"
	"sealgate/control"
)

// parser is the grammar, cut down to what a role and a caller have.
type parser struct {
	kong   *kong.Kong
	role   appliance.Role
	rights Rights
}

// shared are parsers for looking things up. Building one costs a millisecond,
// and Tab has five.
var shared sync.Map

// sharedParser is one that many callers may use at the same time, but not to
// parse with: kong writes a line's values into its grammar.
func sharedParser(role appliance.Role, rights Rights) (*parser, error) {
	key := parser{role: role, rights: rights}
	if p, ok := shared.Load(key); ok {
		return p.(*parser), nil
	}
	p, err := newParser(role, rights)
	if err != nil {
		return nil, err
	}
	shared.Store(key, p)
	return p, nil
}

func newParser(role appliance.Role, rights Rights) (*parser, error) {
	k, err := newKong()
	if err != nil {
		return nil, err
	}
	prune(k.Model.Node, role, rights, "mx gateway", "administrator")
	return &parser{k, role, rights}, nil
}

func newKong() (*kong.Kong, error) {
	k, err := kong.New(&grammar{},
		kong.Name(""),
		kong.NoDefaultHelp(),
		kong.Exit(func(int) {}),
		// A password may begin with a hyphen.
		kong.WithHyphenPrefixedParameters(true),
	)
	if err != nil {
		return nil, fmt.Errorf("the command grammar does not hold: %w", err)
	}
	return k, nil
}

// prune takes out what the role or the caller does not have. Children inherit
// their parent's tags.
func prune(n *kong.Node, role appliance.Role, rights Rights, roles, needs string) {
	n.Children = slices.DeleteFunc(n.Children, func(c *kong.Node) bool {
		roles, needs := orElse(c.Tag.Get("roles"), roles), orElse(c.Tag.Get("rights"), needs)
		if c.Leaf() {
			return !slices.Contains(strings.Fields(roles), string(role)) || (needs != "operator" && rights < Administrator)
		}
		prune(c, role, rights, roles, needs)
		return c.Leaf()
	})
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// parse finds the command and fills in the flags of a grammar of its own.
func (p *parser) parse(words []string) (*kong.Context, error) {
	node, rest, err := p.locate(words)
	if err != nil {
		return nil, err
	}
	path := commandPath(node)
	if path == "" {
		return nil, usage("help lists the commands", "no command is in the line")
	}
	if len(node.Children) > 0 {
		return nil, usage("help "+path, "%s needs one of: %s", path, strings.Join(childNames(node), ", "))
	}
	if err := checkFlags(path, rest); err != nil {
		return nil, err
	}
	fresh, err := newParser(p.role, p.rights)
	if err != nil {
		return nil, err
	}
	kctx, err := fresh.kong.Parse(words)
	if err != nil {
		return nil, p.usageError(path, words, err)
	}
	return kctx, nil
}

// locate walks the command words, and returns the node they name and the
// words behind them.
func (p *parser) locate(words []string) (*kong.Node, []string, error) {
	node := p.kong.Model.Node
	for i, w := range words {
		if len(node.Children) == 0 {
			return node, words[i:], nil
		}
		if strings.HasPrefix(w, "-") {
			if w == "--json" {
				continue
			}
			return nil, nil, usage(strings.TrimSpace("help "+commandPath(node)), "%s stands where a command is expected", quote(flagName(w)))
		}
		child := childNamed(node, w)
		if child == nil {
			return nil, nil, p.unknown(node, w)
		}
		node = child
	}
	return node, nil, nil
}

func childNamed(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Name == name || slices.Contains(c.Aliases, name) {
			return c
		}
	}
	return nil
}

func childNames(n *kong.Node) []string {
	var names []string
	for _, c := range n.Children {
		names = append(names, c.Name)
	}
	return names
}

func commandPath(n *kong.Node) string {
	var names []string
	for ; n != nil && n.Type == kong.CommandNode; n = n.Parent {
		names = append(names, n.Name)
	}
	slices.Reverse(names)
	return strings.Join(names, " ")
}

// unknown is the error for a word that names no command, with the nearest
// ones as its hint.
func (p *parser) unknown(n *kong.Node, word string) error {
	path := commandPath(n)
	full := strings.TrimSpace(path + " " + word)
	if err := p.elsewhere(n, full, word); err != nil {
		return err
	}
	if bare, ok := strings.CutSuffix(word, "?"); ok && bare != "" {
		return usage("write a blank before it: "+strings.TrimSpace(path+" "+bare)+" ?", "unknown command %s", quote(full))
	}
	hint := "help lists the commands"
	if path != "" {
		hint = "help " + path
	}
	if near := nearest(word, childNames(n)); near != "" {
		hint = "did you mean " + strings.TrimSpace(path+" "+near) + "?"
	}
	return usage(hint, "unknown command %s", quote(strings.TrimSpace(path+" "+Redact([]string{word})[0])))
}

// elsewhere is the error for a command that exists, but not for this role or
// not for this caller.
func (p *parser) elsewhere(n *kong.Node, full, word string) error {
	whole := everything().root
	for _, name := range strings.Fields(commandPath(n)) {
		if whole = childNamed(whole, name); whole == nil {
			return nil
		}
	}
	child := childNamed(whole, word)
	if child == nil {
		return nil
	}
	if roles := child.Tag.Get("roles"); roles != "" && !slices.Contains(strings.Fields(roles), string(p.role)) {
		return usage("help lists what this appliance has", "%s is no command of a %s", quote(full), p.role.Title())
	}
	return &Failure{control.ExitDenied, fmt.Sprintf("%s is for administrators", quote(full)), "help lists what you may run"}
}

// usageError turns kong's words into ours. They repeat parts of the input,
// which may be secrets.
func (p *parser) usageError(path string, words []string, err error) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	text, hint := strings.TrimPrefix(oneLine(err.Error()), path+": "), path+" --help"
	text = strings.ReplaceAll(text, "expected a valid 64 bit int but got", "a whole number is expected, not")
	switch {
	case strings.HasPrefix(text, "unexpected argument "):
		return usage("a value with spaces is written in quotes; "+hint, "%s: there is a word too many", path)
	case strings.HasPrefix(text, `expected "<`):
		names := strings.NewReplacer("<", "", ">", "", " ...", "").Replace(strings.Trim(strings.TrimPrefix(text, "expected "), `"`))
		return usage(hint, "%s: missing %s", path, strings.ToUpper(names))
	}
	for _, secret := range secretsIn(words) {
		text = strings.ReplaceAll(text, strconv.Quote(secret), strconv.Quote(hidden))
		if len(secret) >= 6 { // a shorter one is part of ordinary words
			text = strings.ReplaceAll(text, secret, hidden)
		}
	}
	if before, after, ok := strings.Cut(text, ", did you mean "); ok {
		text, hint = before, "did you mean "+strings.ReplaceAll(after, `"`, "")
	}
	return usage(hint, "%s: %s", path, text)
}

// checkFlags refuses what kong would take silently: a flag given twice, of
// which the last would win, and a flag in the place of another one's value.
func checkFlags(path string, words []string) error {
	seen := map[string]bool{}
	for i := 0; i < len(words) && words[i] != "--"; i++ {
		flag := knownFlag(words[i])
		if flag == nil {
			continue
		}
		if seen[flag.Name] {
			return usage(path+" --help", "%s: --%s is given twice", path, flag.Name)
		}
		seen[flag.Name] = true
		if flag.IsBool() {
			continue
		}
		_, value, joined := strings.Cut(words[i], "=")
		switch i++; {
		case joined:
			i--
			if value != "" {
				continue
			}
		case i < len(words) && words[i] != "" && knownFlag(words[i]) == nil && words[i] != "--":
			continue
		}
		return usage(fmt.Sprintf("write --%s %s", flag.Name, flag.FormatPlaceHolder()), "%s: --%s has no value", path, flag.Name)
	}
	return nil
}

func flagName(word string) string {
	name, _, _ := strings.Cut(word, "=")
	return name
}

// whole is what the complete list holds, whatever the role and the caller.
type whole struct {
	root  *kong.Node
	flags map[string]*kong.Flag
}

var everything = sync.OnceValue(func() whole {
	w := whole{root: &kong.Node{}, flags: map[string]*kong.Flag{}}
	k, err := newKong()
	if err != nil {
		return w // newParser says so to everybody
	}
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			// Of two with one name, the one whose value is a secret.
			if known := w.flags[f.Name]; known == nil || known.Tag.Get("secret") == "" {
				w.flags[f.Name] = f
			}
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	w.root = k.Model.Node
	walk(w.root)
	return w
})

func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
