package commands

import (
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
)

func TestShowEvents(t *testing.T) {
	e, h, u := newEnv(t, appliance.ManagementServer, Operator)
	if res, _ := Run(t.Context(), e, words("show events --last 7 --since 2026-01-02 --source gw1 --severity medium")); res.Exit != 0 {
		t.Fatal(res)
	}
	if want := (Events{Limit: 7, Since: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Source: "gw1", Severity: "medium"}); h.events != want {
		t.Errorf("asked for %+v", h.events)
	}
	if got := strings.Join(strings.Fields(u.out.String()), " "); got != `1970-01-01 00:00:00 UTC high gw1 server-down the server a\x1b[2Jb does not answer` {
		t.Errorf("shown is %q", got)
	}
	for _, line := range []string{"show events --last 0", "show events --last 1001", "show events --severity red", "show events --since yesterday"} {
		if res, _ := Run(t.Context(), e, words(line)); res.Exit != 2 {
			t.Errorf("%s: exit %d", line, res.Exit)
		}
	}
}
