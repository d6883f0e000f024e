package patch

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/anchor"
	"sealgate/appliance/atomicfile"
	"sealgate/appliance/disk"
)

// maxWindow bounds what a zstd stream may make the reader keep, in bytes.
const maxWindow = 32 << 20

// Room says whether the release and more bytes find room beside what is there.
func (p *Patch) Room(r Releases, more int64) error {
	if err := os.MkdirAll(r.dir(), 0o755); err != nil {
		return err
	}
	space, err := disk.Of(r.dir())
	if err != nil {
		return err
	}
	if need := p.Manifest.Unpacked() + more; space.Free-need < space.Reserve {
		return refused("make room: files list shows what lies here, files delete NAME deletes it",
			"the disk has too little room: it needs %d KiB, %d KiB are free and %d KiB are kept for records", need>>10, space.Free>>10, space.Reserve>>10)
	}
	return nil
}

// Place makes the folder of the release, which nothing runs from before it is
// activated. Killed at any instant it leaves the whole folder, or what the next
// one removes.
func (p *Patch) Place(ctx context.Context, r Releases, progress func(done, total int64)) error {
	if err := p.Fits(r); err != nil {
		return err
	}
	if err := p.Room(r, 0); err != nil {
		return err
	}
	if err := r.Tidy(); err != nil {
		return err
	}
	part := filepath.Join(r.dir(), "."+p.Manifest.To+atomicfile.Suffix)
	if err := os.Mkdir(part, 0o700); err != nil {
		return err
	}
	if err := p.Unpack(ctx, part, progress); err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	// Until here whoever runs can go back to what ran before.
	err := r.sweep(filepath.Base(part))
	if err == nil {
		err = errors.Join(os.Chmod(part, 0o755), os.Rename(part, r.folder(p.Manifest.To)), atomicfile.SyncDir(r.dir()))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	return r.raise(p.Key, p.Manifest)
}

// Unpack writes the files of the release into an empty folder, and has them on the
// disk.
func (p *Patch) Unpack(ctx context.Context, into string, progress func(done, total int64)) error {
	identities, err := p.trust.identities()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return err
	}
	defer root.Close()
	payload := bufio.NewReaderSize(p.payload(ctx, progress), pieceSize)
	plain, err := age.Decrypt(payload, identities...)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return refused("the vendor's file NAME"+identityEnding+" belongs in "+p.trust.Dir, "no identity here opens it")
	}
	if err != nil {
		return p.unreadable(err)
	}
	expanded, err := zstd.NewReader(plain, zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer expanded.Close()
	w := &unpacker{root: root, tar: tar.NewReader(expanded)}
	for _, f := range p.Manifest.Files {
		if err := w.file(f); err != nil {
			return p.unreadable(err)
		}
	}
	if err := w.end(expanded); err != nil {
		return p.unreadable(err)
	}
	return w.settle(into)
}

// unreadable words what a payload that was signed all the same ended with.
func (p *Patch) unreadable(err error) error {
	if errors.Is(err, ErrRefused) || errors.Is(err, context.Canceled) || errors.As(err, new(*fs.PathError)) || errors.Is(err, unix.ENOSPC) {
		return err
	}
	return refused("ask the vendor for another one", "its payload cannot be read: %w", err)
}

// unpacker writes files below root and nowhere else.
type unpacker struct {
	root  *os.Root
	tar   *tar.Reader
	files []*os.File // that are written and not on the disk yet
}

// maxOpen files wait for the disk at a time.
const maxOpen = 64

// file writes the next file, which must be f.
func (w *unpacker) file(f File) error {
	h, err := w.tar.Next()
	if err != nil {
		return err
	}
	if h.Typeflag != tar.TypeReg || h.Name != f.Name || h.Size != f.Size {
		return fmt.Errorf("it has %.80q, of type %q and %d bytes, in the place of %q", h.Name, string(h.Typeflag), h.Size, f.Name)
	}
	if err := w.root.MkdirAll(path.Dir(f.Name), 0o755); err != nil {
		return err
	}
	out, err := w.root.OpenFile(f.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w.files = append(w.files, out)
	sum := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(out, sum)}, w.tar, make([]byte, 256<<10)); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return fmt.Errorf("%q is not what was signed", f.Name)
	}
	if err := out.Chmod(fs.FileMode(f.Mode)); err != nil {
		return err
	}
	if len(w.files) < maxOpen {
		return nil
	}
	return w.sync()
}

// end says whether the payload ends where the manifest does.
func (w *unpacker) end(expanded io.Reader) error {
	if h, err := w.tar.Next(); err == nil {
		return fmt.Errorf("it has %.80q, which the manifest has not", h.Name)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	// What follows a tar's end is zeros, and few: the rest of its last record.
	const most = 64 << 10
	rest, err := io.ReadAll(io.LimitReader(expanded, most))
	if err != nil {
		return err
	}
	if len(rest) == most || len(bytes.Trim(rest, "\x00")) > 0 {
		return errors.New("something follows its files")
	}
	return nil
}

// sync has what was written on the disk.
func (w *unpacker) sync() error {
	var errs []error
	for _, f := range w.files {
		errs = append(errs, f.Sync(), f.Close())
	}
	w.files = nil
	return errors.Join(errs...)
}

// settle has all of it on the disk, folders too.
func (w *unpacker) settle(dir string) error {
	if err := w.sync(); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if path != dir { // the umask had its say
			err = os.Chmod(path, 0o755)
		}
		return errors.Join(err, atomicfile.SyncDir(path))
	})
}

const (
	identityEnding  = ".identity"
	maxIdentities   = 16
	maxIdentityFile = 4 << 10 // bytes
)

// identities reads the *.identity files beside the anchors.
func (t Trust) identities() ([]age.Identity, error) {
	names, err := filepath.Glob(filepath.Join(t.Dir, "*"+identityEnding))
	if err != nil {
		return nil, err
	}
	var list []age.Identity
	for _, name := range names[:min(len(names), maxIdentities)] {
		f, err := anchor.OpenOwned(name, 0, t.Owners)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(f, maxIdentityFile))
		f.Close()
		if err != nil {
			return nil, err
		}
		read, err := age.ParseIdentities(strings.NewReader(string(text)))
		if err != nil { // which may repeat the secret
			return nil, appliance.Faultf("sealmint patch keygen makes it", "%s is no identity of age", name)
		}
		list = append(list, read...)
	}
	if len(list) == 0 {
		return nil, refused("the vendor's file NAME"+identityEnding+" belongs in "+t.Dir, "no identity is here that opens it")
	}
	return list, nil
}
