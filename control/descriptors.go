package control

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Descriptors travel beside the first byte of a request (SCM_RIGHTS); the
// kernel drops those that come with any other byte.

// readRequest reads a connection's first frame, and no more than most
// descriptors with it, which are req's to close, on an error too.
func readRequest(conn net.Conn, req *Request, most int) error {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok || most == 0 {
		return readFrame(conn, MaxRequest, req)
	}
	first, oob := make([]byte, 1), make([]byte, syscall.CmsgSpace(4*most))
	n, oobn, flags, _, err := unixConn.ReadMsgUnix(first, oob)
	if err != nil {
		return err
	}
	files, err := filesIn(oob[:oobn])
	switch {
	case err != nil:
	case flags&syscall.MSG_CTRUNC != 0 || len(files) > most:
		err = errors.New("the request brings too many descriptors")
	default:
		err = readFrame(io.MultiReader(bytes.NewReader(first[:n]), conn), MaxRequest, req)
	}
	req.Files = files
	return err
}

func filesIn(oob []byte) (files []*os.File, err error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "descriptor"))
		}
	}
	return files, nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// writeRequest writes req and hands its files over.
func writeRequest(conn *net.UnixConn, req Request) error {
	if len(req.Files) == 0 {
		return writeFrame(conn, MaxRequest, req)
	}
	return writeFrame(&rightsWriter{conn, req.Files}, MaxRequest, req)
}

// rightsWriter sends files with the first byte of what is written.
type rightsWriter struct {
	conn  *net.UnixConn
	files []*os.File
}

func (w *rightsWriter) Write(p []byte) (int, error) {
	var fds []int
	for _, f := range w.files {
		fds = append(fds, int(f.Fd()))
	}
	if _, _, err := w.conn.WriteMsgUnix(p[:1], syscall.UnixRights(fds...), nil); err != nil {
		return 0, err
	}
	n, err := w.conn.Write(p[1:])
	return n + 1, err
}
