package seed

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/ownership"
	"sealgate/appliance/store"
)

// maxArchive is the largest archive file in bytes.
const maxArchive = 8 << 20

// archives writes archive files that compress as little as what is compressed
// already. Every fifth failed: it ends half-way, as such files do.
func (f *filler) archives(ctx context.Context) error {
	s := newStream(f.options.Seed, "archives")
	left := share(f.options.Scale, archiveShare)
	for n := 0; left > 0 || n < 5; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		size := min(int64(s.in(maxArchive/2, maxArchive)), max(left, 1024))
		if size > left/5 {
			size = max(left/5, 1024) // a small scale has some of each, too
		}
		if left < 4096 {
			size = max(left, 1024)
		}
		written, err := f.archive(ctx, s, n, size)
		if err != nil {
			return err
		}
		left -= written
	}
	return nil
}

func (f *filler) archive(ctx context.Context, s *stream, n int, size int64) (int64, error) {
	a := store.Archive{Status: store.ArchiveGood, Created: f.options.Base.Add(time.Duration(n) * time.Hour)}
	kind, mark := store.Archives, MarkArchive
	if n%5 == 4 {
		a.Status, a.Error = store.ArchiveFailed, fmt.Sprintf("cannot write after %d bytes: no space left on device", size)
		kind, mark = store.FailedArchives, MarkFailedArchive
	}
	a.ID = s.uuid(a.Created)
	a.Name = fmt.Sprintf("%s%05d_%s.gz", mark, n+1, a.Created.Format("20060102_150405"))
	var err error
	if a.Size, a.SHA256, err = writeArchive(filepath.Join(f.store.Archives(), a.Name), a, s, size); err != nil {
		return 0, err
	}
	if _, err := f.store.AddArchive(ctx, a); err != nil {
		return 0, err
	}
	f.made(kind, 1, a.Size)
	return a.Size, nil
}

// writeArchive writes a gzip file of random bytes with its own name in the header,
// without the end if the archive failed, and returns its size and checksum.
func writeArchive(path string, a store.Archive, s *stream, size int64) (written int64, sum string, err error) {
	mode, err := ownership.FileMode(filepath.Dir(path))
	if err != nil {
		return 0, "", err
	}
	file, err := atomicfile.Create(path, mode)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	hash := sha256.New()
	count := &counter{w: io.MultiWriter(file, hash)}
	z, err := gzip.NewWriterLevel(count, gzip.NoCompression)
	if err != nil {
		return 0, "", err
	}
	z.Name, z.ModTime = a.Name, a.Created
	if _, err := io.CopyN(z, s, size); err != nil {
		return 0, "", err
	}
	finish := z.Close
	if a.Status == store.ArchiveFailed {
		finish = z.Flush
	}
	if err := finish(); err != nil {
		return 0, "", err
	}
	return count.n, hex.EncodeToString(hash.Sum(nil)), file.Commit()
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
