package commands

import (
	"strings"
	"testing"

	"sealgate/appliance"
	"sealgate/control"
)

func TestPatchCommands(t *testing.T) {
	for _, c := range []struct {
		line, act string
		exit      int
	}{
		{"patch-remote", "", control.ExitUsage},
		{"patch-remote patches.example.com/p.enc", "", control.ExitUsage},
		{"patch-remote gopher://patches.example.com/p.enc", "", control.ExitUsage},
		{"patch-remote scp://patches.example.com/p.enc", "", control.ExitUsage}, // as whom?
		{"patch-remote --user vendor:Vendor-pw-17 https://patches.example.com/p.enc", "patch https://patches.example.com/p.enc", 0},
		{"impctl restart", "", control.ExitUsage},
		{"impctl restart --yes", "restart", 0},
		{"impctl platform rollback", "", control.ExitUsage},
		{"impctl platform rollback --yes", "rollback", 0},
	} {
		for _, role := range bothRoles {
			e, h, _ := newEnv(t, role, Administrator)
			res, entry := Run(t.Context(), e, words(c.line))
			if act := strings.Join(h.acts, ";"); res.Exit != c.exit || act != c.act || res.Exit != 0 && res.Hint == "" {
				t.Errorf("%q: %+v, %q", c.line, res, act)
			}
			if kept := strings.Join(append(res.History, entry.Words...), " ") + entry.Error + res.Error; strings.Contains(kept, "Vendor-pw-17") {
				t.Errorf("%q keeps the password: %s", c.line, kept)
			}
		}
	}
}

// What became of a patch is said at every login, to operators as well.
func TestNoteAtLogin(t *testing.T) {
	e, h, _ := newEnv(t, appliance.Gateway, Operator)
	h.note = "release 1.1 did not come up healthy:\x1b[31m it ended\n3 times"
	if banner, _ := Greet(e); !strings.HasPrefix(banner, "note: release 1.1 did not come up healthy:") || strings.Count(banner, "\n") != 3 {
		t.Errorf("the banner is %q", banner)
	}
}
