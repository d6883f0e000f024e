package daemon

import (
	"context"
	"fmt"
	"time"

	"sealgate/appliance/ftl"
	"sealgate/appliance/seal"
	"sealgate/commands"
)

// sealState looks at the seal.
func (d *Daemon) sealState() seal.State {
	s, err := d.seal.State(time.Now())
	if err != nil {
		d.log.Warn("the time of the licence is not kept", "error", err)
	}
	return s
}

// Unlock unseals the appliance with a licence key.
func (d *Daemon) Unlock(ctx context.Context, c commands.Caller, key string) (seal.State, error) {
	s, err := d.seal.Unlock(ctx, key, time.Now)
	if err != nil {
		d.log.Warn("a licence key does not unseal the appliance", "user", c.Name, "uid", c.UID, "error", err)
		d.setUp.Step(ftl.License, ftl.Failed, fmt.Sprintf("unlock by %s: %s", c.Name, commands.ResultOf(err).Error))
		return s, err
	}
	d.setUp.Step(ftl.License, ftl.Done, fmt.Sprintf("unsealed by %s, with licence %s", c.Name, s.Licence.ID))
	d.log.Info("the appliance is unsealed", "user", c.Name, "uid", c.UID, "licence", s.Licence.ID)
	return s, nil
}

// Seal seals the appliance again.
func (d *Daemon) Seal(c commands.Caller) error {
	if err := d.seal.Again(); err != nil {
		return err
	}
	d.setUp.Step(ftl.License, ftl.Done, "sealed by "+c.Name)
	d.log.Info("the appliance is sealed", "user", c.Name, "uid", c.UID)
	return nil
}
