package hub

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// When there is an alarm of a gateway, beside silence.
const (
	behindAfter = 10 * time.Second
	spoolNear   = 80              // percent of its bound
	clockOff    = 5 * time.Second // either way
	droppedFor  = time.Hour       // that dropped events are told of
	dateLayout  = "2006-01-02 15:04:05 UTC"
)

// Alarm is something that is wrong with a gateway, or with what its group is told.
type Alarm struct {
	Type    string
	Words   string
	Since   time.Time // zero: nobody knows
	Gateway string    // its name; or
	Group   string    // the group's
	Address string    // the gateway's
}

// Alarms are what is wrong now.
func (h *Hub) Alarms() []Alarm {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []Alarm
	for _, in := range h.groups {
		if in.failure != "" {
			list = append(list, Alarm{Type: "configuration-not-built", Group: in.name, Since: in.failed,
				Words: "the group's gateways keep the configuration before, because of the newest one " + plain(in.failure, 500)})
		}
	}
	for _, g := range h.gateways {
		for _, a := range h.alarmsOf(g) {
			a.Gateway, a.Address = g.name, g.said.DataAddress
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b Alarm) int { return strings.Compare(a.Group+a.Gateway+a.Type, b.Group+b.Gateway+b.Type) })
	return list
}

// alarmsOf are a gateway's, with h.mu held. Of one that is silent nothing else is
// known.
func (h *Hub) alarmsOf(g *gateway) []Alarm {
	if h.silent(g) {
		if g.seen.IsZero() {
			return []Alarm{{Type: "gateway-silent", Words: "the gateway has not been heard of since " + g.since.UTC().Format(dateLayout), Since: g.since}}
		}
		return []Alarm{{Type: "gateway-silent", Words: "the gateway was heard of last at " + g.seen.UTC().Format(dateLayout), Since: g.seen}}
	}
	if g.seen.IsZero() {
		return nil
	}
	now := h.Now()
	var list []Alarm
	if in := h.groups[g.group]; in != nil && in.built != nil {
		want, said := in.want(g.name, now), g.said
		refused := said.Refused != nil && said.Refused.SHA256 == want.SHA256
		switch {
		case refused:
			list = append(list, Alarm{Type: "gateway-configuration-refused", Since: want.since,
				Words: fmt.Sprintf("the gateway refuses revision %d and keeps revision %d: %s", want.Number, said.Running.Number, said.Refused.Reason)})
		case said.Running.SHA256 != want.SHA256 && now.Sub(want.since) > behindAfter && now.Sub(g.since) > behindAfter:
			list = append(list, Alarm{Type: "gateway-behind", Since: want.since,
				Words: fmt.Sprintf("the gateway runs revision %d, it is to run revision %d", said.Running.Number, want.Number)})
		}
	}
	if where := g.said.NotListening; where != "" {
		list = append(list, Alarm{Type: "gateway-not-listening", Since: g.deafSince, Words: "the gateway cannot listen at " + where + "; it tries again"})
	}
	if s := g.said.Spool; s.Max > 0 && s.Bytes/spoolNear*100 >= s.Max {
		list = append(list, Alarm{Type: "gateway-spool-near-limit",
			Words: fmt.Sprintf("%d events in %d MiB wait at the gateway, which keeps at most %d MiB and then drops the oldest", s.Records, s.Bytes>>20, s.Max>>20)})
	}
	if !g.droppedAt.IsZero() && now.Sub(g.droppedAt) < droppedFor {
		list = append(list, Alarm{Type: "gateway-events-dropped", Since: g.droppedAt,
			Words: fmt.Sprintf("the gateway has dropped %d events since it started, the last ones were told of at %s", g.dropped, g.droppedAt.UTC().Format(dateLayout))})
	}
	if g.copies.there(now) {
		list = append(list, Alarm{Type: gatewayCopied, Since: g.copyTold,
			Words: "two machines use the gateway's key, one is a copy of the other: impctl gateway re-register " + g.name + " gives one of them new keys and shuts out the other"})
	}
	if !g.chain.rewritten.IsZero() {
		list = append(list, Alarm{Type: "gateway-audit-rewritten", Since: g.chain.rewritten,
			Words: "the gateway's audit log is not the one that this management server was told of: the heads are in the audit log here, and sealgated verify-audit --heads there compares them"})
	}
	if off := g.clock.off(); off != 0 {
		direction := "ahead"
		if off < 0 {
			direction = "behind"
		}
		list = append(list, Alarm{Type: "gateway-clock-off", Words: fmt.Sprintf("the gateway's clock is %s %s", off.Abs().Round(time.Second), direction)})
	}
	return list
}

// clock is by how much a gateway's is ahead, as its last two polls had it: one that was
// under way for long looks like a clock that is behind.
type clock struct{ last, before time.Duration }

func (c *clock) hear(ahead time.Duration) { c.last, c.before = ahead, c.last }

// off is by how much it is ahead, 0 where it is near enough.
func (c *clock) off() time.Duration {
	off := c.last
	if c.before.Abs() < off.Abs() {
		off = c.before
	}
	if off.Abs() <= clockOff {
		return 0
	}
	return off
}
