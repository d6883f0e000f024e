package store

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var unusual = []string{
	``, `{}`, `null`, `[]`, `{"id":"x"}`, `{"id":"x"`, `{"id":"x",}`, ` {"id":"x"}`, `{"id":"x"} `, `{"id":"x"}{}`, `{"ID":"x"}`, `{"id":"x","id":"y"}`,
	`{"time":5,"id":"x"}`, `{"id":"x","time":1e3}`, `{"id":"x","time":01}`, `{"id":"x","time":-0}`, `{"id":"x","time":-12}`, `{"id":"x","time":9223372036854775808}`,
	`{"id":"x","time":null}`, `{"id":null,"time":1}`, `{"id":"\u00e9\n\"","time":1}`, `{"id":"\ud83d\ude00"}`, `{"id":"\ud83d"}`, `{"id":"\x"}`, `{"id":"\`, `{"id":"é日😀"}`, "{\"id\":\"\xff\"}", "{\"id\":\"a\nb\"}",
	"{\"id\":\"\u2028\ufffd\"}", `{"id":"x","unknown":[{"a":1}]}`, `{"id":5}`, `{"id":"x","headers":[["a","b"],["c","d\t"]],"responseHeaders":[]}`, `{"id":"x","headers":[["a"]]}`,
	`{"id":"x","service":"\t\/\b\f\r\u00c9","body":"\n\uD83D"}`, `{"id":"x","body":"\u00zz"}`, `{"id":"x","body":"\u+123"}`, `{"id":"x","body":"\v"}`, `{"id":"x","body":"\u12"}`,
	`{"id":"x","headers":[["a","b","c"]]}`, `{"id":"x","headers":null}`, `{"id":"x","status":200,"responseSize":5}`, `{"id":"x","sourcePort":70000,"destPort":-1}`,
}

// A row that is read by shape is the one that encoding/json reads, and what that
// refuses is refused.
func FuzzEventShape(f *testing.F) {
	for _, s := range unusual {
		f.Add(s)
	}
	for _, event := range []any{
		Alert{ID: "a", Number: 1, Time: 2, Severity: "high", Comment: "<ü>&\x00\u2028"}, Violation{ID: "v", Query: "q=' or 1=1"},
		AuditRecord{ID: "r", Headers: [][2]string{{"Host", "example.com"}, {"X", "ü\\\""}}, Parameters: [][2]string{{"a", ""}}, Status: 200},
	} {
		document, err := newEncoder().encode(event)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document string) {
		for kind, make := range events {
			fast, slow := make(), make()
			if !shapes[kind].read(document, reflect.ValueOf(fast).Elem()) {
				continue
			}
			if err := json.Unmarshal([]byte(document), slow); err != nil {
				t.Fatalf("%s: read by shape, and encoding/json says %v: %q", kind, err, document)
			}
			if diff := cmp.Diff(slow.row(document), fast.row(document), cmp.AllowUnexported(row{}, facet{})); diff != "" {
				t.Fatalf("%s: %q\n%s", kind, document, diff)
			}
		}
	})
}

var events = map[Kind]func() interface{ row(string) row }{
	Alerts:     func() interface{ row(string) row } { return new(Alert) },
	Violations: func() interface{ row(string) row } { return new(Violation) },
	Audit:      func() interface{ row(string) row } { return new(AuditRecord) },
}

// Our own documents are read by shape: an import would be slow without.
func TestOwnEventsHaveTheShape(t *testing.T) {
	for kind, event := range map[Kind]any{
		Alerts:     &Alert{ID: "a", Comment: "ü\n"},
		Violations: &Violation{ID: "v", User: "x", Query: "'\x00"},
		Audit:      &AuditRecord{ID: "r", Headers: [][2]string{{"a", "b"}}, ResponseHeaders: [][2]string{}, Body: "<é>"},
	} {
		document, err := newEncoder().encode(event)
		if err != nil {
			t.Fatal(err)
		}
		if !shapes[kind].read(document, reflect.New(reflect.TypeOf(event).Elem()).Elem()) {
			t.Errorf("%s is not read: %s", kind, document)
		}
	}
}
