package shell

import (
	"context"
	"io"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"sealgate/control"
)

// runLines runs each line of standard input as a command, without prompt,
// editing or echo: a script through a pipe. Empty lines and lines that begin with
// # are skipped. It returns the exit status of the last command.
func runLines(d dialer, con *console, std Streams) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var mu sync.Mutex
	var now *running
	ended := 0
	stop := onSignal(func(s unix.Signal) {
		mu.Lock()
		defer mu.Unlock()
		if ended == 0 {
			ended = exitBySignal(s)
		}
		if now != nil {
			now.interrupt()
		}
		cancel()
	})
	defer stop()

	in := newInput(std.In)
	exit := control.ExitDone
	for {
		line, err := nextCommand(ctx, in)
		mu.Lock()
		signalled := ended
		if signalled == 0 && !line.empty() {
			now = start(ctx, con, askLine(in))
		}
		mu.Unlock()
		switch {
		case signalled != 0:
			return signalled
		case err == io.EOF:
			return exit
		case err != nil:
			if exit = con.fail(err); exit != control.ExitUsage {
				return exit
			}
			continue
		case line.empty():
			continue
		}
		res, err := now.run(d, control.Request{Op: control.OpRun, Words: line.Words, Filters: line.Filters})
		exit = con.finish(res, err)
		if res.Leave {
			return exit
		}
	}
}

func nextCommand(ctx context.Context, in *input) (Line, error) {
	line, err := in.readLine(ctx)
	if err != nil || strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") {
		return Line{}, err
	}
	return Split(line)
}
