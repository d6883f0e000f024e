// Package mx is the management server: the process that owns the
// configuration database and answers on the management address.
//
// In this release it migrates and holds the database and speaks TLS on its
// address, where it has no resource yet: every URL is 404, which clients take
// for a server without that function.
package mx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/store"
)

// Run serves on ln until ctx ends. ready is called once, when it can.
func Run(ctx context.Context, home appliance.Home, ln net.Listener, ready func() error, log *slog.Logger) error {
	config, err := home.Load()
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, string(home), store.Options{})
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer db.Close()
	cert, err := certificate(home.Certificate(), config.Name, time.Now())
	if err != nil {
		return fmt.Errorf("the certificate of the management address: %w", err)
	}
	srv := &http.Server{
		Handler:           http.HandlerFunc(notFound),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		srv.Shutdown(grace)
	})
	defer stop()
	if err := ready(); err != nil {
		return err
	}
	log.Info("the management server is ready", "address", ln.Addr().String())
	if err := srv.ServeTLS(ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintln(w, `{"errors":[{"error-code":"404","description":"this release has no such URL"}]}`)
}
