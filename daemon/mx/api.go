package mx

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"sealgate/appliance"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/daemon/mx/administration"
	"sealgate/daemon/mx/monitor"
	"sealgate/daemon/mx/openapi"
	"sealgate/daemon/mx/session"
	"sealgate/daemon/mx/user"
)

// part is what the parts of the management server work on.
type part struct {
	home   appliance.Home
	config appliance.Config
	db     *store.Store
	level  *slog.LevelVar
	log    *slog.Logger
}

// newAPI is the REST API with all of its operations.
func newAPI(ctx context.Context, p part, gateways openapi.Gateways, watch monitor.Config) (*openapi.API, error) {
	sessions, err := session.New(ctx, session.Config{Store: p.db, Appliance: p.config.Name, Log: p.log})
	if err != nil {
		return nil, err
	}
	sealer, err := secret.ReadRecipient(p.home.Recipient())
	if err != nil {
		return nil, fmt.Errorf("the key that seals secrets: %w", err)
	}
	accounts := user.New(p.db, p.config.Name, sessions.Changed)
	server := administration.Config{Home: p.home, Store: p.db, Level: p.level, Log: p.log}
	return openapi.New(openapi.Config{
		Store:      p.db,
		Sessions:   sessions,
		Sealer:     sealer,
		Gateways:   gateways,
		Operations: slices.Concat(sessions.Operations(), accounts.Operations(), server.Operations(), watch.Operations()),
		Log:        p.log,
	}), nil
}

// sameOrigin refuses what a browser sends because a page of another origin says so:
// the session's cookie is the user's, the wish is not. Other clients send no origin.
func sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintln(w, `{"errors":[{"error-code":"401","description":"a page of another origin has no session here"}]}`)
	}))
	return protection.Handler(next)
}
