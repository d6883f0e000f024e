package hub

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"sealgate/appliance/model"
	"sealgate/daemon/link"
	"sealgate/daemon/mx/configuration"
)

// group is what the gateways of a group are to run.
type group struct {
	name    string
	built   *configuration.Built // nil until it could be built
	wanted  map[string]wanted    // by the names of gateways that asked; with Hub.mu held
	failure string               // why the newest revision could not be built
	failed  time.Time
	shared  *shared
}

// wanted is what one gateway is to run, and since when.
type wanted struct {
	link.Revision
	since time.Time
}

// shared is the part of a snapshot that is the same for all gateways of a group,
// compressed: they all ask for it at once.
type shared struct {
	once sync.Once
	body []byte
	err  error
}

// watch follows the configuration's revision. Building rests as long as it took, so
// that a script which writes and writes leaves half of a processor to others.
func (h *Hub) watch(ctx context.Context) {
	last := int64(-1)
	for ctx.Err() == nil {
		begin := time.Now()
		revision, err := h.Store.Revision(ctx)
		if err == nil && revision != last {
			if err = h.build(ctx); err == nil {
				last = revision
			}
		}
		if err != nil && ctx.Err() == nil {
			h.Log.Error("the configuration cannot be read for gateways", "error", err.Error())
		}
		select {
		case <-time.After(max(lookEvery, time.Since(begin))):
		case <-ctx.Done():
		}
	}
}

// build makes what each group is to run, and wakes the gateways for which it changed.
func (h *Hub) build(ctx context.Context) error {
	reading, err := configuration.Read(ctx, h.Store)
	if err != nil {
		return err
	}
	h.list(ctx)
	ids := reading.Groups()
	h.mu.Lock()
	before := h.groups // nothing else writes it
	h.mu.Unlock()
	groups := make(map[string]*group, len(ids))
	for _, id := range ids {
		groups[id] = h.next(before[id], reading, id)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, next := range groups {
		if old := before[id]; old != nil {
			next.settle(old, h.Now())
		}
	}
	h.groups = groups
	for _, g := range h.gateways {
		if h.offer(g) != nil {
			g.wake()
		}
	}
	return nil
}

// settle keeps what did not change for a gateway as it was.
func (in *group) settle(old *group, now time.Time) {
	if in.built == old.built {
		in.wanted = old.wanted
		return
	}
	for name, before := range old.wanted {
		if want := in.want(name, now); want.SHA256 == before.SHA256 {
			in.wanted[name] = before
		}
	}
}

// want is what a gateway of the group is to run; there is something.
func (in *group) want(name string, now time.Time) wanted {
	want, ok := in.wanted[name]
	if !ok {
		sum := in.built.SumFor(name)
		want = wanted{link.Revision{Number: in.built.Snapshot.Revision, SHA256: hex.EncodeToString(sum[:])}, now}
		in.wanted[name] = want
	}
	return want
}

// next is a group after a change.
func (h *Hub) next(before *group, reading *configuration.Reading, id string) *group {
	if before == nil {
		before = new(group)
	}
	next := &group{name: reading.GroupName(id), wanted: make(map[string]wanted), shared: new(shared)}
	built, err := reading.Build(id)
	if err != nil {
		next.built, next.shared, next.failure, next.failed = before.built, before.shared, err.Error(), before.failed
		if before.failure == "" {
			next.failed = h.Now()
		}
		if before.failure != next.failure {
			h.Log.Error("a gateway group cannot be told its configuration, its gateways keep the one before", "group", next.name, "revision", reading.Revision, "error", next.failure)
			h.mu.Lock()
			h.tell("", "high", notBuilt, "gateway group %s cannot be told revision %d: %s", next.name, reading.Revision, next.failure)
			h.mu.Unlock()
		}
		return next
	}
	if before.built != nil && before.built.Sum == built.Sum {
		next.shared = before.shared
	}
	next.built = built
	return next
}

// offer is the configuration that a gateway is to take, with h.mu held; nil is none.
func (h *Hub) offer(g *gateway) *link.Revision {
	in := h.groups[g.group]
	if in == nil || in.built == nil {
		return nil
	}
	want := in.want(g.name, h.Now())
	if want.SHA256 == g.said.Running.SHA256 || g.said.Refused != nil && want.SHA256 == g.said.Refused.SHA256 {
		return nil
	}
	return &want.Revision
}

// configuration answers with what the gateway is to run, with the private keys sealed
// to it: two zstd frames that are one JSON object, the gateway's part and the group's.
func (h *Hub) configuration(w http.ResponseWriter, r *http.Request, from link.Gateway) error {
	h.mu.Lock()
	g := h.gateways[from.GatewayID]
	var in *group
	var name string
	var want wanted
	if g != nil {
		in, name = h.groups[g.group], g.name
	}
	ready := in != nil && in.built != nil
	if ready {
		want = in.want(name, h.Now())
	}
	h.mu.Unlock()
	if !ready {
		return &link.Problem{Code: link.Busy, Text: "the management server has no configuration for the gateway yet", After: 1}
	}
	own := model.Snapshot{Revision: want.Number, SHA256: want.SHA256}
	if aliases := in.built.Snapshot.Aliases[name]; len(aliases) > 0 {
		own.Aliases = map[string]map[string]netip.Addr{name: aliases}
	}
	var err error
	if own.SealedKeys, err = h.seal(r.Context(), g, in.built, from); err != nil {
		return err
	}
	head, err := ownPart(own)
	if err != nil {
		return err
	}
	in.shared.once.Do(func() { in.shared.body, in.shared.err = h.compressShared(in.built.Snapshot) })
	if in.shared.err != nil {
		return in.shared.err
	}
	w.Header().Set("Content-Type", "application/zstd")
	if _, err := w.Write(h.encoder.EncodeAll(head, nil)); err != nil {
		return err
	}
	_, err = w.Write(in.shared.body)
	return err
}

// ownPart is the beginning of a snapshot's object.
func ownPart(own model.Snapshot) ([]byte, error) {
	head, err := json.Marshal(struct {
		Revision   int64                            `json:"revision"`
		SHA256     string                           `json:"sha256"`
		Aliases    map[string]map[string]netip.Addr `json:"aliases,omitempty"`
		SealedKeys map[string][]byte                `json:"sealedKeys,omitempty"`
	}{own.Revision, own.SHA256, own.Aliases, own.SealedKeys})
	if err != nil {
		return nil, err
	}
	head[len(head)-1] = ','
	return head, nil
}

// compressShared is the rest of the object.
func (h *Hub) compressShared(s *model.Snapshot) ([]byte, error) {
	rest := *s
	rest.Aliases = nil
	data, err := json.Marshal(struct {
		*model.Snapshot
		Revision int64 `json:"revision,omitempty"` // is in the other part
	}{Snapshot: &rest})
	if err != nil {
		return nil, err
	}
	return h.encoder.EncodeAll(data[1:], nil), nil
}

// seal has the private keys of a snapshot sealed to a gateway. Those that it had
// before are remembered: sealed, they are worth nothing to anybody else.
func (h *Hub) seal(ctx context.Context, g *gateway, built *configuration.Built, from link.Gateway) (map[string][]byte, error) {
	recipient, err := base64.StdEncoding.DecodeString(from.Sealing)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	before := g.sealed
	if g.sealing != from.Sealing {
		before = nil
	}
	h.mu.Unlock()
	sealed := make(map[string][]byte, len(built.Secrets))
	for _, id := range built.Secrets {
		if sealed[id] = before[id]; sealed[id] != nil {
			continue
		}
		kept, err := h.Store.Sealed(ctx, id)
		if err != nil {
			return nil, err
		}
		if sealed[id], err = h.Sealer.SealFor(ctx, recipient, id, kept); err != nil {
			return nil, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	g.sealed, g.sealing = sealed, from.Sealing
	return sealed, nil
}
