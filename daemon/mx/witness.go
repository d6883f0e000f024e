package mx

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"sealgate/appliance/store"
	"sealgate/daemon/errand"
	"sealgate/daemon/mx/openapi"
)

// witness tells the daemon what the REST API has written, for the audit log. No write
// waits for it: what comes faster than the daemon takes it is counted.
type witness struct {
	daemon  Daemon
	log     *slog.Logger
	waiting chan errand.Write
	untold  atomic.Int64
	stop    chan struct{}
	stopped chan struct{}
}

const (
	maxWaiting = 8192            // writes, of at most 2 KiB each
	atOnce     = 512             // are taken from them
	tellTime   = 5 * time.Second // for the daemon to keep a message
)

// newWitness tells until end.
func newWitness(daemon Daemon, log *slog.Logger) *witness {
	w := &witness{daemon: daemon, log: log, waiting: make(chan errand.Write, maxWaiting), stop: make(chan struct{}), stopped: make(chan struct{})}
	go w.run()
	return w
}

// end tells what is still waiting, and returns when it is told.
func (w *witness) end() {
	close(w.stop)
	<-w.stopped
}

// committed is told of each revision. Those that no request made are not its business.
func (w *witness) committed(ctx context.Context, change store.Change, number int64) {
	call := openapi.CallOf(ctx)
	if call == nil {
		return
	}
	address, _, _ := net.SplitHostPort(call.Request.RemoteAddr)
	x := errand.Write{User: change.Author, Address: address, Method: call.Operation.Method, Path: call.Operation.Path, Summary: change.Summary, Revision: number}
	select {
	case w.waiting <- x.Bounded():
	default:
		w.untold.Add(1)
	}
}

func (w *witness) run() {
	defer close(w.stopped)
	for {
		select {
		case first := <-w.waiting:
			w.tell(first)
		case <-w.stop:
			for len(w.waiting) > 0 || w.untold.Load() > 0 {
				if !w.tell() {
					return
				}
			}
			return
		}
	}
}

// tell tells of what waits, and says whether the daemon heard all of it.
func (w *witness) tell(list ...errand.Write) bool {
	for len(w.waiting) > 0 && len(list) < atOnce {
		list = append(list, <-w.waiting)
	}
	heard := true
	for untold := w.untold.Swap(0); len(list) > 0 || untold > 0; untold = 0 {
		n := errand.Fit(list)
		ctx, cancel := context.WithTimeout(context.Background(), tellTime)
		err := w.daemon.Wrote(ctx, list[:n], untold)
		cancel()
		if err != nil {
			heard = false
			w.log.Warn("the audit log lacks writes of the REST API", "writes", int64(n)+untold, "error", err.Error())
		}
		list = list[n:]
	}
	return heard
}
