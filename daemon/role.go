package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"sealgate/appliance"
	"sealgate/commands"
	"sealgate/daemon/errand"
)

const (
	readyTimeout = 10 * time.Minute // a migration may take a while
	stopTimeout  = 10 * time.Second // then SIGKILL
	firstWait    = 500 * time.Millisecond
	longestWait  = 30 * time.Second
	steadyAfter  = time.Minute // up for so long: the next wait is short again
)

// The states of the role's process.
const (
	stopped  = "stopped"
	starting = "starting"
	running  = "running"
	waiting  = "waiting to start again"
)

// role keeps the role's process running: it hands it the listener, waits for
// its word that it is ready, and starts it again when it dies.
type role struct {
	home     appliance.Home
	config   appliance.Config
	log      *slog.Logger
	childLog io.Writer // takes what the role logs

	acting chan struct{} // holds a value while a Start or a Stop is under way

	mu       sync.Mutex
	status   commands.Service
	failures int                // attempts that failed
	changed  chan struct{}      // closed at each change of status
	cancel   context.CancelFunc // of the loop; nil when stopped
	done     chan struct{}      // closed when the loop ended
	now      chan struct{}      // cuts the wait for the next attempt short
	port     string             // what port 0 became: kept over a restart
	held     *appliance.Fault   // why it may not be started

	ready func(commands.Service) // is told that it can be used; may be nil

	errands func(*errand.Server) error // answers what the process asks, to its end
	asking  *errand.Server             // of the process that runs; nil is none
}

func newRole(home appliance.Home, config appliance.Config, log *slog.Logger, childLog io.Writer) *role {
	return &role{home: home, config: config, log: log, childLog: childLog, acting: make(chan struct{}, 1), changed: make(chan struct{}),
		now: make(chan struct{}, 1), status: commands.Service{State: stopped, Since: time.Now()}}
}

// Status is how the process is.
func (r *role) Status() commands.Service {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *role) update(change func(*commands.Service)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.status.State
	change(&r.status)
	if r.status.State != before {
		r.status.Since = time.Now()
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// act waits for its turn: one Start or Stop at a time.
func (r *role) act(ctx context.Context) error {
	select {
	case r.acting <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *role) acted() { <-r.acting }

// Start starts the process, unless it runs, and waits until it is ready or
// has failed once. A failed one is tried again until Stop.
func (r *role) Start(ctx context.Context) error {
	failures, err := r.begin(ctx)
	if err != nil {
		return err
	}
	for {
		r.mu.Lock()
		status, failed, changed := r.status, r.failures > failures, r.changed
		r.mu.Unlock()
		switch {
		case status.State == running:
			return nil
		case status.State == stopped:
			return fmt.Errorf("the %s was stopped before it was ready", r.config.Role.Title())
		case failed:
			return appliance.Faultf(fmt.Sprintf("it is tried again; impctl %s status shows more", r.word()),
				"the %s does not start: %s%s", r.config.Role.Title(), status.LastEnd, lastOf(status.LastSaid))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// begin starts the loop, or has it try at once. It returns how many attempts
// have failed until then.
func (r *role) begin(ctx context.Context) (failures int, err error) {
	if err := r.act(ctx); err != nil {
		return 0, err
	}
	defer r.acted()
	r.mu.Lock()
	failures = r.failures
	held := r.held
	r.mu.Unlock()
	if held != nil {
		return 0, appliance.Faultf(held.Hint, "the %s is not started: %w", r.config.Role.Title(), held)
	}
	if r.cancel != nil {
		select {
		case r.now <- struct{}{}:
		default:
		}
		return failures, nil
	}
	// The loop lives on when the one who started it has gone.
	loop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel, r.done = cancel, make(chan struct{})
	r.update(func(s *commands.Service) { s.State, s.LastSaid = starting, nil })
	go func() {
		defer close(r.done)
		r.keep(loop)
	}()
	return failures, nil
}

func lastOf(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return ", " + words[len(words)-1]
}

// word is what the role is called in impctl.
func (r *role) word() string {
	if r.config.Role == appliance.Gateway {
		return "gateway"
	}
	return "server"
}

// Stop stops the process and waits until it is gone, which takes no longer than
// stopTimeout, whether the one who asked for it waits or not.
func (r *role) Stop(ctx context.Context) error {
	if err := r.act(ctx); err != nil {
		return err
	}
	defer r.acted()
	r.halt()
	return nil
}

// halt stops the process, in the turn of the caller. It says whether there was one.
func (r *role) halt() bool {
	if r.cancel == nil {
		return false
	}
	r.cancel()
	<-r.done
	r.cancel = nil
	r.update(func(s *commands.Service) { s.State, s.PID, s.Account, s.Address = stopped, 0, "", "" })
	return true
}

// hold keeps the process, which must be stopped, from being started until it is
// released. why is said to who tries.
func (r *role) hold(ctx context.Context, why string) (release func(), err error) {
	if err := r.act(ctx); err != nil {
		return nil, err
	}
	defer r.acted()
	if r.cancel != nil {
		return nil, appliance.Faultf(fmt.Sprintf("impctl %s stop stops it, impctl %[1]s start starts it again afterwards", r.word()),
			"the %s runs, and must be stopped first", r.config.Role.Title())
	}
	if err := r.free(); err != nil {
		return nil, err
	}
	return r.keepStopped(why), nil
}

// take stops the process, if it runs, and holds it.
func (r *role) take(ctx context.Context, why string) (release func(), ran bool, err error) {
	if err := r.act(ctx); err != nil {
		return nil, false, err
	}
	defer r.acted()
	if err := r.free(); err != nil {
		return nil, false, err
	}
	ran = r.halt()
	return r.keepStopped(why), ran, nil
}

func (r *role) keepStopped(why string) (release func()) {
	r.reason("wait for it; status shows what runs", "%s", why)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.held = nil
	}
}

// reason says why the process is held.
func (r *role) reason(hint, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = &appliance.Fault{Err: fmt.Errorf(format, args...), Hint: hint}
}

// free is an error while the process is held.
func (r *role) free() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		return nil
	}
	return r.held
}

// listen opens the management address.
func (r *role) listen() (*net.TCPListener, error) {
	host, port, err := net.SplitHostPort(r.config.Listen)
	if err != nil {
		return nil, err
	}
	if port == "0" && r.port != "" {
		port = r.port
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	_, r.port, _ = net.SplitHostPort(ln.Addr().String())
	r.update(func(s *commands.Service) { s.Address = ln.Addr().String() })
	return ln.(*net.TCPListener), nil
}

// keep runs the process again and again until ctx ends. The listener outlives
// the process, so that clients wait through a restart instead of being refused.
func (r *role) keep(ctx context.Context) {
	var ln *net.TCPListener
	defer func() {
		if ln != nil {
			ln.Close()
		}
	}()
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		begin := time.Now()
		words := &lastWords{log: r.childLog}
		var err error
		if ln == nil {
			ln, err = r.listen()
		}
		if err == nil {
			err = r.once(ctx, ln, words)
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(begin) > steadyAfter {
			wait = firstWait
		}
		r.log.Error("the role ended by itself", "role", r.config.Role, "end", err.Error(), "said", words.list(), "again_in", wait.String())
		r.update(func(s *commands.Service) {
			r.failures++
			s.State, s.PID, s.Account = waiting, 0, ""
			s.LastEnd, s.LastSaid = err.Error(), words.list()
		})
		select { // from before this wait
		case <-r.now:
		default:
		}
		select {
		case <-ctx.Done():
			return
		case <-r.now:
		case <-time.After(wait):
		}
		r.update(func(s *commands.Service) { s.State = starting; s.Restarts++ })
	}
}

// once runs the process to its end, which is an error unless ctx ended.
func (r *role) once(ctx context.Context, ln *net.TCPListener, words *lastWords) error {
	file, err := ln.File()
	if err != nil {
		return err
	}
	defer file.Close()
	life, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer life.Close()
	said, log, err := os.Pipe()
	if err != nil {
		return errors.Join(err, theirs.Close())
	}
	defer hear(said, words)()
	p, err := r.start(file, theirs, log)
	theirs.Close()
	log.Close()
	if err != nil {
		return err
	}
	r.update(func(s *commands.Service) { s.PID, s.Account = p.pid, p.account })

	server := errand.NewServer(life)
	var ready sync.WaitGroup
	ready.Go(func() { r.awaitReady(life, server, p) })
	defer func() {
		life.Close() // ends the wait; what it says must not come after what we say
		ready.Wait()
	}()
	select {
	case err := <-p.ended:
		return err
	case <-ctx.Done():
	}
	go server.End() // one that does not read it is killed
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		r.log.Warn("the role does not stop, killing it", "pid", p.pid)
		p.kill()
		<-p.ended
	}
	return ctx.Err()
}

// awaitReady waits for the byte that says ready. A process that never says it
// is killed, and so counts as failed.
func (r *role) awaitReady(life *net.UnixConn, server *errand.Server, p *process) {
	life.SetReadDeadline(time.Now().Add(readyTimeout))
	if _, err := life.Read(make([]byte, 1)); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.kill()
		}
		return
	}
	if r.ready != nil {
		r.ready(r.Status())
	}
	r.update(func(s *commands.Service) { s.State = running })
	if r.errands == nil {
		return
	}
	life.SetReadDeadline(time.Time{})
	r.serveErrands(server, p)
}

// serveErrands answers the process until it ends. One that asks for what is no
// errand is killed: it is not the program that was started.
func (r *role) serveErrands(s *errand.Server, p *process) {
	r.setAsking(s)
	defer r.setAsking(nil)
	if err := r.errands(s); err != nil && !errors.Is(err, net.ErrClosed) {
		r.log.Error("errands of the role end", "error", err.Error())
		p.kill()
	}
}

func (r *role) setAsking(s *errand.Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asking = s
}

// jobsChanged tells the process, if it runs.
func (r *role) jobsChanged() {
	r.mu.Lock()
	asking := r.asking
	r.mu.Unlock()
	if asking != nil {
		asking.Changed()
	}
}
