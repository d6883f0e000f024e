package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/ownership"
	"sealgate/daemon/errand"
	"sealgate/daemon/gateway"
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
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
		cancel()
	}()
	ready := func() error {
		_, err := life.Write([]byte{1})
		return err
	}
	if which == appliance.Gateway {
		return gateway.Run(ctx, home, ln, ready, errands, log)
	}
	return mx.Run(ctx, home, ln, ready, errands, log)
}
