package commands

import (
	"context"
	"strings"

	"sealgate/appliance/seal"
)

type unlockCmd struct {
	Key string `arg:"" optional:"" name:"license_key" secret:"licence key" help:"what the vendor sent, one line that begins with SG1-; - asks for it; without one the appliance's challenge is shown"`
}

func (unlockCmd) Help() string {
	return `An administrator's SSH logins after it get a real shell; operators keep this
one. A licence may be bound to the challenge that unlock shows, or to the
deployment that the appliance was created with.`
}

func (c *unlockCmd) Run(ctx context.Context, e *Env) error {
	if c.Key == "" {
		s := e.Host.Status().Seal
		return e.Out(sealed(s), sealLines(s)+row("challenge", "%s", s.Challenge)+deploymentLine(s))
	}
	before := e.Host.Status().Seal
	s, err := e.Host.Unlock(ctx, e.Caller, c.Key)
	if err != nil {
		return err
	}
	e.note = "licence " + s.Licence.ID
	said := "unsealed"
	switch {
	case before.Sealed():
	case before.Licence.ID == s.Licence.ID:
		said = "it is unsealed already"
	default:
		said = "it is unsealed already, and has the new licence now"
	}
	return e.Out(sealed(s), said+"\n"+sealLines(s)+"reconnect to get a shell; impctl seal seals again\n")
}

// sealed is the state of the seal as a result.
func sealed(s seal.State) any {
	return struct {
		Sealed bool `json:"sealed"`
		seal.State
	}{s.Sealed(), s}
}

// sealLines say whether the appliance is sealed, and why.
func sealLines(s seal.State) string {
	text := row("seal", "%s", sealWord(s.Sealed()))
	if l := s.Licence; l != nil {
		text += row("licence", "%s %s: %s", l.ID, l.Until(), strings.Join(l.Features, ", "))
	}
	if s.Why != "" {
		text += row("sealed because", "%s", s.Why)
	}
	return text
}

func deploymentLine(s seal.State) string {
	if s.Deployment == "" {
		return ""
	}
	return row("deployment", "%s", s.Deployment)
}
