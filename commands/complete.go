package commands

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"sealgate/appliance/folder"
	"sealgate/control"
)

// maxCandidates bounds an answer: more than a person reads, less than a frame.
const maxCandidates = 10_000

// Complete gives what may stand in the place of the last of words, which is
// the part of a word that was typed so far.
func Complete(e *Env, words []string) []control.Candidate {
	if e.Caller.Rights == Nobody {
		return nil
	}
	p, err := newParser(e.Host.Config().Role, e.Caller.Rights)
	if err != nil {
		return nil
	}
	e.parser = p
	if len(words) == 0 {
		words = []string{""}
	}
	before, partial := words[:len(words)-1], words[len(words)-1]
	if len(before) > 0 && (before[0] == "help" || before[0] == "?") {
		before = before[1:]
		if node, _, err := p.locate(before); err == nil {
			return withPrefix(commandCandidates(node), partial)
		}
		return nil
	}
	node, rest, err := p.locate(before)
	if err != nil {
		return nil
	}
	if len(node.Children) > 0 {
		return withPrefix(commandCandidates(node), partial)
	}
	return withPrefix(e.argumentCandidates(node, rest, partial), partial)
}

func commandCandidates(n *kong.Node) []control.Candidate {
	var list []control.Candidate
	for _, c := range n.Children {
		list = append(list, control.Candidate{Value: c.Name, Help: c.Help})
	}
	slices.SortFunc(list, func(a, b control.Candidate) int { return strings.Compare(a.Value, b.Value) })
	return list
}

// argumentCandidates completes behind a command: a flag's value, a flag, or a
// positional value.
func (e *Env) argumentCandidates(n *kong.Node, before []string, partial string) []control.Candidate {
	flags := flagsOf(n)
	used, positionals, pending := consumed(flags, before)
	if pending != nil {
		return e.valueCandidates(pending.Value, "")
	}
	if name, _, joined := strings.Cut(partial, "="); joined && strings.HasPrefix(partial, "--") {
		if flag := flags[name[2:]]; flag != nil && !flag.IsBool() {
			return e.valueCandidates(flag.Value, name+"=")
		}
		return nil
	}
	var list []control.Candidate
	if !strings.HasPrefix(partial, "-") {
		if v := positionalAt(n, positionals); v != nil {
			list = e.valueCandidates(v, "")
		}
		if partial != "" {
			return list
		}
	}
	return append(list, flagCandidates(flags, used)...)
}

func flagsOf(n *kong.Node) map[string]*kong.Flag {
	flags := map[string]*kong.Flag{}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			flags[f.Name] = f
		}
	}
	return flags
}

// consumed walks the words behind a command: which flags are given, how many
// positional values, and the flag, if any, whose value comes next.
func consumed(flags map[string]*kong.Flag, words []string) (used map[string]bool, positionals int, pending *kong.Flag) {
	used = map[string]bool{}
	for i := 0; i < len(words); i++ {
		if !strings.HasPrefix(words[i], "--") {
			positionals++
			continue
		}
		name, _, joined := strings.Cut(words[i][2:], "=")
		flag := flags[name]
		if flag == nil {
			continue
		}
		used[name] = true
		if joined || flag.IsBool() {
			continue
		}
		if i++; i == len(words) {
			return used, positionals, flag
		}
	}
	return used, positionals, nil
}

func positionalAt(n *kong.Node, i int) *kong.Value {
	switch {
	case i < len(n.Positional):
		return n.Positional[i]
	case len(n.Positional) > 0 && n.Positional[len(n.Positional)-1].IsCumulative():
		return n.Positional[len(n.Positional)-1]
	}
	return nil
}

// flagCandidates lists what is not used yet, mandatory flags first.
func flagCandidates(flags map[string]*kong.Flag, used map[string]bool) []control.Candidate {
	var list []control.Candidate
	for name, f := range flags {
		if !used[name] {
			c := control.Candidate{Value: "--" + name, Help: f.Help}
			if f.Required {
				c.Help += " (mandatory)"
			}
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b control.Candidate) int {
		if x, y := flags[a.Value[2:]].Required, flags[b.Value[2:]].Required; x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Value, b.Value)
	})
	return list
}

func (e *Env) valueCandidates(v *kong.Value, prefix string) []control.Candidate {
	var list []control.Candidate
	if v.Enum != "" {
		for _, value := range v.EnumSlice() {
			list = append(list, control.Candidate{Value: prefix + value, Help: enumHelp(v, value)})
		}
		return list
	}
	switch v.Tag.Get("complete") {
	case "files":
		list = e.fileCandidates(prefix)
	case "hosts":
		list = e.hostCandidates(prefix)
	}
	return list[:min(len(list), maxCandidates)]
}

// enumHelp is the part of a flag's values tag ("1=…|2=…") about one value.
func enumHelp(v *kong.Value, value string) string {
	for _, part := range strings.Split(v.Tag.Get("values"), "|") {
		if name, help, ok := strings.Cut(part, "="); ok && name == value {
			return help
		}
	}
	return ""
}

func (e *Env) fileCandidates(prefix string) []control.Candidate {
	files, err := folder.List(e.Host.Home())
	if err != nil {
		return nil
	}
	var list []control.Candidate
	for _, f := range files {
		list = append(list, control.Candidate{Value: prefix + f.Name, Help: fileLine(f)})
	}
	return list
}

func withPrefix(list []control.Candidate, partial string) []control.Candidate {
	var out []control.Candidate
	for _, c := range list {
		if strings.HasPrefix(c.Value, partial) {
			out = append(out, c)
		}
	}
	return out
}

// Next explains what may stand in the place of the last of words: a value that
// cannot be listed in words, what can be listed as a list.
func Next(e *Env, words []string) string {
	text := columns(Complete(e, words))
	partial := ""
	if len(words) > 0 {
		partial = words[len(words)-1]
	}
	if !strings.HasPrefix(partial, "-") {
		text = e.expected(words) + text
	}
	if text == "" {
		return "nothing may follow here\n"
	}
	return text
}

// expected describes a value that cannot be listed.
func (e *Env) expected(words []string) string {
	if e.parser == nil || len(words) == 0 {
		return ""
	}
	node, rest, err := e.parser.locate(words[:len(words)-1])
	if err != nil {
		res := ResultOf(err)
		return res.Error + "; " + res.Hint + "\n"
	}
	if len(node.Children) > 0 {
		return ""
	}
	_, positionals, pending := consumed(flagsOf(node), rest)
	if pending != nil && pending.Enum != "" {
		return ""
	}
	if pending != nil {
		return pending.FormatPlaceHolder() + ": " + pending.Help + "\n"
	}
	if v := positionalAt(node, positionals); v != nil {
		return strings.ToUpper(v.Name) + ": " + v.Help + "\n"
	}
	return ""
}

// columns lays candidates out with their help.
func columns(list []control.Candidate) string {
	width := 0
	for _, c := range list {
		width = max(width, min(len(c.Value), 46))
	}
	var b strings.Builder
	for _, c := range list {
		b.WriteString("  " + c.Value)
		if c.Help != "" {
			b.WriteString(strings.Repeat(" ", max(width-len(c.Value), 0)+2) + c.Help)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
