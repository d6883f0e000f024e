package rootd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sealgate/appliance"
)

// toolTimeout is enough for a tool that waits for the lock of /etc/passwd.
const toolTimeout = 30 * time.Second

// run runs a tool of the distribution to its end: whoever asked for it may be
// gone meanwhile, and half an account helps nobody.
func run(stdin, path string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), toolTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second // a child of the tool may keep its output open
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) || cmd.ProcessState == nil {
		return appliance.Faultf("install the package that has it", "%s cannot be started", path)
	}
	return fmt.Errorf("%s failed (%w): %s", filepath.Base(path), err, line(out))
}

// line is what a tool said, short and fit for a terminal.
func line(out []byte) string {
	const most = 200
	text := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r > '~' || r < ' ' && r != '\n' {
			return '?'
		}
		return r
	}, string(out[:min(len(out), most)]))), " ")
	if text == "" {
		return "it said nothing"
	}
	return text
}
