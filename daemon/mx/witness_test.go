package mx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/errand"
	"sealgate/daemon/mx/openapi"
)

// hearing is a daemon that hears of writes unless it is out.
type hearing struct {
	Daemon
	mu     sync.Mutex
	out    error
	writes []errand.Write
}

func (h *hearing) Wrote(_ context.Context, list []errand.Write) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.out == nil {
		h.writes = append(h.writes, list...)
	}
	return h.out
}

func (h *hearing) heard() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.writes)
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

// Every write is told, in its order, once: also those that a process left because the
// daemon took nothing, or that it was killed with.
func TestWritesAreTold(t *testing.T) {
	home := t.TempDir()
	if err := store.Create(t.Context(), home, "admin", "verifier", store.Options{}); err != nil {
		t.Fatal(err)
	}
	daemon := &hearing{out: errors.New("the disk is full")}
	// serve has fn run beside a witness of its own.
	serve := func(fn func(*store.Store)) {
		t.Helper()
		w := newWitness(daemon, slog.New(slog.DiscardHandler))
		db, err := store.Open(t.Context(), home, store.Options{Witness: w})
		if err != nil {
			t.Fatal(err)
		}
		w.run(db)
		fn(db)
		w.end()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	const left, all = atOnce + 100, atOnce + 200
	create := func(db *store.Store, from, to int) {
		for n := from; n < to; n++ {
			called(t, func(ctx context.Context) {
				change := store.Change{Author: "zoe", Summary: fmt.Sprint("create site ", n)}
				if _, err := db.Write(ctx, change, func(tx *store.Tx) error {
					_, err := tx.Create(ctx, store.Object{ParentID: model.RootID, Kind: model.Site, Name: fmt.Sprint("site ", n)})
					return err
				}); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	serve(func(db *store.Store) { create(db, 0, left) })
	daemon.out = nil
	serve(func(db *store.Store) {
		create(db, left, all)
		for deadline := time.Now().Add(time.Minute); daemon.heard() < all && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		if n := daemon.heard(); n != all {
			t.Fatalf("%d of %d are told while the server runs", n, all)
		}
	})
	serve(func(*store.Store) {})
	if len(daemon.writes) != all {
		t.Fatalf("%d writes are told, not %d", len(daemon.writes), all)
	}
	first := daemon.writes[0]
	want := errand.Write{At: first.At, User: "zoe", Address: "192.0.2.1", Method: "POST", Path: "/v1/test/{name}", Summary: "create site 0", Revision: first.Revision}
	if first != want || first.Revision == 0 || time.Since(time.UnixMilli(first.At)) > time.Hour {
		t.Errorf("told %+v", first)
	}
	for i, x := range daemon.writes[1:] {
		if x.Revision != daemon.writes[i].Revision+1 {
			t.Fatalf("revision %d is told after %d", x.Revision, daemon.writes[i].Revision)
		}
	}
}
