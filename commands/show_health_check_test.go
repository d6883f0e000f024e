package commands

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/healthlog"
)

func TestShowHealthCheck(t *testing.T) {
	e, h, u := newEnv(t, appliance.Gateway, Operator)
	if res, _ := Run(t.Context(), e, words("show health-check")); res.Exit != 0 || u.out.Len() > 0 {
		t.Errorf("before the first: exit %d, %q", res.Exit, u.out.String())
	}
	os.MkdirAll(filepath.Dir(h.Home().HealthLog()), 0o700)
	log, err := healthlog.Open(h.Home().HealthLog())
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort
	log.Add(healthlog.Entry{Time: time.Now(), Client: at("192.0.2.1:5000"), Gateway: at("192.0.2.2:80"), Server: at("192.0.2.3:8080"), URL: "/health\x1b[2J", Status: 200})
	log.Add(healthlog.Entry{Time: time.Now(), Gateway: at("192.0.2.2:80"), URL: "/health", Probe: true})
	log.Close()
	if res, _ := Run(t.Context(), e, words("show health-check")); res.Exit != 0 {
		t.Fatalf("exit %d, %s", res.Exit, res.Error)
	}
	lines := strings.Split(strings.TrimSpace(u.out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "192.0.2.1:5000") || !strings.Contains(lines[0], "192.0.2.3:8080") || !strings.Contains(lines[0], "200") ||
		strings.Contains(lines[0], "\x1b") || !strings.Contains(lines[1], "probe") || !strings.Contains(lines[1], "no answer") {
		t.Errorf("%q", lines)
	}
	for line, exit := range map[string]int{"show health-check --last 0": 2, "show health-check --last 3001": 2} {
		if res, _ := Run(t.Context(), e, words(line)); res.Exit != exit {
			t.Errorf("%s: exit %d", line, res.Exit)
		}
	}
}
