package dump

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// forged is a dump that is written by hand. Its parts are those of a real one until
// a test changes them.
type forged struct {
	t        *testing.T
	header   map[string]any
	parts    []forgedPart
	manifest func(map[string]any) // changes it before it is written
	trailer  []byte               // behind the tar
	tail     []byte               // behind the gzip stream
}

type forgedPart struct {
	header tar.Header
	data   []byte
	rows   bool
}

// tinyDump is a dump of a tiny store, without the encryption.
func tinyDump(t *testing.T, o Options) []byte {
	t.Helper()
	_, data := export(t, tiny(t), o)
	if o.Passphrase == "" {
		return data
	}
	plain, err := io.ReadAll(decryptWith(t, data, o.Passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// sealedTo encrypts a dump.
func sealedTo(t *testing.T, plain []byte, passphrase string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := seal(&out, passphrase)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// forge takes a dump apart.
func forge(t *testing.T, data []byte) *forged {
	t.Helper()
	names, content := entries(t, bytes.NewReader(data))
	f := &forged{t: t}
	if err := json.Unmarshal(content[headerName], &f.header); err != nil {
		t.Fatal(err)
	}
	f.header["hash"] = "sha256" // whichever was faster
	for _, name := range names {
		if name != headerName && name != manifestName {
			f.add(name, content[name])
		}
	}
	return f
}

func (f *forged) add(name string, data []byte) *forgedPart {
	f.parts = append(f.parts, forgedPart{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600}, data, strings.HasSuffix(name, ".jsonl")})
	return &f.parts[len(f.parts)-1]
}

// insert puts a part in front of the first whose name begins with before.
func (f *forged) insert(before, name, data string) {
	f.add(name, []byte(data))
	last := f.parts[len(f.parts)-1]
	for i, p := range f.parts {
		if strings.HasPrefix(p.header.Name, before) {
			copy(f.parts[i+1:], f.parts[i:len(f.parts)-1])
			f.parts[i] = last
			return
		}
	}
}

func (f *forged) part(name string) *forgedPart {
	f.t.Helper()
	for i := range f.parts {
		if f.parts[i].header.Name == name {
			return &f.parts[i]
		}
	}
	f.t.Fatalf("there is no part %s", name)
	return nil
}

// replace changes a text in a part, which must hold it.
func (f *forged) replace(name, old, with string) {
	f.t.Helper()
	p := f.part(name)
	if !bytes.Contains(p.data, []byte(old)) {
		f.t.Fatalf("%s does not hold %s: %s", name, old, p.data)
	}
	p.data = bytes.ReplaceAll(p.data, []byte(old), []byte(with))
}

func (f *forged) drop(name string) {
	for i := range f.parts {
		if f.parts[i].header.Name == name {
			f.parts = append(f.parts[:i], f.parts[i+1:]...)
			return
		}
	}
}

// bytes is the dump, with a manifest that agrees with it.
func (f *forged) bytes() []byte {
	f.t.Helper()
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	w := tar.NewWriter(gz)
	put := func(h tar.Header, data []byte) {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(data))
		}
		if err := w.WriteHeader(&h); err != nil {
			f.t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(data); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	object := func(name string, v any) {
		data, err := json.Marshal(v)
		if err != nil {
			f.t.Fatal(err)
		}
		put(tar.Header{Typeflag: tar.TypeReg, Name: name}, data)
	}
	object(headerName, f.header)
	m := map[string]any{}
	for key, value := range f.header {
		m[key] = value
	}
	counts, list := map[string]int{}, []any{}
	for _, p := range f.parts {
		put(p.header, p.data)
		listed := map[string]any{"name": p.header.Name, "size": len(p.data), "sum": fmt.Sprintf("%x", sha256.Sum256(p.data))}
		if p.rows {
			levels := strings.Split(p.header.Name, "/")
			table, rows := levels[len(levels)-2], bytes.Count(p.data, []byte("\n"))
			listed["table"], listed["rows"] = table, rows
			counts[table] += rows
		}
		list = append(list, listed)
	}
	m["parts"], m["counts"] = list, counts
	if f.manifest != nil {
		f.manifest(m)
	}
	object(manifestName, m)
	if err := w.Flush(); err != nil {
		f.t.Fatal(err)
	}
	if f.trailer != nil {
		gz.Write(f.trailer)
	} else if err := w.Close(); err != nil {
		f.t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		f.t.Fatal(err)
	}
	out.Write(f.tail)
	return out.Bytes()
}

// alert is the line of one.
func alert(id string, day int) string {
	return fmt.Sprintf(`{"id":%q,"number":1,"time":%d}`+"\n", id, noon.AddDate(0, 0, day).UnixMilli())
}
