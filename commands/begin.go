package commands

import "github.com/alecthomas/kong"

// begin tells of a command that is about to change something.
func (e *Env) begin(n *kong.Node, words []string) error {
	if e.Begin == nil || tagged(n, "looks") || orInherited(n, "rights") == "operator" {
		return nil
	}
	err := e.Begin(Entry{Words: e.redacted(words)})
	if tagged(n, "room") {
		return nil
	}
	return err
}

func tagged(n *kong.Node, tag string) bool { return n.Tag != nil && n.Tag.Has(tag) }

// orInherited is a node's tag, or the nearest one above it.
func orInherited(n *kong.Node, tag string) string {
	for ; n != nil && n.Tag != nil; n = n.Parent {
		if value := n.Tag.Get(tag); value != "" {
			return value
		}
	}
	return ""
}
