package hub

import (
	"context"
	"time"

	"sealgate/appliance/audit"
	"sealgate/daemon/errand"
	"sealgate/daemon/link"
)

// witnessEvery is how often the audit log here keeps the head of a gateway's: a chain
// that was rewritten there does not fit what was kept.
const witnessEvery = 5 * time.Minute

// chain is a gateway's audit log as this server was told of it.
type chain struct {
	appliance string // whose log it is
	head      audit.Head
	kept      time.Time
	rewritten time.Time // zero: never
}

// witness keeps the head of a gateway's audit log, if it is time to.
func (h *Hub) witness(ctx context.Context, g *gateway, from link.Gateway, line string) {
	appliance, head, ok := audit.ParseLine(line)
	if !ok {
		return
	}
	kind, now := errand.AuditHead, h.Now()
	h.mu.Lock()
	c := &g.chain
	same := c.appliance == appliance
	switch {
	case same && head == c.head:
		h.mu.Unlock()
		return
	case same && head.Seq <= c.head.Seq:
		kind, c.rewritten = errand.AuditRewritten, now
	case same && now.Sub(c.kept) < witnessEvery:
		h.mu.Unlock()
		return
	}
	c.appliance, c.head, c.kept = appliance, head, now
	h.mu.Unlock()
	note := errand.Note{Kind: kind, Origin: from.Peer.Address.String(), Gateway: g.name, Detail: head.Line(appliance)}
	if err := h.Audit.Note(ctx, note); err != nil {
		h.Log.Warn("the head of a gateway's audit log is not kept", "gateway", g.name, "error", err.Error())
	}
}
