// Package audit is the log of who did what: one JSON line per record, each
// chained to the one before by SHA-256, in files that are only appended to.
//
// A record is on the disk when [Log.Append] returns. What a write that was cut
// off left behind stays there, and the next record says so. The oldest files go
// when the log grows too large, and a record says that, too. The chain has no
// secret: who may write the files can write all of it anew, which shows only
// against the heads that were sent to a [Witness].
package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance/atomicfile"
)

// Sizes of the log, in bytes.
const (
	perFile  = 4 << 20   // then a new file begins
	keep     = 128 << 20 // of all files together; the oldest go first
	perWrite = 1 << 20   // records of several commands that go to the disk together
	maxFile  = perFile + perWrite + MaxRecord
)

// Log appends. One process may do so at a time.
type Log struct {
	dir           string
	perFile, keep int64

	queue   sync.Mutex
	waiting []*entry

	pen  sync.Mutex
	file *os.File // nil: to be opened
	size int64
	head Head // the last record of the file
	seen Head // the last record that reached the disk
}

// entry is a record on its way to the disk.
type entry struct {
	record Record
	head   Head
	done   bool
	err    error
}

// New is the log in dir, which need not exist yet. Nothing is opened before
// the first record.
func New(dir string) *Log { return &Log{dir: dir, perFile: perFile, keep: keep} }

// Append writes records, at least one, and returns the place of the last when all are
// on the disk, which takes as long as for one. Time and what chains them are filled in.
// After an error the next call tries anew.
func (l *Log) Append(records ...Record) (Head, error) {
	entries := make([]*entry, len(records))
	for i, r := range records {
		entries[i] = &entry{record: r}
	}
	last := entries[len(entries)-1]
	l.queue.Lock()
	l.waiting = append(l.waiting, entries...)
	l.queue.Unlock()
	l.pen.Lock()
	defer l.pen.Unlock()
	for !last.done { // else who held the pen wrote them with his own
		l.write()
	}
	for _, e := range entries {
		if e.err != nil {
			return Head{}, fmt.Errorf("write the audit log: %w", e.err)
		}
	}
	return last.head, nil
}

// Head is the last record that is on the disk.
func (l *Log) Head() Head {
	l.pen.Lock()
	defer l.pen.Unlock()
	return l.seen
}

// Close closes the file.
func (l *Log) Close() error {
	l.pen.Lock()
	defer l.pen.Unlock()
	return l.drop()
}

// write writes what waits: a sync takes as long for many as for one.
func (l *Log) write() {
	err := l.ready()
	l.queue.Lock()
	batch := l.waiting
	l.queue.Unlock()
	n := 0
	if err == nil {
		n, err = l.put(batch)
	} else {
		n = len(batch)
	}
	for _, e := range batch[:n] {
		e.done = true
		if e.err == nil {
			e.err = err
		}
	}
	l.queue.Lock()
	l.waiting = l.waiting[n:]
	l.queue.Unlock()
}

// put appends entries until they are a full write, and says how many it took.
func (l *Log) put(batch []*entry) (int, error) {
	var lines []byte
	head, n := l.head, 0
	for n < len(batch) && len(lines) < perWrite {
		e := batch[n]
		n++
		e.record.Time = time.Now().UTC().Truncate(time.Millisecond)
		line, next, err := e.record.seal(head)
		if err != nil {
			e.err = err
			continue
		}
		lines = append(lines, line...)
		head, e.head = next, next
	}
	_, err := l.file.Write(lines)
	if err == nil {
		err = unix.Fdatasync(int(l.file.Fd()))
	}
	if err != nil {
		return n, errors.Join(err, l.drop())
	}
	l.size += int64(len(lines))
	l.head, l.seen = head, head
	l.noteHead()
	return n, nil
}

// noteHead keeps the head beside the files, so that a log that was cut short
// shows. It is not synced: one that is behind does no harm.
func (l *Log) noteHead() {
	file, err := os.OpenFile(headFile(l.dir), os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	defer file.Close()
	file.WriteAt([]byte(l.head.String()+"\n"), 0)
}

func headFile(dir string) string { return filepath.Join(dir, "head") }

// ready makes the file one that a record can be appended to.
func (l *Log) ready() error {
	if l.file != nil && !l.untouched() {
		l.drop()
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	if l.size >= l.perFile {
		return l.roll()
	}
	return nil
}

// untouched says whether the file is still the one that was left.
func (l *Log) untouched() bool {
	ours, err := l.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(l.file.Name())
	return err == nil && os.SameFile(ours, there) && there.Size() == l.size
}

func (l *Log) drop() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// open opens the last file, and says in a record what is wrong with its end.
func (l *Log) open() error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	names, err := files(l.dir)
	if err != nil {
		return err
	}
	found, torn, err := end(l.dir, names)
	if err != nil {
		return err
	}
	var r Record
	unended := len(torn) > 0
	if last, err := ReadRecord(torn); err == nil {
		found, torn, r.Note = Head{last.Seq, last.Hash}, nil, "the last line had no end"
	}
	if l.seen.Seq == 0 {
		if l.seen, err = readHead(l.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.Note = "the head that was kept beside the log cannot be read"
		}
	}
	l.head = found
	if len(names) == 0 {
		err = l.create()
	} else {
		err = l.use(filepath.Join(l.dir, names[len(names)-1]), 0)
	}
	if err != nil {
		return err
	}
	if seen := l.seen; seen.Seq > found.Seq || seen.Seq == found.Seq && seen != found {
		r.Lost = &seen
	}
	if len(torn) > 0 {
		r.Torn = &Torn{int64(len(torn)), sum(torn)}
	}
	if r.Torn == nil && r.Lost == nil && r.Note == "" {
		l.seen = found
		return nil
	}
	return l.repair(r, unended)
}

// use appends to the file at path from now on.
func (l *Log) use(path string, create int) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW|create, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.size = file, info.Size()
	return nil
}

// create begins the file that is named after the next record.
func (l *Log) create() error {
	if _, err := os.Lstat(headFile(l.dir)); errors.Is(err, fs.ErrNotExist) {
		if err := atomicfile.Write(headFile(l.dir), []byte(l.head.String()+"\n"), 0o600); err != nil {
			return err
		}
	}
	if err := l.use(filepath.Join(l.dir, nameOf(l.head.Seq+1)), os.O_CREATE|os.O_EXCL); err != nil {
		return err
	}
	return atomicfile.SyncDir(l.dir)
}

// repair ends the last line and says in a record what was found. Nothing is
// taken away.
func (l *Log) repair(r Record, unended bool) error {
	if unended {
		if _, err := l.file.Write([]byte("\n")); err != nil {
			return errors.Join(err, l.drop())
		}
		l.size++
	}
	r.Event = Repaired
	_, err := l.put([]*entry{{record: r}})
	return err
}
