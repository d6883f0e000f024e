package hub

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"sealgate/daemon/link"
	"sealgate/daemon/mx/configuration"
)

// group is what the gateways of a group are to run.
type group struct {
	name    string
	built   *configuration.Built // nil until it could be built
	is      link.Revision
	since   time.Time // when it became what it is
	failure string    // why the newest revision could not be built
	failed  time.Time

	once  sync.Once // of whole
	whole []byte    // compressed, where it has no private keys: it is the same for all
	err   error
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
	before := maps.Clone(h.groups)
	h.mu.Unlock()
	groups := make(map[string]*group, len(ids))
	for _, id := range ids {
		groups[id] = h.next(before[id], reading, id)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.groups, h.read = groups, true
	for _, g := range h.gateways {
		g.wake()
	}
	return nil
}

// next is a group after a change: the one before where it did not change for it.
func (h *Hub) next(before *group, reading *configuration.Reading, id string) *group {
	now := h.Now()
	built, err := reading.Build(id)
	if err != nil {
		next := &group{name: reading.GroupName(id), failure: err.Error(), failed: now, since: now}
		if before != nil {
			next.built, next.is, next.since = before.built, before.is, before.since
			if before.failure != "" {
				next.failed = before.failed
			}
		}
		if before == nil || before.failure != next.failure {
			h.Log.Error("a gateway group cannot be told its configuration, its gateways keep the one before", "group", next.name, "revision", reading.Revision, "error", next.failure)
		}
		return next
	}
	sum := hex.EncodeToString(built.Sum[:])
	if before != nil && before.failure == "" && before.is.SHA256 == sum {
		return before
	}
	built.Snapshot.SHA256 = sum
	return &group{name: reading.GroupName(id), built: built, is: link.Revision{Number: reading.Revision, SHA256: sum}, since: now}
}

// wanted is the configuration that a gateway is to take, with h.mu held; nil is none.
func (h *Hub) wanted(g *gateway) *link.Revision {
	in := h.groups[g.group]
	if in == nil || in.built == nil || in.is.SHA256 == g.said.Running.SHA256 || g.said.Refused != nil && in.is.SHA256 == g.said.Refused.SHA256 {
		return nil
	}
	is := in.is
	return &is
}

// configuration answers with what the gateway's group is to run, with the private
// keys sealed to it.
func (h *Hub) configuration(w http.ResponseWriter, r *http.Request, from link.Gateway) error {
	h.mu.Lock()
	g := h.gateways[from.GatewayID]
	var in *group
	if g != nil {
		in = h.groups[g.group]
	}
	h.mu.Unlock()
	if in == nil || in.built == nil {
		return &link.Problem{Code: link.Busy, Text: "the gateway's group has no configuration yet", After: 1}
	}
	data, err := h.bodyFor(r.Context(), g, in, from)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zstd")
	_, err = w.Write(data)
	return err
}

func (h *Hub) bodyFor(ctx context.Context, g *gateway, in *group, from link.Gateway) ([]byte, error) {
	if len(in.built.Keys) == 0 {
		in.once.Do(func() { in.whole, in.err = h.compressor.compress(context.WithoutCancel(ctx), in.built, nil) })
		return in.whole, in.err
	}
	sealed, err := h.seal(ctx, g, in.built, from)
	if err != nil {
		return nil, err
	}
	return h.compressor.compress(ctx, in.built, sealed)
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
	h.mu.Unlock()
	sealed := make(map[string][]byte, len(built.Keys))
	for _, k := range built.Keys {
		id := from.Sealing + k.Secret
		if have := before[id]; have != nil {
			sealed[id] = have
			continue
		}
		kept, err := h.Store.Sealed(ctx, k.Secret)
		if err != nil {
			return nil, err
		}
		if sealed[id], err = h.Sealer.SealFor(ctx, recipient, k.Secret, kept); err != nil {
			return nil, err
		}
	}
	h.mu.Lock()
	g.sealed = sealed
	h.mu.Unlock()
	bySecret := make(map[string][]byte, len(sealed))
	for _, k := range built.Keys {
		bySecret[k.Secret] = sealed[from.Sealing+k.Secret]
	}
	return bySecret, nil
}

// compressor makes the bodies of configurations, a few at a time.
type compressor struct {
	places chan struct{}
	zstd   *zstd.Encoder
}

const compressing = 2

func newCompressor() (compressor, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(compressing), zstd.WithLowerEncoderMem(true))
	return compressor{make(chan struct{}, compressing), z}, err
}

func (c compressor) compress(ctx context.Context, built *configuration.Built, sealed map[string][]byte) ([]byte, error) {
	select {
	case c.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.places }()
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(built.For(sealed)); err != nil {
		return nil, err
	}
	return c.zstd.EncodeAll(b.Bytes(), nil), nil
}
