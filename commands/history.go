package commands

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sealgate/transfer"
)

type historyCmd struct {
	Number int64 `arg:"" optional:"" help:"one revision, with all that it changed"`
	Limit  int   `default:"20" help:"how many of the newest, up to 1000"`
}

func (historyCmd) Help() string {
	return `Each write over the REST API is one revision. What it changed is shown as the
documents hold it, other objects by id and no secrets, each cut after 400 bytes;
with --json it is whole, up to 2 MiB of all.`
}

// History is the work of impctl server history.
type History struct {
	Number int64 `json:"number,omitempty"` // 0: the newest
	Limit  int   `json:"limit"`
}

// Revision is one write of the configuration.
type Revision struct {
	Number     int64        `json:"number"`
	At         time.Time    `json:"at"`
	Author     string       `json:"author"`
	Summary    string       `json:"summary"`
	Changes    int          `json:"changes"` // objects that it touched
	Difference []Difference `json:"difference,omitempty"`
}

// Difference is what a revision did to one object.
type Difference struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	What   string `json:"what"` // created, changed or deleted
	Was    string `json:"was,omitempty"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`

	LeftOut bool `json:"left_out,omitempty"` // both are too large to be told
}

func (c *historyCmd) Run(ctx context.Context, e *Env) error {
	if c.Limit < 1 || c.Limit > 1000 {
		return usage("--limit 100", "--limit %d is not 1 to 1000", c.Limit)
	}
	if c.Number < 0 {
		return usage("impctl server history lists them", "revision %d: a revision is a number from 1", c.Number)
	}
	list, err := e.Host.History(ctx, e.Caller, History{Number: c.Number, Limit: c.Limit}, e.UI)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintf(&b, "%6d  %s  %-16s %s\n", r.Number, stamp(r.At), transfer.SafeText(r.Author), transfer.SafeText(r.Summary))
		for _, d := range r.Difference {
			b.WriteString(d.lines())
		}
	}
	return e.Out(map[string][]Revision{"revisions": list}, b.String())
}

func (d Difference) lines() string {
	text := fmt.Sprintf("        %s %s %s", d.What, d.Kind, quote(d.Name))
	if d.Was != "" {
		text += ", was " + quote(d.Was)
	}
	if d.LeftOut {
		text += ", by documents that are too large to be shown"
	}
	text += "\n"
	if d.Before != "" {
		text += "          - " + transfer.SafeText(d.Before) + "\n"
	}
	if d.After != "" {
		text += "          + " + transfer.SafeText(d.After) + "\n"
	}
	return text
}
