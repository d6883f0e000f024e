package dump

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// FuzzReader reads whatever claims to be the tar of a dump: it ends, and what it
// hands out has names that are known and sizes that are bounded.
func FuzzReader(f *testing.F) {
	for format := 1; format <= Format; format++ {
		data, err := os.ReadFile(golden(format, ""))
		if err != nil {
			f.Fatal(err)
		}
		gz, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			f.Fatal(err)
		}
		var plain bytes.Buffer
		if _, err := plain.ReadFrom(gz); err != nil {
			f.Fatal(err)
		}
		f.Add(plain.Bytes())
	}
	for _, name := range []string{"files/../x", "config/objects/0001.jsonl", "events/2026-03-01/alerts/0001.jsonl", "archives/x", "manifest.json"} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		header := fmt.Appendf(nil, `{"format":1,"product":%q,"schema":{"config":1,"events":1}}`, product)
		for _, e := range []struct {
			name string
			data []byte
		}{{headerName, header}, {name, []byte("{}\n")}} {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.data))}); err != nil {
				f.Fatal(err)
			}
			w.Write(e.data)
		}
		w.Close()
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		var packed bytes.Buffer
		gz, _ := gzip.NewWriterLevel(&packed, gzip.NoCompression)
		gz.Write(plain)
		gz.Close()
		d, err := open(&packed, "")
		if err != nil {
			return
		}
		defer d.hasher.wait()
		entries := make(chan entry)
		ended := make(chan error, 1)
		go func() {
			m, err := d.run(context.Background(), entries)
			if err == nil {
				_, err = json.Marshal(m)
			}
			ended <- err
		}()
		for e := range entries {
			if (e.table.Name == "") == (e.file == "") || e.size > maxRows && e.table.Name != "" || len(e.data) > maxRows {
				t.Errorf("entry %+v", e)
			}
			d.hasher.work <- piece{e.data, e.last}
		}
		<-ended
	})
}
