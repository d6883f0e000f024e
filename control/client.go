package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// cancelGrace is how long a cancelled command may take to clean up and say
// how it ended.
const cancelGrace = 10 * time.Second

// ErrNoAnswer means that the daemon did not answer: not running, or gone
// before the result.
var ErrNoAnswer = errors.New("the appliance does not answer")

// Do sends req on conn, hands events to ui and returns the result.
func Do(ctx context.Context, conn *net.UnixConn, req Request, ui UI) (Result, error) {
	// No other write error ends it: a server that is full answers and closes
	// without reading. Where there is no answer, the read below says so.
	if err := writeRequest(conn, req); errors.Is(err, errFrameSize) {
		return Result{}, err
	}
	stop := context.AfterFunc(ctx, func() {
		conn.CloseWrite()
		conn.SetReadDeadline(time.Now().Add(cancelGrace))
	})
	defer stop()
	for {
		var e event
		if err := readFrame(conn, MaxEvent, &e); err != nil {
			if ctx.Err() != nil {
				return Result{}, context.Cause(ctx)
			}
			if errors.Is(err, io.EOF) {
				err = errors.New("the connection ended before the result")
			}
			return Result{}, fmt.Errorf("%w: %v", ErrNoAnswer, err)
		}
		switch {
		case e.Result != nil:
			return *e.Result, nil
		case e.Text != nil:
			ui.Text(e.Text.Stream, e.Text.Data)
		case e.Progress != nil:
			ui.Progress(*e.Progress)
		case e.Question != nil:
			// A cancel while the person thinks ends Ask; the result follows.
			text, err := ui.Ask(ctx, *e.Question)
			a := answer{Text: text}
			if err != nil {
				a = answer{Refused: err.Error()}
			}
			if err := writeFrame(conn, MaxRequest, a); err != nil && ctx.Err() == nil {
				return Result{}, fmt.Errorf("%w: %v", ErrNoAnswer, err)
			}
		}
	}
}
