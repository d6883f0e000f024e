package daemon

import (
	"context"
	"encoding/json"

	"sealgate/appliance/model"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/diagnosis"
)

// Blocks are those whom the gateway keeps out.
func (d *Daemon) Blocks(ctx context.Context) (list model.Blocks, err error) {
	answer, _, err := diagnosis.Ask(ctx, d.home, diagnosis.Blocks)
	return list, d.answered(ctx, answer, err, &list)
}

// Unblock lets some of them in again.
func (d *Daemon) Unblock(ctx context.Context, u model.Unblock) (done model.Unblocked, err error) {
	about, err := json.Marshal(u)
	if err != nil {
		return done, err
	}
	answer, err := diagnosis.Tell(ctx, d.home, diagnosis.Unblock, about)
	return done, d.answered(ctx, answer, err, &done)
}

// answered reads what the gateway's process has answered.
func (d *Daemon) answered(ctx context.Context, answer []byte, err error, into any) error {
	if err == nil {
		err = json.Unmarshal(answer, into)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	d.log.Error("the gateway's process cannot be asked for its blocks", "error", err.Error())
	return &commands.Failure{Exit: control.ExitFailed, Text: "the gateway's process does not answer",
		Hint: "impctl gateway status says how it is; one that does not run keeps nobody out, and blocks end with it"}
}
