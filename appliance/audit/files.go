package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"golang.org/x/sys/unix"
)

// A file is named after its first record, so that names sort as records do.
func nameOf(seq uint64) string { return fmt.Sprintf("%020d.jsonl", seq) }

var fileName = regexp.MustCompile(`^[0-9]{20}\.jsonl$`)

// files are the names of the log's files, the oldest first.
func files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if fileName.MatchString(e.Name()) && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func openFile(dir, name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// tail is what a file holds, or the end of it when it is larger than the log
// makes them.
func tail(dir, name string) ([]byte, error) {
	file, err := openFile(dir, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, info.Size()-maxFile)
	return io.ReadAll(io.NewSectionReader(file, from, maxFile))
}

// end finds the last record, and what stands behind it in the last file.
func end(dir string, names []string) (last Head, torn []byte, err error) {
	for i := len(names) - 1; i >= 0; i-- {
		data, err := tail(dir, names[i])
		if err != nil {
			return Head{}, nil, err
		}
		last, behind := lastRecord(data)
		if i == len(names)-1 {
			torn = data[behind:]
		}
		if last.Seq > 0 {
			return last, torn, nil
		}
	}
	return Head{}, torn, nil
}

// lastRecord is the last whole record in data, and where it ends.
func lastRecord(data []byte) (Head, int) {
	for stop := bytes.LastIndexByte(data, '\n'); stop >= 0; {
		start := bytes.LastIndexByte(data[:stop], '\n') + 1
		if r, err := ReadRecord(data[start:stop]); err == nil {
			return Head{r.Seq, r.Hash}, stop + 1
		}
		stop = start - 1
	}
	return Head{}, 0
}

// roll begins a new file, and removes the oldest ones when all are too large.
func (l *Log) roll() error {
	if err := l.drop(); err != nil {
		return err
	}
	if err := l.create(); err != nil {
		return err
	}
	names, err := files(l.dir)
	if err != nil {
		return err
	}
	doomed, err := l.doomed(names)
	if err != nil || doomed == 0 {
		return err
	}
	upto, err := before(l.dir, names[doomed])
	if err != nil {
		return err
	}
	// First the record: a file that is still there does no harm.
	note := fmt.Sprintf("the oldest records made room, %d files", doomed)
	if _, err := l.put([]*entry{{record: Record{Event: Removed, Note: note, Upto: &upto}}}); err != nil {
		return err
	}
	for _, name := range names[:doomed] {
		err = errors.Join(err, os.Remove(filepath.Join(l.dir, name)))
	}
	return err
}

// doomed is how many of the oldest files must go, so that the new one has
// room. The one before it stays.
func (l *Log) doomed(names []string) (int, error) {
	total := l.perFile
	n := len(names) - 1
	for ; n > 0; n-- {
		info, err := os.Lstat(filepath.Join(l.dir, names[n-1]))
		if err != nil {
			return 0, err
		}
		if total += info.Size(); total > l.keep && n < len(names)-1 {
			return n, nil
		}
	}
	return 0, nil
}

// before is the record that the first one of a file follows.
func before(dir, name string) (Head, error) {
	data, err := tail(dir, name)
	if err != nil {
		return Head{}, err
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	r, err := ReadRecord(line)
	if errors.Is(err, errNoRecord) {
		return Head{}, nil // no excuse: the verifier names what is missing
	}
	return Head{r.Seq - 1, r.Prev}, nil
}

// openAll opens every file, so that none is removed under a reader.
func openAll(dir string) ([]*os.File, error) {
	for {
		names, err := files(dir)
		if err != nil {
			return nil, err
		}
		var all []*os.File
		for _, name := range names {
			file, openErr := openFile(dir, name)
			if err = openErr; err != nil {
				closeAll(all)
				break
			}
			all = append(all, file)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return all, err
		}
	}
}

func closeAll(all []*os.File) {
	for _, file := range all {
		file.Close()
	}
}
