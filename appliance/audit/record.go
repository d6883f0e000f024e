package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Event says what a record is about.
type Event string

// The events of the log's own room. Others may append events of their own.
const (
	Begin    Event = "begin"    // a command that changes something is about to run
	Command  Event = "command"  // a command ended
	Refused  Event = "refused"  // somebody without rights asked
	Start    Event = "start"    // of the daemon
	Stop     Event = "stop"     // of the daemon; missing when it was killed
	Repaired Event = "repaired" // the log was not as it had been left
	Removed  Event = "removed"  // the oldest files made room
)

// Record is one line. What is empty is left out of it.
type Record struct {
	Seq    uint64    `json:"seq"`  // 1, 2, 3, …
	Time   time.Time `json:"time"` // UTC, in milliseconds: when it was written
	Event  Event     `json:"event"`
	User   string    `json:"user,omitempty"`
	UID    *uint32   `json:"uid,omitempty"`
	Origin string    `json:"origin,omitempty"` // SSH_CONNECTION: the client's word
	Words  []string  `json:"words,omitempty"`  // secrets taken out
	Of     uint64    `json:"of,omitempty"`     // the record of this command's begin
	Exit   *int      `json:"exit,omitempty"`
	Error  string    `json:"error,omitempty"`
	Took   int64     `json:"took_ms,omitempty"`
	Note   string    `json:"note,omitempty"` // in words

	Torn *Torn `json:"torn,omitempty"` // repaired: what stands before this line and is no record
	Lost *Head `json:"lost,omitempty"` // repaired: a record that was on the disk once
	Upto *Head `json:"upto,omitempty"` // removed: the last record that is gone

	Prev string `json:"prev"` // the hash of the record before, zeros before the first
	Hash string `json:"-"`    // SHA-256 of the line up to the comma before "hash", in hexadecimal digits
}

// Torn is what a write that was cut off left behind.
type Torn struct {
	Bytes int64  `json:"bytes"`
	Sum   string `json:"sha256"`
}

// Head is a place in the chain. The zero value is before the first record.
type Head struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

// MaxRecord bounds a line, in bytes.
const MaxRecord = 64 << 10

var (
	genesis = strings.Repeat("0", 2*sha256.Size)

	errNoRecord = errors.New("no record")
	errChanged  = errors.New("the hash does not fit the record")
)

const (
	hashKey = `,"hash":"`
	hashEnd = `"}`
	hashLen = len(hashKey) + 2*sha256.Size + len(hashEnd)
)

// seal gives the record its place behind before, and returns its line.
func (r *Record) seal(before Head) ([]byte, Head, error) {
	r.Seq, r.Prev = before.Seq+1, before.Hash
	if before.Seq == 0 {
		r.Prev = genesis
	}
	line, err := json.Marshal(r)
	if err != nil {
		return nil, Head{}, err
	}
	line = line[:len(line)-1]
	r.Hash = sum(line)
	if len(line)+hashLen > MaxRecord {
		return nil, Head{}, fmt.Errorf("a record of %d bytes is too long for the audit log", len(line))
	}
	return append(line, hashKey+r.Hash+hashEnd+"\n"...), Head{r.Seq, r.Hash}, nil
}

// ReadRecord reads a line, without its end. When the line is a record whose
// hash does not fit, it returns the record and an error.
func ReadRecord(line []byte) (Record, error) {
	var r Record
	at := len(line) - hashLen
	if at < 0 || len(line) > MaxRecord || bytes.IndexByte(line, '\n') >= 0 || !bytes.HasPrefix(line[at:], []byte(hashKey)) || !bytes.HasSuffix(line, []byte(hashEnd)) {
		return r, errNoRecord
	}
	if json.Unmarshal(line, &r) != nil || r.Seq == 0 || !isSum(r.Prev) {
		return Record{}, errNoRecord
	}
	r.Hash = string(line[at+len(hashKey) : len(line)-len(hashEnd)])
	if sum(line[:at]) != r.Hash {
		return r, errChanged
	}
	return r, nil
}

// Changed says whether an error of [ReadRecord] or [Newest] is about a record
// that was changed.
func Changed(err error) bool { return errors.Is(err, errChanged) }

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func isSum(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && s == strings.ToLower(s)
}
