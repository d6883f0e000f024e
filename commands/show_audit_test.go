package commands

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/audit"
	"sealgate/control"
)

// audited has one record of each kind.
func audited(t *testing.T, h *host) {
	t.Helper()
	t.Cleanup(func() { h.audit.Close() })
	for _, r := range []audit.Record{
		{Event: audit.Start, Note: "version 1"},
		{Event: audit.Begin, User: "otto", Words: []string{"impctl", "server", "stop"}},
		{Event: audit.Start, Note: "version 1"},
		{Event: audit.Begin, User: "anna", Words: []string{"export-local"}},
		{Event: audit.Command, User: "anna", Words: []string{"export-local"}, Of: 4, Exit: new(1), Error: "no\x1b[2Jroom", Took: 61_000},
		{Event: audit.Command, User: "anna", UID: new(uint32(7)), Origin: "192.0.2.7 50000 192.0.2.1 22", Words: []string{"files", "delete", "a b", ""}, Exit: new(0), Took: 12},
		{Event: audit.Refused, User: "nobody", Note: "and 3 more"},
		{Event: audit.Begin, User: "anna", Words: []string{"impctl", "teardown"}},
	} {
		if _, err := h.audit.Append(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestShowAudit(t *testing.T) {
	e, h, u := newEnv(t, appliance.Gateway, Administrator)
	audited(t, h)
	for line, want := range map[string][]string{
		"show audit": {"start version 1", "otto - begin impctl server stop: no result: the daemon was killed", "start version 1",
			`anna - exit 1 1m1s export-local: no\x1b[2Jroom`, `anna 192.0.2.7 exit 0 12ms files delete "a b" ""`,
			"nobody - refused and 3 more", "anna - begin impctl teardown: no result yet"},
		"show audit --last 2":             {"nobody", "teardown"},
		"show audit --user otto":          {"otto"},
		"show audit --failed":             {"killed", "exit 1", "refused"},
		"show audit --user anna --last 1": {"teardown"},
		"show audit --since 1h --failed":  {"killed", "exit 1", "refused"},
		"show audit --since 2999-01-01":   nil,
	} {
		u.out.Reset()
		Run(t.Context(), e, words(line))
		got := strings.Split(strings.TrimSpace(u.out.String()), "\n")
		if u.out.Len() == 0 {
			got = nil
		}
		if len(got) != len(want) {
			t.Errorf("%s: %q", line, got)
			continue
		}
		for i := range got {
			if !strings.Contains(strings.Join(strings.Fields(got[i]), " "), want[i]) {
				t.Errorf("%s: %q, want %q", line, got[i], want[i])
			}
		}
	}
	for _, line := range []string{"show audit --since yesterday", "show audit --last 0", "show audit --last 10001", "show audit --since 2020-01-01T01:30x"} {
		if res, _ := Run(t.Context(), e, words(line)); res.Exit != control.ExitUsage || res.Hint == "" {
			t.Errorf("%s: %+v", line, res)
		}
	}
	u.out.Reset()
	Run(t.Context(), e, words("show audit --last 3 --json"))
	var got struct {
		Records []struct {
			Seq  uint64
			UID  *uint32
			Exit *int
		}
	}
	if err := json.Unmarshal([]byte(u.out.String()), &got); err != nil || len(got.Records) != 3 || got.Records[0].Seq != 6 ||
		*got.Records[0].UID != 7 || *got.Records[0].Exit != 0 || got.Records[2].Exit != nil {
		t.Errorf("%s, %v", u.out.String(), err)
	}
	u.out.Reset()
	if res, _ := Run(t.Context(), e, words("show audit --verify")); res.Exit != 0 || !strings.Contains(u.out.String(), "8 records in 1 files, 1 to 8, the last with sha256 ") {
		t.Errorf("%+v: %s", res, u.out.String())
	}
	e.Caller.Rights = Operator
	if res, _ := Run(t.Context(), e, words("show audit")); res.Exit != control.ExitDenied {
		t.Errorf("an operator: %+v", res)
	}
}

// However large the log is, what is held of it is not, and the rest is named.
func TestShowAuditIsBounded(t *testing.T) {
	e, h, u := newEnv(t, appliance.Gateway, Administrator)
	t.Cleanup(func() { h.audit.Close() })
	long := strings.Repeat("x", 15<<10)
	for range 600 {
		if _, err := h.audit.Append(audit.Record{Event: audit.Command, Words: []string{long}, Exit: new(0)}); err != nil {
			t.Fatal(err)
		}
	}
	res, _ := Run(t.Context(), e, words("show audit --last 10000"))
	if res.Exit != 0 || u.out.Len() > maxShownB+1<<20 || u.out.Len() < maxShownB/2 || !strings.Contains(u.err.String(), "older records are left out") {
		t.Errorf("%+v, %d bytes, %s", res, u.out.Len(), u.err.String())
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"":                          {},
		"24h":                       now.Add(-24 * time.Hour),
		"2026-01-02":                now.Truncate(24 * time.Hour),
		"2026-01-02T03:04":          now.Truncate(time.Minute),
		"2026-01-02 03:04:05":       now,
		"2026-01-02T04:04:05+01:00": now,
	} {
		if got, err := parseSince(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}

// What changes something is told of before it runs, and a no keeps it from
// running. What looks, and what makes room, is not held.
func TestBegin(t *testing.T) {
	for line, c := range map[string]struct{ begins, runs bool }{
		"impctl server stop":             {true, false},
		"export-local --pwd right":       {true, false},
		"impctl known-hosts remove none": {true, false},
		"files delete none":              {true, true},
		"status":                         {false, true},
		"files list":                     {false, true},
		"show audit":                     {false, true},
		"help":                           {false, true},
		"export-local":                   {false, true}, // usage: nothing runs
	} {
		e, _, _ := newEnv(t, appliance.ManagementServer, Administrator)
		told := 0
		e.Begin = func(entry Entry) error {
			told++
			if strings.Contains(strings.Join(entry.Words, " "), "right") {
				t.Errorf("%s: told %q", line, entry.Words)
			}
			return errors.New("no room")
		}
		res, _ := Run(t.Context(), e, words(line))
		if (told == 1) != c.begins || (res.Error != "no room") != c.runs {
			t.Errorf("%s: told %d times, %+v", line, told, res)
		}
	}
}
