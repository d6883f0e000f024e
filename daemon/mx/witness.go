package mx

import (
	"context"
	"log/slog"
	"net"
	"time"

	"sealgate/appliance/store"
	"sealgate/daemon/errand"
	"sealgate/daemon/mx/openapi"
)

// witness tells the daemon what the REST API has written, for the audit log. No write
// waits for it: the database keeps each until the daemon has it, whoever is killed
// meanwhile. The daemon may hear of one twice then.
type witness struct {
	daemon  Daemon
	log     *slog.Logger
	db      *store.Store
	news    chan struct{}
	stop    chan struct{}
	stopped chan struct{}
	giveUp  context.CancelFunc
}

const (
	atOnce    = 512                    // are told in one go
	tellPause = 200 * time.Millisecond // between goes, each of which the disk waits for
	tellAgain = 10 * time.Second       // after what failed
	tellTime  = 5 * time.Second        // for the daemon to keep a message
	endTime   = 3 * time.Second        // for what is left at the end; the rest is told at the next start
)

func newWitness(daemon Daemon, log *slog.Logger) *witness {
	return &witness{daemon: daemon, log: log, news: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
}

// Origin is that of the request that a context belongs to.
func (w *witness) Origin(ctx context.Context) (store.Origin, bool) {
	call := openapi.CallOf(ctx)
	if call == nil {
		return store.Origin{}, false
	}
	address, _, _ := net.SplitHostPort(call.Request.RemoteAddr)
	return store.Origin{Address: address, Method: call.Operation.Method, Path: call.Operation.Path}, true
}

// Committed has run look.
func (w *witness) Committed() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// run tells until end, first of what an earlier process left.
func (w *witness) run(db *store.Store) {
	w.db = db
	var ctx context.Context
	ctx, w.giveUp = context.WithCancel(context.Background())
	go func() {
		defer close(w.stopped)
		for w.round(ctx) {
		}
		w.tell(ctx)
	}()
}

// round tells, and waits until there may be more to tell. It returns false at the end.
func (w *witness) round(ctx context.Context) bool {
	news, pause := w.news, tellPause
	if !w.tell(ctx) {
		news, pause = nil, tellAgain
	}
	select {
	case <-time.After(pause):
	case <-w.stop:
		return false
	}
	if news == nil {
		return true
	}
	select {
	case <-news:
		return true
	case <-w.stop:
		return false
	}
}

// end tells what is left, as far as that does not take long.
func (w *witness) end() {
	close(w.stop)
	defer time.AfterFunc(endTime, w.giveUp).Stop()
	<-w.stopped
	w.giveUp()
}

// tell tells of all that is there, and says whether the daemon heard of it.
func (w *witness) tell(ctx context.Context) bool {
	for {
		list, err := w.db.UntoldWrites(ctx, atOnce)
		if err == nil {
			err = w.hand(ctx, list)
		}
		if err != nil {
			w.log.Warn("the audit log waits for writes of the REST API", "error", err.Error())
			return false
		}
		if len(list) < atOnce {
			return true
		}
	}
}

// hand hands writes to the daemon, in messages that it takes.
func (w *witness) hand(ctx context.Context, list []store.UntoldWrite) error {
	told := make([]errand.Write, len(list))
	for i, x := range list {
		told[i] = errand.Write{At: x.At, User: x.User, Address: x.Address, Method: x.Method, Path: x.Path, Summary: x.Summary, Revision: x.Revision}.Bounded()
	}
	for len(list) > 0 {
		n := errand.Fit(told)
		within, cancel := context.WithTimeout(ctx, tellTime)
		err := w.daemon.Wrote(within, told[:n])
		cancel()
		if err == nil {
			err = w.db.Told(context.WithoutCancel(ctx), list[:n]) // else it is told twice
		}
		if err != nil {
			return err
		}
		list, told = list[n:], told[n:]
	}
	return nil
}
