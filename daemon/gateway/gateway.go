// Package gateway is the inspecting reverse proxy: the role's process. It reads the
// configuration snapshot from the spool folder, swaps to each new one as a whole or
// keeps the one that it has, and so works without its management server.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/appliance/spool"
	"sealgate/control"
	"sealgate/daemon/access"
	"sealgate/daemon/diagnosis"
	"sealgate/daemon/gateway/event"
	"sealgate/daemon/gateway/health"
	"sealgate/daemon/gateway/metrics"
	"sealgate/daemon/gateway/proxy"
	"sealgate/daemon/link"
)

const (
	lookEvery = time.Second     // at the configuration's file
	stopTime  = 8 * time.Second // less than the daemon's patience with a role that stops
	goneTime  = 3 * time.Second // without a daemon: the next one's role waits to take over
)

// ErrDaemonGone is the cause of the end of a role whose daemon is gone: nobody serves
// until it has ended, so it ends sooner.
var ErrDaemonGone = errors.New("the daemon is gone")

// gateway is the running role.
type gateway struct {
	home     appliance.Home
	log      *slog.Logger
	proxy    *proxy.Proxy
	events   *event.Log
	health   *health.Monitor
	registry *metrics.Registry
	metrics  metricsServer
	judges   *judges
	requests *access.Log

	taking   sync.Mutex  // one configuration at a time
	seen     fs.FileInfo // the file as it was last read or written
	draining bool
	watch    model.Watch

	news    chan struct{} // has a value when the management server should hear something
	running atomic.Pointer[link.Revision]
}

// Run serves until ctx ends. ready is called once, when the configuration that was
// last delivered is in use. ln is the management address, where nothing answers. A nil
// daemon can do nothing for the gateway.
func Run(ctx context.Context, home appliance.Home, ln net.Listener, ready func() error, daemon Daemon, log *slog.Logger) error {
	config, err := home.Load()
	if err != nil {
		return err
	}
	if err := os.Mkdir(home.Spool(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	kept, err := spool.Open(filepath.Join(home.Spool(), "events"), spool.Options{})
	if err != nil {
		return fmt.Errorf("open the spool of events: %w", err)
	}
	g := &gateway{home: home, log: log, events: event.New(kept, log), registry: new(metrics.Registry), judges: newJudges(), news: make(chan struct{}, 1)}
	if g.health, err = health.New(home.HealthLog()); err != nil {
		return errors.Join(err, g.events.Close())
	}
	g.requests = access.Open(home, log)
	g.countSpool(kept)
	g.proxy = proxy.New(proxy.Options{Gateway: config.Name, Log: log, Registry: g.registry, Event: g.events.Put, Engine: g.judges.engine,
		Watched: g.health.Watches, Saw: g.health.Saw, Access: g.requests, Server: g.server})
	g.events.Tell(event.Informative, event.Started, "the gateway started, release %s", control.Version)
	g.look()
	if err := ready(); err != nil {
		return errors.Join(err, g.stop(stopTime))
	}
	log.Info("the gateway is ready", "address", ln.Addr().String(), "revision", g.proxy.Revision())
	var running sync.WaitGroup
	running.Go(func() { g.keepLooking(ctx) })
	running.Go(func() {
		diagnosis.Serve(ctx, home, diagnosis.Role{
			Tells: map[string]func(io.Writer) error{diagnosis.Counters: g.registry.Write, diagnosis.Configuration: g.tell, diagnosis.Blocks: g.tellBlocks},
			Does:  map[string]func(io.Reader, io.Writer) error{diagnosis.Unblock: g.unblock},
		}, log)
	})
	running.Go(func() { newJoined(g, kept, daemon).run(ctx) })
	err = hold(ctx, ln)
	running.Wait()
	patience := stopTime
	if context.Cause(ctx) == ErrDaemonGone {
		patience = goneTime
	}
	return errors.Join(err, g.stop(patience))
}

// hold keeps the management address until ctx ends.
func hold(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		conn.Close()
	}
}

func (g *gateway) countSpool(s *spool.Spool) {
	g.registry.Value("sealgate_spool_records", "Events that wait for the management server.", "gauge", func() float64 { return float64(s.Stats().Records) })
	g.registry.Value("sealgate_spool_bytes", "Size of the spool.", "gauge", func() float64 { return float64(s.Stats().Bytes) })
	g.registry.Value("sealgate_spool_dropped_total", "Events that were dropped from the spool.", "counter", func() float64 { return float64(s.Stats().Dropped) })
	g.registry.Value("sealgate_events_lost_total", "Events that the spool or a syslog server did not take.", "counter", func() float64 { return float64(g.events.Lost()) })
}

// keepLooking follows the configuration's file.
func (g *gateway) keepLooking(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.look()
			g.events.TellLosses()
			g.listenAgain()
		}
	}
}

// look takes the configuration, if it is another file than the one taken last.
func (g *gateway) look() {
	g.taking.Lock()
	defer g.taking.Unlock()
	info, err := os.Stat(g.home.Snapshot())
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			g.log.Error("the configuration cannot be read", "error", err)
		}
		return
	}
	if g.seen != nil && os.SameFile(info, g.seen) && info.ModTime().Equal(g.seen.ModTime()) && info.Size() == g.seen.Size() {
		return
	}
	g.seen = info
	s, err := g.read()
	if err == nil {
		err = g.take(s)
	}
	if err != nil {
		g.log.Error("the configuration is refused, the one before stays", "error", err.Error(), "revision", g.proxy.Revision())
		g.events.Tell(event.High, event.Refused, "the configuration is refused, revision %d stays: %s", g.proxy.Revision(), err)
	}
}

// listenAgain tries the addresses where the gateway could not listen.
func (g *gateway) listenAgain() {
	g.taking.Lock()
	defer g.taking.Unlock()
	if g.proxy.ListenAgain() {
		g.health.Use(g.watch, g.proxy.Addresses())
		g.hasNews()
	}
}

// notListening says where the gateway does not listen though its configuration says so.
func (g *gateway) notListening() string {
	var words []string
	for _, u := range g.proxy.Unbound() {
		words = append(words, u.String())
	}
	return link.Brief(strings.Join(words, "; "))
}

// hasNews has the management server told.
func (g *gateway) hasNews() {
	select {
	case g.news <- struct{}{}:
	default:
	}
}

// read reads the configuration's file.
func (g *gateway) read() (*model.Snapshot, error) {
	file, err := os.Open(g.home.Snapshot())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return model.ReadSnapshot(file)
}

// tell writes the configuration without its keys.
func (g *gateway) tell(w io.Writer) error {
	s, err := g.read()
	if err != nil {
		return err
	}
	s.TakeKeys()
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(s)
}

// tellBlocks writes who is kept out.
func (g *gateway) tellBlocks(w io.Writer) error { return json.NewEncoder(w).Encode(g.proxy.Blocks()) }

// unblock lifts blocks, and writes how many.
func (g *gateway) unblock(r io.Reader, w io.Writer) error {
	var u model.Unblock
	if err := json.NewDecoder(r).Decode(&u); err != nil {
		return err
	}
	done := g.proxy.Unblock(u)
	g.log.Info("blocks are lifted as an administrator asked", "blocks", done.Lifted)
	return json.NewEncoder(w).Encode(done)
}

// take brings a configuration into use, whole or not at all, with g.taking held.
func (g *gateway) take(s *model.Snapshot) error {
	begin := time.Now()
	advanced, err := model.ReadAdvanced(s.Group.AdvancedConfiguration)
	if err != nil {
		return err
	}
	applied := *s
	if g.draining {
		applied.Services = nil
	}
	if err := g.proxy.Apply(&applied); err != nil {
		return err
	}
	g.judges.forget(&applied)
	g.watch = advanced.Watch
	g.health.Use(g.watch, g.proxy.Addresses())
	now := link.Revision{Number: s.Revision, SHA256: s.SHA256}
	if before := g.running.Swap(&now); before == nil || *before != now {
		g.events.Tell(event.Informative, event.Taken, "revision %d of the configuration is in use", s.Revision)
	}
	g.log.Info("the configuration is in use", "revision", s.Revision, "took", time.Since(begin).String())
	if err := g.metrics.use(s.Group.Metrics, g.registry); err != nil {
		g.log.Error("metrics are not served", "error", err.Error())
	}
	return nil
}

// server tells whether a server answers.
func (g *gateway) server(address string, failure error) {
	if failure != nil {
		g.events.Tell(event.Medium, event.ServerDown, "the server %s does not answer: %s", address, failure)
	} else {
		g.events.Tell(event.Informative, event.ServerUp, "the server %s answers again", address)
	}
}

// runs is the configuration that is in use.
func (g *gateway) runs() link.Revision {
	if r := g.running.Load(); r != nil {
		return *r
	}
	return link.Revision{}
}

// drain takes no more connections until the role starts anew. Requests that are under
// way end.
func (g *gateway) drain() error {
	g.taking.Lock()
	defer g.taking.Unlock()
	g.draining = true
	s, err := g.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return g.take(s)
}

// stop ends the role when the requests that are under way are answered, or patience ends.
func (g *gateway) stop(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g.proxy.Shutdown(ctx)
	g.metrics.use("", nil)
	g.events.Tell(event.Informative, event.Stopped, "the gateway stopped")
	return errors.Join(g.health.Close(), g.events.Close(), g.requests.Close())
}

// metricsServer answers Prometheus at one address.
type metricsServer struct {
	at  string
	srv *http.Server
}

func (m *metricsServer) use(at string, registry *metrics.Registry) error {
	if at == m.at {
		return nil
	}
	if m.srv != nil {
		m.srv.Close()
		m.srv = nil
	}
	m.at = ""
	if at == "" {
		return nil
	}
	ln, err := net.Listen("tcp", at)
	if err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	m.at, m.srv = at, &http.Server{Handler: registry, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10}
	go m.srv.Serve(ln)
	return nil
}
