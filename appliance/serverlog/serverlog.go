// Package serverlog keeps the appliance's own logs: what the daemon, its role and
// its jobs report, as lines of JSON (log/slog) in HOME/log/server.log, and what the
// role was asked, in HOME/spool/access.log.
//
// A file of 8 MiB is put aside as NAME-TIME.log (UTC, to the microsecond) and a
// new one begins; the newest eight of those are kept. A log never holds up who
// writes to it for longer than the disk takes: what the disk does not take is dropped,
// and the next line that it takes says how many lines are missing. A line is cut at
// 64 KiB.
package serverlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance/ownership"
)

// Name is which log it is.
type Name string

// The logs.
const (
	Server Name = "server"
	Access Name = "access"
)

const (
	suffix    = ".log"
	asideTime = "20060102T150405.000000"

	maxFile  = 8 << 20 // bytes
	maxAside = 8       // files
	maxLine  = 64 << 10
)

// Log takes lines. It may be used concurrently.
type Log struct {
	name Name
	dir  string
	mode fs.FileMode

	mu      sync.Mutex
	file    *os.File
	size    int64
	closed  bool
	dropped int64
}

// Open opens the log in dir, which it makes. A line that a crash cut off is ended.
func (n Name) Open(dir string) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	mode, err := ownership.FileMode(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{name: n, dir: dir, mode: mode}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Log) open() error {
	file, err := os.OpenFile(filepath.Join(l.dir, l.name.Current()), os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, l.mode)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", file.Name())
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.size = file, info.Size()
	last := []byte{'\n'}
	if l.size > 0 {
		if _, err := file.ReadAt(last, l.size-1); err != nil {
			return err
		}
	}
	if last[0] == '\n' {
		return nil
	}
	n, err := file.Write([]byte{'\n'})
	l.size += int64(n)
	return err
}

// Write takes whole lines. It never fails: see the package.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := p; len(rest) > 0; {
		var lines []byte
		lines, rest = piece(rest)
		if l.size+int64(len(lines)) > maxFile {
			l.putAside()
		}
		if l.dropped > 0 {
			note := fmt.Appendf(nil, `{"time":%q,"level":"WARN","msg":"lines of this log were lost","lines":%d}`+"\n",
				time.Now().UTC().Format(time.RFC3339Nano), l.dropped)
			if l.append(note) {
				l.dropped = 0
			}
		}
		if !l.append(lines) {
			l.dropped += int64(bytes.Count(lines, []byte("\n")))
		}
	}
	return len(p), nil
}

// piece is the first lines of p, at most maxLine bytes. A line that is longer is cut.
func piece(p []byte) (lines, rest []byte) {
	if len(p) <= maxLine {
		return p, nil
	}
	if end := bytes.LastIndexByte(p[:maxLine], '\n'); end >= 0 {
		return p[:end+1], p[end+1:]
	}
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		end = len(p) - 1
	}
	return append(slices.Clone(p[:maxLine-1]), '\n'), p[end+1:]
}

// append keeps lines whole or not at all.
func (l *Log) append(line []byte) bool {
	if l.file == nil && (l.closed || l.open() != nil) {
		return false
	}
	n, err := l.file.Write(line)
	if err != nil {
		if n > 0 {
			_ = l.file.Truncate(l.size) // else Open ends it
		}
		return false
	}
	l.size += int64(n)
	return true
}

// putAside begins a new file. Where it cannot, the old one goes on.
func (l *Log) putAside() {
	aside := l.name.prefix() + time.Now().UTC().Format(asideTime) + suffix
	if unix.Renameat2(unix.AT_FDCWD, filepath.Join(l.dir, l.name.Current()), unix.AT_FDCWD, filepath.Join(l.dir, aside), unix.RENAME_NOREPLACE) != nil {
		return
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.size = nil, 0 // append opens it
	list, err := l.name.Aside(l.dir)
	if err != nil {
		return
	}
	for _, name := range list[:max(0, len(list)-maxAside)] {
		_ = os.Remove(filepath.Join(l.dir, name)) // again the next time
	}
}

// Close closes the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Current is the name of the file that is being written.
func (n Name) Current() string { return string(n) + suffix }

func (n Name) prefix() string { return string(n) + "-" }

// Aside lists the files that were put aside, the oldest first.
func (n Name) Aside(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, ok := n.TimeOf(e.Name()); ok && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// TimeOf is when a file was put aside: its last line is no younger.
func (n Name) TimeOf(name string) (time.Time, bool) {
	stamp, ok := strings.CutPrefix(name, n.prefix())
	if ok {
		stamp, ok = strings.CutSuffix(stamp, suffix)
	}
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(asideTime, stamp)
	return t, err == nil
}

// Tee is a writer of whole lines to the log and to console, whose errors nobody
// is told of.
func Tee(log *Log, console io.Writer) io.Writer { return tee{log, console} }

type tee struct {
	log     *Log
	console io.Writer
}

func (t tee) Write(p []byte) (int, error) {
	_, _ = t.console.Write(p)
	return t.log.Write(p)
}
