// Package gateway is the inspecting reverse proxy: the role's process. It reads the
// configuration snapshot from the spool folder, swaps to each new one as a whole or
// keeps the one that it has, and so works without its management server.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/appliance/spool"
	"sealgate/daemon/gateway/event"
	"sealgate/daemon/gateway/health"
	"sealgate/daemon/gateway/metrics"
	"sealgate/daemon/gateway/proxy"
)

const (
	lookEvery = time.Second     // at the configuration's file
	drain     = 8 * time.Second // less than the daemon's patience with a role that stops
)

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
	seen     fs.FileInfo // the file as it was last read
}

// Run serves until ctx ends. ready is called once, when the configuration that was
// last delivered is in use. ln is the management address, where nothing answers.
func Run(ctx context.Context, home appliance.Home, ln net.Listener, ready func() error, log *slog.Logger) error {
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
	g := &gateway{home: home, log: log, events: event.New(kept, log), registry: new(metrics.Registry), judges: newJudges()}
	if g.health, err = health.New(home.HealthLog()); err != nil {
		return errors.Join(err, g.events.Close())
	}
	g.countSpool(kept)
	g.proxy = proxy.New(proxy.Options{Gateway: config.Name, Log: log, Registry: g.registry, Event: g.events.Put, Engine: g.judges.engine,
		Watched: g.health.Watches, Saw: g.health.Saw})
	g.look()
	if err := ready(); err != nil {
		return errors.Join(err, g.stop())
	}
	log.Info("the gateway is ready", "address", ln.Addr().String(), "revision", g.proxy.Revision())
	var running sync.WaitGroup
	running.Go(func() { g.keepLooking(ctx) })
	err = hold(ctx, ln)
	running.Wait()
	return errors.Join(err, g.stop())
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
		}
	}
}

// look takes the configuration, if it is another file than the one taken last.
func (g *gateway) look() {
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
	begin := time.Now()
	if err := g.take(); err != nil {
		g.log.Error("the configuration is refused, the one before stays", "error", err.Error(), "revision", g.proxy.Revision())
		return
	}
	g.log.Info("the configuration is in use", "revision", g.proxy.Revision(), "took", time.Since(begin).String())
}

func (g *gateway) take() error {
	file, err := os.Open(g.home.Snapshot())
	if err != nil {
		return err
	}
	defer file.Close()
	s, err := model.ReadSnapshot(file)
	if err != nil {
		return err
	}
	advanced, err := model.ReadAdvanced(s.Group.AdvancedConfiguration)
	if err != nil {
		return err
	}
	if err := g.proxy.Apply(s); err != nil {
		return err
	}
	g.judges.forget(s)
	g.health.Use(advanced.Watch, g.proxy.Addresses())
	return g.metrics.use(s.Group.Metrics, g.registry)
}

func (g *gateway) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	g.proxy.Shutdown(ctx)
	g.metrics.use("", nil)
	return errors.Join(g.health.Close(), g.events.Close())
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
