package audit

import (
	"bytes"
	"errors"
	"io/fs"
	"iter"
)

// Newest walks the records from the last to the first, one file in memory at a
// time. A record that was changed comes with an error for which [Changed]
// holds; lines that are no records are passed over. Any other error is the last.
func Newest(dir string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		names, err := files(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(Record{}, err)
			return
		}
		for i := len(names) - 1; i >= 0; i-- {
			data, err := tail(dir, names[i])
			if errors.Is(err, fs.ErrNotExist) {
				return // it made room meanwhile
			}
			if err != nil {
				yield(Record{}, err)
				return
			}
			if !backwards(data, yield) {
				return
			}
		}
	}
}

func backwards(data []byte, yield func(Record, error) bool) bool {
	for stop := bytes.LastIndexByte(data, '\n'); stop >= 0; {
		start := bytes.LastIndexByte(data[:stop], '\n') + 1
		r, err := ReadRecord(data[start:stop])
		if !errors.Is(err, errNoRecord) && !yield(r, err) {
			return false
		}
		stop = start - 1
	}
	return true
}
