// Package healthlog is a gateway's log of HTTP health checks: a ring of the last Size
// entries in one file, a JSON object a line, the oldest first. The gateway writes it,
// whoever may read files reads it.
package healthlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/ownership"
)

// Size is how many entries the log keeps.
const Size = 3000

// slack is how many more the file may hold until it is written anew.
const slack = 500

// Entry is one health check.
type Entry struct {
	Time    time.Time      `json:"time"`
	Probe   bool           `json:"probe"`           // the gateway asked itself
	Client  netip.AddrPort `json:"client,omitzero"` // the path: who asked,
	Gateway netip.AddrPort `json:"gateway"`         // where,
	Server  netip.AddrPort `json:"server,omitzero"` // and which server answered
	URL     string         `json:"url"`
	Status  int            `json:"status"` // 0: no answer
}

// Log is a log that is written.
type Log struct {
	path string
	mode fs.FileMode

	mu    sync.Mutex
	ring  [][]byte // lines in the file, at most Size of them
	lines int      // in the file
	file  *os.File
}

// Open opens the log at path for its only writer.
func Open(path string) (*Log, error) {
	l := &Log{path: path}
	var err error
	if l.mode, err = ownership.FileMode(filepath.Dir(path)); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range bytes.Lines(data) {
		if json.Valid(line) && bytes.HasSuffix(line, []byte("\n")) {
			l.keep(bytes.Clone(line))
		}
	}
	return l, l.rewrite()
}

func (l *Log) keep(line []byte) {
	if l.ring = append(l.ring, line); len(l.ring) > Size {
		l.ring = l.ring[1:]
	}
}

// rewrite makes the file hold the ring alone.
func (l *Log) rewrite() error {
	if err := atomicfile.Write(l.path, bytes.Join(l.ring, nil), l.mode); err != nil {
		return err
	}
	if l.file != nil {
		l.file.Close()
	}
	var err error
	l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND, 0)
	l.lines = len(l.ring)
	return err
}

// Add adds an entry. A disk that takes none costs the entry alone.
func (l *Log) Add(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(line)
	if l.lines++; l.lines > Size+slack {
		return l.rewrite()
	}
	_, err = l.file.Write(line)
	return err
}

// Close closes the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}

// Read returns the last entries of the log at path, at most most of them, the oldest
// first. No log is no entries.
func Read(path string, most int) ([]Entry, error) {
	file, err := ownership.OpenShared(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var list []Entry
	lines := bufio.NewScanner(io.LimitReader(file, maxFile))
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			list = append(list, e)
		}
	}
	return list[max(0, len(list)-min(most, Size)):], lines.Err()
}

// maxFile bounds what a reader takes in, in bytes.
const maxFile = 16 << 20
