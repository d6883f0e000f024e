package commands

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// expand writes abbreviated command words out. Only what is typed at a prompt
// comes here: in a script, a command that a later release adds must not make
// another one ambiguous.
func (p *parser) expand(words []string) ([]string, error) {
	out := slices.Clone(words)
	node := p.kong.Model.Node
	for i, w := range out {
		switch {
		case len(node.Children) == 0:
			return out, nil
		case w == "--json":
			continue
		case i == 0 && w == "?":
			continue // what it explains follows
		case w == "" || strings.HasPrefix(w, "-") || w == "?":
			return out, nil
		}
		child, name, err := p.abbreviated(node, w)
		if child == nil {
			return out, err
		}
		if out[i] = name; i > 0 || name != "help" {
			node = child
		}
	}
	return out, nil
}

// abbreviated is the one child whose name begins with word, and that name.
func (p *parser) abbreviated(n *kong.Node, word string) (*kong.Node, string, error) {
	var found []*kong.Node
	name := ""
	for _, c := range n.Children {
		for _, full := range append([]string{c.Name}, c.Aliases...) {
			if full == word {
				return c, full, nil
			}
			if strings.HasPrefix(full, word) && !slices.Contains(found, c) {
				found, name = append(found, c), full
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, "", nil
	case 1:
		return found[0], name, nil
	}
	path := commandPath(n)
	var names []string
	for _, c := range found {
		names = append(names, strings.TrimSpace(path+" "+c.Name))
	}
	return nil, "", usage("write more of it; Tab completes", "%s is short for several commands: %s",
		quote(strings.TrimSpace(path+" "+word)), strings.Join(names, ", "))
}
