// Package spool keeps records on the disk until somebody has taken them: a gateway's
// events while its management server is away.
//
// A record has a sequence number, 1, 2, 3, …. What Append has returned for survives
// the end of the process, however it ends, and a power cut after the next sync, once a
// second. What Read gives out survives both, so that within an epoch a number that was
// read never comes again with another record. An epoch ends when the numbers begin
// anew, because the spool was lost, or when its own name was. The spool is bounded: when it
// is full the oldest segment goes, its records are counted as dropped, and the reader sees
// the gap in the numbers. A record that the disk has damaged is never given out.
package spool

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sealgate/appliance/atomicfile"
	"sealgate/appliance/ownership"
)

// Options bound a spool.
type Options struct {
	Max     int64 // bytes of all segments; 0: 256 MiB
	Segment int64 // bytes of one; 0: 4 MiB
}

// MaxRecord bounds a record, in bytes.
const MaxRecord = 256 << 10

// Record is one record.
type Record struct {
	Sequence uint64
	Body     []byte
}

// Stats say how a spool is.
type Stats struct {
	Records int64  // that wait
	Bytes   int64  // of the segments
	Max     int64  // that Bytes are let grow to
	Next    uint64 // the next record's number
	Dropped uint64 // since it was opened: lost to the bound or to damage
}

// A segment is named after its first record. Each record in it is
//
//	length of the body   4 bytes, big-endian
//	CRC-32C              4 bytes, of what follows
//	sequence             8 bytes
//	body
const header = 16

// readSize is how much of a segment is read at a time; a record fits.
const readSize = 2 << 20

// Beside the segments: what the epoch is called, and up to where records were taken.
const (
	epochName = "epoch"
	takenName = "taken"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type segment struct {
	first   uint64
	records int64 // those that are whole
	size    int64
}

// place is where a reading ended: behind a record.
type place struct {
	sequence uint64
	first    uint64 // the segment
	offset   int64
}

// Spool is an open spool, for one process.
type Spool struct {
	dir     string
	options Options
	mode    fs.FileMode
	epoch   string

	syncing sync.Mutex // taken before mu

	mu       sync.Mutex
	segments []segment // the last one is written
	file     *os.File
	taken    *os.File // holds acked, for the next start
	next     uint64
	acked    uint64
	synced   uint64
	dropped  uint64
	read     place         // of the last reading: the next one begins there
	grown    chan struct{} // closed at the next record
	stop     chan struct{}
	stopped  sync.WaitGroup
	closed   bool
}

// Open opens the spool in dir, which it makes. Of a write that was cut off nothing
// stays.
func Open(dir string, options Options) (*Spool, error) {
	if options.Max == 0 {
		options.Max = 256 << 20
	}
	if options.Segment == 0 {
		options.Segment = 4 << 20
	}
	if err := os.Mkdir(dir, 0o770); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	s := &Spool{dir: dir, options: options, next: 1, grown: make(chan struct{}), stop: make(chan struct{})}
	var err error
	if s.mode, err = ownership.FileMode(dir); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if err := s.name(); err != nil {
		return nil, err
	}
	if err := s.recall(); err != nil {
		return nil, err
	}
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, s.taken.Close())
	}
	s.stopped.Go(s.keepSyncing)
	return s, nil
}

func (s *Spool) path(first uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%020d.seg", first))
}

// name finds the epoch's name, or begins an epoch.
func (s *Spool) name() error {
	path := filepath.Join(s.dir, epochName)
	have, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	id := make([]byte, 16)
	if n, err := hex.Decode(id, have[:min(len(have), 2*len(id))]); err == nil && n == len(id) && len(s.segments) > 0 {
		s.epoch = string(have[:2*n])
		return nil
	}
	rand.Read(id)
	s.epoch = hex.EncodeToString(id)
	if len(s.segments) == 0 { // else the numbers go on, and so does what was taken
		if err := os.Remove(filepath.Join(s.dir, takenName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return atomicfile.Write(path, []byte(s.epoch+"\n"), s.mode)
}

// recall reads up to where records were taken. What is damaged or lost costs sending
// some again.
func (s *Spool) recall() (err error) {
	s.taken, err = os.OpenFile(filepath.Join(s.dir, takenName), os.O_RDWR|os.O_CREATE, s.mode)
	if err != nil {
		return err
	}
	if err := s.taken.Chmod(s.mode); err != nil {
		return errors.Join(err, s.taken.Close())
	}
	text := make([]byte, 20)
	n, _ := s.taken.ReadAt(text, 0)
	if acked, err := strconv.ParseUint(string(text[:n]), 10, 64); err == nil && n == len(text) {
		s.acked = min(acked, s.next-1)
	}
	return nil
}

// Epoch names the spool for as long as its numbers go on.
func (s *Spool) Epoch() string { return s.epoch }

// load reads what is there.
func (s *Spool) load() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".seg")
		first, err := strconv.ParseUint(name, 10, 64)
		if !ok || err != nil || len(name) != 20 || !e.Type().IsRegular() {
			continue
		}
		s.segments = append(s.segments, segment{first: first})
	}
	slices.SortFunc(s.segments, func(a, b segment) int { return int(min(max(int64(a.first-b.first), -1), 1)) })
	for i := range s.segments {
		if err := s.loadSegment(&s.segments[i]); err != nil {
			return err
		}
	}
	s.synced = s.next - 1
	return nil
}

func (s *Spool) loadSegment(seg *segment) error {
	file, err := os.Open(s.path(seg.first))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Sync(); err != nil { // a process that was killed may have left it to the system
		return err
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	last := seg.first - 1
	seg.size = int64(parse(data, seg.first, func(r Record) bool {
		seg.records++
		last = r.Sequence
		return true
	}))
	if lost := int64(len(data)) - seg.size; lost > 0 {
		// Numbers of records that are damaged now may have been read before.
		last += uint64(lost/header) + 1
		s.dropped++
	}
	s.next = max(s.next, last+1)
	return nil
}

// begin makes a new segment for what comes. A damaged end of the one before stays
// there and is never read past.
func (s *Spool) begin() error {
	if n := len(s.segments); n > 0 && s.segments[n-1].first == s.next {
		s.segments = s.segments[:n-1] // it holds nothing
	}
	file, err := os.OpenFile(s.path(s.next), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, s.mode)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Chmod(s.mode), atomicfile.SyncDir(s.dir)); err != nil {
		file.Close()
		return err
	}
	if s.file != nil {
		if err := s.file.Sync(); err != nil {
			return errors.Join(err, file.Close())
		}
		s.synced = s.next - 1
		s.file.Close()
	}
	s.file = file
	s.segments = append(s.segments, segment{first: s.next})
	return nil
}

// Append adds a record and returns its number.
func (s *Spool) Append(body []byte) (uint64, error) {
	if len(body) > MaxRecord {
		return 0, fmt.Errorf("a record of %d bytes is too long for the spool", len(body))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, fs.ErrClosed
	}
	last := &s.segments[len(s.segments)-1]
	if last.size > 0 && last.size+int64(len(body)) > s.options.Segment {
		if err := s.begin(); err != nil {
			s.dropped++
			return 0, err
		}
		last = &s.segments[len(s.segments)-1]
	}
	record := make([]byte, header, header+len(body))
	binary.BigEndian.PutUint32(record, uint32(len(body)))
	binary.BigEndian.PutUint64(record[8:], s.next)
	record = append(record, body...)
	binary.BigEndian.PutUint32(record[4:], crc32.Checksum(record[8:], castagnoli))
	if _, err := s.file.Write(record); err != nil {
		// Part of it may be there: what follows needs a place of its own.
		s.dropped++
		s.next++
		return 0, errors.Join(err, s.file.Truncate(last.size), seekTo(s.file, last.size))
	}
	last.size += int64(len(record))
	last.records++
	sequence := s.next
	s.next++
	s.shrink()
	close(s.grown)
	s.grown = make(chan struct{})
	return sequence, nil
}

func seekTo(file *os.File, at int64) error {
	_, err := file.Seek(at, io.SeekStart)
	return err
}

// shrink removes the oldest segments until the rest fits.
func (s *Spool) shrink() {
	total := int64(0)
	for _, seg := range s.segments {
		total += seg.size
	}
	for total > s.options.Max && len(s.segments) > 1 {
		oldest := s.segments[0]
		end := s.segments[1].first - 1
		if end > s.acked {
			s.dropped += min(end-s.acked, uint64(oldest.records))
		}
		s.remove()
		total -= oldest.size
	}
}

// remove removes the oldest segment. One that cannot be removed is forgotten, and
// comes back at the next start.
func (s *Spool) remove() {
	os.Remove(s.path(s.segments[0].first))
	s.segments = slices.Delete(s.segments, 0, 1)
}

// Read returns records after a number, in order: at most most, and about two megabytes.
// None means that there is none yet; Grown tells of the next. Reading on where the
// last reading ended looks at nothing twice.
func (s *Spool) Read(after uint64, most int) ([]Record, error) {
	s.mu.Lock()
	fresh := after >= s.synced
	s.mu.Unlock()
	if fresh {
		if err := s.Sync(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	read, synced := s.read, s.synced
	var list []segment
	for i, seg := range s.segments {
		if i+1 == len(s.segments) || s.segments[i+1].first > after+1 {
			list = append(list, seg)
		}
	}
	s.mu.Unlock()
	for _, seg := range list {
		from := int64(0)
		if read.first == seg.first && read.sequence == after {
			from = read.offset
		}
		records, end, err := s.readSegment(seg, from, after, synced, most)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			return nil, err
		}
		if len(records) > 0 {
			s.mu.Lock()
			s.read = place{records[len(records)-1].Sequence, seg.first, end}
			s.mu.Unlock()
			return records, nil
		}
	}
	return nil, nil
}

// readSegment returns the first records of a segment, from an offset, with numbers
// after one and up to another, and where they end.
func (s *Spool) readSegment(seg segment, from int64, after, upto uint64, most int) (records []Record, end int64, err error) {
	file, err := os.Open(s.path(seg.first))
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	for from < seg.size && len(records) == 0 {
		data := make([]byte, min(seg.size-from, readSize))
		if _, err := file.ReadAt(data, from); err != nil {
			return nil, 0, err
		}
		n := parse(data, seg.first, func(r Record) bool {
			if r.Sequence > upto || len(records) == most {
				return false
			}
			if r.Sequence > after {
				records = append(records, r)
			}
			return true
		})
		if n == 0 {
			break // the disk has damaged it, or it is too new
		}
		from += int64(n)
	}
	return records, from, nil
}

// Grown is closed when there is a record after those that Read could see.
func (s *Spool) Grown() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grown
}

// parse gives each whole record to each, while that says true, and returns how many
// bytes they have. It ends at the first damage, and at a number below least.
func parse(data []byte, least uint64, each func(Record) bool) int {
	at := 0
	for at+header <= len(data) {
		n := int(binary.BigEndian.Uint32(data[at:]))
		end := at + header + n
		if n > MaxRecord || end > len(data) || crc32.Checksum(data[at+8:end], castagnoli) != binary.BigEndian.Uint32(data[at+4:]) {
			break
		}
		sequence := binary.BigEndian.Uint64(data[at+8:])
		if sequence < least || !each(Record{sequence, data[at+header : end]}) {
			break
		}
		least, at = sequence+1, end
	}
	return at
}

// Acknowledge lets go of the records up to a number. Segments that hold nothing else
// are removed.
func (s *Spool) Acknowledge(upto uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = max(s.acked, min(upto, s.next-1))
	s.taken.WriteAt(fmt.Appendf(nil, "%020d", s.acked), 0) // lost, it costs sending some again
	for len(s.segments) > 1 && s.segments[1].first <= s.acked+1 {
		s.remove()
	}
}

// Taken is up to which number the records were taken.
func (s *Spool) Taken() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked
}

// Stats say how the spool is.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := Stats{Next: s.next, Dropped: s.dropped, Max: s.options.Max}
	for _, seg := range s.segments {
		stats.Records += seg.records
		stats.Bytes += seg.size
	}
	if first := s.segments[0].first; s.acked >= first {
		stats.Records -= int64(s.acked - first + 1)
	}
	return stats
}

func (s *Spool) keepSyncing() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.Sync()
		}
	}
}

// Sync makes what was appended survive a power cut. Append goes on meanwhile.
func (s *Spool) Sync() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	file, upto, done := s.file, s.next-1, s.closed || s.synced == s.next-1
	s.mu.Unlock()
	if done {
		return nil
	}
	if err := file.Sync(); err != nil && !errors.Is(err, fs.ErrClosed) { // begin syncs what it closes
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = max(s.synced, upto)
	return nil
}

// Close syncs and closes the spool.
func (s *Spool) Close() error {
	err := s.Sync()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return err
	}
	s.closed = true
	close(s.stop)
	err = errors.Join(err, s.file.Close(), s.taken.Close())
	s.mu.Unlock()
	s.stopped.Wait()
	return err
}
