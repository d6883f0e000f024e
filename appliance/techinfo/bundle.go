package techinfo

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/klauspost/pgzip"

	"sealgate/appliance/ownership"
)

const (
	// gzipLevel is fast: logs shrink to a tenth at any level.
	gzipLevel  = 3
	gzipBlock  = 1 << 20
	gzipBlocks = 3
)

// ManifestName is the last file of a bundle.
const ManifestName = "manifest.json"

// Write writes a bundle about src to w. It is whole when Write returns without an
// error. progress is told how many bytes of the content are written.
func Write(ctx context.Context, src Source, o Options, w io.Writer, progress func(done, total int64)) (Manifest, error) {
	m := manifestOf(src, o, time.Now())
	items := gather(ctx, src, o, &m)
	err := m.write(ctx, src, items, w, progress)
	return m, err
}

// Content is a file that a caller has collected, and Name its path in a bundle.
type Content struct {
	Name string
	Data []byte
}

// Pack writes a bundle of what a caller has collected instead, by the same promises.
func Pack(ctx context.Context, src Source, contents []Content, notes []Note, w io.Writer, progress func(done, total int64)) (Manifest, error) {
	m := manifestOf(src, Options{}, time.Now())
	m.Notes = append(m.Notes, notes...)
	var items []item
	for _, c := range contents {
		items = append(items, item{name: c.Name, data: c.Data, size: int64(len(c.Data))})
	}
	err := m.write(ctx, src, items, w, progress)
	return m, err
}

func (m *Manifest) write(ctx context.Context, src Source, items []item, w io.Writer, progress func(done, total int64)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	gz, err := pgzip.NewWriterLevel(w, gzipLevel)
	if err != nil {
		return err
	}
	if err := gz.SetConcurrency(gzipBlock, gzipBlocks); err != nil {
		return err
	}
	b := bundle{ctx: ctx, tar: tar.NewWriter(gz), masker: newMasker(src.Secrets), manifest: m, progress: progress}
	err = b.write(items)
	return errors.Join(err, b.tar.Close(), gz.Close())
}

type bundle struct {
	ctx      context.Context
	tar      *tar.Writer
	masker   *masker
	manifest *Manifest

	done, total int64
	progress    func(done, total int64)
}

func (b *bundle) write(items []item) error {
	items = b.bounded(items)
	for _, i := range items {
		if err := b.file(i); err != nil {
			return err
		}
	}
	b.manifest.Masked = b.masker.found
	data, err := json.MarshalIndent(b.manifest, "", "  ")
	if err != nil {
		return err
	}
	// Notes repeat errors, which may repeat anything.
	var masked bytes.Buffer
	if _, err := b.masker.copy(&masked, bytes.NewReader(append(data, '\n'))); err != nil {
		return err
	}
	if err := b.header(ManifestName, int64(masked.Len())); err != nil {
		return err
	}
	_, err = b.tar.Write(masked.Bytes())
	return err
}

// bounded leaves out what is beyond the bound.
func (b *bundle) bounded(items []item) []item {
	var kept []item
	for _, i := range items {
		if b.total+i.size > MaxContent {
			b.manifest.Notes = append(b.manifest.Notes, Note{"bundle", fmt.Sprintf("%s, %d bytes, is left out: a bundle holds at most %d bytes", i.name, i.size, int64(MaxContent))})
			continue
		}
		b.total += i.size
		kept = append(kept, i)
	}
	return kept
}

func (b *bundle) header(name string, size int64) error {
	return b.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: b.manifest.Created, Format: tar.FormatPAX})
}

func (b *bundle) file(i item) error {
	content, err := i.open(zeros{})
	if err != nil {
		b.note(err)
		return nil
	}
	defer content.Close()
	if err := b.header(i.name, i.size); err != nil {
		return err
	}
	h := sha256.New()
	to := io.MultiWriter(b.tar, h, told{b})
	if i.seal != nil {
		_, err = io.Copy(to, content) // nobody finds anything in it
	} else {
		_, err = b.masker.copy(to, content)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", i.name, err)
	}
	if content.failed != nil {
		b.note(fmt.Errorf("%s ends in zeros: %w", i.name, content.failed))
	}
	b.manifest.Files = append(b.manifest.Files, File{i.name, i.size, hex.EncodeToString(h.Sum(nil))})
	return nil
}

func (b *bundle) note(err error) {
	b.manifest.Notes = append(b.manifest.Notes, Note{"bundle", err.Error()})
}

// content is what a file of a bundle holds, and its failed why reading ended early.
type content struct {
	io.Reader
	failed error
	close  []func() error
}

// Close closes what the content comes from.
func (c *content) Close() {
	for _, f := range c.close {
		_ = f() // it was only read
	}
}

// open is the content, of what was cut off since it was measured, or cannot be read, as
// many bytes of rest as are missing.
func (i item) open(rest io.Reader) (*content, error) {
	if i.path == "" {
		return &content{Reader: bytes.NewReader(i.data)}, nil
	}
	file, err := ownership.OpenShared(i.path)
	if err != nil {
		return nil, err
	}
	c := &content{}
	whole := io.MultiReader(readable{io.NewSectionReader(file, i.from, math.MaxInt64-i.from), c}, rest)
	if i.seal == nil {
		c.Reader = io.LimitReader(whole, i.size)
	} else {
		sealed := sealing(io.LimitReader(whole, i.plain), i.seal)
		c.Reader, c.close = sealed, append(c.close, sealed.Close)
	}
	c.close = append(c.close, file.Close)
	return c, nil
}

// readable is what can be read of a file. A disk that fails is what support looks for.
type readable struct {
	io.Reader
	of *content
}

func (r readable) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.of.failed, err = err, io.EOF
	}
	return n, err
}

// told tells progress, and ends when the bundle is cancelled.
type told struct{ *bundle }

func (t told) Write(p []byte) (int, error) {
	t.done += int64(len(p))
	t.progress(t.done, t.total)
	if t.ctx.Err() != nil {
		return 0, context.Cause(t.ctx)
	}
	return len(p), nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// reportedLog is how much of a log the report shows, in bytes.
const reportedLog = 16 << 10

// Report writes what a bundle would hold as text for a person: of each file the
// last 16 KiB.
func Report(ctx context.Context, src Source, o Options, w io.Writer) (Manifest, error) {
	m := manifestOf(src, o, time.Now())
	items := gather(ctx, src, o, &m)
	if ctx.Err() != nil {
		return m, context.Cause(ctx)
	}
	masker := newMasker(src.Secrets)
	for _, i := range items {
		if _, err := fmt.Fprintf(w, "== %s, %d bytes\n", i.name, i.size); err != nil {
			return m, err
		}
		if i.mute {
			if _, err := fmt.Fprintln(w, "(not shown)"); err != nil {
				return m, err
			}
			continue
		}
		if err := i.report(w, masker); err != nil {
			return m, err
		}
	}
	// Notes repeat errors, which may repeat anything.
	var notes bytes.Buffer
	for _, n := range m.Notes {
		fmt.Fprintf(&notes, "note: %s: %s\n", n.Collector, n.Text)
	}
	_, err := masker.copy(w, &notes)
	m.Masked = masker.found
	return m, err
}

func (i item) report(w io.Writer, m *masker) error {
	skipped := max(0, i.size-reportedLog)
	if skipped > 0 {
		i.from, i.data = i.from+skipped, i.data[min(int64(len(i.data)), skipped):]
		i.size = reportedLog
	}
	content, err := i.open(strings.NewReader(""))
	if err != nil {
		_, err = fmt.Fprintf(w, "%v\n", err)
		return err
	}
	defer content.Close()
	if skipped > 0 {
		fmt.Fprintf(w, "… the last %d bytes:\n", reportedLog)
	}
	last := lastByte{w: w}
	if _, err := m.copy(&last, content); err != nil {
		return err
	}
	if last.b != '\n' {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	if content.failed != nil {
		_, err = fmt.Fprintf(w, "(the rest cannot be read: %v)\n", content.failed)
	}
	return err
}

// lastByte remembers how a text ended.
type lastByte struct {
	w io.Writer
	b byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.b = p[len(p)-1]
	}
	return l.w.Write(p)
}
