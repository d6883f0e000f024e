package control

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A frame is a big-endian 32-bit length and that many bytes of JSON.

// errFrameSize is what a frame over the reader's limit gives. Its bytes are
// never read, so a peer cannot make us hold them.
var errFrameSize = errors.New("frame is over the size limit")

func readFrame(r io.Reader, limit int, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if int64(n) > int64(limit) {
		return fmt.Errorf("%w: %d bytes, at most %d", errFrameSize, n, limit)
	}
	// Grow with what really arrives: a length alone reserves nothing.
	body, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return err
	}
	if len(body) < int(n) {
		return io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(body, v); err != nil {
		return errors.New("frame is not the JSON that is expected here")
	}
	return nil
}

func writeFrame(w io.Writer, limit int, v any) error {
	frame := bytes.NewBuffer(make([]byte, 4, 512))
	e := json.NewEncoder(frame)
	e.SetEscapeHTML(false) // a line full of < must not grow sixfold
	if err := e.Encode(v); err != nil {
		return err
	}
	n := frame.Len() - 4
	if n > limit {
		return fmt.Errorf("%w: %d bytes, at most %d", errFrameSize, n, limit)
	}
	binary.BigEndian.PutUint32(frame.Bytes(), uint32(n))
	_, err := w.Write(frame.Bytes())
	return err
}
