package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/disk"
	"sealgate/appliance/dump"
	"sealgate/appliance/folder"
	"sealgate/appliance/secret"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/transfer"
)

// importCollectAt is collectAt for imports, which beside the heap need memory for two
// databases.
const importCollectAt = 100

// takeDump imports a dump from the export folder, or from a server.
func takeDump(ctx context.Context, home appliance.Home, x commands.Import, ui control.UI) (commands.ImportResult, error) {
	begin := time.Now()
	debug.SetGCPercent(importCollectAt)
	r := commands.ImportResult{Name: x.Name}
	var file *os.File
	var err error
	if x.Download != nil {
		r.Name, file, err = fetch(ctx, home, incoming(home), *x.Download, ui)
		defer os.RemoveAll(home.Incoming())
	} else {
		file, err = folder.Open(home, x.Name, folder.Dump)
	}
	if err != nil {
		return r, err
	}
	defer closing(file)
	info, err := file.Stat()
	if err != nil {
		return r, err
	}
	keys, err := secret.Open(string(home))
	if err != nil {
		return r, err
	}
	r.Imported, err = dump.Import(ctx, dump.Target{Home: home, Secrets: keys, Author: x.Author}, file, info.Size(), x.Options, func(done, total int64) {
		ui.Progress(control.Progress{Label: "importing", Unit: "B", Done: done, Total: total})
	})
	r.Elapsed = time.Since(begin)
	return r, err
}

// incoming is where a job downloads to that the role is stopped for: there is one.
func incoming(home appliance.Home) string {
	return filepath.Join(home.Incoming(), "download"+folder.Unfinished)
}

// fetch downloads a file to path, in the place of what is there.
func fetch(ctx context.Context, home appliance.Home, path string, d commands.Download, ui control.UI) (name string, file *os.File, err error) {
	dir := filepath.Dir(path)
	target, err := transfer.ParseURL(d.URL)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	o, err := options(home, d.Access, ui)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var full error
	o.Progress = func(done int64) {
		if full == nil {
			full = disk.Room(dir, 0)
		}
		if full != nil {
			cancel()
		}
		ui.Progress(control.Progress{Label: "downloading", Unit: "B", Done: done, Total: -1})
	}
	if err := disk.Room(dir, 0); err != nil {
		return "", nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", nil, err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(collectWhileTransferring))
	if _, err := transfer.Download(ctx, target, path, o); err != nil {
		if full != nil {
			err = full
		}
		return "", nil, err
	}
	file, err = os.Open(path)
	return target.String(), file, err
}

// askHostKey asks a person about a host key that is not known.
func askHostKey(ui control.UI) func(context.Context, string, string, string) (bool, error) {
	return func(ctx context.Context, host, keyType, fingerprint string) (bool, error) {
		answer, err := ui.Ask(ctx, control.Question{Confirm: true, Prompt: fmt.Sprintf(
			"the host key of %s is not known\n%s %s\naccept and keep it? (yes/no) ", host, keyType, fingerprint)})
		return answer == "yes", err
	}
}
