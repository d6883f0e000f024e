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
	now := h.Now()
	h.mu.Lock()
	kind, told := g.chain.judge(appliance, head, now)
	name := g.name
	if told && kind == errand.AuditRewritten {
		h.tell(g.id, "high", gatewayRewritten, "the audit log of gateway %s is not the one that this management server was told of", name)
	}
	h.mu.Unlock()
	if !told {
		return
	}
	note := errand.Note{Kind: kind, Origin: from.Peer.Address.String(), Gateway: name, Detail: head.Line(appliance)}
	if err := h.Audit.Note(ctx, note); err != nil {
		h.Log.Warn("the head of a gateway's audit log is not kept", "gateway", name, "error", err.Error())
	}
}

// judge compares a head with what is known, and says whether the audit log is told:
// whatever a gateway says, no more than once in witnessEvery of either kind.
func (c *chain) judge(appliance string, head audit.Head, now time.Time) (kind errand.Kind, told bool) {
	kind, since := errand.AuditHead, now.Sub(c.kept)
	if c.appliance == appliance {
		if head == c.head {
			return kind, false
		}
		if head.Seq <= c.head.Seq {
			kind, since, c.head = errand.AuditRewritten, now.Sub(c.rewritten), head
		}
	}
	if since < witnessEvery {
		return kind, false
	}
	if kind == errand.AuditRewritten {
		c.rewritten = now
	}
	c.appliance, c.head, c.kept = appliance, head, now
	return kind, true
}
