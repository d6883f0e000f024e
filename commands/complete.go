package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"sealgate/appliance"
	"sealgate/appliance/folder"
	"sealgate/control"
)

// maxCandidates bounds an answer: a person reads no more, and Tab is quick.
const maxCandidates = 100

// Complete gives what may stand in the place of the last of words, or of e's
// last filter, which is the part of a word that was typed so far. Where there
// is more than that, the result says how many and how all of them begin.
func Complete(ctx context.Context, e *Env, words []string) control.Result {
	if e.Caller.Rights == Nobody {
		return control.Result{}
	}
	if n := len(e.Filters); n > 0 && len(e.Filters[n-1]) > 0 {
		return filterOffer(e.Filters[n-1])
	}
	if len(words) == 0 {
		words = []string{""}
	}
	before, partial := words[:len(words)-1], words[len(words)-1]
	before, err := e.look(before)
	if err != nil {
		return control.Result{}
	}
	return e.offer(ctx, before, partial).result()
}

// offer is a list of candidates, and what is known of those beyond it.
type offer struct {
	list   []control.Candidate
	more   int
	common string // where there are more: how all of them begin
}

func (o offer) result() control.Result {
	if over := len(o.list) - maxCandidates; over > 0 {
		if o.more == 0 {
			o.common = o.list[0].Value
		}
		for _, c := range o.list {
			o.common = common(o.common, c.Value)
		}
		o.list, o.more = o.list[:maxCandidates], o.more+over
	}
	return control.Result{Candidates: o.list, More: o.more, Common: o.common}
}

// common is how both begin, in whole runes.
func common(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	return a[:n]
}

// offer completes behind before.
func (e *Env) offer(ctx context.Context, before []string, partial string) offer {
	if len(before) > 0 && (before[0] == "help" || before[0] == "?") {
		before = before[1:]
		node, _, err := e.parser.locate(before)
		if err != nil {
			return offer{}
		}
		return offer{list: withPrefix(commandCandidates(node), partial)}
	}
	node, rest, err := e.parser.locate(before)
	if err != nil {
		return offer{}
	}
	if len(node.Children) > 0 {
		return offer{list: withPrefix(commandCandidates(node), partial)}
	}
	return e.argumentOffer(ctx, node, rest, partial)
}

func commandCandidates(n *kong.Node) []control.Candidate {
	var list []control.Candidate
	for _, c := range n.Children {
		list = append(list, control.Candidate{Value: c.Name, Help: c.Help})
	}
	slices.SortFunc(list, func(a, b control.Candidate) int { return strings.Compare(a.Value, b.Value) })
	return list
}

// argumentOffer completes behind a command: a flag's value, a flag, or a
// positional value.
func (e *Env) argumentOffer(ctx context.Context, n *kong.Node, before []string, partial string) offer {
	flags := flagsOf(n)
	used, positionals, pending := consumed(flags, before)
	if pending != nil {
		return e.valueOffer(ctx, pending.Value, "", partial)
	}
	if name, value, joined := strings.Cut(partial, "="); joined && strings.HasPrefix(partial, "--") {
		if flag := flags[name[2:]]; flag != nil && !flag.IsBool() {
			return e.valueOffer(ctx, flag.Value, name+"=", value)
		}
		return offer{}
	}
	var o offer
	if !strings.HasPrefix(partial, "-") {
		if v := positionalAt(n, positionals); v != nil {
			o = e.valueOffer(ctx, v, "", partial)
		}
		if partial != "" {
			return o
		}
	}
	if dumps := flags["dmpfile"]; dumps != nil && !used["dmpfile"] && strings.HasPrefix("--dmpfile=", partial) {
		o = e.valueOffer(ctx, dumps.Value, "--dmpfile=", "")
	}
	list := withPrefix(flagCandidates(flags, used), partial)
	if o.more > 0 && len(list) > 0 {
		o.common = "" // nothing begins both a name and a flag
	}
	o.list = append(o.list, list...)
	return o
}

// flagsOf are a command's flags, and those that stand above it. Kong's own
// walk writes into the grammar, which is shared.
func flagsOf(n *kong.Node) map[string]*kong.Flag {
	flags := map[string]*kong.Flag{}
	for ; n != nil; n = n.Parent {
		for _, f := range n.Flags {
			if !f.Hidden {
				flags[f.Name] = f
			}
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

// valueOffer are the values that begin with partial, each with prefix in
// front.
func (e *Env) valueOffer(ctx context.Context, v *kong.Value, prefix, partial string) offer {
	switch v.Tag.Get("complete") {
	case "files":
		return e.fileOffer(prefix, partial)
	case "dumps":
		return e.fileOffer(prefix, partial, folder.Dump)
	case "bundles":
		return e.fileOffer(prefix, partial, folder.Gateway)
	case "gateways":
		return e.gatewayOffer(ctx, prefix, partial)
	}
	return offer{list: withPrefix(e.valueCandidates(v, prefix), prefix+partial)}
}

func (e *Env) valueCandidates(v *kong.Value, prefix string) []control.Candidate {
	if v.Enum != "" {
		return choices(v, prefix)
	}
	var list []control.Candidate
	switch v.Tag.Get("complete") {
	case "hosts":
		list = e.hostCandidates(prefix)
	case "users":
		list = e.userCandidates(prefix)
	}
	return list
}

// choices are the values that v may have, each with prefix in front.
func choices(v *kong.Value, prefix string) []control.Candidate {
	var list []control.Candidate
	for _, value := range v.EnumSlice() {
		if value != "" { // what an optional flag is when it is not given
			list = append(list, control.Candidate{Value: prefix + value, Help: enumHelp(v, value)})
		}
	}
	return list
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

// fileOffer are files, of all kinds unless some are named.
func (e *Env) fileOffer(prefix, partial string, kinds ...string) offer {
	found, err := folder.Search(e.Host.Home(), partial, maxCandidates, kinds...)
	if err != nil {
		return offer{}
	}
	o := offer{more: found.More}
	if found.More > 0 && len(found.Files) > 0 {
		o.common = prefix + common(found.Files[0].Name, found.Last)
	}
	for _, f := range found.Files {
		o.list = append(o.list, control.Candidate{Value: prefix + f.Name, Help: fileLine(f)})
	}
	return o
}

// gatewayOffer are gateways that are registered.
func (e *Env) gatewayOffer(ctx context.Context, prefix, partial string) offer {
	if e.Host.Config().Role != appliance.ManagementServer {
		return offer{}
	}
	found, err := e.Host.SearchGateways(ctx, e.Caller, SearchGateways{Prefix: partial, Most: maxCandidates})
	if err != nil {
		return offer{}
	}
	o := offer{more: found.More}
	if found.More > 0 && len(found.Gateways) > 0 {
		o.common = prefix + common(found.Gateways[0].Name, found.Last)
	}
	for _, g := range found.Gateways {
		o.list = append(o.list, control.Candidate{Value: prefix + g.Name, Help: "in gateway group " + quote(g.Group)})
	}
	return o
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
func Next(ctx context.Context, e *Env, words []string) string {
	if n := len(e.Filters); n > 0 && len(e.Filters[n-1]) > 0 {
		return orElse(nextFilter(e.Filters[n-1]), nothingFollows)
	}
	res := Complete(ctx, e, words)
	text := columns(res.Candidates)
	if res.More > 0 {
		text += fmt.Sprintf("  ... and %d more: type a few letters first\n", res.More)
	}
	partial := ""
	if len(words) > 0 {
		partial = words[len(words)-1]
	}
	if !strings.HasPrefix(partial, "-") {
		text = e.expected(words) + text
	}
	return orElse(text, nothingFollows)
}

const nothingFollows = "nothing may follow here\n"

// expected describes a value that cannot be listed.
func (e *Env) expected(words []string) string {
	if e.parser == nil || len(words) == 0 {
		return ""
	}
	before, err := e.look(words[:len(words)-1])
	if err != nil {
		return ResultOf(err).Error + "\n"
	}
	node, rest, err := e.parser.locate(before)
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
		width = max(width, min(utf8.RuneCountInString(c.Value), 46))
	}
	var b strings.Builder
	for _, c := range list {
		b.WriteString("  " + c.Value)
		if c.Help != "" {
			b.WriteString(strings.Repeat(" ", max(width-utf8.RuneCountInString(c.Value), 0)+2) + c.Help)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
