package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sealgate/appliance/store"
)

// progressEvery is how often progress is told.
const progressEvery = 100 * time.Millisecond

// Export writes a dump of src to w. It is complete when Export returns
// without an error. progress is told how many bytes of an estimated total
// were read.
func Export(ctx context.Context, src Source, o Options, w io.Writer, progress func(done, total int64)) (Manifest, error) {
	now := time.Now().UTC().Truncate(time.Second)
	// First: it begins to derive the key.
	out, err := newTarball(w, o.Passphrase, now)
	if err != nil {
		return Manifest{}, err
	}
	defer out.hasher.wait()
	options := store.SnapshotOptions{Without: o.without()}
	if o.Passphrase != "" {
		options.Unseal = src.Secrets.Unseal
	}
	snap, err := src.Store.Snapshot(ctx, options)
	if err != nil {
		return Manifest{}, err
	}
	defer snap.Close()
	sizes, err := estimate(ctx, src.Store, snap, o)
	if err != nil {
		return Manifest{}, err
	}
	named := o
	named.Passphrase = ""
	e := &exporter{
		ctx: ctx, out: out, snap: snap, total: sizes.Rows + sizes.Files, progress: progress,
		manifest: Manifest{
			Header: Header{
				Format: Format, Product: product, Version: src.Version,
				Schema: Schema{snap.Schema.Config, snap.Schema.Events},
				Name:   src.Config.Name, Created: now, Options: named, Secrets: o.Passphrase != "", Hash: out.hash, Sizes: sizes,
			},
			Counts:  map[string]int64{},
			Omitted: omitted(snap.Omitted(), o),
		},
	}
	err = e.run()
	return e.manifest, err
}

// without are the kinds that the options leave out.
func (o Options) without() []store.Kind {
	var kinds []store.Kind
	leave := func(out bool, which ...store.Kind) {
		if out {
			kinds = append(kinds, which...)
		}
	}
	leave(o.NoAlerts, store.Alerts, store.Violations)
	leave(o.NoAudit, store.Audit)
	leave(o.NoSSL, store.SSLKeys)
	leave(o.NoCredentials, store.Credentials)
	leave(o.NoArchives, store.Archives)
	leave(o.NoArchives || !o.FailedArchives, store.FailedArchives)
	return kinds
}

// omitted words what is left out, and why.
func omitted(list []store.Omission, o Options) []string {
	flags := map[store.Kind]string{
		store.Alerts: "--exptype 2", store.Violations: "--exptype 2", store.Audit: "--noauditdata",
		store.SSLKeys: "--nossl", store.Credentials: "--nodbcredentials",
	}
	var words []string
	for _, m := range list {
		why := flags[m.Kind]
		switch {
		case m.Table == store.OmittedVerifiers:
			words = append(words, fmt.Sprintf("the passwords of %d users (no --encryptpwd)", m.Rows))
			continue
		case m.Table == "secrets" && o.Passphrase == "":
			words = append(words, fmt.Sprintf("%d private keys and passwords (no --encryptpwd)", m.Rows))
			continue
		case m.Table == "archives" && o.NoArchives:
			why = "--noarchive"
		case m.Table == "archives":
			words = append(words, fmt.Sprintf("%d failed archives (no --includefailedarc)", m.Rows))
			continue
		case why == "":
			continue // references and secrets of what is named anyway
		}
		words = append(words, fmt.Sprintf("%d rows of %s (%s)", m.Rows, m.Table, why))
	}
	return words
}

// estimate is how much a dump will read, nearly.
func estimate(ctx context.Context, db *store.Store, snap *store.Snapshot, o Options) (s Sizes, err error) {
	counts, err := db.Counts(ctx)
	if err != nil {
		return s, err
	}
	elsewhere := append(o.without(), store.Archives, store.FailedArchives) // among the files
	for _, c := range counts {
		if !slices.Contains(elsewhere, c.Kind) {
			s.Rows += c.Bytes
		}
	}
	for _, f := range snap.Files() {
		s.Files += f.Size
	}
	return s, nil
}

type exporter struct {
	ctx      context.Context
	out      *tarball
	snap     *store.Snapshot
	manifest Manifest

	done, total int64
	progress    func(done, total int64)
	told        time.Time
}

func (e *exporter) run() error {
	if err := e.out.json(headerName, e.manifest.Header); err != nil {
		return err
	}
	for _, t := range e.snap.Tables() {
		if err := e.table(t); err != nil {
			return err
		}
	}
	for _, f := range e.snap.Files() {
		if err := e.file(f); err != nil {
			return err
		}
	}
	e.manifest.Parts = e.out.hashed()
	if err := e.out.json(manifestName, e.manifest); err != nil {
		return err
	}
	return e.out.Close()
}

// table writes the rows of one table, in as many parts as they take.
func (e *exporter) table(t store.Table) error {
	prefix := "config/" + t.Name
	if t.Day != "" {
		prefix = "events/" + t.Day + "/" + t.Name
	}
	part, rows, number := e.out.buffer(), int64(0), 0
	flush := func() error {
		number++
		e.manifest.Counts[t.Name] += rows
		size := int64(len(part))
		err := e.out.rows(fmt.Sprintf("%s/%04d.jsonl", prefix, number), t.Name, rows, part)
		part, rows = e.out.buffer(), 0
		e.step(size)
		return errors.Join(err, e.ctx.Err())
	}
	err := e.snap.Rows(e.ctx, t, func(line []byte) error {
		if rows > 0 && len(part)+len(line)+1 > bufferSize {
			if err := flush(); err != nil {
				return err
			}
		}
		part = append(append(part, line...), '\n')
		rows++
		return nil
	})
	if err == nil && rows > 0 {
		err = flush()
	}
	e.out.hasher.free <- part[:0]
	return err
}

// file copies one file. An archive that was deleted since the snapshot began
// is an error: the dump would not hold what its rows say.
func (e *exporter) file(f store.File) error {
	in, err := e.snap.Open(f)
	if err != nil {
		return fmt.Errorf("read %s %s: %w", f.Kind, f.Name, err)
	}
	defer in.Close()
	folder := "archives/"
	if f.Kind == store.Config {
		folder = "files/"
	}
	return e.out.file(folder+f.Name, f.Size, &counting{e, in})
}

func (e *exporter) step(n int64) {
	e.done += n
	if now := time.Now(); now.Sub(e.told) >= progressEvery {
		e.told = now
		e.progress(e.done, max(e.total, e.done))
	}
}

// counting tells progress, and ends when the export is cancelled.
type counting struct {
	e *exporter
	r io.Reader
}

func (c *counting) Read(p []byte) (int, error) {
	if err := c.e.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.e.step(int64(n))
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read for the dump: %w", err)
	}
	return n, err
}
