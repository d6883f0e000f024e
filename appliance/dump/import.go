package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/disk"
	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
)

// ImportOptions say how a dump is taken.
type ImportOptions struct {
	Merge      bool   `json:"merge,omitempty"`      // --imptype 2: what is here stays
	KeepFiles  bool   `json:"keep_files,omitempty"` // --copyfiles 2: configuration files are left alone
	Passphrase string `json:"passphrase,omitempty"`
}

// Target is the appliance that a dump is imported into.
type Target struct {
	Home    appliance.Home
	Secrets *secret.Keys
	Author  string // of the revision that a merge makes
}

// Imported says what an import did.
type Imported struct {
	Header  Header        `json:"header"`
	Rows    int64         `json:"rows"`              // of the dump
	Files   int           `json:"files"`             // of the dump: configuration files and archives
	Changes []store.Taken `json:"changes,omitempty"` // of a merge
	Notes   []string      `json:"notes,omitempty"`   // what is missing now, and what became of it, in words
}

// Import takes a dump of size bytes. It is checked as it is read, as a whole
// before anything changes, and it changes everything at once: after an error, or
// killed at any instant, the appliance has its old data or the new ones. Nothing
// may have the store open for writing. progress is told how much of the dump was
// read.
func Import(ctx context.Context, to Target, r io.Reader, size int64, o ImportOptions, progress func(done, total int64)) (Imported, error) {
	i := &importer{to: to, options: o, total: size, progress: progress}
	d, err := open(&counted{i, r}, o.Passphrase)
	if err != nil {
		return Imported{}, err
	}
	defer d.hasher.wait()
	i.reader, i.result.Header = d, d.header
	if i.staging, err = store.Stage(ctx, string(to.Home), store.Schema(d.header.Schema), store.Options{}); err != nil {
		return Imported{}, err
	}
	if err := i.run(ctx); err != nil {
		return Imported{}, errors.Join(i.worded(err), i.staging.Discard())
	}
	return i.result, i.staging.Commit()
}

type importer struct {
	to       Target
	options  ImportOptions
	reader   *reader
	staging  *store.Staging
	result   Imported
	counts   map[string]int64 // rows that were loaded, by table
	lines    []int64          // of each part
	archives map[string]int   // parts of archive files, by name

	total    int64
	read     atomic.Int64
	work     float64 // that was done, in bytes of files
	progress func(done, total int64)
	told     time.Time
	unasked  int64 // bytes since the disk was looked at
}

// counted counts what is read of the file.
type counted struct {
	i *importer
	r io.Reader
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.i.read.Add(int64(n))
	return n, err
}

func (i *importer) run(ctx context.Context) error {
	if err := i.begin(); err != nil {
		return err
	}
	manifest, err := i.load(ctx)
	if err != nil {
		return err
	}
	if err := i.agree(manifest); err != nil {
		return err
	}
	if err := i.staging.Finish(ctx); err != nil {
		return err
	}
	i.result.Rows = manifest.Rows()
	return i.complete(ctx)
}

// load reads the dump into the staging, and returns its manifest.
func (i *importer) load(ctx context.Context) (Manifest, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	i.counts, i.archives = map[string]int64{}, map[string]int{}
	entries := make(chan entry, 1)
	type end struct {
		manifest Manifest
		err      error
	}
	ended := make(chan end, 1)
	go func() {
		m, err := i.reader.run(ctx, entries)
		ended <- end{m, err}
	}()
	err := i.take(ctx, entries)
	if err != nil {
		cancel()
		for range entries { // ends when the reader does
		}
	}
	read := <-ended
	if err != nil {
		return Manifest{}, err
	}
	return read.manifest, read.err
}

// take stores what comes.
func (i *importer) take(ctx context.Context, entries <-chan entry) error {
	var file *os.File
	defer func() {
		if file != nil {
			file.Close()
		}
	}()
	e, more := <-entries
	for more {
		var err error
		if e.table.Name != "" {
			e, more, err = i.rows(ctx, e, entries)
		} else {
			file, err = i.piece(e, file)
			if err == nil {
				e, more = <-entries
			}
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// rows loads one table, whose first part is e, and returns what comes after it.
func (i *importer) rows(ctx context.Context, e entry, entries <-chan entry) (entry, bool, error) {
	table, rest, more := e.table, e.data, true
	i.lines = append(i.lines, 0)
	next := func() ([]byte, error) {
		for len(rest) == 0 {
			i.reader.hasher.work <- piece{e.data, true}
			if err := i.step(e.size, rowWork); err != nil {
				return nil, err
			}
			if e, more = <-entries; !more || e.table != table {
				return nil, ctx.Err()
			}
			rest = e.data
			i.lines = append(i.lines, 0)
		}
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return nil, damaged("structure", "part %.80q does not end with a line", e.name)
		}
		line := rest[:end]
		rest = rest[end+1:]
		i.lines[len(i.lines)-1]++
		return line, nil
	}
	n, err := i.staging.Load(ctx, table, i.to.Secrets.Seal, next)
	i.counts[table.Name] += n
	return e, more, err
}

// piece writes a piece of a file.
func (i *importer) piece(e entry, file *os.File) (*os.File, error) {
	skip := e.file == store.Config && i.options.KeepFiles
	if e.first {
		i.lines = append(i.lines, 0)
		i.result.Files++
		if e.file == store.Archives {
			i.archives[e.name] = e.part
		}
	}
	var err error
	if e.first && !skip {
		file, err = i.staging.Create(e.file, e.name)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR) {
			err = foreign("names", "file %.80q has the place of another one", e.name)
		}
		if err != nil {
			return nil, err
		}
	}
	if !skip {
		if _, err := file.Write(e.data); err != nil {
			return file, err
		}
	}
	size := int64(len(e.data))
	i.reader.hasher.work <- piece{e.data, e.last}
	if e.last && !skip {
		i.staging.Keep(file)
		file = nil
	}
	return file, i.step(size, 1)
}

// lookEvery bytes the disk is asked for its room.
const lookEvery = 8 << 20

const (
	// rowWork is how much longer a byte of rows takes than one of a file.
	rowWork = 2.5
	// endWork is the share of the whole that is kept for what follows the last byte:
	// syncs, checks, and the removal of the generation that goes. It takes about
	// twice that, which the derivation of the key before the first byte makes up for
	// half-way.
	endWork = 0.05
)

// done is how many bytes of the dump stand for the work that was done. What was read is
// no measure for it: rows pack well and take long, archives are packed and do not.
func (i *importer) done() int64 {
	s := i.reader.header.Sizes
	all := rowWork*float64(s.Rows) + float64(s.Files)
	if !(all > 0) {
		return i.read.Load() // an older release did not say
	}
	return int64(min(i.work/all, 1) * (1 - endWork) * float64(i.total))
}

// step tells progress, and stops before the disk's reserve is touched.
func (i *importer) step(n int64, work float64) error {
	i.work += work * float64(n)
	if now := time.Now(); now.Sub(i.told) >= progressEvery {
		i.told = now
		i.progress(i.done(), i.total)
	}
	if i.unasked += n; i.unasked < lookEvery {
		return nil
	}
	i.unasked = 0
	return i.room(0)
}

// room stops before so many bytes more would touch the disk's reserve.
func (i *importer) room(need int64) error { return disk.Room(i.to.Home.Data(), need) }

// carried is how many bytes are copied of what is here.
func (i *importer) carried() (int64, error) {
	if !i.options.Merge && !i.options.KeepFiles {
		return 0, nil
	}
	return i.staging.Carried(i.options.Merge)
}

// begin looks for room for what is known to come. A dump is packed, so it takes more;
// its files, which may be most of it, are perhaps not wanted.
func (i *importer) begin() error {
	need, err := i.carried()
	if err != nil {
		return err
	}
	if !i.options.KeepFiles {
		need += i.total
	}
	return i.room(need)
}

// agree compares what was read with the manifest.
func (i *importer) agree(m Manifest) error {
	sums := i.reader.hasher.wait()[m.Hash]
	if i.reader.header.Format == 1 {
		i.reader.header.Hash = m.Hash
	}
	switch {
	case sums == nil && len(m.Parts) > 0:
		return damaged("hash", "the manifest's hash %.20q is none that this release knows", m.Hash)
	case m.Header != i.reader.header:
		return damaged("manifest", "the manifest and the header differ")
	case len(m.Parts) != len(i.reader.parts):
		return damaged("manifest", "the dump has %d parts, and the manifest lists %d", len(i.reader.parts), len(m.Parts))
	}
	for n, p := range i.reader.parts {
		p.Rows, p.Sum = i.lines[n], sums[n]
		switch listed := m.Parts[n]; {
		case p.Name != listed.Name || p.Table != listed.Table || p.Size != listed.Size || p.Rows != listed.Rows:
			return damaged("manifest", "part %.80q is not what the manifest says", p.Name)
		case p.Sum != listed.Sum:
			return damaged("hash", "part %.80q is not what was exported", p.Name)
		}
	}
	for _, t := range slices.Concat(store.ConfigTables(), store.EventTables()) {
		if i.counts[t.Name] != m.Counts[t.Name] {
			return damaged("manifest", "%d rows of %s were read, and the manifest says %d", i.counts[t.Name], t.Name, m.Counts[t.Name])
		}
	}
	return nil
}

// complete checks the loaded generation, and brings in what stays of the old one.
func (i *importer) complete(ctx context.Context) error {
	if err := i.checkCounts(ctx); err != nil {
		return err
	}
	if err := i.checkArchives(ctx); err != nil {
		return err
	}
	if err := i.checkUsers(ctx); err != nil {
		return err
	}
	if err := i.checkSecrets(ctx); err != nil {
		return err
	}
	need, err := i.carried()
	if err == nil {
		err = i.room(need)
	}
	if err != nil {
		return err
	}
	if i.options.Merge {
		return i.merge(ctx)
	}
	base, err := i.staging.Base(ctx)
	if err != nil {
		return err
	}
	return errors.Join(i.replace(ctx, base), base.Close())
}

// merge is --imptype 2.
func (i *importer) merge(ctx context.Context) error {
	if err := i.reconcile(ctx); err != nil {
		return err
	}
	h := i.reader.header
	merged, err := i.staging.Merge(ctx, store.Change{
		Author: i.to.Author, Summary: fmt.Sprintf("import of a dump of %s, made %s", h.Name, h.Created.UTC().Format(time.DateTime)),
	}, !i.options.KeepFiles)
	if err != nil {
		return err
	}
	i.result.Changes = merged.Taken
	i.noteCleared(merged.Cleared)
	i.noteWithout(merged.Without)
	return i.room(0)
}

// replace is --imptype 1.
func (i *importer) replace(ctx context.Context, base *store.Store) error {
	if err := i.reconcile(ctx); err != nil {
		return err
	}
	if err := i.staging.Store.KeepOwn(ctx, base); err != nil {
		return err
	}
	without, err := i.staging.Store.KeepVerifiers(ctx, base)
	if err != nil {
		return err
	}
	i.noteWithout(without)
	if i.options.KeepFiles {
		_, err = i.staging.CopyFiles(base)
	}
	return err
}

func (i *importer) noteWithout(users int64) {
	if users > 0 {
		i.note("%d users have no password, and cannot log in until they get one: the dump has none", users)
	}
}

func (i *importer) note(format string, args ...any) {
	i.result.Notes = append(i.result.Notes, fmt.Sprintf(format, args...))
}

// checkCounts counts what lies in the databases.
func (i *importer) checkCounts(ctx context.Context) error {
	found, err := i.staging.Store.CountRows(ctx)
	if err != nil {
		return err
	}
	for table, n := range i.counts {
		if found[table] < n {
			return damaged("counts", "%d of %d rows of %s are there", found[table], n, table)
		}
	}
	return nil
}

// checkArchives compares rows of archives with their files, both ways.
func (i *importer) checkArchives(ctx context.Context) error {
	rows, err := i.staging.Store.ListArchives(ctx)
	if err != nil {
		return err
	}
	sums := i.reader.hasher.wait()["sha256"]
	for _, a := range rows {
		part, ok := i.archives[a.Name]
		if !ok {
			return damaged("archives", "archive %.80q has no file", a.Name)
		}
		if size := i.reader.parts[part].Size; size != a.Size || a.SHA256 != "" && a.SHA256 != sums[part] {
			return damaged("archives", "the file of archive %.80q is not the one that was archived", a.Name)
		}
		delete(i.archives, a.Name)
	}
	for name := range i.archives {
		return damaged("archives", "file %.80q belongs to no archive", name)
	}
	return nil
}

// checkUsers keeps verifiers out that ask for more work than a login may.
func (i *importer) checkUsers(ctx context.Context) error {
	users, err := i.staging.Store.Users(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		if !i.reader.header.Secrets {
			if u.Verifier != "" {
				return foreign("users", "user %.80q brings a password, and the header says that there are none", u.Name)
			}
			continue
		}
		if err := secret.CheckVerifier(u.Verifier); err != nil {
			return damaged("users", "user %.80q: %w", u.Name, err)
		}
	}
	return nil
}

func (i *importer) checkSecrets(ctx context.Context) error {
	o, err := i.staging.Store.Orphans(ctx)
	switch {
	case err != nil:
		return err
	case o.Secrets > 0:
		return damaged("keys", "%d secrets belong to nothing", o.Secrets)
	case i.reader.header.Secrets && o.SSLKeys+o.Credentials > 0:
		return damaged("keys", "%d SSL keys and %d credentials lack their secret", o.SSLKeys, o.Credentials)
	}
	if o.SSLKeys > 0 {
		i.note("%d SSL keys have no private key: the dump has none", o.SSLKeys)
	}
	if o.Credentials > 0 {
		i.note("%d credentials have no password: the dump has none", o.Credentials)
	}
	return nil
}

// missing are the kinds that references may name and the dump left out.
func (i *importer) missing() (kinds []string) {
	if i.reader.header.Options.NoSSL {
		kinds = append(kinds, model.SSLKey)
	}
	if i.reader.header.Options.NoCredentials {
		kinds = append(kinds, model.Credential)
	}
	return kinds
}

// reconcile checks the references, and takes those out that lead to what the
// dump left out.
func (i *importer) reconcile(ctx context.Context) error {
	cleared, err := i.staging.Store.Reconcile(ctx, !i.options.Merge, i.missing()...)
	i.noteCleared(cleared)
	return err
}

func (i *importer) noteCleared(cleared []store.Cleared) {
	const shown = 20
	missing := i.missing()
	for n, c := range cleared {
		if n == shown {
			i.note("and %d more", len(cleared)-shown)
			break
		}
		why := "does not have it"
		if slices.Contains(missing, c.To) {
			why = "left it out"
		}
		i.note("%s %.80q no longer names its %s: the dump %s", model.Title(c.Kind), c.Name, model.Title(c.To), why)
	}
}

// worded adds to errors of the store what to do about them.
func (i *importer) worded(err error) error {
	var fault *appliance.Fault
	switch {
	case errors.As(err, &fault), errors.Is(err, context.Canceled):
		return err
	case store.IsFull(err):
		return appliance.Faultf("make room: files list shows what lies here, files delete NAME deletes it", "the disk is full, and nothing was changed: %w", err)
	case errors.Is(err, store.ErrRead):
		return appliance.Faultf("show events, impctl server history or a bundle may read them; try again when that is done", "the data here cannot be copied, and nothing was changed: %w", err)
	case errors.Is(err, store.ErrDangling):
		return damaged("references", "%w", err)
	case errors.Is(err, store.ErrInvalid), errors.Is(err, store.ErrExists), errors.Is(err, store.ErrNotFound):
		return damaged("rows", "%w", err)
	}
	return fmt.Errorf("the import failed, and nothing was changed: %w", err)
}
