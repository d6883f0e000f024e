package commands

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sealgate/appliance"
	"sealgate/control"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ anna@home"

func TestUser(t *testing.T) {
	const sum = "SHA256:0123456789012345678901234567890123456789012"
	for _, c := range []struct {
		words []string
		exit  int
		act   string
	}{
		{words("impctl user add hugo --role operator --password Good-pw-17"), 0, "add {Name:hugo Rights:operator Password:Good-pw-17 Key:}"},
		{append(words("impctl user add hugo --role administrator --key"), publicKey), 0, "add {Name:hugo Rights:administrator Password: Key:" + publicKey + "}"},
		{words("impctl user add hugo --role operator"), control.ExitUsage, ""},
		{words("impctl user add hugo --password Good-pw-17"), control.ExitUsage, ""},
		{words("impctl user add hugo --role root --password Good-pw-17"), control.ExitUsage, ""},
		{words("impctl user add Hugo --role operator --password Good-pw-17"), control.ExitUsage, ""},
		{words("impctl user add hugo --role operator --password hugo"), control.ExitUsage, ""},
		{words("impctl user add hugo --role operator --key nonsense"), control.ExitUsage, ""},
		{words("impctl user add hugo --role operator --key " + publicKey), control.ExitUsage, ""}, // without quotes
		{words("impctl user remove otto"), 0, "remove otto"},
		{words("impctl user remove anna"), control.ExitFailed, ""}, // the caller
		{append(words("impctl user key add otto"), publicKey), 0, "key of otto"},
		{words("impctl user key add otto nonsense"), control.ExitUsage, ""},
		{words("impctl user key remove otto " + sum), 0, "no " + sum + " of otto"},
		{words("impctl user key remove otto nonsense"), control.ExitUsage, ""},
		{words("impctl user key list nobody"), control.ExitFailed, ""},
		{words("impctl reboot"), control.ExitUsage, ""},
		{words("impctl reboot --yes"), 0, "reboot"},
	} {
		for _, role := range []appliance.Role{appliance.ManagementServer, appliance.Gateway} {
			e, h, _ := newEnv(t, role, Administrator)
			res, entry := Run(t.Context(), e, c.words)
			if act := strings.Join(h.acts, ";"); res.Exit != c.exit || act != c.act || res.Exit != 0 && res.Hint == "" {
				t.Errorf("%q: %+v, %q", c.words, res, act)
			}
			if kept := strings.Join(append(res.History, entry.Words...), " ") + entry.Error + res.Error; strings.Contains(kept, "Good-pw-17") {
				t.Errorf("%q keeps the password: %s", c.words, kept)
			}
		}
	}
	e, _, _ := newEnv(t, appliance.Gateway, Administrator)
	list := Complete(t.Context(), e, words("impctl user remove ")).Candidates
	if d := cmp.Diff([]control.Candidate{{Value: "anna", Help: "administrator"}, {Value: "otto", Help: "operator"}}, list[:2]); d != "" {
		t.Error(d)
	}
}

// At a terminal, only yes reboots.
func TestRebootAsks(t *testing.T) {
	for answer, exit := range map[string]int{"yes": 0, "y": control.ExitFailed, "": control.ExitFailed} {
		e, h, u := newEnv(t, appliance.Gateway, Administrator)
		e.Terminal, u.answers = true, []string{answer}
		if res, _ := Run(t.Context(), e, words("impctl reboot")); res.Exit != exit || (len(h.acts) == 1) != (exit == 0) {
			t.Errorf("%q: %+v, %v", answer, res, h.acts)
		}
	}
}
