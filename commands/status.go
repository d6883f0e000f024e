package commands

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sealgate/transfer"
)

type statusCmd struct{}

func (statusCmd) Run(_ context.Context, e *Env) error {
	s := e.Host.Status()
	return e.Out(s, applianceLines(s)+releaseLines(s)+serviceLines(s)+registrationLine(s)+jobLines(s)+diskLine(s))
}

func applianceLines(s Status) string {
	text := row("appliance", "%s, %s, %s", s.Name, s.Role.Title(), sealWord(s.Sealed))
	if l := s.Seal.Licence; l != nil {
		text += row("licence", "%s %s", l.ID, l.Until())
	} else if s.Seal.Why != "" {
		text += row("sealed because", "%s", s.Seal.Why)
	}
	return text +
		row("version", "%s %s", Product, s.Version) +
		row("daemon", "up since %s (%s)", stamp(s.Started), since(s.Started))
}

func serviceLines(s Status) string {
	v := s.Service
	line := fmt.Sprintf("%s since %s", v.State, stamp(v.Since))
	if v.State == "running" {
		line = fmt.Sprintf("running on %s since %s, process %d of %s", v.Address, stamp(v.Since), v.PID, v.Account)
	}
	text := row(s.Role.Title(), "%s", line)
	if v.Restarts > 0 {
		text += row("restarts", "%d, the last after %s", v.Restarts, v.LastEnd)
	} else if v.LastEnd != "" {
		text += row("last end", "%s", v.LastEnd)
	}
	for _, words := range v.LastSaid {
		text += row("last words", "%s", words)
	}
	return text
}

func registrationLine(s Status) string {
	if s.Registration == nil {
		return ""
	}
	if s.Registration.Server == "" {
		return row("registered", "no") + linkLines(*s.Registration)
	}
	return row("registered", "at %s", transfer.SafeText(s.Registration.Server)) + linkLines(*s.Registration)
}

func jobLines(s Status) string {
	text := ""
	for _, j := range s.Jobs {
		text += row("job", "%s by %s since %s, process %d", j.Kind, j.User, stamp(j.Since), j.PID)
	}
	return text
}

func diskLine(s Status) string {
	return row("disk", "%s free of %s, %s of it kept in reserve", size(s.Disk.Free), size(s.Disk.Total), size(s.Disk.Reserve))
}

func row(label, format string, args ...any) string {
	return fmt.Sprintf("%-18s %s\n", label+":", fmt.Sprintf(format, args...))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func since(t time.Time) string { return time.Since(t).Round(time.Second).String() }

// size is a number of bytes for a person.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + units[i:i+1] + "iB"
}
