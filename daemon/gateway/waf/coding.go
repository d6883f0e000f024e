package waf

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
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

// What servers may read as something else than what was packed.
var (
	errTrailing = errors.New("more comes after the packed text")
	errHeader   = errors.New("the header of gzip has texts of its own")
)

// unpack has the rules look at what a compressed body holds, up to the limit. What
// cannot be unpacked is unreadable, less what only lacks the end that was cut off. The
// rules look at it as it came, as servers do that do not know of codings.
func (t *transaction) unpack() {
	raw := bytes.NewReader(t.packed)
	in, odd, err := unpacked(t.coding, raw)
	piece := make([]byte, 32<<10)
	for err == nil && t.view.plain <= t.engine.limit {
		var n int
		n, err = in.Read(piece)
		t.write(piece[:min(int64(n), t.engine.limit-t.view.plain)])
		t.view.plain += int64(n)
		if z, ok := in.(*gzip.Reader); ok && err == io.EOF && raw.Len() > 0 {
			odd, err = errTrailing, z.Reset(raw) // servers read the first member, or all of them
			z.Multistream(false)
		}
	}
	more := t.view.length > int64(len(t.packed)) // than is looked at
	switch {
	case err == io.EOF && (more || raw.Len() > 0):
		odd = errTrailing
	case err == io.EOF, err == io.ErrUnexpectedEOF && more && in != nil:
	case err != nil:
		odd = err
	}
	if odd != nil {
		t.write(t.packed)
		t.unreadable()
	}
}

// unpacked reads what is packed; in is nil where that cannot be read at all, and odd
// is what is wrong with it all the same.
func unpacked(coding string, packed *bytes.Reader) (in io.Reader, odd, err error) {
	switch coding {
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, nil, err
		}
		z.Multistream(false)
		if len(z.Extra) > 0 || z.Name != "" || z.Comment != "" {
			odd = errHeader
		}
		return z, odd, nil
	case "deflate": // of two readings, as servers take it
		if in, err := zlib.NewReader(packed); err == nil {
			return in, nil, nil
		}
		packed.Seek(0, io.SeekStart)
		return flate.NewReader(packed), nil, nil
	}
	return nil, nil, fmt.Errorf("the coding %q is not read", coding)
}
