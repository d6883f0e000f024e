package http1

import (
	"io"
	"net/http"
	"time"
)

// body is what follows a head. It reads no byte beyond its end.
type body struct {
	c        *conn
	left     int64 // of the body, or of the chunk
	chunked  bool
	first    bool // no chunk was read yet
	done     bool
	err      error
	expect   bool // 100 is owed before the first read
	taken    int64
	waited   time.Duration // for the client
	trailer  http.Header
	released bool // the exchange is over; late readers get an error
}

// Read gives what has come. A broken body is a *Refusal.
func (b *body) Read(p []byte) (int, error) {
	b.c.bodyMu.Lock()
	defer b.c.bodyMu.Unlock()
	switch {
	case b.released:
		return 0, http.ErrBodyReadAfterClose
	case b.err != nil:
		return 0, b.err
	case b.done:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := b.read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	if b.expect {
		b.expect = false
		if err := b.c.w.informational(http.StatusContinue, nil); err != nil {
			return 0, err
		}
	}
	if b.chunked && b.left == 0 {
		if err := b.nextChunk(); err != nil {
			return 0, err
		}
		if b.done {
			return 0, io.EOF
		}
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.c.readBody(p, b)
	b.left -= int64(n)
	b.taken += int64(n)
	if limit := b.c.limits.Body; limit > 0 && b.taken > limit {
		return 0, errTooLarge
	}
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	if b.left == 0 && !b.chunked {
		b.done = true
		return n, io.EOF
	}
	return n, nil
}

// maxChunkLine is the size of a chunk in hexadecimal digits and CRLF.
const maxChunkLine = 16 + 2

// nextChunk reads the line before a chunk, and the trailer behind the last one.
func (b *body) nextChunk() error {
	if !b.first {
		if err := b.crlf(); err != nil {
			return err
		}
	}
	b.first = false
	line, err := b.line(maxChunkLine)
	if err != nil {
		return err
	}
	size, err := chunkSize(line)
	if err != nil {
		return err
	}
	if b.left = size; size > 0 {
		return nil
	}
	return b.end()
}

// end reads the trailer.
func (b *body) end() error {
	var text []byte
	for {
		line, err := b.line(b.c.limits.Head - len(text))
		if err != nil {
			return err
		}
		text = append(text, line...)
		text = append(text, '\r', '\n')
		if len(line) == 0 {
			break
		}
	}
	sent := make(http.Header)
	if r := fields(sent, string(text), b.c.limits); r != nil {
		return r
	}
	for name, values := range sent {
		if forbiddenTrailer[name] {
			return errTrailer
		}
		if _, announced := b.trailer[name]; announced {
			b.trailer[name] = values
		}
	}
	b.done = true
	return nil
}

func (b *body) crlf() error {
	line, err := b.line(2)
	if err == nil && len(line) > 0 {
		return errChunk
	}
	return err
}

// line reads up to CRLF; limit counts both.
func (b *body) line(limit int) ([]byte, error) {
	for {
		have := b.c.buffered()
		for i, c := range have {
			switch {
			case c == '\n' && (i == 0 || have[i-1] != '\r'), c != '\n' && i > 0 && have[i-1] == '\r', i >= limit:
				return nil, lineFault(have[:i])
			case c == '\n':
				line := have[:i-1]
				b.c.consume(i + 1)
				return line, nil
			}
		}
		if err := b.c.fillBody(b); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

func lineFault(line []byte) error {
	for _, c := range line {
		if c == ';' {
			return errExt
		}
	}
	return errChunk
}

func chunkSize(line []byte) (int64, error) {
	if len(line) == 0 {
		return 0, errChunk
	}
	var n uint64
	for _, c := range line {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, lineFault(line)
		}
		if n >= 1<<58 {
			return 0, errChunk
		}
		n = n<<4 | uint64(c)
	}
	return int64(n), nil
}

// Close leaves the rest of the body to the connection.
func (b *body) Close() error { return nil }

// release makes the body unreadable, and says whether all of it was read. Somebody
// who still waits for a piece of it is woken.
func (b *body) release() (whole bool) {
	if !b.c.bodyMu.TryLock() {
		b.c.Conn.SetReadDeadline(time.Unix(1, 0))
		b.c.bodyMu.Lock()
	}
	defer b.c.bodyMu.Unlock()
	b.released = true
	return b.done
}

// maxDrain is how much of a body that nobody wants is read, so that the connection
// may go on.
const maxDrain = 256 << 10

// drain reads the rest, unless there is much of it or somebody else reads.
func (b *body) drain() {
	if !b.c.bodyMu.TryLock() {
		return
	}
	defer b.c.bodyMu.Unlock()
	if b.done || b.err != nil || b.expect || !b.chunked && b.left > maxDrain {
		return
	}
	buf := make([]byte, readSize)
	for total := 0; total < maxDrain && !b.done; {
		n, err := b.read(buf)
		if total += n; err != nil {
			return
		}
	}
}
