package commands

import (
	"context"
	"fmt"
	"runtime"

	"sealgate/control"
)

type exitCmd struct{}

func (exitCmd) Run(_ context.Context, e *Env) error {
	e.leave = true
	return nil
}

type versionCmd struct{}

func (versionCmd) Run(_ context.Context, e *Env) error {
	return e.Out(struct {
		Product string `json:"product"`
		Version string `json:"version"`
		Go      string `json:"go"`
	}{Product, control.Version, runtime.Version()}, fmt.Sprintf("%s %s (%s)\n", Product, control.Version, runtime.Version()))
}

// Product is the product's name.
const Product = "Sealgate"

// Greet is the banner and the prompt.
func Greet(e *Env) (banner, prompt string) {
	s := e.Host.Status()
	banner = fmt.Sprintf("%s %s, %s %s, %s\nhelp lists the commands, Tab completes, ? shows what may come next\n",
		Product, s.Version, s.Role.Title(), s.Name, sealWord(s.Sealed))
	if e.Caller.Rights == Nobody {
		banner = fmt.Sprintf("%s %s\n%s has no rights on this appliance; ask an administrator of it\n", Product, s.Version, e.Caller.Name)
	}
	return banner, s.Name + "> "
}

func sealWord(sealed bool) string {
	if sealed {
		return "sealed"
	}
	return "unsealed"
}
