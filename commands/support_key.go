package commands

import (
	"context"

	"sealgate/appliance/techinfo"
)

type supportKeyCmd struct {
	Show   supportKeyShowCmd   `cmd:"" example:"impctl support key show" rights:"operator" help:"show it"`
	Set    supportKeySetCmd    `cmd:"" example:"impctl support key set age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p" help:"seal core files to whoever has its identity"`
	Remove supportKeyRemoveCmd `cmd:"" example:"impctl support key remove" help:"let no core file leave any more"`
}

type supportKey struct {
	Key string `json:"support_key"`
}

type supportKeyShowCmd struct{}

func (supportKeyShowCmd) Run(_ context.Context, e *Env) error {
	key, _, err := techinfo.SupportKey(e.Host.Home())
	if err != nil {
		return err
	}
	return e.Out(supportKey{key}, key+"\n")
}

type supportKeySetCmd struct {
	Recipient string `arg:"" name:"age-recipient" help:"as age-keygen prints it: age1…"`
}

func (supportKeySetCmd) Help() string {
	return `Bundles with --coredumps hold the files of the appliance's folder coredumps,
sealed so that only the identity that belongs to this recipient opens them
(age -d -i IDENTITY FILE). The appliance's own processes write no core files:
what lies there, the owner of the machine has put there.`
}

func (c *supportKeySetCmd) Run(ctx context.Context, e *Env) error {
	if err := techinfo.SetSupportKey(e.Host.Home(), c.Recipient); err != nil {
		return err
	}
	return supportKeyShowCmd{}.Run(ctx, e)
}

type supportKeyRemoveCmd struct{}

func (supportKeyRemoveCmd) Run(_ context.Context, e *Env) error {
	if err := techinfo.RemoveSupportKey(e.Host.Home()); err != nil {
		return err
	}
	return e.Out(struct {
		Removed bool `json:"removed"`
	}{true}, "the support key is removed\n")
}
