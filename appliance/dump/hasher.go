package dump

import (
	"encoding/hex"
	"golang.org/x/crypto/blake2b"
	"sync"
)

// bufferSize is the size of the pieces that are read, written and hashed, and
// the most that rows of one part take. A tar wants sizes before contents, so a
// part of rows is held in memory.
const bufferSize = 2 << 20

// hasher hashes parts beside everything else, with BLAKE2b-256: of all the work
// of a dump only compression takes more time, and SHA-256 takes three times as
// long where the processor has no instructions for it.
type hasher struct {
	free chan []byte // buffers; a writer may not have more than there are
	work chan piece
	done sync.WaitGroup
	sums []string // of parts, in their order; only after wait
	end  sync.Once
}

// piece is a part's bytes, or some of them.
type piece struct {
	data []byte
	last bool // of its part
}

func newHasher() *hasher {
	const buffers = 3 // one is read into, one waits, one is hashed
	h := &hasher{free: make(chan []byte, buffers), work: make(chan piece, buffers)}
	for range buffers {
		h.free <- make([]byte, 0, bufferSize)
	}
	h.done.Go(h.run)
	return h
}

func (h *hasher) run() {
	hash, _ := blake2b.New256(nil) // fails for keys alone
	for p := range h.work {
		hash.Write(p.data)
		if p.last {
			h.sums = append(h.sums, hex.EncodeToString(hash.Sum(nil)))
			hash.Reset()
		}
		h.free <- p.data[:0]
	}
}

// wait ends the hasher and returns what it found.
func (h *hasher) wait() []string {
	h.end.Do(func() { close(h.work) })
	h.done.Wait()
	return h.sums
}
