package mx

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"sealgate/appliance/store"
	"sealgate/daemon/errand"
	"sealgate/daemon/mx/openapi"
)

// hearing is a daemon that hears of writes as slowly as it is let.
type hearing struct {
	Daemon
	let    chan struct{}
	writes []errand.Write
	untold int64
	err    error
}

func (h *hearing) Wrote(_ context.Context, list []errand.Write, untold int64) error {
	<-h.let
	h.writes, h.untold = append(h.writes, list...), h.untold+untold
	return h.err
}

// called has fn run as what a request asks for.
func called(t *testing.T, fn func(context.Context)) {
	t.Helper()
	api := openapi.New(openapi.Config{Log: slog.New(slog.DiscardHandler), Operations: []openapi.Operation{{
		Method: http.MethodPost, Path: "/v1/test/{name}", Open: true,
		Do: func(ctx context.Context, _ *openapi.Call) (any, error) { fn(ctx); return nil, nil },
	}}})
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest(http.MethodPost, openapi.Base+"/v1/test/x", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

// Every write is told, in its order, and those that the daemon is too slow for are counted.
func TestWritesAreToldOrCounted(t *testing.T) {
	const all = maxWaiting + 1000
	daemon := &hearing{let: make(chan struct{})}
	w := newWitness(daemon, slog.New(slog.DiscardHandler))
	called(t, func(ctx context.Context) {
		for n := range all { // none waits, though nobody hears
			w.committed(ctx, store.Change{Author: "zoe", Summary: "create it"}, int64(n+1))
		}
		w.committed(context.Background(), store.Change{Author: "system"}, all+1) // no request's
	})
	close(daemon.let)
	w.end()
	if got := int64(len(daemon.writes)) + daemon.untold; got != all || daemon.untold == 0 {
		t.Errorf("%d told, %d counted of %d", len(daemon.writes), daemon.untold, all)
	}
	want := errand.Write{User: "zoe", Address: "192.0.2.1", Method: "POST", Path: "/v1/test/{name}", Summary: "create it", Revision: 1}
	if daemon.writes[0] != want {
		t.Errorf("told %+v", daemon.writes[0])
	}
	for i, x := range daemon.writes[1:] {
		if x.Revision <= daemon.writes[i].Revision {
			t.Fatalf("revision %d is told after %d", x.Revision, daemon.writes[i].Revision)
		}
	}
}

// A daemon that takes nothing does not keep the server from ending.
func TestWitnessEnds(t *testing.T) {
	daemon := &hearing{let: make(chan struct{}), err: errors.New("no")}
	close(daemon.let)
	w := newWitness(daemon, slog.New(slog.DiscardHandler))
	called(t, func(ctx context.Context) { w.committed(ctx, store.Change{}, 1) })
	w.end()
	if len(daemon.writes) != 1 {
		t.Errorf("told %+v", daemon.writes)
	}
}
