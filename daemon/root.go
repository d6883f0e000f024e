package daemon

import (
	"context"
	"fmt"

	"sealgate/appliance"
	"sealgate/appliance/account"
	"sealgate/appliance/ftl"
	"sealgate/commands"
	"sealgate/daemon/rootd"
)

// rootFor is the root service, on behalf of c. Another appliance than the
// installed one has none: the machine's accounts are not its own.
func (d *Daemon) rootFor(c commands.Caller) (rootd.Client, error) {
	if d.home != appliance.DefaultHome {
		return rootd.Client{}, rootd.ErrNotThere
	}
	return rootd.Client{For: c.Name}, nil
}

// Accounts lists administrators and operators.
func (d *Daemon) Accounts(ctx context.Context) ([]account.Account, error) {
	root, err := d.rootFor(commands.Caller{})
	if err != nil {
		return nil, err
	}
	return root.Accounts(ctx)
}

// AddAccount adds one.
func (d *Daemon) AddAccount(ctx context.Context, c commands.Caller, n account.New) error {
	root, err := d.rootFor(c)
	if err != nil {
		return err
	}
	err = root.AddAccount(ctx, n)
	if err == nil {
		d.setUp.Step(ftl.Users, ftl.Done, fmt.Sprintf("%s, %s of the appliance", n.Name, n.Rights))
	}
	return err
}

// RemoveAccount removes one and ends its sessions.
func (d *Daemon) RemoveAccount(ctx context.Context, c commands.Caller, name string) error {
	root, err := d.rootFor(c)
	if err != nil {
		return err
	}
	return root.RemoveAccount(ctx, name)
}

// AddKey lets one more SSH key open an account.
func (d *Daemon) AddKey(ctx context.Context, c commands.Caller, name, line string) (account.Key, error) {
	root, err := d.rootFor(c)
	if err != nil {
		return account.Key{}, err
	}
	return root.AddKey(ctx, name, line)
}

// RemoveKey forgets one.
func (d *Daemon) RemoveKey(ctx context.Context, c commands.Caller, name, fingerprint string) (account.Key, error) {
	root, err := d.rootFor(c)
	if err != nil {
		return account.Key{}, err
	}
	return root.RemoveKey(ctx, name, fingerprint)
}

// Reboot reboots the machine.
func (d *Daemon) Reboot(ctx context.Context, c commands.Caller) error {
	root, err := d.rootFor(c)
	if err != nil {
		return err
	}
	return root.Reboot(ctx)
}
