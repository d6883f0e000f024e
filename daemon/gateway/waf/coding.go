package waf

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// codingOf is how a body was compressed, empty where it was not.
func codingOf(h http.Header) string {
	coding := strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ",")))
	if coding == "identity" {
		return ""
	}
	return coding
}

// unpack has the rules look at what a compressed body holds, up to the limit. What
// cannot be unpacked is unreadable, less what only lacks the end that was cut off. The
// rules look at it as it came, as servers do that do not know of codings.
func (t *transaction) unpack() {
	in, err := unpacked(t.coding, t.packed)
	piece := make([]byte, 32<<10)
	for err == nil && t.view.plain <= t.engine.limit {
		var n int
		n, err = in.Read(piece)
		t.tx.WriteRequestBody(piece[:min(int64(n), t.engine.limit-t.view.plain)])
		t.view.plain += int64(n)
	}
	if err != nil && err != io.EOF && !t.cut() {
		t.tx.WriteRequestBody(t.packed)
		t.tx.Unreadable()
	}
}

func unpacked(coding string, packed []byte) (io.Reader, error) {
	switch coding {
	case "gzip", "x-gzip":
		return gzip.NewReader(bytes.NewReader(packed))
	case "deflate": // of two readings, as servers take it
		if in, err := zlib.NewReader(bytes.NewReader(packed)); err == nil {
			return in, nil
		}
		return flate.NewReader(bytes.NewReader(packed)), nil
	}
	return nil, fmt.Errorf("the coding %q is not read", coding)
}
