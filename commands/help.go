package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"sealgate/control"
)

type helpCmd struct {
	Command []string `arg:"" optional:"" help:"the command to explain"`
}

// Run is only reached with a flag before the word; helpTopic takes the other
// ways.
func (c *helpCmd) Run(_ context.Context, e *Env) error { return e.parser.explain(e, c.Command) }

// helpTopic recognises the ways to ask for help: help CMD, ? CMD, CMD -h,
// CMD --help and CMD ?.
func helpTopic(words []string) ([]string, bool) {
	if words[0] == "help" || words[0] == "?" {
		return slices.DeleteFunc(slices.Clone(words[1:]), func(w string) bool { return strings.HasPrefix(w, "-") || w == "?" }), true
	}
	asked := words[len(words)-1] == "?"
	for _, w := range words {
		if w == "--" {
			break
		}
		asked = asked || w == "-h" || w == "--help"
	}
	return words, asked
}

// explain prints help for the command that topic begins with.
func (p *parser) explain(e *Env, topic []string) error {
	node, _, err := p.locateTopic(topic)
	if err != nil {
		return err
	}
	text := p.commandHelp(node)
	if len(node.Children) > 0 {
		text = e.parser.listHelp(node)
	}
	return e.Out(struct {
		Help string `json:"help"`
	}{text}, text)
}

// locateTopic is locate, but what follows the command's name is of no matter.
func (p *parser) locateTopic(topic []string) (*kong.Node, []string, error) {
	for i, w := range topic {
		if strings.HasPrefix(w, "-") || w == "?" {
			topic = topic[:i]
			break
		}
	}
	return p.locate(topic)
}

// listHelp is one line for each command below n.
func (p *parser) listHelp(n *kong.Node) string {
	var b strings.Builder
	if path := commandPath(n); path != "" {
		fmt.Fprintf(&b, "%s: %s\n\n", path, n.Help)
	}
	var list []control.Candidate
	for _, c := range commandCandidates(n) {
		list = append(list, c)
		if child := childNamed(n, c.Value); n.Type == kong.ApplicationNode && len(child.Children) > 0 {
			list[len(list)-1].Value += " " + strings.Join(childNames(child), "|")
		}
	}
	b.WriteString(columns(list))
	path := strings.TrimSpace("help " + commandPath(n))
	fmt.Fprintf(&b, "\n%s COMMAND explains one; Tab completes, ? shows what may come next.\n", path)
	if n.Type == kong.ApplicationNode {
		b.WriteString("\noutput filters, at the end of a line:\n" + filterHelp())
	}
	b.WriteString(p.ending(n))
	return b.String()
}

// commandHelp is everything about one command.
func (p *parser) commandHelp(n *kong.Node) string {
	var b strings.Builder
	path := commandPath(n)
	fmt.Fprintf(&b, "%s: %s\n\nusage: %s", path, n.Help, path)
	flags := flagCandidates(flagsOf(n), nil)
	byName := flagsOf(n)
	for _, c := range flags {
		if f := byName[c.Value[2:]]; f.Required {
			fmt.Fprintf(&b, " %s %s", c.Value, f.FormatPlaceHolder())
		}
	}
	b.WriteString(" [flags]")
	for _, v := range n.Positional {
		name := strings.ToUpper(v.Name)
		if v.IsCumulative() {
			name += "…"
		}
		if !v.Required {
			name = "[" + name + "]"
		}
		b.WriteString(" " + name)
	}
	b.WriteString("\n\n")
	var list []control.Candidate
	for _, v := range n.Positional {
		list = append(list, control.Candidate{Value: strings.ToUpper(v.Name), Help: v.Help})
	}
	for _, c := range flags {
		f := byName[c.Value[2:]]
		if !f.IsBool() {
			c.Value += " " + f.FormatPlaceHolder()
		}
		if f.HasDefault && f.Default != "" {
			c.Help += " (default " + f.Default + ")"
		}
		list = append(list, c)
		for _, value := range enumValues(f) {
			list = append(list, control.Candidate{Value: "    " + value.Value, Help: value.Help})
		}
	}
	b.WriteString(columns(list))
	if n.Detail != "" {
		b.WriteString("\n" + strings.TrimSpace(n.Detail) + "\n")
	}
	b.WriteString(p.ending(n))
	return b.String()
}

// ending is what every help ends with.
func (p *parser) ending(n *kong.Node) string {
	exits, example := "4,130", "status | match version" // of the list of all
	if n.Type == kong.CommandNode {
		exits, example = n.Tag.Get("exits"), n.Tag.Get("example")
		if own := n.Tag.Get("example-" + string(p.role)); own != "" {
			example = own
		}
	}
	return "\nexit status:\n" + exitHelp(exits) + "\nexample:\n  " + example + "\n"
}

// enumValues are the values of a flag that have a help of their own.
func enumValues(f *kong.Flag) []control.Candidate {
	if f.Tag.Get("values") == "" {
		return nil
	}
	return choices(f.Value, "")
}

func exitHelp(more string) string {
	meanings := map[string]string{"4": "the transfer failed", "130": "interrupted"}
	text := "  0    done\n  1    it failed\n  2    usage\n  3    wrong password or not allowed\n"
	for _, status := range strings.Split(more, ",") {
		if meaning := meanings[status]; meaning != "" {
			text += fmt.Sprintf("  %-4s %s\n", status, meaning)
		}
	}
	return text
}
