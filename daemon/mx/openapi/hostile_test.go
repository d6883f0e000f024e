package openapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"sealgate/appliance/model"
	"sealgate/daemon/mx/openapi"
)

var fault = regexp.MustCompile(`^IMP-\d{5}$`)

// sane holds an answer to the contract, whatever was asked.
func (s *server) sane(method, target string, a answer) {
	s.t.Helper()
	switch a.status {
	case http.StatusOK:
		if a.body != "" && !json.Valid([]byte(a.body)) {
			s.t.Errorf("%s %q: 200 with %q, which is no JSON", method, target, a.body)
		}
	case http.StatusNotAcceptable:
		var body struct {
			Errors []struct {
				Code string `json:"error-code"`
				Text string `json:"description"`
			} `json:"errors"`
		}
		if err := json.Unmarshal([]byte(a.body), &body); err != nil || len(body.Errors) == 0 || !utf8.ValidString(a.body) {
			s.t.Fatalf("%s %q: 406 with %q", method, target, a.body)
		}
		for _, e := range body.Errors {
			if !fault.MatchString(e.Code) || e.Text == "" || e.Code == "IMP-10007" || strings.Contains(e.Text, "goroutine") {
				s.t.Errorf("%s %q: %s %s\n%s", method, target, e.Code, e.Text, s.log)
			}
		}
	case http.StatusUnauthorized, http.StatusNotFound:
	default:
		s.t.Errorf("%s %q: status %d %s", method, target, a.status, a.body)
	}
}

// generator makes requests that nobody should send.
type generator struct{ *rand.Rand }

func pick[T any](g generator, list ...T) T { return list[g.IntN(len(list))] }

func (g generator) text() string {
	return pick(g, "", "x", "Web", "Shop", model.DefaultSite, model.DefaultApp, model.DefaultGroupName, target, "443", "-1", "99999999999999999999", "1e400", "0x10",
		"10.0.0.1", "::1", "..", "%00", "\xff\xfe", "\u0000", "\u202e\u200b", strings.Repeat("long", 3000), "SQL Injection", "<script>", "'; DROP TABLE objects; --", "null", "true",
		"((((((((", strings.Repeat("(", 2000), "{{7*7}}", "a,b,,", "80,443,80", "7")
}

// json is a body, more or less that of fields.
func (g generator) json(fields []model.Field, depth int) string {
	switch g.IntN(12) {
	case 0:
		return pick(g, "", "{", "[]", "null", "{}{}", "\xff", `"`, `{"a":1,"a":2}`, strings.Repeat("[", 5000), strings.Repeat(`{"a":`, 2000), "\ufeff{}", "NaN", "1e999999")
	case 1:
		return g.scalar()
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, f := range fields {
		if g.IntN(4) == 0 {
			continue
		}
		if i > 0 && b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%s", encode(f.Name), g.value(f, depth))
		if g.IntN(40) == 0 {
			fmt.Fprintf(&b, ",%s:null", encode(f.Name))
		}
	}
	if g.IntN(5) == 0 && b.Len() > 1 {
		fmt.Fprintf(&b, ",%s:%s", encode(g.text()), g.scalar())
	}
	b.WriteByte('}')
	return b.String()
}

func (g generator) scalar() string {
	return pick(g, "null", "true", "0", "-1", "80", "65536", "1e3", "1e400", "99999999999999999999999999999", "3.5", `"\ud800"`, "[]", "{}", "[[]]", `[null]`, `{"":null}`,
		encode(g.text()), encode(g.text()), encode(g.text()))
}

func (g generator) value(f model.Field, depth int) string {
	if depth > 6 || g.IntN(4) == 0 {
		return g.scalar()
	}
	switch f.Type {
	case model.List:
		entries := make([]string, g.IntN(4))
		for i := range entries {
			entries[i] = g.value(*f.Of, depth+1)
		}
		return "[" + strings.Join(entries, ",") + "]"
	case model.Record, model.Place:
		return g.json(append(f.Fields, model.Field{Name: "operation", OneOf: []string{"add", "update", "remove"}}), depth+1)
	case model.Map:
		return fmt.Sprintf("{%s:%s}", encode(g.text()), g.value(*f.Of, depth+1))
	default:
		if len(f.OneOf) > 0 {
			return encode(pick(g, f.OneOf...))
		}
		return g.scalar()
	}
}

func (g generator) path(p string) string {
	segments := strings.Split(strings.TrimPrefix(p, "/"), "/")
	for i, segment := range segments {
		name := strings.Trim(segment, "{}")
		switch {
		case name == segment:
		case g.IntN(4) > 0 && vars[name] != "":
			segments[i] = url.PathEscape(vars[name])
		default:
			segments[i] = url.PathEscape(g.text())
		}
	}
	if g.IntN(30) == 0 {
		segments = append(segments, url.PathEscape(g.text()))
	}
	return "/" + strings.Join(segments, "/")
}

// Whatever is sent to whatever resource, the answer is 200, 401, 404 or 406 with a
// code and a sentence.
func TestHostileRequests(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 2
	}
	s := furnished(t)
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range rounds {
		for _, op := range s.api.Operations() {
			method := op.Method
			if g.IntN(20) == 0 {
				method = pick(g, "HEAD", "PATCH", "OPTIONS", "TRACE", "BREW", "GET", "POST", "PUT", "DELETE")
			}
			if strings.HasSuffix(op.Path, "/connectivityStatus") {
				continue // it would knock at strangers' doors
			}
			if method == "DELETE" && g.IntN(3) > 0 {
				continue // something should be left
			}
			s.user = pick(g, "admin", "admin", "admin", "reader", "shopkeeper", "stranger")
			target := g.path(op.Path)
			if g.IntN(8) == 0 {
				target += "?" + pick(g, "gatewayGroup=", "from=0&to=x", "%zz", "a=%ff", "serverPort=1", ";;", "gatewayGroup=Default%20Gateway%20Group")
			}
			s.sane(method, target, s.do(method, target, g.json(op.In, 0)))
		}
	}
}

// endless is a body that never ends, and counts what was read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '['
	}
	e.read += int64(len(p))
	return len(p), nil
}

// Of a hundred megabytes, or of a body without an end, a bounded part is read.
func TestLargeBodies(t *testing.T) {
	s := newServer(t)
	body := new(endless)
	a := s.send("PUT", "/v1/conf/sites/Default%20Site", body)
	if a.codes() != "IMP-10002" || body.read > 16<<20 {
		t.Errorf("after %d bytes: %d %s", body.read, a.status, a.body)
	}
	counted := new(endless)
	a = s.send("PUT", "/v1/conf/sites/Default%20Site", io.LimitReader(counted, 100<<20))
	if a.codes() != "IMP-10002" || counted.read > 16<<20 {
		t.Errorf("after %d bytes: %d %s", counted.read, a.status, a.body)
	}
	declared := bytes.NewReader(bytes.Repeat([]byte(" "), 9<<20))
	if a = s.send("POST", "/v1/conf/sites/x", declared); a.codes() != "IMP-10002" || declared.Len() != 9<<20 {
		t.Errorf("a body that says how long it is was read: %d %s", a.status, a.body)
	}
	if a = s.send("GET", "/v1/conf/sites", new(endless)); a.status != http.StatusOK {
		t.Errorf("a GET with a body: %d %s", a.status, a.body)
	}
}

func FuzzBody(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"x",null,true,{"b":1e9}]}`, `{"a":1,"a":2}`, "\xff", "[[[[", `"\ud800"`, `{} {}`} {
		f.Add([]byte(seed))
	}
	fields := make(map[string][]model.Field)
	for _, k := range model.Kinds {
		fields[k.Name] = k.All()
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		call := openapi.Call{Body: body}
		object, err := call.Object()
		if err != nil {
			var faults openapi.Faults
			if !errors.As(err, &faults) || faults[0].Code != 10002 || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if len(bytes.TrimSpace(body)) > 0 && !json.Valid(body) {
			t.Fatalf("%q was taken for JSON", body)
		}
		for _, list := range fields {
			r := &model.Reading{Names: nothing{}, Strict: len(body)%2 == 0}
			document := make(map[string]any)
			r.Merge(document, list, object)
			text, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := model.Wire(nil, list, text, nothing{}); err != nil {
				t.Fatalf("what was read of %q cannot be written: %v", body, err)
			}
		}
	})
}

// nothing is a server without objects.
type nothing struct{}

func (nothing) ID(model.Field, string) (string, error) { return "", model.ErrNoSuch }
func (nothing) PlaceID([]string) (string, error) {
	return "", &model.Fault{Code: 10006, Description: "none"}
}
func (nothing) Name(string) (string, error)    { return "", nil }
func (nothing) Place(string) ([]string, error) { return nil, nil }
func (nothing) Keep(string) (string, error)    { return "an id", nil }
