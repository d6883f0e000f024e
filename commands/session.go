package commands

import (
	"context"
	"fmt"
	"runtime"
	"time"

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

// Greet is the banner, and a result with the prompt and how long it waits.
func Greet(e *Env) (banner string, res control.Result) {
	s := e.Host.Status()
	res.Prompt, res.Idle = prompt(s, e.Caller.Rights), int(e.Host.Config().Idle()/time.Second)
	if e.Caller.Rights == Nobody {
		return fmt.Sprintf("%s %s\n%s has no rights on this appliance; ask an administrator of it\n", Product, s.Version, e.Caller.Name), res
	}
	note := ""
	if s.Note != "" {
		note = "note: " + oneLine(s.Note) + "\n"
	}
	return fmt.Sprintf("%s%s%s %s, %s %s, %s\nhelp lists the commands, Tab completes, ? shows what may come next\n",
		e.Host.Home().Motd(), note, Product, s.Version, s.Role.Title(), s.Name, sealWord(s.Sealed)), res
}

// prompt shows the role, where it is a look only, and the name.
func prompt(s Status, rights Rights) string {
	may := ""
	if rights < Administrator {
		may = ", read-only"
	}
	return fmt.Sprintf("[%s%s] %s> ", s.Role, may, s.Name)
}

func sealWord(sealed bool) string {
	if sealed {
		return "sealed"
	}
	return "unsealed"
}
