// Package hub is the management server's side of the link for gateways that are
// registered: it hears how they are, tells them what is to run, stores what they
// have seen, and gives them commands.
//
// It promises that a change of the configuration reaches a gateway that is connected
// within moments, whoever wrote it; that what a gateway is told to have delivered is
// on the disk, once; that events leave room on the disk for what is configured and
// audited; and that what a gateway may use here of memory and time is bounded. It drops
// violations for one reason alone, the oldest day of them: new ones wait for the room on
// the disk, and no export, import, bundle or collection from AWS runs, which may give it
// back. What it remembers of gateways is what they said last: after a restart they say it
// again.
package hub

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"sealgate/appliance"
	"sealgate/appliance/store"
	"sealgate/daemon/errand"
	"sealgate/daemon/link"
)

const (
	lookEvery   = 100 * time.Millisecond // at the revision, and for commands
	listEvery   = 5 * time.Second        // the gateways, and who is silent
	pollTime    = 25 * time.Second
	silentAfter = 90 * time.Second
)

// Sealer seals a private key for a gateway: *errand.Client.
type Sealer interface {
	SealFor(ctx context.Context, recipient []byte, id string, sealed []byte) ([]byte, error)
}

// Audit has this server's audit log say something: *errand.Client.
type Audit interface {
	Note(context.Context, errand.Note) error
}

// Config is what a hub works with.
type Config struct {
	Home   appliance.Home
	Name   string // the appliance's
	Store  *store.Store
	Sealer Sealer
	Audit  Audit
	Log    *slog.Logger
	Now    func() time.Time
}

// Hub is the gateways.
type Hub struct {
	Config
	events  *intake
	encoder *zstd.Encoder
	bundles chan struct{} // holds a value for each that is taken

	mu       sync.Mutex
	gateways map[string]*gateway // by id
	groups   map[string]*group   // by id
	listed   bool                // gateways, once
	toKeep   []store.SystemEvent
	failing  bool // they could not be stored

	held time.Time // until then dropping days makes no room
}

// New returns a hub. Run is to run.
func New(ctx context.Context, c Config) (*Hub, error) {
	aggregator, err := c.Store.Aggregator(ctx)
	if err != nil {
		return nil, err
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	h := &Hub{Config: c, encoder: encoder, bundles: make(chan struct{}, bundles), gateways: make(map[string]*gateway), groups: make(map[string]*group)}
	h.events = newIntake(aggregator, h.room, c.Log)
	return h, nil
}

// Attach answers what gateways ask a server.
func (h *Hub) Attach(s *link.Server) {
	s.Handle(http.MethodPost+" "+link.PathPoll, h.poll)
	s.Handle(http.MethodGet+" "+link.PathConfiguration, h.configuration)
	s.Handle(http.MethodPost+" "+link.PathEvents, h.take)
	s.Handle(http.MethodPut+" "+link.PathResults+"{command}", h.result)
}

// Run watches and stores until ctx ends.
func (h *Hub) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer func() {
		running.Wait()
		h.keepEvents(context.WithoutCancel(ctx)) // what the others told last, too
	}()
	running.Go(func() { h.events.run(ctx) })
	running.Go(func() { h.watch(ctx) })
	running.Go(func() { every(ctx, listEvery, func() { h.list(ctx) }) })
	running.Go(func() { every(ctx, time.Hour, func() { h.keepResultsYoung(ctx) }) })
	running.Go(func() { every(ctx, time.Hour, func() { h.pruneEvents(ctx) }) })
	running.Go(func() { every(ctx, roomEvery, func() { h.tellDamage(); h.makeRoom(ctx) }) })
	running.Go(func() { every(ctx, keepEvery, func() { h.keepEvents(ctx) }) })
	every(ctx, lookEvery, func() { h.lookForCommands(ctx) })
}

// every calls do, and again after each pause, until ctx ends.
func every(ctx context.Context, pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		do()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
