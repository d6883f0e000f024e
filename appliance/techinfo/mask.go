package techinfo

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strconv"
)

const (
	// minSecret is the shortest secret that is searched for, in bytes: a shorter
	// one is part of too many innocent words.
	minSecret = 6
	// blockSize is how a long secret is searched for, in pieces of so many bytes,
	// so that lines of it are found as well as the whole. A multiple of 3, for base64.
	blockSize = 24
	// minPattern is what the search looks up at each byte.
	minPattern = 4
)

// masker overwrites secrets in what passes, byte for byte, so that sizes stay.
type masker struct {
	first    [1 << 12]uint64     // bit set: hash of the first four bytes of patterns
	patterns map[uint32][][]byte // by their first four bytes, the longest first
	longest  int
	found    int
}

// newMasker knows secrets in plain, as JSON, Go and URLs quote them, in hexadecimal
// of either case, and in base64 (standard and URL alphabet) wherever in an encoded
// text they begin.
func newMasker(secrets [][]byte) *masker {
	m := &masker{patterns: make(map[uint32][][]byte)}
	for _, s := range secrets {
		for _, block := range blocks(s) {
			m.learn(block)
			m.learn(unquoted(json.Marshal(string(block))))
			m.learn(unquoted(strconv.AppendQuote(nil, string(block)), nil))
			m.learn([]byte(url.QueryEscape(string(block))))
			m.learn([]byte(url.PathEscape(string(block))))
			m.learn([]byte(hex.EncodeToString(block)))
			m.learn(bytes.ToUpper([]byte(hex.EncodeToString(block))))
			for shift := range 3 {
				m.learn(within(base64.StdEncoding, block, shift))
				m.learn(within(base64.URLEncoding, block, shift))
			}
		}
	}
	for _, list := range m.patterns {
		slices.SortFunc(list, func(a, b []byte) int { return len(b) - len(a) })
	}
	return m
}

func unquoted(quoted []byte, _ error) []byte { return quoted[1 : len(quoted)-1] }

// blocks cuts a secret into what is searched for.
func blocks(secret []byte) [][]byte {
	var list [][]byte
	for line := range bytes.SplitSeq(secret, []byte("\n")) {
		if line = bytes.TrimSuffix(line, []byte("\r")); len(line) < minSecret || bytes.HasPrefix(line, []byte("-----")) {
			continue
		}
		for ; len(line) > 2*blockSize; line = line[blockSize:] {
			list = append(list, line[:blockSize])
		}
		list = append(list, line)
	}
	return list
}

// within is what is sure to be in a base64 text that has block behind shift other
// bytes: without the digits that its neighbours share.
func within(e *base64.Encoding, block []byte, shift int) []byte {
	encoded := []byte(e.WithPadding(base64.NoPadding).EncodeToString(slices.Concat(make([]byte, shift), block)))
	head := (shift*8 + 5) / 6
	tail := len(encoded)
	if (shift+len(block))%3 != 0 {
		tail--
	}
	return encoded[head:tail]
}

func (m *masker) learn(pattern []byte) {
	if len(pattern) < minSecret {
		return
	}
	key := binary.LittleEndian.Uint32(pattern)
	if slices.ContainsFunc(m.patterns[key], func(p []byte) bool { return bytes.Equal(p, pattern) }) {
		return
	}
	m.patterns[key] = append(m.patterns[key], pattern)
	h := hash(key)
	m.first[h>>6] |= 1 << (h & 63)
	m.longest = max(m.longest, len(pattern))
}

// hash is 18 bits of four bytes.
func hash(v uint32) uint32 { return v * 0x9E3779B1 >> 14 }

// mask overwrites in p what begins before limit, and returns how far p is done.
func (m *masker) mask(p []byte, limit int) int {
	i := 0
	for i < limit && i+minPattern <= len(p) {
		v := binary.LittleEndian.Uint32(p[i:])
		if h := hash(v); m.first[h>>6]&(1<<(h&63)) == 0 {
			i++
			continue
		}
		i += m.at(p[i:], v)
	}
	return max(i, limit)
}

// at overwrites the pattern that p begins with, and returns how many bytes it took.
func (m *masker) at(p []byte, first uint32) int {
	for _, pattern := range m.patterns[first] {
		if bytes.HasPrefix(p, pattern) {
			for j := range pattern {
				p[j] = '*'
			}
			m.found++
			return len(pattern)
		}
	}
	return 1
}

// maskSize is how much is searched at a time.
const maskSize = 1 << 20

// copy copies r to w, masked.
func (m *masker) copy(w io.Writer, r io.Reader) (written int64, err error) {
	buf := make([]byte, 0, maskSize+m.longest)
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		end := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !end {
			return written, err
		}
		limit := len(buf)
		if !end {
			limit -= m.longest // what begins behind may go on behind buf
		}
		done := m.mask(buf, limit)
		if _, err := w.Write(buf[:done]); err != nil {
			return written, err
		}
		written += int64(done)
		if end {
			return written, nil
		}
		buf = buf[:copy(buf[:cap(buf)], buf[done:])]
	}
}
