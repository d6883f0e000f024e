package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/audit"
	"sealgate/appliance/disk"
	"sealgate/commands"
	"sealgate/control"
)

// auditor keeps the records of what callers do.
type auditor struct {
	d *Daemon
	audit.Record
	refused error // why it was kept from running
}

func (d *Daemon) auditor(c commands.Caller, origin string) *auditor {
	return &auditor{d: d, Record: audit.Record{User: c.Name, UID: &c.UID, Origin: origin[:min(len(origin), maxOrigin)]}}
}

// begin keeps what is about to change something. What cannot be kept must not
// happen. The disk's reserve is for records of what looks, and of what makes room.
func (a *auditor) begin(entry commands.Entry) error {
	space, err := disk.Of(string(a.d.home))
	if err == nil && space.Free < space.Reserve {
		a.refused = disk.Full(string(a.d.home), space)
		return a.refused
	}
	words, whole := bounded(entry.Words)
	if !whole {
		a.refused = &commands.Failure{Exit: control.ExitUsage, Text: "the line is too long to be audited", Hint: "make several of it"}
		return a.refused
	}
	r := a.Record
	r.Event, r.Words = audit.Begin, words
	head, err := a.d.audit.Append(r)
	if err != nil {
		a.refused = appliance.Faultf("files list and files delete make room; status shows the disk", "nothing was done, because it cannot be audited: %w", err)
		return a.refused
	}
	a.Of = head.Seq
	return nil
}

// end keeps how a command ended, also in the daemon's log, and says so when it
// cannot.
func (a *auditor) end(entry commands.Entry, exit int, took time.Duration, ui control.UI) {
	a.d.log.Info("command", "user", a.User, "uid", *a.UID, "origin", a.Origin,
		"words", entry.Words, "exit", exit, "error", entry.Error, "took", took.Round(time.Millisecond).String())
	r := a.Record
	r.Event, r.Exit, r.Took = audit.Command, &exit, took.Milliseconds()
	r.Words, _ = bounded(entry.Words)
	r.Error = entry.Error[:min(len(entry.Error), maxError)]
	r.Note = entry.Note
	if err := a.d.keep(r); err != nil && a.refused == nil {
		ui.Text(control.Err, "this is not in the audit log: "+err.Error()+"\n")
	}
}

// Bounds of a record, in bytes: who may run commands must not be able to push
// old records out with a few of them.
const (
	maxAudited = 16 << 10 // as JSON
	maxError   = 1 << 10
)

// bounded is as many of words as a record may hold, and whether it is all.
func bounded(words []string) (kept []string, whole bool) {
	size := 0
	for i, w := range words {
		text, _ := json.Marshal(w)
		if size += len(text) + 1; size > maxAudited {
			return append(slices.Clone(words[:i]), "…"), false
		}
	}
	return words, true
}

// refuse keeps that somebody without rights was there.
func (a *auditor) refuse() {
	more, tell := a.d.refusals.tell(time.Now(), refusalsTold, refusalsEvery)
	if !tell {
		return
	}
	r := a.Record
	r.Event = audit.Refused
	if more > 0 {
		r.Note = fmt.Sprintf("and %d more, of whomever", more)
	}
	a.d.keep(r)
}

// keep keeps records, and tells the daemon's log when it cannot.
func (d *Daemon) keep(records ...audit.Record) error {
	_, err := d.audit.Append(records...)
	if err != nil {
		r := records[0]
		d.log.Error("records are not in the audit log", "records", len(records), "event", r.Event, "user", r.User, "error", err.Error())
	}
	return err
}

// refusals keeps strangers from filling the log: beyond so many in a while they
// are only counted.
type refusals struct {
	mu     sync.Mutex
	since  time.Time
	told   int
	untold int
}

const (
	refusalsTold  = 10
	refusalsEvery = time.Minute
)

// tell says whether to tell of one more, and how many were not told of before.
func (r *refusals) tell(now time.Time, most int, every time.Duration) (more int, tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.since) >= every {
		r.since, r.told = now, 0
	}
	if r.told == most {
		r.untold++
		return 0, false
	}
	r.told++
	more, r.untold = r.untold, 0
	return more, true
}

// headEvery is how often witnesses are told of a chain that moved.
const headEvery = 5 * time.Minute

// heads hands the audit log's head to the witnesses.
type heads struct {
	d         *Daemon
	witnesses []audit.Witness
	sent      []audit.Head
	failed    []string // the last complaint, so that each is made once
}

func (d *Daemon) newHeads(witnesses ...audit.Witness) *heads {
	return &heads{d, witnesses, make([]audit.Head, len(witnesses)), make([]string, len(witnesses))}
}

// send tells every witness that does not know the head yet.
func (h *heads) send(ctx context.Context) {
	head := h.d.audit.Head()
	for i, w := range h.witnesses {
		if head == h.sent[i] {
			continue
		}
		err := w.Keep(ctx, h.d.config.ID, head)
		if err == nil {
			h.sent[i], h.failed[i] = head, ""
			continue
		}
		if text := err.Error(); text != h.failed[i] && ctx.Err() == nil {
			h.failed[i] = text
			h.d.log.Warn("the audit log's head is not kept elsewhere", "error", text)
		}
	}
}

// keepSending returns when ctx ends.
func (h *heads) keepSending(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		h.send(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
