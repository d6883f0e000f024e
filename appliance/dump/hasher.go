package dump

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
	"time"

	"golang.org/x/crypto/blake2b"
)

// bufferSize is the size of the pieces that are read, written and hashed, and
// the most that rows of one part take. A tar wants sizes before contents, so a
// part of rows is held in memory.
const bufferSize = 2 << 20

// The algorithms that the parts of a dump may be hashed with. Hashing is most of
// a dump's work beside compression, and which of the two is faster depends on the
// processor's instructions: threefold either way.
var algorithms = []algorithm{{"sha256", sha256.New}, {"blake2b", newBLAKE2b}}

type algorithm struct {
	name string // in a manifest
	make func() hash.Hash
}

func newBLAKE2b() hash.Hash {
	h, _ := blake2b.New256(nil) // fails for keys alone
	return h
}

// fastest tries each on a little. It takes about a millisecond.
func fastest() algorithm {
	sample := make([]byte, 128<<10)
	best, least := algorithms[0], time.Duration(0)
	for i, a := range algorithms {
		h := a.make()
		begin := time.Now()
		h.Write(sample)
		if took := time.Since(begin); i == 0 || took < least {
			best, least = a, took
		}
	}
	return best
}

// hasher hashes parts beside everything else.
type hasher struct {
	algorithms []algorithm
	free       chan []byte // buffers; a writer may not have more than there are
	work       chan piece
	done       sync.WaitGroup
	sums       map[string][]string // by algorithm, of parts in their order; only after wait
	end        sync.Once
}

// piece is a part's bytes, or some of them.
type piece struct {
	data []byte
	last bool // of its part
}

func newHasher(a ...algorithm) *hasher {
	const buffers = 3 // one is read into, one waits, one is hashed
	h := &hasher{algorithms: a, sums: map[string][]string{}, free: make(chan []byte, buffers), work: make(chan piece, buffers)}
	for range buffers {
		h.free <- make([]byte, 0, bufferSize)
	}
	h.done.Go(h.run)
	return h
}

func (h *hasher) run() {
	hashes := make([]hash.Hash, len(h.algorithms))
	for i, a := range h.algorithms {
		hashes[i] = a.make()
	}
	for p := range h.work {
		for i, hash := range hashes {
			hash.Write(p.data)
			if p.last {
				name := h.algorithms[i].name
				h.sums[name] = append(h.sums[name], hex.EncodeToString(hash.Sum(nil)))
				hash.Reset()
			}
		}
		h.free <- p.data[:0]
	}
}

// wait ends the hasher and returns what it found.
func (h *hasher) wait() map[string][]string {
	h.end.Do(func() { close(h.work) })
	h.done.Wait()
	return h.sums
}
