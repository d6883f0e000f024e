package transfer

import (
	"io"
	"net"
)

// copyBuffer is how much of a file is read and written at once, in bytes. With more a server that is as fast as this
// side finds the data gone from the processor's cache; so it does with what sendfile would give it.
const copyBuffer = 256 << 10

// inBlocks is a connection to which a file is copied in larger pieces than the 32 KiB that net/http and the library of
// ftp take.
type inBlocks struct{ net.Conn }

func (c inBlocks) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{c.Conn}, r, make([]byte, copyBuffer))
}
