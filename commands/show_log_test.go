package commands

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/serverlog"
)

// logged has lines of each kind, the last at now.
func logged(t *testing.T, h *host) {
	t.Helper()
	log, err := serverlog.Server.Open(h.Home().Logs())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for i, rest := range []string{
		`"level":"INFO","msg":"the appliance runs","role":"mx","jobs":2`,
		`"level":"DEBUG","msg":"http: TLS handshake error"`,
		`"level":"ERROR","msg":"the role ended by itself","end":"signal: killed","said":["a\u001b[2Jb"]`,
	} {
		at := time.Now().Add(time.Duration(i-2) * time.Hour).UTC().Format(time.RFC3339Nano)
		fmt.Fprintf(log, "{\"time\":%q,%s}\n", at, rest)
	}
	fmt.Fprint(log, "panic: \x1b[2Jboom\n\tfile.go:7\n")
}

func TestShowLog(t *testing.T) {
	e, h, u := newEnv(t, appliance.Gateway, Administrator)
	logged(t, h)
	for line, want := range map[string][]string{
		"show log": {`INFO the appliance runs role="mx" jobs=2`, `ERROR the role ended by itself end="signal: killed" said=["a\u001b[2Jb"]`,
			`ERROR panic: \x1b[2Jboom`, "ERROR file.go:7"},
		"show log --level debug --last 4": {"DEBUG http: TLS", "ERROR the role", "ERROR panic", "ERROR file.go"},
		"show log --level error --last 1": {"ERROR file.go:7"},
		"show log --since 90m":            {"ERROR the role", "ERROR panic", "ERROR file.go"},
		"show log --since 2999-01-01":     {"ERROR panic", "ERROR file.go"}, // they have no time, and follow what is older
	} {
		u.out.Reset()
		if res, _ := Run(t.Context(), e, words(line)); res.Exit != 0 {
			t.Errorf("%s: exit %d, %s", line, res.Exit, res.Error)
		}
		got := strings.Split(strings.TrimSpace(u.out.String()), "\n")
		if len(got) != len(want) {
			t.Errorf("%s: %q", line, got)
			continue
		}
		for i := range got {
			if !strings.Contains(strings.Join(strings.Fields(got[i]), " "), want[i]) {
				t.Errorf("%s: line %d is %q, want %q", line, i, got[i], want[i])
			}
		}
	}
	u.out.Reset()
	Run(t.Context(), e, words("show log --json"))
	var r struct{ Lines []logLine }
	if err := json.Unmarshal([]byte(u.out.String()), &r); err != nil || len(r.Lines) != 4 || r.Lines[0].Level != "INFO" {
		t.Errorf("--json: %v, %s", err, u.out.String())
	}
	if res, _ := Run(t.Context(), e, words("show log --last 0")); res.Exit != 2 {
		t.Errorf("--last 0: exit %d", res.Exit)
	}
}
