package commands

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/control"
)

func TestBlocks(t *testing.T) {
	e, h, u := newEnv(t, appliance.Gateway, Operator)
	if res, _ := Run(t.Context(), e, words("show blocks")); res.Exit != 0 || u.out.Len() > 0 || !strings.Contains(u.err.String(), "nobody is kept out") {
		t.Errorf("nobody: %+v, %q %q", res, u.out.String(), u.err.String())
	}
	one := model.Block{Until: time.Date(2026, 11, 26, 16, 0, 0, 0, time.UTC), Type: model.ActionUserBlock, Who: "eve\x1b[2J", ServerGroup: "Shop", Policy: "Scanners", ActionSet: "Out", Event: "A2EF"}
	h.blocks = model.Blocks{Total: 3, Blocks: []model.Block{one, {Type: model.ActionIPBlock, Who: "203.0.113.9"}}}
	for line, want := range map[string][]string{
		"show blocks":          {"until 2026-11-26 16:00:00", "userBlock", `"Shop" by "Scanners" (Out), event A2EF`, "203.0.113.9", "nobody was refused yet"},
		"show blocks --last 1": {"userBlock"},
		"show blocks --json":   {`{"total":3,"blocks":[{"until":"2026-11-26T16:00:00Z","type":"userBlock"`},
	} {
		u.out.Reset()
		u.err.Reset()
		res, _ := Run(t.Context(), e, words(line))
		for _, text := range want {
			if !strings.Contains(u.out.String(), text) {
				t.Errorf("%s does not say %q:\n%s", line, text, u.out.String())
			}
		}
		if res.Exit != 0 || strings.Contains(u.out.String(), "\x1b") {
			t.Errorf("%s: %+v, %q", line, res, u.out.String())
		}
		if line == "show blocks --last 1" && (strings.Contains(u.out.String(), "203.0.113.9") || !strings.Contains(u.err.String(), "2 more")) {
			t.Errorf("%s: %q, %q", line, u.out.String(), u.err.String())
		}
	}
	e, h, _ = newEnv(t, appliance.Gateway, Administrator)
	for line, exit := range map[string]int{"show blocks --last 0": control.ExitUsage, "show blocks --last 1001": control.ExitUsage,
		"impctl gateway unblock": control.ExitUsage, "impctl gateway unblock 203.0.113.9 --all": control.ExitUsage,
		"impctl gateway unblock 203.0.113.1": control.ExitFailed, "impctl gateway unblock 203.0.113.9": 0, "impctl gateway unblock --all": 0} {
		if res, _ := Run(t.Context(), e, words(line)); res.Exit != exit || exit != 0 && res.Hint == "" {
			t.Errorf("%s: %+v", line, res)
		}
	}
	slices.Sort(h.acts)
	if got := strings.Join(h.acts, ","); got != "unblock 203.0.113.1false,unblock 203.0.113.9false,unblock true" {
		t.Errorf("%s", got)
	}
}
