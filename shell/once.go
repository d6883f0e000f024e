package shell

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/control"
)

// runOnce runs one command: sealsh -c, impctl, ssh host COMMAND. Where a real
// shell is to run it, it returns that one instead.
func runOnce(d dialer, con *console, std Streams, line Line) (exit int, instead string) {
	var signalled atomic.Int32
	r := start(context.Background(), con, nil)
	r.answer = answerFrom(std, con, newInput(std.In), r.interrupt)
	stop := onSignal(func(s unix.Signal) {
		signalled.CompareAndSwap(0, int32(s))
		r.interrupt()
	})
	defer stop()
	width := 0
	if isTerminal(std.Out) {
		width = terminalWidth(std.Out)
	}
	res, err := r.run(d, control.Request{
		Op: control.OpRun, Words: line.Words, Filters: line.Filters, Terminal: std.interactive(), Width: width,
	})
	exit = con.finish(res, err)
	if s := signalled.Load(); s != 0 {
		return exitBySignal(unix.Signal(s)), ""
	}
	return exit, res.Shell
}

// answerFrom asks the person at the terminal, or reads a line where there is
// none.
func answerFrom(std Streams, con *console, in *input, interrupt func()) asker {
	if !isTerminal(std.In) {
		return askLine(in)
	}
	return func(ctx context.Context, q control.Question) (string, error) {
		restore, err := rawMode(std.In)
		if err != nil {
			return "", err
		}
		defer restore()
		dropTyped(std.In)
		return typist{keysOf(in), interrupt}.ask(ctx, con, q)
	}
}

// keysOf reads keys one byte at a time: what is typed after the answer belongs
// to the next program.
func keysOf(in *input) func(context.Context) (key, error) {
	var d decoder
	var ready []key
	return func(ctx context.Context) (key, error) {
		for len(ready) == 0 {
			c, err := in.readByte(ctx)
			if err == io.EOF {
				err = errNobody
			}
			if err != nil {
				return key{}, err
			}
			ready = d.feed(c, time.Now())
		}
		k := ready[0]
		ready = ready[1:]
		return k, nil
	}
}
