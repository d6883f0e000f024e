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
// it keeps as few as of other strangers.
func (e *errands) Note(n errand.Note) error {
	exit, told, most, every := control.ExitDenied, &e.strangers, refusalsTold, refusalsEvery
	switch n.Kind {
	case errand.Registered, errand.Renewed, errand.Unregistered:
		exit, told, most, every = control.ExitDone, &e.comings, comingsTold, comingsEvery
	case errand.AuditHead:
		exit, told, most, every = control.ExitDone, &e.chains, headsTold, headEvery
	case errand.AuditRewritten:
		exit, told, most, every = control.ExitFailed, &e.chains, headsTold, headEvery
	}
	more, tell := told.tell(time.Now(), most, every)
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
