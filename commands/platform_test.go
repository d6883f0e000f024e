package commands

import (
	"strings"
	"testing"

	"sealgate/appliance"
	"sealgate/control"
)

// A gateway has no licences of its own, and needs no database to say what it is.
func TestPlatformOfAGateway(t *testing.T) {
	e, _, u := newEnv(t, appliance.Gateway, Operator)
	if res, _ := Run(t.Context(), e, words("impctl platform show")); res.Exit != control.ExitDone {
		t.Fatalf("%+v", res)
	}
	out := u.out.String()
	for _, label := range []string{"model:", "challenge:", "release:"} {
		if !strings.Contains(out, label) {
			t.Errorf("no %s in\n%s", label, out)
		}
	}
	if strings.Contains(out, "licences") {
		t.Errorf("a gateway tells of licences:\n%s", out)
	}
}

// Who pastes a key at a terminal leaves it on the screen, and a terminal has no end.
func TestCertificateIsNotTakenFromATerminal(t *testing.T) {
	e, _, _ := newEnv(t, appliance.ManagementServer, Administrator)
	e.Terminal = true
	res, _ := Run(t.Context(), e, words("impctl server certificate install -"))
	if res.Exit != control.ExitUsage || !strings.Contains(res.Hint, "ssh anna@HOST impctl server certificate install - <chain.pem") {
		t.Errorf("%+v", res)
	}
	if res, _ := Run(t.Context(), e, words("impctl server certificate install chain.pem")); res.Exit != control.ExitUsage {
		t.Errorf("a file name: %+v", res)
	}
}
