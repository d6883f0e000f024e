package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/store"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/job"
)

// Import takes a dump in the place of the data, or beside them.
func (d *Daemon) Import(ctx context.Context, c commands.Caller, x commands.Import, ui control.UI) (commands.ImportResult, error) {
	var r commands.ImportResult
	release, err := d.role.hold(ctx, "an import runs")
	if err != nil {
		return r, err
	}
	defer release()
	x.Author = c.Name
	err = d.jobs.run(ctx, job.KindImport, c, job.Spec{Home: d.home, Import: &x}, ui, &r)
	if err != nil {
		// What a killed one could not remove itself.
		err = errors.Join(err, sweepImport(d.home))
	}
	return r, err
}

// RollbackImport puts the data back that the last import replaced.
func (d *Daemon) RollbackImport(ctx context.Context) (time.Time, error) {
	release, err := d.role.hold(ctx, "data are being put back")
	if err != nil {
		return time.Time{}, err
	}
	defer release()
	made, err := store.Previous(string(d.home))
	if err == nil {
		err = store.Rollback(string(d.home))
	}
	if errors.Is(err, store.ErrNoPrevious) {
		err = appliance.Faultf("they are kept from an import until the next one, or until they are put back", "%w", store.ErrNoPrevious)
	}
	return made, err
}

// settle brings a home in order that an older release or a killed import left.
func settle(home appliance.Home) error {
	if err := store.Settle(string(home)); err != nil {
		return err
	}
	return sweepImport(home)
}

func sweepImport(home appliance.Home) error {
	if err := errors.Join(store.Sweep(string(home)), os.RemoveAll(home.Incoming())); err != nil {
		return fmt.Errorf("an unfinished import is left over: %w", err)
	}
	return nil
}
