package hub_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sealgate/appliance/spool"
	"sealgate/daemon/link"
)

// client is a gateway's end of the link that has polled.
func (m *mx) client(name string) *link.Client {
	m.t.Helper()
	id, _ := m.register(name)
	client, err := link.NewClient(id.Server, id.Registration.Pin, id)
	must(m.t, err)
	m.t.Cleanup(client.Close)
	_, err = client.Poll(m.t.Context(), link.Poll{Version: link.Version, Now: true, Clock: time.Now().UnixMilli()})
	must(m.t, err)
	return client
}

// delivering is the spool of a gateway that delivers until the test ends.
func (m *mx) delivering(client *link.Client) *spool.Spool {
	m.t.Helper()
	s, err := spool.Open(filepath.Join(m.t.TempDir(), "events"), spool.Options{})
	must(m.t, err)
	ctx, cancel := context.WithCancel(m.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client.Deliver(ctx, s, logger(m.t))
	}()
	m.t.Cleanup(func() {
		cancel()
		<-ended
		s.Close()
	})
	return s
}

// The hole: a batch has its place in memory before it comes. The attack: as many gateways
// as there are places, taken over or behind a network that swallows, begin one and send no
// more of it. What must hold: the others' events come nevertheless.
func TestBatchesThatDoNotComeHoldUpNoOthers(t *testing.T) {
	m := newMX(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range 16 {
		slow := m.client(fmt.Sprint("slow", i))
		body, more := io.Pipe()
		defer more.Close()
		go slow.Do(ctx, http.MethodPost, link.PathEvents, http.Header{
			link.HeaderEpoch: {strings.Repeat("e", 32)}, link.HeaderFirst: {"1"}, link.HeaderLast: {"1"}}, body)
		_, err := more.Write([]byte("\x28"))
		must(t, err)
	}
	s, err := spool.Open(filepath.Join(t.TempDir(), "events"), spool.Options{})
	must(t, err)
	defer s.Close()
	put(t, s, violation(1))
	client := m.client("gw1")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client.Deliver(ctx, s, logger(t))
	}()
	defer func() { cancel(); <-ended }()
	eventually(t, "the event of another gateway", func() bool { return m.stored() == 1 })
}
