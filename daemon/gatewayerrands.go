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

	mu       sync.Mutex
	asked    map[string]time.Time // when, by what
	restarts bool                 // it may

	acts refusals // that audit records tell of
}

var _ errand.GatewayHost = (*gatewayErrands)(nil)

// may says whether the role asks for something not too often.
func (e *gatewayErrands) may(what string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.asked[what]) < onceEvery {
		return fmt.Errorf("%w: %s was asked for less than a minute ago, wait a minute", errand.ErrBusy, what)
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

// May books a restart. What does no harm when it is done often is told of as often as
// other things that anybody may do.
func (e *gatewayErrands) May(act string) error {
	what := "impctl gateway " + act
	if act == commands.GatewayRestart {
		if err := e.may(what); err != nil {
			return err
		}
		e.mu.Lock()
		e.restarts = true
		e.mu.Unlock()
		return nil
	}
	if more, tell := e.acts.tell(time.Now(), refusalsTold, refusalsEvery); tell {
		if more > 0 {
			what += fmt.Sprintf(", and %d more", more)
		}
		e.noteOf(managementServer, what)
	}
	return nil
}

// RestartRole restarts the role beside the answer, which the role must be there for.
func (e *gatewayErrands) RestartRole() error {
	e.mu.Lock()
	may := e.restarts
	e.restarts = false
	e.mu.Unlock()
	if !may {
		return fmt.Errorf("%w: no restart was asked for", errand.ErrBusy)
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
	status := e.Status()
	status.Ended = e.jobs.past()
	spec := job.Spec{Home: e.home, TechInfo: &commands.TechInfo{Status: status}}
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
