package techinfo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sealgate/appliance/serverlog"
)

// maxCrashes is how much of crash reports is collected, in bytes, the newest first.
const maxCrashes = 1 << 20

// cores are what programs of ours said when they crashed, and the core files that the
// owner put into the appliance's folder, sealed to the support key: our own processes
// leave none, for what they had in memory is nobody's business.
func (src Source) cores(ctx context.Context, c *collection) error {
	crashes, err := crashReports(ctx, src.Home.Logs())
	if err != nil {
		c.note("crash reports: %v", err)
	}
	if len(crashes) == 0 {
		crashes = []byte("no crash is in the log\n")
	}
	c.text("crashes", crashes)
	_, key, err := SupportKey(src.Home)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(src.Home.Cores())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	found := 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			c.note("%.100q is not a regular file", e.Name())
			continue
		}
		size, err := sealedSize(info.Size(), key)
		if err != nil {
			return err
		}
		c.add(item{name: e.Name() + ".age", path: filepath.Join(src.Home.Cores(), e.Name()), size: size, plain: info.Size(), seal: key, mute: true})
		found++
	}
	if found == 0 {
		c.note("no core file is in %s: the appliance's processes write none", src.Home.Cores())
	}
	return nil
}

// crashReports are the lines of the log that are none of log/slog: the stacks that the
// runtime writes, between the entries around them.
func crashReports(ctx context.Context, dir string) ([]byte, error) {
	var kept [][]byte // the newest first
	size, inside := 0, false
	for line, err := range serverlog.Server.Newest(dir) {
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		entry := json.Valid(line)
		if entry && !inside {
			continue
		}
		if size += len(line) + 1; size > maxCrashes {
			kept = append(kept, fmt.Appendf(nil, "… older ones are left out"))
			break
		}
		kept = append(kept, bytes.Clone(line))
		inside = !entry
	}
	slices.Reverse(kept)
	return append(bytes.Join(kept, []byte("\n")), '\n'), nil
}
