package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sealgate/appliance/disk"
	"sealgate/appliance/store"
)

// Whoever attacks a site fills this disk with violations. Events stop before the disk's
// reserve, from which commands are refused, and old days go for new events that wait.
const (
	eventsStop = 2           // reserves of disk that are left
	roomEvery  = time.Second // it is looked at
	heldFor    = 10 * time.Minute
	recentJobs = 256 // among which those are that run
	upload     = "upload"
)

var errNoRoom = errors.New("the disk is full")

// room refuses events where the disk has none for them.
func (h *Hub) room() error {
	space, err := disk.Of(string(h.Home))
	if err == nil && space.Free < eventsStop*space.Reserve {
		err = fmt.Errorf("%w: %d MiB are free, events stop at %d MiB", errNoRoom, space.Free>>20, eventsStop*space.Reserve>>20)
	}
	return err
}

// makeRoom lets go of the oldest day of events where new ones were refused for want of
// room since the last look: one at a time, and none of today; before them, of damaged ones
// that were set aside. Where that makes no room, because somebody reads the day still, it
// waits; and while a job runs that may give back what it has taken of the disk.
func (h *Hub) makeRoom(ctx context.Context) {
	if !h.events.refused.Swap(false) || h.Now().Before(h.held) || !errors.Is(h.room(), errNoRoom) || h.jobRuns(ctx) {
		return
	}
	dropped, err := h.makeSomeRoom(ctx)
	if err != nil {
		h.held = h.Now().Add(heldFor)
		if ctx.Err() == nil {
			h.Log.Error("old events cannot make room for new ones", "error", err.Error())
		}
	}
	if dropped == "" {
		return
	}
	h.mu.Lock()
	h.tell("", "high", oldEventsDropped, "the disk is full: %s, made room for new ones", dropped)
	h.mu.Unlock()
	h.Log.Warn("the disk is full: old events made room for new ones", "dropped", dropped)
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

// jobRuns is true also where nobody knows. An upload has taken nothing of the disk.
func (h *Hub) jobRuns(ctx context.Context) bool {
	list, err := h.Store.Jobs(ctx, recentJobs)
	if err != nil && ctx.Err() == nil {
		h.Log.Error("nobody knows whether a job runs, and old events do not make room", "error", err.Error())
	}
	return err != nil || slices.ContainsFunc(list, func(j store.Job) bool { return j.State == store.JobRunning && j.Name != upload })
}

// makeSomeRoom returns what it dropped, "" for nothing. An error says that it made no room.
func (h *Hub) makeSomeRoom(ctx context.Context) (dropped string, err error) {
	before, err := disk.Of(string(h.Home))
	if err != nil {
		return "", err
	}
	if dropped, err = h.dropOldest(ctx); err != nil || dropped == "" {
		return "", err
	}
	after, err := disk.Of(string(h.Home))
	if err == nil && after.Free <= before.Free {
		err = fmt.Errorf("the disk is as full as before without %s", dropped)
	}
	return dropped, err
}

// dropOldest drops what was set aside of a day or, where there is none, a day.
func (h *Hub) dropOldest(ctx context.Context) (dropped string, err error) {
	if day, err := h.Store.DropSetAside(ctx); err != nil || day != "" {
		return "the events of " + day + ", damaged ones that were set aside", err
	}
	days, err := h.Store.EventDays(ctx)
	if err != nil || len(days) == 0 || days[0] >= h.Now().UTC().Format(time.DateOnly) {
		return "", err
	}
	violations := "an unknown number of" // of a damaged day
	if n, err := h.Store.ViolationsOf(ctx, days[0]); err == nil {
		violations = strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("the events of %s, %s violations", days[0], violations), h.Store.DropDay(ctx, days[0])
}
