package seed

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// stream is a source of everything that varies. Each part of the data has its own,
// so that one part can change without the others.
type stream struct {
	*rand.Rand
	source *rand.ChaCha8
}

func newStream(seed uint64, part string) *stream {
	key := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, seed), part...))
	source := rand.NewChaCha8(key)
	return &stream{Rand: rand.New(source), source: source}
}

// Read fills p; it never fails.
func (s *stream) Read(p []byte) (int, error) { return s.source.Read(p) }

// pick chooses one of a list.
func pick[T any](s *stream, list []T) T { return list[s.IntN(len(list))] }

// in is a number from low to high, both included.
func (s *stream) in(low, high int) int { return low + s.IntN(high-low+1) }

// chance is true in percent of a hundred cases.
func (s *stream) chance(percent int) bool { return s.IntN(100) < percent }

// hex is n random hexadecimal digits.
func (s *stream) hex(n int) string {
	raw := make([]byte, n/2)
	s.source.Read(raw)
	return hex.EncodeToString(raw)
}

const tokenLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// token is n random letters of the URL-safe base64 alphabet.
func (s *stream) token(n int) string {
	raw := make([]byte, n)
	s.source.Read(raw)
	for i, b := range raw {
		raw[i] = tokenLetters[b&63]
	}
	return string(raw)
}

// uuid is an id of version 7 made at a time.
func (s *stream) uuid(at time.Time) string {
	var id uuid.UUID
	s.source.Read(id[6:])
	ms := uint64(at.UnixMilli())
	binary.BigEndian.PutUint16(id[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms))
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id.String()
}

// crowd chooses among n by Zipf's law: few very often, many seldom.
type crowd struct{ zipf *rand.Zipf }

func newCrowd(s *stream, n int) crowd {
	return crowd{rand.NewZipf(s.Rand, 1.2, 4, uint64(n-1))}
}

func (c crowd) next() int { return int(c.zipf.Uint64()) }
