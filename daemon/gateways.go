package daemon

import (
	"fmt"
	"time"

	"sealgate/appliance/audit"
	"sealgate/control"
	"sealgate/daemon/errand"
)

// ofGateway is the event of records about gateways.
const ofGateway audit.Event = "gateway"

// Gateways that come and go in a while that the audit log keeps each of; more are
// counted, so that a role that was taken over does not push old records out.
const (
	comingsTold  = 2000
	comingsEvery = time.Hour

	headsTold = 1000 // of gateways' audit logs, in headEvery
)

// Note keeps what happened to a gateway. Who was refused is any stranger, so of them
// it keeps as few as of other strangers: of each kind, since one that anybody can have
// noted must not hide the others.
func (e *errands) Note(n errand.Note) error {
	exit, most, every := control.ExitDenied, refusalsTold, refusalsEvery
	switch n.Kind {
	case errand.Registered, errand.Renewed, errand.Unregistered:
		exit, most, every = control.ExitDone, comingsTold, comingsEvery
	case errand.AuditHead:
		exit, most, every = control.ExitDone, headsTold, headEvery
	case errand.AuditRewritten:
		exit, most, every = control.ExitFailed, headsTold, headEvery
	}
	more, tell := e.notesOf(n.Kind).tell(time.Now(), most, every)
	if !tell {
		return nil
	}
	note := string(n.Kind)
	if n.Detail != "" {
		note += ": " + n.Detail
	}
	if more > 0 {
		note += fmt.Sprintf("; and %d more, of whomever", more)
	}
	return e.keep(audit.Record{Event: ofGateway, User: n.Gateway, Origin: n.Origin, Exit: &exit, Note: note})
}

// notesOf counts the notes of a kind, which is one of few.
func (e *errands) notesOf(kind errand.Kind) *refusals {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.notes == nil {
		e.notes = make(map[errand.Kind]*refusals)
	}
	if e.notes[kind] == nil {
		e.notes[kind] = new(refusals)
	}
	return e.notes[kind]
}
