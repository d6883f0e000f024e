package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/ownership"
	"sealgate/daemon/errand"
	"sealgate/daemon/gateway"
	"sealgate/daemon/link"
	"sealgate/daemon/mx"
)

// Descriptors that a role's process starts with.
const (
	listenerFD = 3
	lifeFD     = 4 // says ready to the daemon, then carries errands; its end is the daemon's end
)

// runRole is the inside of the role's process.
func runRole(ctx context.Context, which appliance.Role, home appliance.Home, log *slog.Logger) error {
	debug.SetGCPercent(50)
	unix.Umask(ownership.Umask)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	file := os.NewFile(listenerFD, "listener")
	ln, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return fmt.Errorf("a role is only started by the daemon: %w", err)
	}
	defer ln.Close()
	life := os.NewFile(lifeFD, "daemon")
	defer life.Close()
	errands := errand.NewClient(life)
	go func() {
		errands.Run()
		cancel(gateway.ErrDaemonGone)
	}()
	go func() {
		<-errands.Ending()
		cancel(nil)
	}()
	lock, err := alone(ctx, home, log)
	if err != nil {
		return err
	}
	defer lock.Close()
	ready := func() error {
		_, err := life.Write([]byte{1})
		return err
	}
	if which == appliance.Gateway {
		if err := emptyUploads(home); err != nil {
			return err
		}
		return gateway.Run(ctx, home, ln, ready, errands, log)
	}
	return mx.Run(ctx, home, ln, ready, errands, log)
}

// emptyUploads makes a folder of the role's own for what inspection puts aside of
// uploads, and removes what a role that was killed has left there.
func emptyUploads(home appliance.Home) error {
	if err := os.RemoveAll(home.Uploads()); err != nil {
		return err
	}
	if err := os.Mkdir(home.Uploads(), 0o700); err != nil {
		return err
	}
	return os.Setenv("TMPDIR", home.Uploads())
}

// alone waits until no other role runs on a home: one whose daemon was killed still has
// seconds to answer what it was asked, and two that write one spool lose what either
// writes. The kernel lets go of the lock when the process ends, however it ends.
func alone(ctx context.Context, home appliance.Home, log *slog.Logger) (*os.File, error) {
	if err := os.Mkdir(home.Spool(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	folder, err := os.Open(home.Spool())
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		log.Info("the role of a daemon that is gone has not ended yet")
	}
	for errors.Is(err, unix.EWOULDBLOCK) && link.Rest(ctx, 100*time.Millisecond) {
		err = unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", home.Spool(), err), folder.Close())
	}
	return folder, nil
}
