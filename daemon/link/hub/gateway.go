package hub

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"

	"sealgate/appliance/store"
	"sealgate/daemon/link"
)

// gateway is a registered gateway as it said it is.
type gateway struct {
	id, name, group string
	said            link.Poll
	seen            time.Time // zero until it polled
	connected       bool
	since           time.Time // when it became connected, before that when it was listed first
	clock           clock
	clockTold       time.Time // that it is off
	dropped         int64     // of its counter, that were told of
	droppedAt       time.Time
	deafSince       time.Time // when what it said of addresses where it does not listen changed
	delivering      bool
	sending         bool              // a bundle
	sealed          map[string][]byte // private keys, by secret
	sealing         string            // the key that they are sealed to
	changed         chan struct{}     // closed when a poll that waits must look again
	chain           chain
	copies          copies
	copyTold        time.Time
	polls           int  // that came; the last one is answered
	asked           bool // commands wait
	lines           int  // of the log, about what it said
	linesSince      time.Time
}

// Lines of the log about what one gateway says, in a while: it does not push out others.
const (
	linesTold  = 60
	linesEvery = time.Minute
)

// log is where what a gateway says goes, with h.mu held.
func (h *Hub) log(g *gateway) *slog.Logger {
	if now := h.Now(); now.Sub(g.linesSince).Abs() >= linesEvery {
		g.linesSince, g.lines = now, 0
	}
	if g.lines++; g.lines > linesTold {
		return slog.New(slog.DiscardHandler)
	}
	return h.Log
}

// wake has the gateway's poll look again, with h.mu held.
func (g *gateway) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// poll hears how a gateway is, and answers when there is something to do, or after a
// while.
func (h *Hub) poll(w http.ResponseWriter, r *http.Request, from link.Gateway) error {
	var said link.Poll
	if err := link.ReadJSON(r.Body, link.MaxMessage, &said); err != nil {
		return &link.Problem{Code: link.BadRequest, Text: err.Error()}
	}
	if said.Version != link.Version {
		return &link.Problem{Code: link.BadVersion, Text: fmt.Sprintf("the gateway speaks version %d of the link, this management server speaks version %d", said.Version, link.Version)}
	}
	g, turn, err := h.hear(r.Context(), from, said)
	if err != nil {
		return err
	}
	h.witness(r.Context(), g, from, said.AuditHead)
	if err := h.endCommands(r.Context(), g, said.Results); err != nil {
		return err
	}
	timer := time.NewTimer(pollTime)
	defer timer.Stop()
	for waiting := !said.Now; ; {
		h.mu.Lock()
		answer := link.Polled{Version: link.Version, Configuration: h.offer(g)}
		changed, last := g.changed, g.polls == turn && h.gateways[g.id] == g
		h.mu.Unlock()
		if !last { // it asks on another connection, or is to hear that it is not registered any more
			return link.Answer(w, link.Polled{Version: link.Version})
		}
		if answer.Commands, err = h.giveCommands(r.Context(), g); err != nil {
			return err
		}
		if !waiting || answer.Configuration != nil || len(answer.Commands) > 0 {
			return link.Answer(w, answer)
		}
		select {
		case <-changed:
		case <-timer.C:
			waiting = false
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

// hear notes what a gateway says. turn is the number of its poll.
func (h *Hub) hear(ctx context.Context, from link.Gateway, said link.Poll) (g *gateway, turn int, err error) {
	h.mu.Lock()
	g = h.gateways[from.GatewayID]
	h.mu.Unlock()
	if g == nil { // it has registered since they were listed
		h.list(ctx)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if g = h.gateways[from.GatewayID]; g == nil {
		return nil, 0, fmt.Errorf("gateway %q: %w", from.GatewayID, store.ErrNotFound)
	}
	now := h.Now()
	for _, text := range []*string{&said.Software, &said.Model, &said.Platform, &said.DataAddress, &said.Running.SHA256, &said.Start} {
		*text = plain(*text, 100)
	}
	said.Addresses = said.Addresses[:min(len(said.Addresses), 64)]
	said.Interfaces = said.Interfaces[:min(len(said.Interfaces), link.MaxInterfaces)]
	for _, list := range [][]string{said.Addresses, said.Interfaces} {
		for i := range list {
			list[i] = plain(list[i], 100)
		}
	}
	if !g.connected {
		g.connected, g.since = true, now
		h.tell(g.id, "informative", gatewayConnected, "gateway %s is connected, from %s, release %s", g.name, from.Peer.Address, said.Software)
		h.log(g).Info("a gateway is connected", "gateway", g.name, "address", from.Peer.Address.String(), "version", said.Software, "revision", said.Running.Number)
	}
	if said.Refused != nil {
		said.Refused.Reason = plain(said.Refused.Reason, 500)
		if g.said.Refused == nil || g.said.Refused.SHA256 != said.Refused.SHA256 {
			h.log(g).Warn("a gateway refused its configuration and keeps the one before", "gateway", g.name, "revision", said.Refused.Number, "reason", said.Refused.Reason)
		}
	}
	said.NotListening = plain(said.NotListening, 500)
	if said.NotListening != g.said.NotListening {
		g.deafSince = now
		if said.NotListening != "" {
			h.log(g).Warn("a gateway does not listen everywhere", "gateway", g.name, "where", said.NotListening)
		}
	}
	if said.Running != g.said.Running && !g.seen.IsZero() {
		h.log(g).Info("a gateway runs its configuration", "gateway", g.name, "revision", said.Running.Number)
	}
	dropped := said.Spool.Dropped
	if dropped < g.dropped {
		g.dropped = 0 // it has started anew
	}
	if dropped > g.dropped {
		h.log(g).Warn("a gateway has dropped events", "gateway", g.name, "events", dropped-g.dropped)
		g.droppedAt = now
	}
	g.dropped = dropped
	g.said, g.seen = said, now
	g.clock.hear(time.UnixMilli(said.Clock).Sub(now))
	g.copies.hear(said.Start, now)
	if g.copies.there(now) && now.Sub(g.copyTold) >= copyEvery {
		h.tell(g.id, "high", gatewayCopied, "two machines use the key of gateway %s, one is a copy of the other", g.name)
		h.log(g).Warn("two machines use the key of a gateway", "gateway", g.name, "address", from.Peer.Address.String())
		g.copyTold = now
	}
	if off := g.clock.off(); off != 0 && now.Sub(g.clockTold) >= clockEvery {
		h.tell(g.id, "medium", gatewayClockOff, "the clock of gateway %s is off by %s", g.name, off.Round(time.Second))
		g.clockTold = now
	}
	g.polls++
	g.wake() // an older poll ends
	return g, g.polls, nil
}

// plain is what a gateway says, for people to read.
func plain(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, " "))
}

// list follows which gateways there are, and who is silent.
func (h *Hub) list(ctx context.Context) {
	objects, err := h.Store.Gateways(ctx)
	if err != nil {
		if ctx.Err() == nil {
			h.Log.Error("the gateways cannot be listed", "error", err.Error())
		}
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	there := make(map[string]bool, len(objects))
	for _, o := range objects {
		there[o.ID] = true
		g := h.gateways[o.ID]
		if g == nil {
			g = &gateway{id: o.ID, since: h.Now(), changed: make(chan struct{})}
			h.gateways[o.ID] = g
			if h.listed {
				h.tell(g.id, "informative", gatewayRegistered, "gateway %s has registered", o.Name)
			}
		}
		if g.name, g.group = o.Name, o.ParentID; g.connected && h.silent(g) {
			g.connected = false
			h.tell(g.id, "high", gatewaySilent, "gateway %s is silent since %s", g.name, g.seen.UTC().Format(dateLayout))
			h.Log.Warn("a gateway is silent", "gateway", g.name, "since", g.seen.UTC().Format(time.RFC3339))
		}
	}
	for id, g := range h.gateways {
		if !there[id] {
			delete(h.gateways, id)
			g.wake()
			h.Log.Info("a gateway is not registered any more", "gateway", g.name)
			h.tell(id, "low", gatewayRemoved, "gateway %s is not registered any more", g.name)
		}
	}
	h.listed = true
}

func (h *Hub) silent(g *gateway) bool {
	last := g.seen
	if last.IsZero() {
		last = g.since
	}
	return h.Now().Sub(last) > silentAfter
}

// Live is what is known of a gateway that has polled lately.
func (h *Hub) Live(id string) (said link.Poll, running bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.gateways[id]
	if g == nil || g.seen.IsZero() {
		return link.Poll{}, false
	}
	return g.said, !h.silent(g)
}
