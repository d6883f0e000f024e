package commands

import (
	"context"

	"sealgate/control"
)

type rebootCmd struct {
	Yes bool `help:"do not ask"`
}

func (rebootCmd) Help() string {
	return "At a terminal it asks first; a script says --yes."
}

func (c *rebootCmd) Run(ctx context.Context, e *Env) error {
	if err := e.sure(ctx, c.Yes, "reboot the machine? (yes/no) "); err != nil {
		return err
	}
	if err := e.Host.Reboot(ctx, e.Caller); err != nil {
		return err
	}
	return e.Out(struct {
		Rebooting bool `json:"rebooting"`
	}{true}, "the machine reboots\n")
}

// sure asks whether to go on, unless that was said already.
func (e *Env) sure(ctx context.Context, said bool, prompt string) error {
	if said {
		return nil
	}
	if !e.Terminal {
		return usage("add --yes", "nobody is there to be asked")
	}
	answer, err := e.UI.Ask(ctx, control.Question{Prompt: prompt, Confirm: true})
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case err != nil:
		return err
	case answer != "yes":
		return &Failure{control.ExitFailed, "nothing was done", "only the answer yes goes on"}
	}
	return nil
}
