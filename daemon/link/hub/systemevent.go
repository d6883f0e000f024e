package hub

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"sealgate/appliance/store"
)

// Codes of system events that the management server tells of its gateways.
const (
	gatewayRegistered = "gateway-registered"
	gatewayRemoved    = "gateway-removed"
	gatewayConnected  = "gateway-connected"
	gatewaySilent     = "gateway-silent"
	gatewayClockOff   = "gateway-clock-off"
	gatewayCopied     = "gateway-copied"
	gatewayRewritten  = "gateway-audit-rewritten"
	oldEventsDropped  = "old-events-dropped"
	eventsDamaged     = "events-damaged"
	notBuilt          = "configuration-not-built"
)

// How often it is told that a clock is off, and that there is a copy.
const (
	clockEvery = time.Hour
	copyEvery  = time.Hour
)

// validCode is a code that a gateway may give.
var validCode = regexp.MustCompile(`^[a-z]{1,32}(-[a-z]{1,32}){0,5}$`)

// systemEvent is an event that a gateway tells of, for people to read, or not one.
func systemEvent(e *store.SystemEvent, gateway string) (store.SystemEvent, bool) {
	if e == nil || !validID.MatchString(e.ID) || !validCode.MatchString(e.Code) || !slices.Contains(store.Severities, e.Severity) {
		return store.SystemEvent{}, false
	}
	return store.SystemEvent{ID: e.ID, Time: e.Time, Severity: e.Severity, Code: e.Code, Text: plain(e.Text, 500), Source: gateway}, true
}

const (
	maxToKeep = 5000 // events that wait to be stored
	keepEvery = time.Second
)

// tell keeps a system event of this server, with h.mu held.
func (h *Hub) tell(gatewayID, severity, code, format string, args ...any) {
	if len(h.toKeep) == maxToKeep { // the disk is full, and the log says so
		h.toKeep = h.toKeep[1:]
	}
	h.toKeep = append(h.toKeep, store.SystemEvent{GatewayID: gatewayID, ID: store.NewID(), Source: h.Name, Time: h.Now().UnixMilli(),
		Severity: severity, Code: code, Text: plain(fmt.Sprintf(format, args...), 500)})
}

// keepEvents stores what was told. What cannot be stored waits.
func (h *Hub) keepEvents(ctx context.Context) {
	h.mu.Lock()
	list := h.toKeep
	h.toKeep = nil
	h.mu.Unlock()
	if len(list) == 0 {
		return
	}
	err := h.Store.AddSystemEvents(ctx, list)
	h.mu.Lock()
	defer h.mu.Unlock()
	failing := h.failing
	if h.failing = err != nil; err == nil {
		return
	}
	if !failing && ctx.Err() == nil {
		h.Log.Error("system events cannot be stored, they wait", "error", err.Error())
	}
	h.toKeep = append(list, h.toKeep...)
	h.toKeep = h.toKeep[max(len(h.toKeep)-maxToKeep, 0):]
}

func (h *Hub) pruneEvents(ctx context.Context) {
	if err := h.Store.PruneSystemEvents(ctx); err != nil && ctx.Err() == nil {
		h.Log.Error("old system events stay", "error", err.Error())
	}
}
