package commands

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sealgate/transfer"
)

type showEventsCmd struct {
	Last     int    `default:"50" placeholder:"N" help:"at most so many events, the newest; up to 1000"`
	Since    string `placeholder:"TIME" help:"2026-01-02, 2026-01-02T15:04 (UTC), or 90m, 24h ago"`
	Source   string `placeholder:"NAME" complete:"gateways" help:"only what this gateway or management server tells of"`
	Severity string `enum:"informative,low,medium,high" default:"informative" placeholder:"{informative,low,medium,high}" values:"informative=everything|low=from low up|medium=from medium up|high=high alone" help:"leave out what is less"`
}

func (showEventsCmd) Help() string {
	return `What happened to the management server and its gateways: starts and stops,
connections, configurations, servers that do not answer, lost events. A gateway's
events come when it is connected. Attacks are violations of the REST API.`
}

// Events is the work of show events.
type Events struct {
	Limit    int       `json:"limit"`
	Since    time.Time `json:"since,omitzero"`
	Source   string    `json:"source,omitempty"`
	Severity string    `json:"severity"`
}

// Event is a system event.
type Event struct {
	Time     time.Time `json:"time"`
	Severity string    `json:"severity"`
	Source   string    `json:"source"`
	Code     string    `json:"code"`
	Text     string    `json:"text"`
}

const maxEvents = 1000 // fit into one answer of a job

func (c *showEventsCmd) Run(ctx context.Context, e *Env) error {
	if c.Last < 1 || c.Last > maxEvents {
		return usage("show events --last 50", "--last is 1 to %d", maxEvents)
	}
	since, err := parseSince(c.Since, time.Now())
	if err != nil {
		return err
	}
	list, err := e.Host.Events(ctx, e.Caller, Events{Limit: c.Last, Since: since, Source: c.Source, Severity: c.Severity}, e.UI)
	if err != nil {
		return err
	}
	if len(list) == 0 && !e.json {
		e.Say("no such event")
	}
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintf(&b, "%s  %-11s  %-16s %-28s %s\n", stamp(x.Time), transfer.SafeText(x.Severity), transfer.SafeText(x.Source), transfer.SafeText(x.Code), transfer.SafeText(x.Text))
	}
	return e.Out(struct {
		Events []Event `json:"events"`
	}{append([]Event{}, list...)}, b.String())
}
