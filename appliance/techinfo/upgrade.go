package techinfo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sealgate/appliance/store"
)

// maxReleases bounds the list of files of releases.
const maxReleases = 5000

// upgrade is which releases are here, how the one that runs came to that, and which
// schemas the databases have.
func (src Source) upgrade(ctx context.Context, c *collection) error {
	releases, record := src.Home.Releases(), src.Home.Trial()
	var b bytes.Buffer
	n := 0
	err := filepath.WalkDir(releases, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return nil // deleted meanwhile
		}
		if n++; n > maxReleases {
			c.note("the first %d files of releases", maxReleases)
			return fs.SkipAll
		}
		link := ""
		if entry.Type()&fs.ModeSymlink != 0 {
			if to, err := os.Readlink(path); err == nil {
				link = fmt.Sprintf(" -> %q", to)
			}
		}
		name, _ := filepath.Rel(releases, path)
		fmt.Fprintf(&b, "%s %12d %s %q%s\n", info.Mode(), info.Size(), info.ModTime().UTC().Format(time.DateTime), name, link)
		return ctx.Err()
	})
	if errors.Is(err, fs.ErrNotExist) {
		b.WriteString("no patch was ever installed\n")
	} else if err != nil {
		c.note("releases: %v", err)
	}
	c.text("releases", b.Bytes())
	if _, err := os.Lstat(record); err == nil {
		c.copyFile("release.json", record)
	}
	return src.schemas(ctx, c)
}

// schemas are what this release knows and what the databases have.
func (src Source) schemas(ctx context.Context, c *collection) error {
	known, err := store.KnownSchema()
	if err != nil {
		return err
	}
	facts := map[string]any{"version": src.Version, "known": known}
	if src.Store != nil {
		if facts["migrations"], err = src.Store.Migrations(ctx); err != nil {
			return errors.Join(err, c.json("schemas.json", facts))
		}
	}
	return c.json("schemas.json", facts)
}
