package shell

import (
	"context"
	"fmt"
	"io"
	"strings"

	"sealgate/control"
)

// input reads standard input where no line editor does: the lines of a script,
// a secret from a pipe. It never reads beyond what it is asked for, since the
// next byte may belong to the next secret or to another program.
type input struct {
	want chan struct{}
	got  chan inputByte
}

type inputByte struct {
	c   byte
	err error
}

// newInput starts reading r, one byte for each one wanted.
func newInput(r io.Reader) *input {
	in := &input{want: make(chan struct{}), got: make(chan inputByte, 1)}
	spawn(func() {
		var b [1]byte
		for range in.want {
			_, err := io.ReadFull(r, b[:])
			in.got <- inputByte{b[0], err}
		}
	})
	return in
}

// readByte gives up when ctx ends. The program is about to end then: the read
// that stands open is not used again.
func (in *input) readByte(ctx context.Context) (byte, error) {
	select {
	case in.want <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	select {
	case b := <-in.got:
		return b.c, b.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

var errLongLine = &Error{control.ExitUsage, "a line of standard input is too long",
	fmt.Sprintf("at most %d bytes are allowed", MaxLine)}

// readLine returns a line without its end. A last line may lack it.
func (in *input) readLine(ctx context.Context) (string, error) {
	var line []byte
	long := false
	for {
		c, err := in.readByte(ctx)
		if err == io.EOF && (len(line) > 0 || long) {
			break
		}
		if err != nil {
			return "", err
		}
		if c == '\n' {
			break
		}
		if long = long || len(line) > MaxLine; !long {
			line = append(line, c)
		}
	}
	if long {
		return "", errLongLine
	}
	return strings.TrimSuffix(string(line), "\r"), nil
}
