package openapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/link"
	"sealgate/daemon/mx/openapi"
)

// callers lets everybody in under the name that the Authorization header has.
type callers map[string]openapi.Caller

func (c callers) Caller(r *http.Request) (openapi.Caller, error) {
	name, _, _ := r.BasicAuth()
	caller, ok := c[name]
	if !ok {
		return openapi.Caller{}, openapi.ErrNoSession
	}
	caller.Name = name
	caller.Address = netip.MustParseAddr("127.0.0.1")
	return caller, nil
}

// server is an API over a fresh store.
type server struct {
	t     testing.TB
	store *store.Store
	api   *openapi.API
	user  string
	log   *bytes.Buffer
	said  map[string]link.Poll // of gateways, by id
}

// Live makes the server one that knows gateways, of which none runs.
func (s *server) Live(id string) (link.Poll, bool) { return s.said[id], false }

// turned seals for tests.
type turned struct{}

func (turned) Seal(id string, plaintext []byte) []byte { return append([]byte(id), plaintext...) }

// witness has the store keep what requests write, as the management server does.
type witness struct{}

func (witness) Origin(ctx context.Context) (store.Origin, bool) {
	call := openapi.CallOf(ctx)
	if call == nil {
		return store.Origin{}, false
	}
	return store.Origin{Address: call.Request.RemoteAddr, Method: call.Operation.Method, Path: call.Operation.Path}, true
}

func (witness) Committed() {}

func newServer(t testing.TB) *server {
	t.Helper()
	home := t.TempDir()
	ctx := context.Background()
	if err := store.Create(ctx, home, "admin", "no password", store.Options{}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(ctx, home, store.Options{Witness: witness{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Check(ctx); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	log := new(bytes.Buffer)
	sv := &server{t: t, store: s, user: "admin", log: log, said: make(map[string]link.Poll)}
	sv.api = openapi.New(openapi.Config{
		Store: s, Sealer: turned{}, Gateways: sv, Log: slog.New(slog.NewTextHandler(log, nil)),
		Sessions: callers{"admin": {}, "reader": {ReadOnly: true}, "shopkeeper": {Sites: []string{"Shop"}}},
	})
	return sv
}

// answer is what the API answered.
type answer struct {
	status int
	body   string
}

// codes are the error codes of an answer, with a comma between them.
func (a answer) codes() string {
	var body struct {
		Errors []struct {
			Code        string `json:"error-code"`
			Description string `json:"description"`
		} `json:"errors"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		return "no JSON: " + err.Error()
	}
	var codes []string
	for _, e := range body.Errors {
		codes = append(codes, e.Code)
	}
	return strings.Join(codes, ",")
}

func (s *server) send(method, path string, body io.Reader) answer {
	s.t.Helper()
	r := httptest.NewRequest(method, openapi.Base+path, body)
	if s.user != "" {
		r.SetBasicAuth(s.user, "x")
	}
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	return answer{w.Code, w.Body.String()}
}

func (s *server) do(method, path, body string) answer {
	s.t.Helper()
	return s.send(method, path, strings.NewReader(body))
}

// ok wants 200 and returns the body.
func (s *server) ok(method, path, body string) string {
	s.t.Helper()
	a := s.do(method, path, body)
	if a.status != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s\n%s", method, path, a.status, a.body, s.log)
	}
	return a.body
}

// refused wants 406 with codes.
func (s *server) refused(method, path, body, codes string) string {
	s.t.Helper()
	a := s.do(method, path, body)
	if a.status != http.StatusNotAcceptable || a.codes() != codes {
		s.t.Errorf("%s %s %.200s: %d %s, want 406 with %s", method, path, body, a.status, a.body, codes)
	}
	return a.body
}

// gateway adds a gateway with an alias to the default gateway group, as
// registration does.
func (s *server) gateway(name, alias string) {
	s.t.Helper()
	group := model.DefaultID(model.GatewayGroup, model.DefaultGroupName)
	_, err := s.store.Write(context.Background(), store.Change{Author: "test", Summary: "a gateway"}, func(tx *store.Tx) error {
		id, err := tx.Create(context.Background(), store.Object{ParentID: group, Kind: model.Gateway, Name: name})
		if err != nil {
			return err
		}
		_, err = tx.Create(context.Background(), store.Object{ParentID: id, Kind: model.Alias, Name: alias, Document: []byte(`{"enabled":true}`)})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// path joins segments with each of them escaped.
func path(segments ...string) string {
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return "/" + strings.Join(segments, "/")
}
