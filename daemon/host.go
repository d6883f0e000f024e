package daemon

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"sealgate/appliance"
	"sealgate/appliance/audit"
	"sealgate/appliance/disk"
	"sealgate/appliance/folder"
	"sealgate/appliance/secret"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/job"
)

// Daemon is the host of the commands.
var _ commands.Host = (*Daemon)(nil)

// Home is the appliance's folder.
func (d *Daemon) Home() appliance.Home { return d.home }

// Config is what the appliance is.
func (d *Daemon) Config() appliance.Config { return d.config }

// AuditHead is the last record of the audit log.
func (d *Daemon) AuditHead() audit.Head { return d.audit.Head() }

// StartRole starts the role and waits until it is ready.
func (d *Daemon) StartRole(ctx context.Context) error { return d.role.Start(ctx) }

// StopRole stops the role and waits until it is gone.
func (d *Daemon) StopRole(ctx context.Context) error { return d.role.Stop(ctx) }

// RestartRole does both.
func (d *Daemon) RestartRole(ctx context.Context) error {
	if err := d.role.Stop(ctx); err != nil {
		return err
	}
	return d.role.Start(ctx)
}

// VerifySystem checks the database system password.
func (d *Daemon) VerifySystem(ctx context.Context, password string) error {
	return d.verify(ctx, secret.System, password, commands.ErrWrongPassword)
}

// VerifySecure checks the password by which gateways register.
func (d *Daemon) VerifySecure(ctx context.Context, password string) error {
	return d.verify(ctx, secret.Secure, password, commands.ErrWrongSecure)
}

func (d *Daemon) verify(ctx context.Context, which secret.Which, password string, wrong error) error {
	ok, err := d.secrets.Verify(ctx, which, password)
	debug.FreeOSMemory() // the hash took 19 MiB, and the next one is hours away
	if err != nil {
		return err
	}
	if !ok {
		return wrong
	}
	return nil
}

// Status is how the appliance is now.
func (d *Daemon) Status() commands.Status {
	sealed := d.sealState()
	s := commands.Status{
		Product: commands.Product,
		Version: control.Version,
		Role:    d.config.Role,
		Name:    d.config.Name,
		ID:      d.config.ID,
		Sealed:  sealed.Sealed(),
		Seal:    sealed,
		Started: d.started,
		Service: d.role.Status(),
		Jobs:    d.jobs.list(),
	}
	s.Registration = d.registration()
	s.Disk, _ = disk.Of(string(d.home))
	s.Releases, s.Note = d.releaseList()
	return s
}

// Export makes a dump, and uploads it where that is asked for.
func (d *Daemon) Export(ctx context.Context, c commands.Caller, x commands.Export, ui control.UI) (commands.ExportResult, error) {
	var r commands.ExportResult
	err := d.jobs.run(ctx, job.KindExport, c, job.Spec{Home: d.home, Export: &x}, ui, &r)
	return r, d.swept(err)
}

// Send uploads a file that is there.
func (d *Daemon) Send(ctx context.Context, c commands.Caller, x commands.Send, ui control.UI) (commands.SendResult, error) {
	var r commands.SendResult
	err := d.jobs.run(ctx, job.KindSend, c, job.Spec{Home: d.home, Send: &x}, ui, &r)
	return r, d.swept(err)
}

// TechInfo makes a support bundle, or shows it.
func (d *Daemon) TechInfo(ctx context.Context, c commands.Caller, x commands.TechInfo, ui control.UI) (commands.TechInfoResult, error) {
	var r commands.TechInfoResult
	x.Status.Ended = d.jobs.past()
	err := d.jobs.run(ctx, job.KindTechInfo, c, job.Spec{Home: d.home, TechInfo: &x}, ui, &r)
	return r, d.swept(err)
}

// AWSLogs collects what AWS knows, and sends it.
func (d *Daemon) AWSLogs(ctx context.Context, c commands.Caller, x commands.AWSLogs, ui control.UI) (commands.TechInfoResult, error) {
	var r commands.TechInfoResult
	err := d.jobs.run(ctx, job.KindAWSLogs, c, job.Spec{Home: d.home, AWSLogs: &x}, ui, &r)
	return r, d.swept(err)
}

// AcceptHostKey keeps a server's host keys.
func (d *Daemon) AcceptHostKey(ctx context.Context, c commands.Caller, x commands.AcceptHostKey, ui control.UI) ([]commands.HostKey, error) {
	var r []commands.HostKey
	err := d.jobs.run(ctx, job.KindHostKey, c, job.Spec{Home: d.home, AcceptHostKey: &x}, ui, &r)
	return r, err
}

// TestConnection goes the way of an upload.
func (d *Daemon) TestConnection(ctx context.Context, c commands.Caller, x commands.ConnectionTest, ui control.UI) (commands.ConnectionResult, error) {
	var r commands.ConnectionResult
	err := d.jobs.run(ctx, job.KindTest, c, job.Spec{Home: d.home, Test: &x}, ui, &r)
	return r, err
}

// Licences tells what a management server may do.
func (d *Daemon) Licences(ctx context.Context, c commands.Caller, ui control.UI) (commands.Licences, error) {
	var r commands.Licences
	err := d.jobs.run(ctx, job.KindLicences, c, job.Spec{Home: d.home, Licences: true}, ui, &r)
	return r, err
}

// History tells of the configuration's revisions.
func (d *Daemon) History(ctx context.Context, c commands.Caller, x commands.History, ui control.UI) ([]commands.Revision, error) {
	var r []commands.Revision
	err := d.jobs.run(ctx, job.KindHistory, c, job.Spec{Home: d.home, History: &x}, ui, &r)
	return r, err
}

// Events lists system events.
func (d *Daemon) Events(ctx context.Context, c commands.Caller, x commands.Events, ui control.UI) ([]commands.Event, error) {
	var r []commands.Event
	err := d.jobs.run(ctx, job.KindEvents, c, job.Spec{Home: d.home, Events: &x}, ui, &r)
	return r, err
}

// AskGateway has a gateway do something.
func (d *Daemon) AskGateway(ctx context.Context, c commands.Caller, x commands.AskGateway, ui control.UI) (commands.GatewayAnswer, error) {
	x.Author = c.Name
	var r commands.GatewayAnswer
	err := d.jobs.run(ctx, job.KindGateway, c, job.Spec{Home: d.home, Gateway: &x}, ui, &r)
	return r, d.swept(err)
}

// SearchGateways finds gateways by how their names begin.
func (d *Daemon) SearchGateways(ctx context.Context, c commands.Caller, x commands.SearchGateways) (commands.FoundGateways, error) {
	var r commands.FoundGateways
	err := d.jobs.run(ctx, job.KindSearch, c, job.Spec{Home: d.home, SearchGateways: &x}, silent{}, &r)
	return r, err
}

// Revert goes back to a revision.
func (d *Daemon) Revert(ctx context.Context, c commands.Caller, x commands.Revert, ui control.UI) (commands.RevertResult, error) {
	var r commands.RevertResult
	if err := d.changing.check(); err != nil {
		return r, err
	}
	err := d.jobs.run(ctx, job.KindRevert, c, job.Spec{Home: d.home, Revert: &x}, ui, &r)
	return r, err
}

// swept removes what a failed job could not remove itself.
func (d *Daemon) swept(err error) error {
	if err == nil {
		return nil
	}
	if left := folder.Sweep(d.home); left != nil {
		return errors.Join(err, fmt.Errorf("and an unfinished file is left over: %w", left))
	}
	return err
}
