package commands

import (
	"context"
	"fmt"
	"strings"

	"sealgate/appliance/model"
	"sealgate/control"
	"sealgate/transfer"
)

type showBlocksCmd struct {
	Last int `default:"50" placeholder:"N" help:"at most so many, those that end last; up to 1000"`
}

func (showBlocksCmd) Help() string {
	return `Whom followed actions of policies keep out of which server group, until when, and
which policy wanted it. Somebody who was refused since then got a page with the
event's id, by which impctl gateway unblock finds him. Sessions are shown by their
fingerprints, as in events. Each gateway has its own.`
}

func (c *showBlocksCmd) Run(ctx context.Context, e *Env) error {
	if c.Last < 1 || c.Last > model.MostBlocks {
		return usage("show blocks --last 50", "--last is 1 to %d", model.MostBlocks)
	}
	list, err := e.Host.Blocks(ctx)
	if err != nil {
		return err
	}
	list.Blocks = list.Blocks[:min(len(list.Blocks), c.Last)]
	if !e.json {
		switch more := list.Total - len(list.Blocks); {
		case list.Total == 0:
			e.Say("nobody is kept out")
		case more > 0:
			e.Say("%d more end before these", more)
		}
	}
	var b strings.Builder
	for _, one := range list.Blocks {
		b.WriteString(blockLine(one))
	}
	return e.Out(list, b.String())
}

func blockLine(b model.Block) string {
	event := "nobody was refused yet"
	if b.Event != "" {
		event = "event " + transfer.SafeText(b.Event)
	}
	return fmt.Sprintf("until %s  %-12s %-25s %s by %s (%s), %s\n", stamp(b.Until), transfer.SafeText(b.Type), transfer.SafeText(b.Who),
		quote(b.ServerGroup), quote(b.Policy), transfer.SafeText(b.ActionSet), event)
}

type gatewayUnblockCmd struct {
	Who string `arg:"" optional:"" help:"an address, a user, a session's fingerprint, or the event's id on the page that was shown"`
	All bool   `help:"everybody"`
}

func (gatewayUnblockCmd) Help() string {
	return `It ends what show blocks shows, on this gateway and in all its server groups. Who does
again what the policy is against is kept out again; what a policy has counted is not
forgotten.`
}

func (c *gatewayUnblockCmd) Run(ctx context.Context, e *Env) error {
	if (c.Who == "") != c.All {
		return usage("impctl gateway unblock 203.0.113.9", "whom? either one, or --all")
	}
	done, err := e.Host.Unblock(ctx, model.Unblock{Who: c.Who, All: c.All})
	if err != nil {
		return err
	}
	if done.Lifted == 0 && !c.All {
		return &Failure{control.ExitFailed, "nobody is kept out as " + quote(c.Who), "show blocks shows who is, and the page that was shown has an event's id"}
	}
	return e.Out(done, row("lifted", "%d", done.Lifted))
}
