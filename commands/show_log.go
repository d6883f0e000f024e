package commands

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sealgate/appliance/serverlog"
	"sealgate/transfer"
)

// Only administrators, as of the audit log: it names servers and accounts.
type showLogCmd struct {
	Last  int    `default:"50" placeholder:"N" help:"at most so many lines, the newest; up to 10000"`
	Since string `placeholder:"TIME" help:"2026-01-02, 2026-01-02T15:04 (UTC), or 90m, 24h ago"`
	Level string `enum:"debug,info,warn,error" default:"info" placeholder:"{debug,info,warn,error}" values:"debug=everything|info=from info up|warn=warnings and errors|error=errors" help:"leave out what is less"`
}

func (showLogCmd) Help() string {
	return `What the daemon, the role and jobs reported. Who did what is in 'show audit'.`
}

var levels = []string{"DEBUG", "INFO", "WARN", "ERROR"}

func (c *showLogCmd) Run(ctx context.Context, e *Env) error {
	if c.Last < 1 || c.Last > maxShown {
		return usage("show log --last 50", "--last is 1 to %d", maxShown)
	}
	since, err := parseSince(c.Since, time.Now())
	if err != nil {
		return err
	}
	list, err := c.collect(ctx, e, since)
	if err != nil {
		return err
	}
	if len(list) == 0 && !e.json {
		e.Say("no such line")
	}
	var b strings.Builder
	for _, line := range list {
		b.WriteString(line.text())
	}
	return e.Out(struct {
		Lines []logLine `json:"lines"`
	}{list}, b.String())
}

// collect walks back from the newest line.
func (c *showLogCmd) collect(ctx context.Context, e *Env, since time.Time) ([]logLine, error) {
	list, size := []logLine{}, 0
	for raw, err := range serverlog.Server.Newest(e.Host.Home().Logs()) {
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		line := parseLogLine(raw)
		if !line.Time.IsZero() && line.Time.Before(since) {
			break
		}
		if slices.Index(levels, line.Level) < slices.Index(levels, strings.ToUpper(c.Level)) {
			continue
		}
		if list = append(list, line); len(list) == c.Last {
			break
		}
		if size += len(line.Text) + 128; size > maxShownB {
			e.Say("older lines are left out; show fewer with --since, --level or --last")
			break
		}
	}
	slices.Reverse(list)
	return list, nil
}

// logLine is one line of the server log.
type logLine struct {
	Time  time.Time `json:"time,omitzero"`
	Level string    `json:"level"`
	Text  string    `json:"text"`
}

// parseLogLine reads a line of log/slog. What is none, such as a stack, is an
// error and shown as it is.
func parseLogLine(raw []byte) logLine {
	var head struct {
		Time       time.Time
		Level, Msg string
	}
	if json.Unmarshal(raw, &head) != nil || !slices.Contains(levels, head.Level) {
		return logLine{Level: "ERROR", Text: string(raw)}
	}
	l := logLine{Time: head.Time.UTC(), Level: head.Level, Text: head.Msg}
	d := json.NewDecoder(bytes.NewReader(raw))
	_, _ = d.Token()
	for d.More() { // in the order of the line
		key, _ := d.Token()
		var value json.RawMessage
		if d.Decode(&value) != nil {
			break
		}
		if key != "time" && key != "level" && key != "msg" {
			l.Text += fmt.Sprintf(" %s=%s", key, value)
		}
	}
	return l
}

func (l logLine) text() string {
	when := strings.Repeat(" ", len(stamp(l.Time)))
	if !l.Time.IsZero() {
		when = stamp(l.Time)
	}
	return fmt.Sprintf("%s  %-5s  %s\n", when, l.Level, transfer.SafeText(l.Text))
}
