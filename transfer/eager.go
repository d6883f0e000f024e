package transfer

import "bufio"

// eagerBuffer is how much is read ahead, in bytes.
const eagerBuffer = 128 << 10

// eager is a connection that reads all that has come. TLS and SSH would fetch one record at a time, and its header
// before it.
type eager struct {
	*conn
	ahead *bufio.Reader
}

func readAhead(c *conn) *eager { return &eager{c, bufio.NewReaderSize(c, eagerBuffer)} }

func (e *eager) Read(p []byte) (int, error) { return e.ahead.Read(p) }
