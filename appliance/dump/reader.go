package dump

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"sealgate/appliance/store"
)

// Bounds of a dump, beside the disk's reserve, which stops it as a whole.
const (
	maxParts    = 1 << 18
	maxRows     = 64 << 20 // bytes of one part: a part of several rows has 2 MiB
	maxManifest = 64 << 20
	maxName     = 2 << 10 // bytes: a folder of the staging must have a path that the kernel takes
)

// entry is a part, or a piece of a file, on its way from the tar.
type entry struct {
	part  int // its index
	name  string
	table store.Table // of rows
	file  store.Kind  // of files: Config or Archives
	size  int64       // of the part
	first bool        // of the part's pieces
	last  bool
	data  []byte // a buffer of the hasher, which gets it back
}

// reader reads a dump from its beginning to its end, and believes none of it:
// entries are of known names, in the order of an export, and bounded.
type reader struct {
	layers *layers
	tar    *tar.Reader
	header Header
	hasher *hasher
	parts  []Part
	at     position
	left   map[store.Kind]bool // kinds that the options leave out
}

// position is where in the order of a dump a reader is.
type position struct {
	section, table, number int
	dayName                string
}

const (
	inConfig = iota
	inEvents
	inFiles
	inArchives
)

// open reads the header of a dump.
func open(r io.Reader, passphrase string) (*reader, error) {
	l, err := unwrap(r, passphrase)
	if err != nil {
		return nil, err
	}
	d := &reader{layers: l, tar: tar.NewReader(l.gzip), at: position{section: -1}}
	h, err := d.next()
	if err != nil {
		return nil, err
	}
	if h.Name != headerName || h.Size > maxHeader {
		return nil, foreign("structure", "the file is no dump: its first entry is no header")
	}
	if err := d.decode(&d.header); err != nil {
		return nil, err
	}
	if err := d.header.check(); err != nil {
		return nil, err
	}
	if d.header.Secrets && !l.encrypted {
		return nil, refused("encryption", "nothing was changed; export it again with --encryptpwd", inClear)
	}
	d.left = map[store.Kind]bool{}
	for _, kind := range d.header.Options.without() {
		d.left[kind] = true
	}
	d.hasher = newHasher(d.header.hashes()...)
	return d, nil
}

// hashes are those that may be needed. Rows of archives have a SHA-256 of their
// own.
func (h Header) hashes() []algorithm {
	if h.Hash == "sha256" {
		return algorithms[:1]
	}
	return algorithms
}

// check says whether this release reads such dumps.
func (h Header) check() error {
	known, err := store.KnownSchema()
	if err != nil {
		return err
	}
	hint := "nothing was changed; import it into that release or a later one"
	switch {
	case h.Product != product:
		return foreign("format", "the dump is not of this product")
	case h.Format > Format:
		return refused("format", hint, "the dump has format %d and was written by release %.40q, this release reads up to format %d", h.Format, h.Version, Format)
	case h.Format < 1 || h.Schema.Config < 1 || h.Schema.Events < 1:
		return foreign("format", "the dump has format %d, schema %d and %d", h.Format, h.Schema.Config, h.Schema.Events)
	case h.Format > 1 && !slices.ContainsFunc(algorithms, func(a algorithm) bool { return a.name == h.Hash }):
		return damaged("hash", "the hash %.20q is none that this release knows", h.Hash)
	case h.Schema.Config > known.Config || h.Schema.Events > known.Events:
		return refused("schema", hint, "the dump has schema %d and %d and was written by release %.40q, this release knows up to %d and %d",
			h.Schema.Config, h.Schema.Events, h.Version, known.Config, known.Events)
	}
	return nil
}

// next is the next entry, of which only regular files exist.
func (d *reader) next() (*tar.Header, error) {
	h, err := d.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, refused("structure", cutHint, "the dump ends before its manifest")
	case err != nil:
		return nil, readFault(err)
	case h.Typeflag != tar.TypeReg:
		return nil, foreign("names", "entry %.80q is no file but of type %.4q", h.Name, string(h.Typeflag))
	case len(h.Name) > maxName:
		return nil, foreign("names", "the name of entry %.80q has %d bytes, more than %d", h.Name, len(h.Name), maxName)
	}
	for key := range h.PAXRecords {
		if key != "path" && key != "size" && key != "mtime" {
			return nil, foreign("structure", "entry %.80q has an attribute %.40q", h.Name, key)
		}
	}
	return h, nil
}

// decode reads an entry that is JSON.
func (d *reader) decode(v any) error {
	if err := json.NewDecoder(d.tar).Decode(v); err != nil {
		if errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError)) || errors.As(err, new(*time.ParseError)) {
			return damaged("manifest", "the header or the manifest is not what it should be")
		}
		return readFault(err)
	}
	return nil
}

// run sends what lies between header and manifest to entries, and returns the
// manifest, which agrees with all of it when there is no error.
func (d *reader) run(ctx context.Context, entries chan<- entry) (Manifest, error) {
	defer close(entries)
	for {
		h, err := d.next()
		if err != nil {
			return Manifest{}, err
		}
		if h.Name == manifestName {
			return d.manifest(h)
		}
		if len(d.parts) == maxParts {
			return Manifest{}, foreign("size", "the dump has more than %d parts", maxParts)
		}
		e, err := d.classify(h)
		if err != nil {
			return Manifest{}, err
		}
		d.parts = append(d.parts, Part{Name: h.Name, Table: e.table.Name, Size: h.Size})
		if err := d.send(ctx, e, entries); err != nil {
			return Manifest{}, err
		}
	}
}

func (d *reader) manifest(h *tar.Header) (m Manifest, err error) {
	if h.Size > maxManifest {
		return m, foreign("size", "the manifest has %d bytes, more than %d", h.Size, maxManifest)
	}
	if err := d.decode(&m); err != nil {
		return m, err
	}
	if _, err := d.tar.Next(); err == nil {
		return m, damaged("structure", "something follows the manifest")
	} else if !errors.Is(err, io.EOF) {
		return m, readFault(err)
	}
	return m, d.layers.end()
}

// send reads a part in pieces: one, if it is of rows.
func (d *reader) send(ctx context.Context, e entry, entries chan<- entry) error {
	e.part, e.first = len(d.parts)-1, true
	for left := e.size; ; e.first = false {
		var data []byte
		select {
		case data = <-d.hasher.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		n := min(left, bufferSize)
		if e.table.Name != "" {
			n = left
			data = slices.Grow(data, int(n))
		}
		data = data[:n]
		if _, err := io.ReadFull(d.tar, data); err != nil {
			return readFault(err)
		}
		left -= n
		e.data, e.last = data, left == 0
		select {
		case entries <- e:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if e.last {
			return nil
		}
	}
}

// classify says what an entry is, by its name. Names of any other form, and in
// any other order, are refused.
func (d *reader) classify(h *tar.Header) (entry, error) {
	e := entry{name: h.Name, size: h.Size}
	at, err := d.place(h.Name, &e)
	if err != nil {
		return e, err
	}
	if !d.at.before(at) {
		return e, damaged("structure", "part %.80q is not in its place", h.Name)
	}
	if e.table.Name != "" && h.Size > maxRows {
		return e, foreign("size", "part %.80q has %d bytes, more than %d", h.Name, h.Size, maxRows)
	}
	if d.left[e.table.Kind] || e.file == store.Archives && d.left[store.Archives] {
		return e, foreign("manifest", "part %.80q is there, and the options of the dump leave it out", h.Name)
	}
	if e.table.Name == "secrets" && !d.header.Secrets {
		return e, foreign("manifest", "part %.80q is there, and the header says that there are no secrets", h.Name)
	}
	d.at = at
	return e, nil
}

func (d *reader) place(name string, e *entry) (position, error) {
	bad := foreign("names", "a dump may not bring %.80q", name)
	folder, rest, _ := strings.Cut(name, "/")
	switch folder {
	case "config":
		index, number, ok := rows(rest, store.ConfigTables(), e)
		if !ok {
			return position{}, bad
		}
		return position{section: inConfig, table: index, number: number}, nil
	case "events":
		day, rest, _ := strings.Cut(rest, "/")
		index, number, ok := rows(rest, store.EventTables(), e)
		if at, err := time.Parse(time.DateOnly, day); !ok || err != nil || at.Format(time.DateOnly) != day {
			return position{}, bad
		}
		e.table.Day = day
		return position{section: inEvents, dayName: day, table: index, number: number}, nil
	case "files":
		if !fs.ValidPath(rest) || rest == "." || strings.HasPrefix(path.Base(rest), ".") || strings.ContainsRune(rest, 0) {
			return position{}, bad
		}
		e.file, e.name = store.Config, rest
		return position{section: inFiles}, nil
	case "archives":
		if !fs.ValidPath(rest) || rest != path.Base(rest) || strings.HasPrefix(rest, ".") {
			return position{}, bad
		}
		e.file, e.name = store.Archives, rest
		return position{section: inArchives}, nil
	}
	return position{}, bad
}

// rows reads TABLE/NNNN.jsonl.
func rows(name string, tables []store.Table, e *entry) (index, number int, ok bool) {
	table, file, _ := strings.Cut(name, "/")
	index = slices.IndexFunc(tables, func(t store.Table) bool { return t.Name == table })
	if index < 0 {
		return 0, 0, false
	}
	e.table = tables[index]
	if _, err := fmt.Sscanf(file, "%d.jsonl", &number); err != nil || number < 1 || fmt.Sprintf("%04d.jsonl", number) != file {
		return 0, 0, false
	}
	return index, number, true
}

// before says whether a part may follow another one: the next of the same table,
// the first of a later one, or a file.
func (p position) before(q position) bool {
	switch {
	case p.section != q.section:
		return p.section < q.section && q.number <= 1
	case p.section >= inFiles:
		return true // the same name twice is found when it is made
	case p.dayName != q.dayName:
		return p.dayName < q.dayName && q.number == 1
	case p.table != q.table:
		return p.table < q.table && q.number == 1
	}
	return q.number == p.number+1
}
