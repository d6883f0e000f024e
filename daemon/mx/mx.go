// Package mx is the management server: the process that owns the
// configuration database and answers on the management address.
//
// It migrates and holds the database and speaks TLS on its address, where it
// answers the OpenAPI.
package mx

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/certificate"
	"sealgate/appliance/store"
	"sealgate/control"
	"sealgate/daemon/access"
	"sealgate/daemon/diagnosis"
	"sealgate/daemon/errand"
	"sealgate/daemon/link"
	"sealgate/daemon/link/hub"
	"sealgate/daemon/mx/monitor"
)

// shutdownGrace is less than the daemon's patience with a role that stops.
const shutdownGrace = 5 * time.Second

// Daemon is what the daemon does for the role: *errand.Client.
type Daemon interface {
	monitor.Daemon
	link.Supervisor
	Wrote(ctx context.Context, list []errand.Write) error
}

// Run serves on ln until ctx ends. ready is called once, when it can.
func Run(ctx context.Context, home appliance.Home, ln net.Listener, ready func() error, daemon Daemon, log *slog.Logger) error {
	config, err := home.Load()
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log = slog.New(leveled{log.Handler(), level})
	audit := newWitness(daemon, log)
	db, err := store.Open(ctx, string(home), store.Options{Witness: audit})
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer db.Close()
	if err := db.AddDefaults(ctx); err != nil {
		return fmt.Errorf("predefined objects: %w", err)
	}
	if err := certificate.Ensure(home, certificate.NamesOf(config.Name, ln.Addr().String()), time.Now()); err != nil {
		return fmt.Errorf("the certificate of the management address: %w", err)
	}
	keeper, err := certificate.NewKeeper(home, log)
	if err != nil {
		return err
	}
	known, err := hub.New(ctx, hub.Config{Home: home, Name: config.Name, Store: db, Sealer: daemon, Audit: daemon, Log: log, Now: time.Now})
	if err != nil {
		return fmt.Errorf("the events of gateways: %w", err)
	}
	watch := monitor.Config{
		Store: db, Daemon: daemon, Now: time.Now,
		Jobs: monitor.NewJobs(db, daemon, log), Alarms: monitor.NewAlarms(home, config, known, time.Now, log),
	}
	api, err := newAPI(ctx, part{home, config, db, level, log}, known, watch)
	if err != nil {
		return err
	}
	requests := access.Open(home, log)
	defer requests.Close()
	seen := newCounters()
	srv := newServer(requests.Handler(sameOrigin(api), seen.saw), log)
	srv.ConnState = seen.state
	srv.TLSConfig = &tls.Config{GetCertificate: keeper.Get, MinVersion: tls.VersionTLS12}
	gateways, err := link.NewServer(link.Config{Home: home, Name: config.Name, Store: db, Log: log, Now: time.Now, Supervisor: daemon})
	if err != nil {
		return fmt.Errorf("the key that gateways know: %w", err)
	}
	gateways.Attach(srv)
	known.Attach(gateways)
	// The daemon hears that first, whatever requests, which wait meanwhile, may have it
	// asked.
	if err := ready(); err != nil {
		return err
	}
	audit.run(db)
	defer audit.end()
	served := make(chan error, 1)
	go func() { served <- srv.ServeTLS(newCrowd(ln, log), "", "") }()
	log.Info("the management server is ready", "address", ln.Addr().String())
	var beside sync.WaitGroup
	defer beside.Wait()
	aside, stop := context.WithCancel(ctx)
	defer stop()
	beside.Go(func() { watch.Jobs.Run(aside) })
	beside.Go(func() {
		if err := gateways.Run(aside); err != nil {
			log.Error("gateways cannot be served", "error", err.Error())
		}
	})
	beside.Go(func() { known.Run(aside) })
	beside.Go(func() {
		diagnosis.Serve(aside, home, diagnosis.Role{Tells: map[string]func(io.Writer) error{
			diagnosis.Counters: seen.Write,
			diagnosis.Gateways: func(w io.Writer) error { return api.WriteGateways(aside, w) },
		}}, log)
	})
	beside.Go(func() { migrateDays(aside, db, log) })
	happened := func(code, text string) {
		e := store.SystemEvent{ID: store.NewID(), Source: config.Name, Time: time.Now().UnixMilli(), Severity: "informative", Code: code, Text: text}
		if err := db.AddSystemEvents(context.WithoutCancel(ctx), []store.SystemEvent{e}); err != nil {
			log.Error("a system event is not stored", "event", text, "error", err.Error())
		}
	}
	happened("management-server-started", "the management server started, release "+control.Version)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stop() // gateways come back by themselves
	// Requests that are under way get an answer before the database closes.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		log.Warn("requests were cut", "error", err)
	}
	happened("management-server-stopped", "the management server stopped")
	return nil
}

// requestTimeout bounds a request with its body and its answer: who sends or reads
// nothing holds a connection no longer, logged in or not.
const requestTimeout = 5 * time.Minute

func newServer(api http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           api,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// migrateDays brings events of older releases to this one's schema while requests
// are answered.
func migrateDays(ctx context.Context, db *store.Store, log *slog.Logger) {
	if err := db.MigrateDays(ctx); err != nil && ctx.Err() == nil {
		log.Error("old events are searched slowly: they are not migrated", "error", err.Error())
	}
}
