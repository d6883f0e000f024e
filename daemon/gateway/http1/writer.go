package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// writer answers one request. It is an http.ResponseWriter, an http.Flusher and an
// http.Hijacker.
type writer struct {
	c      *conn
	header http.Header
	status int  // 0: nothing was sent
	head   bool // of the request: no body follows
	old    bool // HTTP/1.0

	mu       sync.Mutex // 100 is sent by who reads the body
	chunked  bool
	left     int64 // of the announced length; -1: there is none
	close    bool  // the connection ends with this answer
	hijacked bool
	trailers []string
	err      error
}

func (w *writer) Header() http.Header { return w.header }

var errWroteTooMuch = errors.New("the answer is longer than its Content-Length")

// WriteHeader sends a status of 1xx at once. Others go with what follows.
func (w *writer) WriteHeader(status int) {
	if w.status != 0 || w.hijacked {
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.informational(status, w.header)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
	w.begin()
}

func (w *writer) informational(status int, header http.Header) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status != 0 || w.old {
		return nil
	}
	w.statusLine(status)
	for name, values := range header {
		writeField(w.c.bw, name, values)
	}
	w.c.bw.WriteString("\r\n")
	return w.c.flush()
}

func (w *writer) statusLine(status int) {
	bw := w.c.bw
	bw.WriteString("HTTP/1.1 ")
	var digits [3]byte
	bw.Write(strconv.AppendInt(digits[:0], int64(status), 10))
	bw.WriteByte(' ')
	bw.WriteString(http.StatusText(status))
	bw.WriteString("\r\n")
}

// begin writes the head of the answer.
func (w *writer) begin() {
	w.statusLine(w.status)
	w.left = -1
	bodyless := w.head || w.status == http.StatusNoContent || w.status == http.StatusNotModified || w.status < 200
	length := w.header["Content-Length"]
	if len(length) == 1 {
		if n, ok := decimal(length[0]); ok {
			w.left = n
		}
	}
	w.announced()
	bw := w.c.bw
	for name, values := range w.header {
		switch name {
		case "Connection", "Transfer-Encoding", "Keep-Alive", "Content-Length":
			continue
		case "Trailer":
			if w.old {
				continue
			}
		}
		if !strings.HasPrefix(name, http.TrailerPrefix) {
			writeField(bw, name, values)
		}
	}
	if w.header["Date"] == nil {
		bw.WriteString("Date: ")
		bw.Write(time.Now().UTC().AppendFormat(bw.AvailableBuffer(), http.TimeFormat))
		bw.WriteString("\r\n")
	}
	if w.status == http.StatusSwitchingProtocols {
		bw.WriteString("Connection: Upgrade\r\n\r\n")
		return
	}
	if w.left >= 0 && w.status != http.StatusNoContent {
		bw.WriteString("Content-Length: ")
		bw.WriteString(length[0])
		bw.WriteString("\r\n")
	}
	switch {
	case bodyless:
		w.left = 0
	case w.left >= 0:
	case w.old:
		w.close = true
	default:
		w.chunked = true
		bw.WriteString("Transfer-Encoding: chunked\r\n")
	}
	if w.c.srv.draining.Load() || hasOption(w.header["Connection"], "close") {
		w.close = true
	}
	switch {
	case w.close:
		bw.WriteString("Connection: close\r\n")
	case w.old:
		bw.WriteString("Connection: keep-alive\r\n")
	}
	bw.WriteString("\r\n")
}

// announced notes the trailer's names.
func (w *writer) announced() {
	for _, line := range w.header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			w.trailers = append(w.trailers, textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)))
		}
	}
	for _, name := range w.trailers {
		delete(w.header, name)
	}
}

// writeField leaves out what would end the field early: an answer is not split.
func writeField(bw *bufio.Writer, name string, values []string) {
	if !isToken(name) {
		return
	}
	for _, v := range values {
		if !validValue(v) {
			continue
		}
		bw.WriteString(name)
		bw.WriteString(": ")
		bw.WriteString(v)
		bw.WriteString("\r\n")
	}
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case w.hijacked:
		return 0, http.ErrHijacked
	case w.chunked:
		return w.chunk(p)
	case w.head || w.left == 0 && (w.status == http.StatusNoContent || w.status == http.StatusNotModified):
		return len(p), nil
	case w.left >= 0 && int64(len(p)) > w.left:
		return 0, errWroteTooMuch
	}
	if w.left > 0 {
		w.left -= int64(len(p))
	}
	n, err := w.c.write(p)
	w.err = err
	return n, err
}

func (w *writer) chunk(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var size [18]byte
	w.c.bw.Write(append(strconv.AppendInt(size[:0], int64(len(p)), 16), '\r', '\n'))
	n, err := w.c.write(p)
	if err == nil {
		_, err = w.c.bw.WriteString("\r\n")
	}
	w.err = err
	return n, err
}

// FlushError sends what was written.
func (w *writer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.err == nil && !w.hijacked {
		w.err = w.c.flush()
	}
	return w.err
}

func (w *writer) Flush() { w.FlushError() }

// finish ends the answer. It says whether the connection may carry another one.
func (w *writer) finish() bool {
	if w.status == 0 {
		w.header.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	}
	if w.chunked && w.err == nil {
		w.c.bw.WriteString("0\r\n")
		w.writeTrailers()
		w.c.bw.WriteString("\r\n")
	}
	if w.err == nil {
		w.err = w.c.flush()
	}
	return w.err == nil && !w.close && w.left <= 0
}

func (w *writer) writeTrailers() {
	for _, name := range slices.Compact(slices.Sorted(slices.Values(w.trailers))) {
		if !forbiddenTrailer[name] {
			writeField(w.c.bw, name, w.header[name])
		}
	}
	for key, values := range w.header {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok && !forbiddenTrailer[name] {
			writeField(w.c.bw, name, values)
		}
	}
}

// Hijack gives the connection away, with what was read of it already. The caller
// sends the answer.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.hijacked || w.c.bw.Buffered() > 0 && w.status == 0 {
		return nil, nil, errors.New("the connection is not free to be taken over")
	}
	if err := w.c.flush(); err != nil {
		return nil, nil, err
	}
	w.hijacked = true
	rest := bytes.Clone(w.c.buffered())
	w.c.consume(len(rest))
	w.c.giveBack()
	return w.c.Conn, bufio.NewReadWriter(bufio.NewReader(io.MultiReader(bytes.NewReader(rest), w.c.Conn)), bufio.NewWriter(w.c.Conn)), nil
}

// refuse answers a request that was not taken, in few words of ours.
func (c *conn) refuse(r *Refusal) {
	page := fmt.Sprintf("%d %s\r\n%s\r\n", r.Status, http.StatusText(r.Status), r.Reason)
	fmt.Fprintf(c.bw, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		r.Status, http.StatusText(r.Status), len(page), page)
	c.flush()
}
