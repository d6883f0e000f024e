// Package disk knows how much of a file system an appliance may fill. A
// reserve stays free for records: exports and other bulk stop before it.
package disk

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
)

// Space is a file system's, in bytes.
type Space struct {
	Total   int64 `json:"total"`
	Free    int64 `json:"free"`    // for this process
	Reserve int64 `json:"reserve"` // kept for records
}

const (
	reserveShare = 20        // a twentieth of the file system,
	maxReserve   = 256 << 20 // at most this
)

// Of is the space of the file system that holds path.
func Of(path string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Space{}, fmt.Errorf("free space of %s: %w", path, err)
	}
	total := int64(s.Blocks) * s.Bsize
	return Space{
		Total:   total,
		Free:    int64(s.Bavail) * s.Bsize,
		Reserve: min(total/reserveShare, maxReserve),
	}, nil
}

// Room refuses who needs so many bytes of path's file system, where they would touch
// the reserve.
func Room(path string, need int64) error {
	s, err := Of(path)
	if err == nil && s.Free-need < s.Reserve {
		err = Full(path, s)
		if need > 0 {
			err = appliance.Faultf(roomHint, "%w, and %d KiB are needed", err, need>>10)
		}
	}
	return err
}

const roomHint = "make room: files list shows what lies here, files delete NAME deletes it"

// Full is what a writer gets when only the reserve is left.
func Full(path string, s Space) error {
	return appliance.Faultf(roomHint,
		"the disk of %s is full: %d KiB are free and %d KiB are kept for records", path, s.Free>>10, s.Reserve>>10)
}

// checkEvery bytes the space is asked for again.
const checkEvery = 8 << 20

// Writer writes to w, a file on path's file system, and stops before the
// reserve is touched.
func Writer(w io.Writer, path string) io.Writer { return &writer{w: w, path: path} }

type writer struct {
	w       io.Writer
	path    string
	checked int64 // bytes until the next check
}

func (w *writer) Write(p []byte) (int, error) {
	if w.checked -= int64(len(p)); w.checked < 0 {
		s, err := Of(w.path)
		if err != nil {
			return 0, err
		}
		if s.Free-int64(len(p)) < s.Reserve {
			return 0, Full(w.path, s)
		}
		w.checked = min(checkEvery, s.Free-s.Reserve-int64(len(p)))
	}
	return w.w.Write(p)
}
