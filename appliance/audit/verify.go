package audit

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Report is what [Verify] found. The log is whole when there are no findings.
type Report struct {
	Files    int       `json:"files"`
	Records  int       `json:"records"`
	First    uint64    `json:"first"` // record that is still there
	Last     Head      `json:"last"`
	Notes    []string  `json:"notes"`    // what is as it should be, and worth knowing
	Findings []Finding `json:"findings"` // at most 100
	More     int       `json:"more,omitempty"`
}

// Finding is one thing that is wrong.
type Finding struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // 0: the file as a whole
	Record uint64 `json:"record"` // by its place in the chain
	What   string `json:"what"`
}

const maxFindings = 100

func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: record %d %s", f.File, f.Record, f.What)
	}
	return fmt.Sprintf("%s line %d: record %d %s", f.File, f.Line, f.Record, f.What)
}

// Verify reads the log in dir from the first record to the last, a line in
// memory at a time. heads are what witnesses kept. The log may be written
// meanwhile. An error says that it could not be read.
func Verify(ctx context.Context, dir string, heads []Head) (Report, error) {
	v := verifier{heads: map[uint64]string{}, report: Report{Notes: []string{}, Findings: []Finding{}}}
	// Before the files: what is appended meanwhile is behind it.
	kept, keptErr := readHead(dir)
	for _, h := range heads {
		v.expect(h)
	}
	v.expect(kept)
	all, err := openAll(dir)
	if err != nil {
		return v.report, err
	}
	defer closeAll(all)
	for _, file := range all {
		if err := v.read(ctx, file); err != nil {
			return v.report, err
		}
	}
	v.finish()
	if keptErr != nil && v.report.Records > 0 {
		v.findIn("head", 0, v.last.Seq, "may not be the last: the head that is kept beside the log is gone or damaged")
	}
	return v.report, nil
}

type verifier struct {
	report Report
	heads  map[uint64]string // sequence number to hash, until it is met

	file     string
	line     int
	last     Head
	first    Head   // what the first record follows
	begins   string // the file of the first record
	excused  bool   // a record says that what is before the first was removed
	repaired int
	bad      *bad
}

// bad are lines that are no records, and may be what a cut write left.
type bad struct {
	file  string
	line  int
	hash  hash.Hash
	bytes int64
	ended bool // a line end is held back
}

func (v *verifier) findIn(file string, line int, record uint64, what string, args ...any) {
	if len(v.report.Findings) == maxFindings {
		v.report.More++
		return
	}
	v.report.Findings = append(v.report.Findings, Finding{file, line, record, fmt.Sprintf(what, args...)})
}

func (v *verifier) find(record uint64, what string, args ...any) {
	v.findIn(v.file, v.line, record, what, args...)
}

func (v *verifier) expect(h Head) {
	if h.Seq == 0 {
		return
	}
	if other, ok := v.heads[h.Seq]; ok && other != h.Hash {
		v.findIn("heads", 0, h.Seq, "has two different hashes")
		return
	}
	v.heads[h.Seq] = h.Hash
}

func (v *verifier) read(ctx context.Context, file *os.File) error {
	v.report.Files++
	v.file, v.line = filepath.Base(file.Name()), 0
	for r := bufio.NewReaderSize(file, MaxRecord+1); ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		raw, err := r.ReadSlice('\n')
		if len(raw) > 0 {
			v.line++
			v.take(raw)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// take takes a line with its end.
func (v *verifier) take(raw []byte) {
	n := len(raw) - 1
	if raw[n] != '\n' {
		v.spoil(raw)
		return
	}
	r, err := ReadRecord(raw[:n])
	if errors.Is(err, errNoRecord) {
		v.spoil(raw)
		return
	}
	v.report.Records++
	v.judge(&r)
	if err != nil {
		r.Seq = v.last.Seq + 1 // its number may have been changed as well
		v.find(r.Seq, "was changed: its hash does not fit its bytes")
	}
	v.order(r)
	v.witnessed(r)
	switch {
	case r.Event == Repaired && r.Lost != nil:
		v.find(r.Lost.Seq, "was gone or changed when the log was opened, says record %d", r.Seq)
	case r.Event == Removed && r.Upto != nil:
		v.excused = v.excused || *r.Upto == v.first
	}
}

func (v *verifier) spoil(raw []byte) {
	if v.bad == nil {
		v.bad = &bad{file: v.file, line: v.line, hash: sha256.New()}
	}
	v.bad.add(raw)
}

// add hashes all but the last line end, which is the repair's own.
func (b *bad) add(raw []byte) {
	if b.ended {
		b.hash.Write([]byte("\n"))
		b.bytes++
	}
	if b.ended = raw[len(raw)-1] == '\n'; b.ended {
		raw = raw[:len(raw)-1]
	}
	b.hash.Write(raw)
	b.bytes += int64(len(raw))
}

// judge says what the lines before r are, that are no records.
func (v *verifier) judge(r *Record) {
	b := v.bad
	if v.bad = nil; b == nil {
		return
	}
	if r.Event == Repaired && r.Torn != nil && b.ended && *r.Torn == (Torn{b.bytes, hex.EncodeToString(b.hash.Sum(nil))}) {
		v.repaired++
		return
	}
	v.findIn(b.file, b.line, v.last.Seq+1, "is damaged or cut short")
}

// order compares a record with the one before.
func (v *verifier) order(r Record) {
	next := v.last.Seq + 1
	switch {
	case v.report.First == 0:
		v.report.First, v.first, v.begins = r.Seq, Head{r.Seq - 1, r.Prev}, v.file
	case r.Seq < next:
		v.find(r.Seq, "stands behind record %d: it was moved, or inserted", v.last.Seq)
		return
	case r.Seq > next:
		v.find(next, "is missing%s", upto(next, r.Seq-1))
	case r.Prev != v.last.Hash:
		v.find(r.Seq, "does not follow record %d: one of the two was replaced or inserted", v.last.Seq)
	}
	v.last = Head{r.Seq, r.Hash}
}

func upto(from, to uint64) string {
	if from == to {
		return ""
	}
	return fmt.Sprintf(", as all up to %d are", to)
}

// witnessed compares a record with the heads.
func (v *verifier) witnessed(r Record) {
	if hash, ok := v.heads[r.Seq]; ok && hash != r.Hash {
		v.find(r.Seq, "is not the one whose hash was kept elsewhere")
	}
	delete(v.heads, r.Seq)
}

func (v *verifier) finish() {
	v.report.Last = v.last
	v.finishBad()
	v.finishFirst()
	var beyond []uint64
	for seq := range v.heads {
		if seq > v.last.Seq {
			beyond = append(beyond, seq)
		}
	}
	if len(beyond) > 0 {
		v.findIn(orLog(v.file), 0, v.last.Seq+1, "is missing%s: the end was cut off", upto(v.last.Seq+1, slices.Max(beyond)))
	}
	if v.repaired > 0 {
		v.note("%d writes were cut off, and records say so", v.repaired)
	}
}

func orLog(file string) string {
	if file == "" {
		return "the log"
	}
	return file
}

func (v *verifier) note(format string, args ...any) {
	v.report.Notes = append(v.report.Notes, fmt.Sprintf(format, args...))
}

// finishBad takes a last line that has no end: somebody writes it, or somebody
// was killed while he did.
func (v *verifier) finishBad() {
	b := v.bad
	switch {
	case b == nil:
	case b.file == v.file && b.line == v.line && !b.ended:
		v.note("the last line is not whole: it is being written, or its writer was killed")
	default:
		v.findIn(b.file, b.line, v.last.Seq+1, "is damaged or cut short")
	}
}

// finishFirst looks at what is before the first record.
func (v *verifier) finishFirst() {
	hash, sent := v.heads[v.first.Seq]
	switch {
	case v.report.First == 0:
	case sent && hash != v.first.Hash:
		v.findIn(v.begins, 0, v.first.Seq, "is not the one whose hash was kept elsewhere")
	case v.first == Head{0, genesis}:
	case v.excused:
		v.note("records up to %d made room, and a record says so", v.first.Seq)
	case v.first.Seq == 0:
		v.findIn(v.begins, 0, 1, "is not the first of a log")
	default:
		v.findIn(v.begins, 0, 1, "is missing%s, and no record says that they made room", upto(1, v.first.Seq))
	}
}
