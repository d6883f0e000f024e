package commands

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"sealgate/appliance/audit"
	"sealgate/control"
	"sealgate/transfer"
)

// Only administrators: it tells operators about each other, and about servers
// and accounts that are none of their business.
type showAuditCmd struct {
	Last   int    `default:"50" placeholder:"N" help:"at most so many lines, the newest; up to 10000"`
	User   string `placeholder:"USER" help:"only what this account did"`
	Since  string `placeholder:"TIME" help:"2026-01-02, 2026-01-02T15:04 (UTC), or 90m, 24h ago"`
	Failed bool   `help:"only what failed, was refused or has no result"`
	Verify bool   `help:"check the whole log for records that were changed, removed or inserted"`
}

func (showAuditCmd) Help() string {
	return `Times are of a command's end. A command that changes something is in the log
before it runs; one whose result is missing was cut off with the daemon.
--verify reads everything, and exits with 1 when something is wrong.`
}

const (
	maxShown  = 10_000
	maxShownB = 8 << 20 // of records, in bytes, about
)

func (c *showAuditCmd) Run(ctx context.Context, e *Env) error {
	if c.Last < 1 || c.Last > maxShown {
		return usage("show audit --last 50", "--last is 1 to %d", maxShown)
	}
	since, err := parseSince(c.Since, time.Now())
	if err != nil {
		return err
	}
	if c.Verify {
		return e.verifyAudit(ctx)
	}
	list, err := c.collect(ctx, e, since)
	if err != nil {
		return err
	}
	if len(list) == 0 && !e.json {
		e.Say("no such record")
	}
	var b strings.Builder
	for _, line := range list {
		b.WriteString(line.text())
	}
	return e.Out(struct {
		Records []auditLine `json:"records"`
	}{list}, b.String())
}

// parseSince reads a time, or how long ago.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly, time.DateTime, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("for example 2026-01-02, 2026-01-02T15:04 or 24h", "--since %s is no time", quote(s))
}

// auditLine is a record, and what is known beside it.
type auditLine struct {
	audit.Record
	State string `json:"state,omitempty"`
}

const (
	stateRunning = "no result yet"
	stateKilled  = "no result: the daemon was killed"
	stateChanged = "this record was changed: show audit --verify"
)

// collect walks back from the newest record.
func (c *showAuditCmd) collect(ctx context.Context, e *Env, since time.Time) ([]auditLine, error) {
	list := []auditLine{}
	ended := map[uint64]bool{} // begins whose end was seen
	restarted, bytes := false, 0
	for r, err := range audit.Newest(e.Host.Home().Audit()) {
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		line := auditLine{Record: r}
		switch {
		case audit.Changed(err):
			line.State = stateChanged
		case err != nil:
			return nil, err
		case r.Event == audit.Start:
			restarted = true
		case r.Event == audit.Command && r.Of > 0:
			ended[r.Of] = true
		case r.Event == audit.Begin && ended[r.Seq]:
			delete(ended, r.Seq)
			continue
		case r.Event == audit.Begin && restarted:
			line.State = stateKilled
		case r.Event == audit.Begin:
			line.State = stateRunning
		}
		if !c.wants(line, since) {
			continue
		}
		list = append(list, line)
		if bytes += line.size(); bytes > maxShownB {
			e.Say("older records are left out; show fewer with --since, --user or --last")
			break
		}
		if len(list) == c.Last {
			break
		}
	}
	slices.Reverse(list)
	return list, nil
}

func (c *showAuditCmd) wants(l auditLine, since time.Time) bool {
	failed := l.Exit != nil && *l.Exit != control.ExitDone || l.Event == audit.Refused || l.Event == audit.Repaired || l.State != "" && l.State != stateRunning
	return (c.User == "" || l.User == c.User) && !l.Time.Before(since) && (!c.Failed || failed)
}

// size is about what a line takes, in bytes.
func (l auditLine) size() int {
	n := 512 + len(l.Error)
	for _, w := range l.Words {
		n += len(w) + 16
	}
	return n
}

func (l auditLine) text() string {
	who, from := l.User, "-"
	if who == "" {
		who = "-"
	}
	if address := strings.Fields(l.Origin); len(address) > 0 {
		from = transfer.SafeText(address[0])
	}
	return fmt.Sprintf("%s  %-12s %-15s %-9s %9s  %s\n", stamp(l.Time), transfer.SafeText(who), from, l.outcome(), l.took(), l.what())
}

func (l auditLine) outcome() string {
	if l.Exit != nil {
		return "exit " + strconv.Itoa(*l.Exit)
	}
	return string(l.Event)
}

func (l auditLine) took() string {
	if l.Event != audit.Command {
		return ""
	}
	return (time.Duration(l.Took) * time.Millisecond).String()
}

// what is the command, or what happened.
func (l auditLine) what() string {
	text := shownWords(l.Words)
	for _, more := range []string{transfer.SafeText(l.Error), transfer.SafeText(l.Note), l.found(), l.State} {
		switch {
		case more == "":
		case text == "":
			text = more
		default:
			text += ": " + more
		}
	}
	return text
}

func (l auditLine) found() string {
	switch {
	case l.Lost != nil:
		return fmt.Sprintf("record %d was gone or changed", l.Lost.Seq)
	case l.Torn != nil:
		return fmt.Sprintf("a write was cut off, %d bytes of it are kept", l.Torn.Bytes)
	case l.Upto != nil:
		return fmt.Sprintf("records up to %d are gone", l.Upto.Seq)
	}
	return ""
}

// shownWords is a line as it may be shown: one word cannot look like two, nor
// like another record.
func shownWords(words []string) string {
	shown := make([]string, len(words))
	for i, w := range words {
		if shown[i] = w; w == "" || strings.ContainsFunc(w, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == '"' }) {
			shown[i] = strconv.Quote(w)
		}
	}
	return strings.Join(shown, " ")
}

// verifyAudit checks the log while it is written.
func (e *Env) verifyAudit(ctx context.Context) error {
	r, err := audit.Verify(ctx, e.Host.Home().Audit(), []audit.Head{e.Host.AuditHead()})
	if err != nil {
		return err
	}
	if err := e.Out(r, AuditLines(r)); err != nil {
		return err
	}
	return AuditFailure(r)
}

// AuditLines are a report for a person.
func AuditLines(r audit.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s\n", f)
	}
	if r.More > 0 {
		fmt.Fprintf(&b, "and %d more\n", r.More)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintf(&b, "%d records in %d files, %d to %d, the last with sha256 %s\n", r.Records, r.Files, r.First, r.Last.Seq, r.Last.Hash)
	return b.String()
}

// AuditFailure is the error of a log that is not whole, or nil.
func AuditFailure(r audit.Report) error {
	if len(r.Findings) == 0 {
		return nil
	}
	return &Failure{control.ExitFailed, fmt.Sprintf("the audit log is not as it was written: %d findings", len(r.Findings)+r.More),
		"compare with the heads that syslog keeps: sealgated verify-audit --heads FILE"}
}
