package job

import (
	"context"
	"errors"
	"strings"
	"time"

	"sealgate/appliance"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/transfer"
)

// testIdle is how long a person who looks for a fault waits for a network that
// stands still.
const testIdle = 20 * time.Second

// testConnection tells of each step when it has ended. A step that fails is a
// result, not an error.
func testConnection(ctx context.Context, home appliance.Home, x commands.ConnectionTest, ui control.UI) (commands.ConnectionResult, error) {
	target, err := transfer.ParseTarget(x.Upload.Protocol, x.Upload.URL, "probe")
	if err != nil {
		return commands.ConnectionResult{}, err
	}
	o, err := options(home, x.Upload.Access, ui)
	if err != nil {
		return commands.ConnectionResult{}, err
	}
	o.IdleTimeout = testIdle
	r := commands.ConnectionResult{Target: target.String()}
	err = transfer.Probe(ctx, target, o, func(step transfer.Step) {
		done := connectionStep(step)
		r.Steps = append(r.Steps, done)
		ui.Text(control.Out, done.Line())
	})
	if ctx.Err() != nil {
		return r, err
	}
	res := commands.ResultOf(err)
	r.OK, r.Error, r.Hint, r.Exit = err == nil, res.Error, res.Hint, res.Exit
	return r, nil
}

func connectionStep(step transfer.Step) commands.ConnectionStep {
	done := commands.ConnectionStep{Name: step.Name, State: "ok", Note: step.Note, Elapsed: step.Took}
	if step.Skipped {
		done.State = "skipped"
	}
	if fault, ok := errors.AsType[*transfer.Error](step.Err); ok {
		done.State, done.Note = "failed", strings.TrimPrefix(fault.Error(), fault.Target+": "+string(fault.Op)+": ")
	}
	return done
}
