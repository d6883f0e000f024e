package commands

import (
	"context"
	"fmt"
)

type revertCmd struct {
	Number int64 `arg:"" help:"the revision, as impctl server history lists it"`
}

func (revertCmd) Help() string {
	return `Going back is a revision of its own, so it can be undone in the same way. Users,
licences, certificates and passwords stay as they are. Where an object needs a
certificate that was deleted since, nothing is done.`
}

// Revert is the work of impctl server revert.
type Revert struct {
	Number int64  `json:"number"`
	Author string `json:"author"`
}

// RevertResult says what was made.
type RevertResult struct {
	To       int64 `json:"to"`
	Revision int64 `json:"revision"` // 0: the configuration was the same already
}

func (c *revertCmd) Run(ctx context.Context, e *Env) error {
	if c.Number < 1 {
		return usage("impctl server history lists them", "revision %d: a revision is a number from 1", c.Number)
	}
	r, err := e.Host.Revert(ctx, e.Caller, Revert{Number: c.Number, Author: e.Caller.Name}, e.UI)
	if err != nil {
		return err
	}
	if r.Revision == 0 {
		return e.Out(r, fmt.Sprintf("the configuration is what it was at revision %d already\n", r.To))
	}
	return e.Out(r, fmt.Sprintf("back to revision %d, as revision %d\n", r.To, r.Revision))
}
