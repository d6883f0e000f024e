package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/certificate"
	"sealgate/appliance/disk"
	"sealgate/appliance/folder"
	"sealgate/appliance/model"
	"sealgate/appliance/ownership"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/appliance/techinfo"
	"sealgate/commands"
	"sealgate/control"
	"sealgate/daemon/diagnosis"
	"sealgate/daemon/link"
)

// techInfo makes a support bundle, or shows what would be in it. A bundle that is
// sent is kept here until the server has it.
func techInfo(ctx context.Context, home appliance.Home, x commands.TechInfo, ui control.UI) (r commands.TechInfoResult, err error) {
	begin := time.Now()
	src, done, err := techInfoSource(ctx, home, x.Status)
	if err != nil {
		return r, err
	}
	defer done()
	var m techinfo.Manifest
	if x.Dump {
		m, err = techinfo.Report(ctx, src, x.Options, textWriter{ui})
	} else {
		r, m, err = bundle(ctx, src, x, ui, begin)
	}
	r.Files, r.Notes, r.Masked, r.Elapsed = len(m.Files), m.Notes, m.Masked, time.Since(begin)
	return r, err
}

func bundle(ctx context.Context, src techinfo.Source, x commands.TechInfo, ui control.UI, begin time.Time) (commands.TechInfoResult, techinfo.Manifest, error) {
	write := func(w io.Writer, progress func(done, total int64)) (techinfo.Manifest, error) {
		return techinfo.Write(ctx, src, x.Options, w, progress)
	}
	return keepAndSend(ctx, src.Home, techinfo.Name(src.Config, x.Options, begin), write, x.Upload, ui)
}

// keepAndSend has a bundle written into the tech-info folder, and sends it where that is asked for.
func keepAndSend(ctx context.Context, home appliance.Home, base string, write func(io.Writer, func(done, total int64)) (techinfo.Manifest, error),
	up *commands.Upload, ui control.UI) (r commands.TechInfoResult, m techinfo.Manifest, err error) {
	dir := home.TechInfo()
	if err := disk.Room(dir, 0); err != nil {
		return r, m, err
	}
	name, file, err := folder.Unused(dir, base, ".tgz")
	if err != nil {
		return r, m, appliance.Faultf("the tech-info folder must be writable for the appliance, and its disk not full",
			"the tech-info folder takes no file: %w", err)
	}
	m, err = write(disk.Writer(file, dir), func(done, total int64) {
		ui.Progress(control.Progress{Label: "collecting", Unit: "B", Done: done, Total: total})
	})
	if err == nil {
		err = folder.Finish(name, file)
	}
	if err != nil {
		folder.Discard(file)
		return r, m, full(err)
	}
	defer closing(file)
	info, err := file.Stat()
	if err != nil {
		return r, m, err
	}
	r.Name, r.Bytes = name, info.Size()
	if up == nil {
		return r, m, nil
	}
	sent, err := send(ctx, home, commands.Send{Name: name, Upload: *up}, ui)
	if err != nil {
		return r, m, kept(err, "the bundle", name, *up)
	}
	r.Uploaded = sent.Sent
	if err := folder.Delete(home, name); err != nil {
		ui.Text(control.Err, fmt.Sprintf("the copy in the tech-info folder cannot be deleted: %v\n", err))
	}
	return r, m, nil
}

// techInfoSource opens what a bundle is about. A database that cannot be read is what a
// bundle may be made for: it has none of it then.
func techInfoSource(ctx context.Context, home appliance.Home, status commands.Status) (src techinfo.Source, done func(), err error) {
	config, err := home.Load()
	if err != nil {
		return src, nil, err
	}
	src = techinfo.Source{Version: control.Version, Home: home, Config: config, Status: status}
	src.Ask = func(ctx context.Context, what string) ([]byte, bool, error) { return diagnosis.Ask(ctx, home, what) }
	keys, err := secret.Open(string(home))
	if err == nil {
		src.Secrets, err = keptSecrets(home)
	}
	if err != nil {
		return src, nil, fmt.Errorf("no bundle is made, because the secrets that must not be in it cannot be read: %w", err)
	}
	if config.Role == appliance.Gateway {
		src.Secrets = append(src.Secrets, gatewaySecrets(home, keys)...)
		return src, func() {}, nil
	}
	db, stored, err := openSearched(ctx, home, keys)
	switch {
	case ctx.Err() != nil:
		return src, nil, context.Cause(ctx)
	case err != nil:
		src.Notes = []techinfo.Note{{Collector: "database", Text: fmt.Sprintf("nothing of it is here, and its secrets were not searched for: %v", err)}}
		return src, func() {}, nil
	}
	src.Store, src.Secrets = db, append(src.Secrets, stored...)
	return src, func() { closing(db) }, nil
}

// openSearched opens the database, and reads the secrets in it.
func openSearched(ctx context.Context, home appliance.Home, keys *secret.Keys) (*store.Store, [][]byte, error) {
	db, err := store.Open(ctx, string(home), store.Options{ReadOnly: true})
	if err != nil {
		return nil, nil, err
	}
	list, err := storedSecrets(ctx, keys, db)
	if err != nil {
		closing(db)
		return nil, nil, err
	}
	return db, list, nil
}

// keptSecrets are those in files of either role.
func keptSecrets(home appliance.Home) ([][]byte, error) {
	list, err := secret.Known(string(home))
	if err != nil {
		return nil, err
	}
	keys, err := certificate.Secrets(home)
	if err != nil {
		return nil, err
	}
	list = append(list, keys...)
	sealed, err := os.ReadFile(home.Seal())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return append(list, sealed), nil
}

// gatewaySecrets are the keys that a gateway has of its own and was given, and what it
// is to register with. What cannot be read is in no file that is collected.
func gatewaySecrets(home appliance.Home, keys *secret.Keys) (list [][]byte) {
	if file, err := ownership.OpenShared(home.Snapshot()); err == nil {
		if s, err := model.ReadSnapshot(file); err == nil {
			list = s.TakeKeys()
		}
		closing(file)
	}
	if id, err := link.ReadIdentity(home); err == nil {
		list = append(list, id.Key.Seed(), id.Sealing)
	}
	if r, _, err := keys.PendingRegistration(string(home)); err == nil {
		list = append(list, []byte(r.Password), []byte(r.Token))
	}
	return list
}

func storedSecrets(ctx context.Context, keys *secret.Keys, db *store.Store) (list [][]byte, err error) {
	snap, err := db.Snapshot(ctx, store.SnapshotOptions{Without: []store.Kind{store.Alerts, store.Violations, store.Audit}, Unseal: keys.Unseal})
	if err != nil {
		return nil, err
	}
	defer closing(snap)
	for _, t := range snap.Tables() {
		if t.Name != "secrets" && t.Name != "users" {
			continue
		}
		err := snap.Rows(ctx, t, func(line []byte) error {
			var row struct {
				Value    []byte `json:"value"`
				Verifier string `json:"verifier"`
			}
			if err := json.Unmarshal(line, &row); err != nil {
				return err
			}
			list = append(list, row.Value, []byte(row.Verifier))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// textWriter writes to standard output.
type textWriter struct{ ui control.UI }

func (w textWriter) Write(p []byte) (int, error) {
	w.ui.Text(control.Out, string(p))
	return len(p), nil
}
