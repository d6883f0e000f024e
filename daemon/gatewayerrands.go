package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sealgate/appliance/folder"
	"sealgate/appliance/ownership"
	"sealgate/commands"
	"sealgate/daemon/errand"
	"sealgate/daemon/job"
)

// managementServer is who audit records and jobs say has asked. The daemon has the
// role's word alone for it.
const managementServer = "management server"

// onceEvery is how often a role may ask for the same: one that was taken over neither
// keeps the gateway down nor fills the disk.
const onceEvery = time.Minute

// gatewayErrands answers what a gateway's process asks.
type gatewayErrands struct {
	*Daemon
	ctx     context.Context // of the daemon
	running sync.WaitGroup

	mu    sync.Mutex
	asked map[string]time.Time // when, by what
}

var _ errand.GatewayHost = (*gatewayErrands)(nil)

// may says whether the role asks for something not too often.
func (e *gatewayErrands) may(what string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.asked[what]) < onceEvery {
		return fmt.Errorf("%w: %s was asked for less than a minute ago", errand.ErrBusy, what)
	}
	if e.asked == nil {
		e.asked = make(map[string]time.Time)
	}
	e.asked[what] = time.Now()
	e.noteOf(managementServer, what)
	return nil
}

// AuditHead is what witnesses of the audit log keep.
func (e *gatewayErrands) AuditHead() string { return e.audit.Head().Line(e.config.ID) }

// RestartRole restarts the role beside the answer, which the role must be there for.
func (e *gatewayErrands) RestartRole() error {
	if err := e.may("impctl gateway restart"); err != nil {
		return err
	}
	e.running.Go(func() {
		if err := e.Daemon.RestartRole(e.ctx); err != nil && e.ctx.Err() == nil {
			e.log.Error("the restart that the management server asked for failed", "error", err.Error())
		}
	})
	return nil
}

// TechInfo makes a bundle and moves it to where the role reads it.
func (e *gatewayErrands) TechInfo(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	if err := e.may("impctl support get-tech-info"); err != nil {
		return "", err
	}
	var r commands.TechInfoResult
	spec := job.Spec{Home: e.home, TechInfo: &commands.TechInfo{Status: e.Status()}}
	if err := e.swept(e.jobs.run(ctx, job.KindTechInfo, commands.Caller{Name: managementServer}, spec, silent{}, &r)); err != nil {
		return "", errors.New(commands.ResultOf(err).Error)
	}
	err := e.hand(r.Name)
	if err == nil && ctx.Err() != nil { // nobody is there to take it
		err = errors.Join(ctx.Err(), os.Remove(filepath.Join(e.home.Results(), r.Name)))
	}
	return r.Name, err
}

// hand gives a bundle to the role. It is copied: who may read a file follows from the
// folder that it is made in.
func (e *gatewayErrands) hand(name string) (err error) {
	from, err := folder.Open(e.home, name, folder.TechInfo)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := os.MkdirAll(e.home.Results(), 0o700); err != nil {
		return err
	}
	mode, err := ownership.FileMode(e.home.Results())
	if err != nil {
		return err
	}
	path := filepath.Join(e.home.Results(), name)
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Chmod(mode), to.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return folder.Delete(e.home, name)
}
