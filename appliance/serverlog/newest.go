package serverlog

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Newest walks back from the newest line, without its line end. A file's
// lines are valid until the next one's come.
func (n Name) Newest(dir string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		names, err := n.Aside(dir)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				yield(nil, err)
			}
			return
		}
		for _, name := range slices.Backward(append(names, n.Current())) {
			data, err := read(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, line := range slices.Backward(bytes.Split(data, []byte("\n"))) {
				if len(line) > 0 && !yield(line, nil) {
					return
				}
			}
		}
	}
}

// read takes no more than a file has when nobody else writes here.
func read(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxFile))
}
