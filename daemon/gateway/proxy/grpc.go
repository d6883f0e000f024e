package proxy

import (
	"encoding/binary"
	"io"
	"net/http"
	"strings"

	"sealgate/daemon/gateway/http1"
)

// isGRPC says whether a request is a call by gRPC, which is only spoken over HTTP/2. Its
// web form is none: servers get that as any other body.
func isGRPC(r *http.Request) bool {
	if r.ProtoMajor != 2 {
		return false
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+")
}

// messages is a body of gRPC. It is not judged, so it must be framed as messages are: who
// never asks for the type would read any form or JSON in it. What is in a message is the
// server's to check.
type messages struct {
	io.ReadCloser
	head []byte // of a message: whether it is compressed, and its length
	left uint32 // of the message that is under way
}

const messageHead = 1 + 4

var errNoGRPC = &http1.Refusal{Status: http.StatusBadRequest, Name: http1.MalformedRequest, Reason: "the body is none of gRPC"}

func (m *messages) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if !m.follow(p[:n]) {
		return 0, errNoGRPC
	}
	return n, err
}

// follow says whether what has come can go on as messages do.
func (m *messages) follow(p []byte) bool {
	for len(p) > 0 {
		if m.left > 0 {
			n := min(uint32(len(p)), m.left)
			p, m.left = p[n:], m.left-n
			continue
		}
		m.head, p = append(m.head, p[0]), p[1:]
		if m.head[0] > 1 {
			return false
		}
		if len(m.head) == messageHead {
			m.left, m.head = binary.BigEndian.Uint32(m.head[1:]), m.head[:0]
		}
	}
	return true
}
