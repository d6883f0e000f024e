package trial

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"time"
)

// UntilKilled runs this test program again, with more environment and what args
// say, and kills it so long after it has printed the line begin, never if that is
// negative.
func UntilKilled(ctx context.Context, after time.Duration, environment []string, args ...string) error {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "begin" && after >= 0 {
			time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait() // however it ended
	return nil
}
