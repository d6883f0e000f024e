package job

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/patch"
	"sealgate/appliance/store"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/rootd"
)

// takePatch downloads a patch and makes its release the one that is to run. That
// is the last step, and the only one that changes what runs.
func takePatch(ctx context.Context, home appliance.Home, x commands.Patch, ui control.UI) (r commands.PatchResult, err error) {
	begin := time.Now()
	name := x.Download.URL
	var file *os.File
	if x.Here {
		file, err = os.Open(home.HotfixPatch())
	} else {
		name, file, err = fetch(ctx, home, incoming(home), x.Download, ui)
		defer os.RemoveAll(home.Incoming())
	}
	if err != nil {
		return r, err
	}
	defer closing(file)
	r, err = installPatch(ctx, patch.Releases{Home: home, Base: x.Base}, file, x.For, ui)
	r.Name, r.Elapsed = name, time.Since(begin)
	return r, err
}

// fetchHotfix downloads the patch that the appliance was created with.
func fetchHotfix(ctx context.Context, home appliance.Home, d commands.Download, ui control.UI) (struct{}, error) {
	_, file, err := fetch(ctx, home, home.HotfixPatch(), d, ui)
	if err == nil {
		err = file.Close()
	}
	return struct{}{}, err
}

func installPatch(ctx context.Context, releases patch.Releases, file *os.File, who string, ui control.UI) (r commands.PatchResult, err error) {
	p, err := provenPatch(ctx, releases, file, ui)
	if err != nil {
		return r, err
	}
	m := p.Manifest
	t := patch.Trial{State: patch.Pending, Base: releases.Base, To: m.To}
	if t.From, err = releases.Running(); err != nil {
		return r, err
	}
	if t.DataBefore, t.Data, err = copyData(ctx, releases.Home, ui); err != nil {
		return r, err
	}
	// It ends with the removal of the release that could be gone back to until then.
	if rootd.Needed(releases.Home) {
		err = rootd.Client{For: who}.PlaceRelease(ctx, file, ui)
	} else {
		err = p.Place(ctx, releases, telling(ui, "installing"))
	}
	if err != nil {
		return r, err
	}
	if err := want(ctx, releases.Home, t); err != nil {
		return r, err
	}
	return commands.PatchResult{Release: m.To, Before: t.From, Sequence: m.Sequence, Files: len(m.Files), Bytes: m.Unpacked(), Key: p.Key.String()}, nil
}

// want has the next start activate what t says.
func want(ctx context.Context, home appliance.Home, t patch.Trial) error {
	lock, err := patch.Lock(home)
	if err != nil {
		return err
	}
	defer closing(lock)
	if ctx.Err() != nil { // nobody keeps the role stopped any more
		return context.Cause(ctx)
	}
	return t.Write(home)
}

// provenPatch is a patch of which everything was checked that can be, while nothing
// is touched.
func provenPatch(ctx context.Context, releases patch.Releases, file *os.File, ui control.UI) (*patch.Patch, error) {
	p, err := patch.Open(patch.TrustOf(releases.Home), file)
	if err != nil {
		return nil, err
	}
	if err := p.Fits(releases); err != nil {
		return nil, err
	}
	data, err := store.Size(string(releases.Home))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a gateway has none
		return nil, err
	}
	if err := p.Room(releases, data); err != nil {
		return nil, err
	}
	return p, p.Check(ctx, telling(ui, "verifying"))
}

// copyData copies the data that the new release will migrate.
func copyData(ctx context.Context, home appliance.Home, ui control.UI) (from, to string, err error) {
	size, err := store.Size(string(home))
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	told := telling(ui, "copying the data")
	return store.Duplicate(ctx, string(home), func(done int64) { told(done, size) })
}

func telling(ui control.UI, label string) func(done, total int64) {
	return func(done, total int64) {
		ui.Progress(control.Progress{Label: label, Unit: "B", Done: done, Total: total})
	}
}
