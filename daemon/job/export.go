package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/disk"
	"sealgate/appliance/dump"
	"sealgate/appliance/folder"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/transfer"
)

// export makes a dump in the export folder. With an upload, the file is sent
// while it grows and deleted here when the server has all of it; whatever goes
// wrong on the way, the dump is finished and kept.
func export(ctx context.Context, home appliance.Home, x commands.Export, ui control.UI) (commands.ExportResult, error) {
	begin := time.Now()
	e := exporter{home: home, ui: ui, options: x.Options}
	if err := e.create(begin); err != nil {
		return commands.ExportResult{}, err
	}
	e.grow.early = x.Upload == nil
	sent := make(chan error, 1)
	if x.Upload != nil {
		go func() { sent <- e.follow(ctx, *x.Upload) }()
	}
	r, err := e.write(ctx)
	switch {
	case x.Upload == nil && err == nil:
		err = e.keep()
	case x.Upload != nil && err == nil:
		err = e.hand(sent, *x.Upload)
	case x.Upload != nil:
		<-sent // it ended with the source, and cleaned up behind itself
	}
	r.Uploaded, r.Elapsed = e.sentTo, time.Since(begin)
	return r, err
}

// keepAfter is how long a whole dump waits for the end of its upload before it
// is kept on this disk: one that the server has in a moment need not be synced
// here first.
const keepAfter = time.Second

// hand waits for the upload, and keeps the dump until the server has it.
func (e *exporter) hand(sent <-chan error, up commands.Upload) error {
	var err error
	ended := true
	select {
	case err = <-sent:
	case <-time.After(keepAfter):
		ended = false
	}
	if ended && err == nil {
		folder.Discard(e.file)
		return nil
	}
	unkept := e.keep()
	if !ended {
		err = <-sent
	}
	switch {
	case unkept != nil:
		return unkept
	case err != nil:
		return kept(err, "the dump", e.name, up)
	}
	if err := folder.Delete(e.home, e.name); err != nil {
		e.ui.Text(control.Err, fmt.Sprintf("the copy in the export folder cannot be deleted: %v\n", err))
	}
	return nil
}

// keep gives the dump its name, on the disk, or leaves nothing behind.
func (e *exporter) keep() error {
	err := folder.Finish(e.name, e.file)
	if err != nil {
		folder.Discard(e.file)
	}
	return full(err)
}

type exporter struct {
	home    appliance.Home
	ui      control.UI
	options dump.Options

	config appliance.Config
	name   string
	file   *os.File
	grow   *growing
	sentTo string
}

// create checks that there is room and reserves the dump's name.
func (e *exporter) create(now time.Time) (err error) {
	if e.config, err = e.home.Load(); err != nil {
		return err
	}
	if err := disk.Room(e.home.Exports(), 0); err != nil {
		return err
	}
	e.name, e.file, err = folder.Unused(e.home.Exports(), e.config.Name+now.UTC().Format("_20060102_150405"), ".tgz")
	if err != nil {
		return appliance.Faultf("the export folder must be writable for the appliance, and its disk not full",
			"the export folder takes no file: %w", err)
	}
	e.grow = newGrowing(e.file)
	return nil
}

// write makes the dump, or leaves nothing behind.
func (e *exporter) write(ctx context.Context) (r commands.ExportResult, err error) {
	whole := false
	defer func() {
		if whole {
			e.grow.finish(nil)
			return
		}
		if err == nil { // a panic passes
			err = errors.New("the export crashed")
		}
		e.grow.finish(err)
		folder.Discard(e.file)
	}()
	keys, err := secret.Open(string(e.home))
	if err != nil {
		return r, err
	}
	db, err := store.Open(ctx, string(e.home), store.Options{ReadOnly: true})
	if err != nil {
		return r, err
	}
	defer closing(db)
	manifest, err := dump.Export(ctx, dump.Source{Version: control.Version, Config: e.config, Home: e.home, Store: db, Secrets: keys},
		e.options, disk.Writer(e.grow, e.home.Exports()), e.progress)
	if err != nil {
		return r, full(err)
	}
	whole = true
	size, _, _ := e.grow.state()
	return commands.ExportResult{Made: commands.Made{Name: e.name, Bytes: size}, Rows: manifest.Rows(), Omitted: manifest.Omitted}, nil
}

func (e *exporter) progress(done, total int64) {
	e.ui.Progress(control.Progress{Label: "exporting", Unit: "B", Done: done, Total: total})
}

// follow uploads the file while it grows.
func (e *exporter) follow(ctx context.Context, up commands.Upload) error {
	target, err := transfer.ParseTarget(up.Protocol, up.URL, e.name)
	if err != nil {
		return err
	}
	err = upload(ctx, e.home, target, e.grow, up, e.ui)
	if err == nil {
		e.sentTo = target.String()
		return nil
	}
	if _, _, end := e.grow.state(); end == nil && ctx.Err() == nil {
		r := commands.ResultOf(err)
		e.ui.Text(control.Err, fmt.Sprintf("the upload failed: %s\nthe export goes on and is kept here; Ctrl-C stops it\n", r.Error))
	}
	return err
}

// kept adds to an upload's error that what it was to send is still there.
func kept(err error, what, name string, up commands.Upload) error {
	r := commands.ResultOf(err)
	url, _, signed := strings.Cut(up.URL, "?")
	if signed {
		url += "?…" // may be a signature
	}
	hint := fmt.Sprintf("%s is kept: files send %s %s --protocol %s", what, name, url, up.Protocol)
	if up.User != "" {
		hint += " --user " + up.User + " --password -"
	}
	if up.Insecure {
		hint += " --insecure"
	}
	if up.Proxy.Host != "" {
		hint += " --proxy " + up.Proxy.String()
		if up.Proxy.User != "" {
			hint += " --proxy-user " + up.Proxy.User + ":-"
		}
	}
	if r.Hint != "" {
		hint = strings.TrimSuffix(r.Hint, ".") + "; " + hint
	}
	return &commands.Failure{Exit: r.Exit, Text: r.Error, Hint: hint}
}

// full words the kernel's way of saying that the disk is full.
func full(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return appliance.Faultf("make room: files list shows what lies here, files delete NAME deletes it",
			"the disk is full, and the unfinished file was removed: %w", err)
	}
	return err
}
