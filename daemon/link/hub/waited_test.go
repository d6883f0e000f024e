package hub

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/store"
	"sealgate/daemon/link"
)

// A gateway is told how long its batch waited here, which says nothing of how fast it came.
func TestABatchIsToldHowLongItWaited(t *testing.T) {
	dir := t.TempDir()
	try(t, store.Create(t.Context(), dir, "admin", "no verifier", store.Options{}))
	db, err := store.Open(t.Context(), dir, store.Options{})
	try(t, err)
	defer db.Close()
	h, err := New(t.Context(), Config{Home: appliance.Home(dir), Store: db, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	try(t, err)
	h.gateways["g"] = &gateway{name: "gw1"}
	var from link.Gateway
	from.GatewayID = "g"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.take(w, r, from); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	const busy = 50 * time.Millisecond
	go func() {
		d := <-h.events.queue // it has come
		time.Sleep(busy)
		d.stored <- nil
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
	try(t, err)
	req.Header = http.Header{link.HeaderEpoch: {strings.Repeat("e", 32)}, link.HeaderFirst: {"1"}, link.HeaderLast: {"7"}}
	resp, err := server.Client().Do(req)
	try(t, err)
	defer resp.Body.Close()
	var done link.Acknowledged
	try(t, json.NewDecoder(resp.Body).Decode(&done))
	if done.Sequence != 7 || done.Waited < busy.Milliseconds() {
		t.Errorf("%+v after %v", done, busy)
	}
}
