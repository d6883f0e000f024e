// Package daemon is what runs: one process that identifies callers on the
// control socket and answers them with package commands, that starts the role
// (management server or gateway) as a child and starts it again when it dies,
// and that runs each heavy command as a child of its own, whose death harms
// nobody else.
//
// The daemon reads the configuration once. Everything that it takes from a
// child or a caller is bounded; it runs no program but itself.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/audit"
	"sealgate/appliance/folder"
	"sealgate/appliance/ftl"
	"sealgate/appliance/licence"
	"sealgate/appliance/ownership"
	"sealgate/appliance/patch"
	"sealgate/appliance/seal"
	"sealgate/appliance/secret"
	"sealgate/appliance/serverlog"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/errand"
	"sealgate/daemon/keyring"
	"sealgate/daemon/launch"
)

// Daemon is a running appliance.
type Daemon struct {
	home    appliance.Home
	config  appliance.Config
	secrets *secret.Keys
	seal    *seal.Seal
	log     *slog.Logger
	started time.Time
	role    *role
	jobs    jobs
	setUp   *ftl.Log

	audit    *audit.Log
	refusals refusals
	pending  pending // registration
	hotfix   pending

	releases patch.Releases
	changing changing
	end      context.CancelCauseFunc
}

// Options are an appliance's surroundings.
type Options struct {
	Base      string          // the installation's own release
	Within    time.Duration   // how long a start may take
	Healthy   *os.File        // takes a byte when a release on trial is healthy; nil: nobody asks
	Console   io.Writer       // what happens goes there as well as to the server log
	Witnesses []audit.Witness // are told of the audit log's head
	SetUp     *ftl.Log        // takes the steps by which the appliance becomes of use
}

// Run runs the appliance at home until ctx ends, and returns when everything
// that it started is gone: with [launch.ErrAgain] when it is to be started again.
func Run(ctx context.Context, home appliance.Home, o Options) error {
	// Mostly idle, with short bursts: memory goes back early.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(48 << 20)
	unix.Umask(ownership.Umask)
	config, err := home.Load()
	if err != nil {
		if errors.Is(err, appliance.ErrNoAppliance) {
			return appliance.Faultf("sealgated init --help shows how to create one", "%w", err)
		}
		return err
	}
	lock, err := lockHome(home)
	if err != nil {
		return err
	}
	defer lock.Close()
	owner, err := ownership.Of(home)
	if err == nil {
		err = owner.MakeFolders(home)
	}
	if err != nil {
		return fmt.Errorf("the appliance's folders: %w", err)
	}
	kept, err := serverlog.Server.Open(home.Logs())
	if err != nil {
		return fmt.Errorf("open the server log: %w", err)
	}
	defer kept.Close()
	everywhere := serverlog.Tee(kept, o.Console)
	log := slog.New(slog.NewJSONHandler(everywhere, nil))
	secrets, err := secret.Open(string(home))
	if err != nil {
		return err
	}
	if err := secrets.PublishRecipient(home.Recipient()); err != nil {
		return err
	}
	if err := folder.Sweep(home); err != nil {
		log.Warn("unfinished exports are left over", "error", err)
	}
	// The role can leave its folder in any order; administrators get in all the same.
	if err := settle(home); err != nil {
		log.Error("the data folder is not in order", "error", err.Error())
	}
	ln, err := listen(home.Socket())
	if err != nil {
		return err
	}
	d := &Daemon{home: home, config: config, secrets: secrets, log: log, started: time.Now(), setUp: o.SetUp}
	d.releases = patch.Releases{Home: home, Base: o.Base}
	d.seal = seal.New(home, config.ID, secrets)
	if state := d.sealState(); config.Role == appliance.ManagementServer {
		if err := licence.WriteIdentity(home, licence.Identity{Challenge: state.Challenge, Deployment: state.Deployment}); err != nil {
			return fmt.Errorf("tell the management server what licences are bound to: %w", err)
		}
	}
	d.role = newRole(home, config, log, everywhere)
	d.role.ready = func(s commands.Service) {
		d.setUp.Step(ftl.Start, ftl.Done, fmt.Sprintf("the %s runs at %s", config.Role.Title(), s.Address))
	}
	d.jobs.log, d.jobs.childLog = log, everywhere
	d.audit = audit.New(home.Audit())
	d.keep(audit.Record{Event: audit.Start, Note: "version " + control.Version})
	if o.Healthy == nil {
		d.tellOfRelease()
	}
	heads := d.newHeads(o.Witnesses...)

	// The socket answers while the role starts: migrations may take a while.
	srv := control.Server{Handler: d, Known: func(uid uint32) bool { return callerOf(uid).Rights > commands.Nobody }, Log: log}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.end = cancel
	asked := &errands{Daemon: d, ctx: ctx, Keyring: keyring.New(secrets, time.Now), writes: writes{keep: d.keep, now: time.Now}}
	if config.Role == appliance.ManagementServer {
		d.role.errands = func(s *errand.Server) error { return s.Serve(asked) }
		d.jobs.changed = d.role.jobsChanged
	} else {
		ofGateway := &gatewayErrands{Daemon: d, ctx: ctx}
		d.role.errands = func(s *errand.Server) error { return s.ServeGateway(ofGateway) }
		defer ofGateway.running.Wait()
	}
	var sending sync.WaitGroup
	sending.Go(func() { heads.keepSending(ctx, headEvery) })
	if config.Role == appliance.Gateway {
		sending.Go(func() { d.keepJoining(ctx) })
	}
	served := make(chan error, 1)
	go func() {
		defer cancel(nil)
		served <- srv.Serve(ctx, ln)
	}()
	waits := d.takeHotfix(ctx, o.Within/hotfixShare)
	if err := d.role.Start(ctx); err != nil && ctx.Err() == nil {
		log.Error("the role does not start, trying again", "role", config.Role, "error", err)
		d.setUp.Step(ftl.Start, ftl.Waiting, commands.ResultOf(err).Error)
	}
	log.Info("the appliance runs", "version", control.Version, "role", config.Role, "name", config.Name,
		"home", home, "address", d.role.Status().Address)
	notify(log, sd.SdNotifyReady)
	var beside sync.WaitGroup // what may start and stop the role
	beside.Go(func() { d.prove(ctx, o.Healthy) })
	if waits {
		beside.Go(func() { d.keepHotfix(ctx) })
	}

	// The role is stopped while commands end: an init system may have told it to
	// stop as well, and it must not be started again.
	<-ctx.Done()
	again := errors.Is(context.Cause(ctx), launch.ErrAgain)
	if again {
		notify(log, sd.SdNotifyReloading)
	} else {
		notify(log, sd.SdNotifyStopping)
	}
	beside.Wait()
	err = errors.Join(d.role.Stop(context.WithoutCancel(ctx)), <-served)
	asked.exports.Wait()
	asked.writes.flush()
	sending.Wait()
	d.keep(audit.Record{Event: audit.Stop})
	heads.send(context.WithoutCancel(ctx))
	err = errors.Join(err, d.audit.Close())
	log.Info("the appliance stopped")
	if again {
		return errors.Join(launch.ErrAgain, err)
	}
	return err
}

func notify(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("systemd was not notified", "error", err)
	}
}

// lockHome makes sure that one daemon runs on a home. The kernel lets go of
// the lock when the process ends, however it ends.
func lockHome(home appliance.Home) (*os.File, error) {
	// Administrators' shells pass through to the socket, and see nothing else.
	if err := os.MkdirAll(home.Run(), 0o711); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(home.Lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, appliance.Faultf("impctl status shows how it is", "a daemon runs on %s already", home)
		}
		return nil, fmt.Errorf("lock %s: %w", home.Lock(), err)
	}
	return lock, nil
}

// listen opens the control socket. Whoever holds the home's lock owns it, so
// one that is there already is stale.
func listen(path string) (*net.UnixListener, error) {
	if len(path) >= len(syscall.RawSockaddrUnix{}.Path) {
		return nil, appliance.Faultf("choose a --home with a shorter path", "%s is too long for a unix socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// Anybody may knock; the kernel says who it is, and rights follow from that.
	return ln, errors.Join(os.Chmod(filepath.Dir(path), 0o711), os.Chmod(path, 0o666))
}
