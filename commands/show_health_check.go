package commands

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"sealgate/appliance/healthlog"
	"sealgate/transfer"
)

type showHealthCmd struct {
	Last int `default:"50" placeholder:"N" help:"at most so many checks, the newest; up to 3000"`
}

func (showHealthCmd) Help() string {
	return `Requests for the URLs that the gateway group's advanced configuration watches,
and how they ended: who asked, at which address, which server answered. Where
nobody asked within the interval the gateway asked itself ("probe"). Each gateway shows its own.`
}

func (c *showHealthCmd) Run(_ context.Context, e *Env) error {
	if c.Last < 1 || c.Last > healthlog.Size {
		return usage("show health-check --last 50", "--last is 1 to %d", healthlog.Size)
	}
	list, err := healthlog.Read(e.Host.Home().HealthLog(), c.Last)
	if err != nil {
		return err
	}
	if len(list) == 0 && !e.json {
		e.Say("no health check yet; each gateway keeps those that passed through it")
	}
	var b strings.Builder
	for _, h := range list {
		b.WriteString(healthLine(h))
	}
	return e.Out(struct {
		Checks []healthlog.Entry `json:"checks"`
	}{append([]healthlog.Entry{}, list...)}, b.String())
}

func healthLine(h healthlog.Entry) string {
	outcome, from := fmt.Sprint(h.Status), end(h.Client)
	if h.Status == 0 {
		outcome = "no answer"
	}
	if h.Probe {
		from = "probe"
	}
	return fmt.Sprintf("%s  %-21s %-21s %-21s %-9s  %s\n", stamp(h.Time), from, end(h.Gateway), end(h.Server), outcome, transfer.SafeText(h.URL))
}

func end(at netip.AddrPort) string {
	if !at.IsValid() {
		return "-"
	}
	return at.String()
}
