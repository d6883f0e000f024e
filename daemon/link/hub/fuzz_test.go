package hub

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sealgate/daemon/link"
)

// FuzzBatch reads batches of a gateway that means harm.
func FuzzBatch(f *testing.F) {
	record := `{"sequence":7,"record":{"kind":"violation","violation":{"id":"a","time":1,"gatewayName":"another"}}}` + "\n"
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, lines := range []string{record, record + record, strings.Replace(record, "7", "99", 1), strings.Replace(record, "violation", "rumour", 1),
		strings.Replace(record, `"a"`, `"a-gw2"`, 1),
		`{"sequence":8,"record":{"kind":"system","system":{"id":"a","time":1,"severity":"high","code":"server-down","text":"a\u001b[2J"}}}`,
		`{"sequence":8,"record":{"kind":"system"}}`, `{"sequence":8,"record":{"kind":"violation"}}`, "{", "\n\n", `{"sequence":-1}`} {
		f.Add(encoder.EncodeAll([]byte(lines), nil), "5", "10", strings.Repeat("e", 32))
	}
	f.Add([]byte("no zstd"), "1", "1", strings.Repeat("e", 32))
	f.Add([]byte{}, "2", "1", "")
	in := newIntake(nil, nil, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, body []byte, first, last, epoch string) {
		r := httptest.NewRequest(http.MethodPost, link.PathEvents, bytes.NewReader(body))
		r.Header = http.Header{link.HeaderFirst: {first}, link.HeaderLast: {last}, link.HeaderEpoch: {epoch}}
		d, err := in.read(r, "id", "gw1")
		if err != nil {
			return
		}
		before := uint64(0)
		for i, v := range d.Violations {
			if v.Sequence > d.Last || i > 0 && v.Sequence <= before {
				t.Errorf("number %d after %d, the last is %d", v.Sequence, before, d.Last)
			}
			if before = v.Sequence; v.Violation.Gateway != "gw1" || !validID.MatchString(v.Violation.ID) {
				t.Errorf("%+v", v.Violation)
			}
		}
		for _, e := range d.Events {
			if e.Source != "gw1" || !validID.MatchString(e.ID) || !validCode.MatchString(e.Code) || plain(e.Text, 500) != e.Text {
				t.Errorf("%+v", e)
			}
		}
	})
}

// Ids with a hyphen are given here, to what another gateway's violation would hide.
func TestAGatewayGivesPlainIDs(t *testing.T) {
	for id, want := range map[string]bool{"ABCDEFGHIJKLMNOP": true, "v1": true, "A-12": true, "": false, "A-gw2": false, "A-1-2": false, "A-": false, "A\u001b[2J": false, strings.Repeat("A", 65): false} {
		for _, record := range []string{`{"kind":"violation","violation":{"id":"` + id + `"}}`, `{"kind":"system","system":{"id":"` + id + `","severity":"low","code":"c"}}`} {
			e, ok := read([]byte(`{"sequence":7,"record":`+record+`}`), 1, 9)
			if ok = ok && new(delivery).add(e, "gw1"); ok != want {
				t.Errorf("id %q is taken: %v", id, ok)
			}
		}
	}
}

func TestBatchesAreBounded(t *testing.T) {
	long := `{"sequence":7,"record":{"kind":"violation","violation":{"id":"a","requestUrlPath":"` + strings.Repeat("x", maxLine) + `"}}}`
	if _, ok := read([]byte(long), 1, 9); ok {
		t.Error("a record that no spool takes is taken")
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	in := newIntake(nil, nil, slog.New(slog.DiscardHandler))
	for name, body := range map[string][]byte{
		"a bomb":     encoder.EncodeAll(make([]byte, link.MaxBatch+1), nil),
		"a long one": bytes.Repeat([]byte("x"), link.MaxBatch+1),
	} {
		r := httptest.NewRequest(http.MethodPost, link.PathEvents, bytes.NewReader(body))
		r.Header = http.Header{link.HeaderFirst: {"1"}, link.HeaderLast: {"2"}, link.HeaderEpoch: {strings.Repeat("e", 32)}}
		if _, err := in.read(r, "id", "gw1"); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
