package hub

import (
	"context"
	"fmt"
	"time"

	"sealgate/appliance/disk"
)

// Whoever attacks a site fills this disk with violations. Events stop before the disk's
// reserve, from which commands are refused, and old days go before new events wait.
const (
	eventsStop = 2           // reserves of disk that are left
	roomEvery  = time.Second // it is looked at
	heldFor    = 10 * time.Minute
)

// room refuses events where the disk has none for them.
func (h *Hub) room() error {
	space, err := disk.Of(string(h.Home))
	if err == nil && space.Free < eventsStop*space.Reserve {
		err = fmt.Errorf("%d MiB of disk are free, events stop at %d MiB", space.Free>>20, eventsStop*space.Reserve>>20)
	}
	return err
}

// makeRoom lets go of the oldest day of events while there is no room for new ones: one
// at a time, and none of today. Where that makes no room, because somebody reads the day
// still, it waits.
func (h *Hub) makeRoom(ctx context.Context) {
	if h.room() == nil || h.Now().Before(h.held) {
		return
	}
	day, violations, err := h.dropOldest(ctx)
	if err != nil {
		h.held = h.Now().Add(heldFor)
		if ctx.Err() == nil {
			h.Log.Error("old events cannot make room for new ones", "error", err.Error())
		}
	}
	if day == "" {
		return
	}
	h.mu.Lock()
	h.tell("", "high", oldEventsDropped, "the disk is full: the events of %s, %d violations, made room for new ones", day, violations)
	h.mu.Unlock()
	h.Log.Warn("the disk is full: old events made room for new ones", "day", day, "violations", violations)
}

// tellDamage tells of days that could not be read, and do not hold up the others.
func (h *Hub) tellDamage() {
	for _, day := range h.events.aggregator.SetAside() {
		h.mu.Lock()
		h.tell("", "high", eventsDamaged, "the events of %s are damaged on the disk, and were set aside", day)
		h.mu.Unlock()
		h.Log.Error("events are damaged on the disk, and were set aside", "day", day)
	}
}

// dropOldest returns the day that it dropped, "" for none. An error says that it made no
// room.
func (h *Hub) dropOldest(ctx context.Context) (day string, violations int64, err error) {
	days, err := h.Store.EventDays(ctx)
	if err != nil || len(days) == 0 || days[0] >= h.Now().UTC().Format(time.DateOnly) {
		return "", 0, err
	}
	violations, err = h.Store.ViolationsOf(ctx, days[0])
	if err != nil { // it can be dropped all the same
		h.Log.Warn("nobody knows how many old events make room", "day", days[0], "error", err.Error())
	}
	before, err := disk.Of(string(h.Home))
	if err != nil {
		return "", 0, err
	}
	if err := h.Store.DropDay(ctx, days[0]); err != nil {
		return "", 0, err
	}
	after, err := disk.Of(string(h.Home))
	if err == nil && after.Free <= before.Free {
		err = fmt.Errorf("the disk is as full as before without the events of %s", days[0])
	}
	return days[0], violations, err
}
