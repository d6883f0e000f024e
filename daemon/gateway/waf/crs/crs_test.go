package crs

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"sealgate/internal/crstest"
)

var suite = Options{Paranoia: 4, Responses: true, Setup: crstest.Setup}

func load(t testing.TB, o Options) *Set {
	t.Helper()
	s, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// origin answers as the cases expect it of the server behind: it reflects.
func origin(r *http.Request, body []byte) (status int, header http.Header, answer string) {
	status, header = 200, http.Header{"Content-Type": {"text/plain"}}
	switch path := r.URL.Path; {
	case path == "/anything":
		answer = string(body)
		if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			answer, _ = url.QueryUnescape(answer)
		}
	case strings.HasPrefix(path, "/base64/"):
		plain, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(path, "/base64/"))
		answer = string(plain)
	case path == "/reflect":
		var wanted struct {
			Status      int
			Headers     map[string]string
			Body        string
			EncodedBody string
		}
		if err := json.Unmarshal(body, &wanted); err != nil {
			return 400, header, err.Error()
		}
		for name, value := range wanted.Headers {
			header.Set(name, value)
		}
		if wanted.Status != 0 {
			status = wanted.Status
		}
		answer = wanted.Body
		if wanted.EncodedBody != "" {
			plain, _ := base64.StdEncoding.DecodeString(wanted.EncodedBody)
			answer = string(plain)
		}
	default:
		answer = "Hello!"
	}
	return status, header, answer
}

// inspect takes a request and its answer through a set.
func inspect(s *Set, r *http.Request, body []byte) *Transaction {
	tx := s.Begin(r.Context(), "test", 1<<40)
	header := maps.Clone(r.Header)
	if r.TransferEncoding != nil {
		header["Transfer-Encoding"] = r.TransferEncoding
	}
	ip, port, _ := net.SplitHostPort(r.RemoteAddr)
	number, _ := strconv.Atoi(port)
	tx.Headers(&Request{ClientIP: ip, ClientPort: number, ServerIP: "127.0.0.1", ServerPort: 80,
		Method: r.Method, URI: r.RequestURI, Proto: r.Proto, Host: r.Host, Header: header})
	tx.WriteRequestBody(body)
	tx.Body()
	status, answered, answer := origin(r, body)
	for name, values := range answered {
		tx.AddResponseHeader(name, values[0])
	}
	tx.ProcessResponseHeaders(status, "HTTP/1.1")
	tx.WriteResponseBody([]byte(answer))
	tx.ProcessResponseBody()
	tx.ProcessLogging()
	return tx
}

// matched is what a transaction found, of the rules that both sets have: rules
// in order, how many values of each, and what they say.
func matched(tx *Transaction, both map[int]Rule) []string {
	var out []string
	for _, m := range tx.MatchedRules() {
		if _, ok := both[m.Rule().ID()]; ok && m.Rule().ID() != presets {
			out = append(out, fmt.Sprintf("%d x%d %s", m.Rule().ID(), len(m.MatchedDatas()), m.Message()))
		}
	}
	return out
}

// The cases that the rules come with, over a listener: what is expected, and
// what Coraza says without gates, rule by rule and value by value.
func TestRegressionCases(t *testing.T) {
	gated, ungated := load(t, suite), load(t, Options{Paranoia: 4, Responses: true, Setup: crstest.Setup, Ungated: true})
	var found atomic.Pointer[crstest.Logged] // stored before the answer begins
	histogram := map[string]int{}
	var name atomic.Value
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		tx, oracle := inspect(gated, r, body), inspect(ungated, r, body)
		defer tx.Close()
		defer oracle.Close()
		requests++
		got, want := matched(tx, gated.Rules), matched(oracle, gated.Rules)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s %q:\n got %q\nwant %q", name.Load(), r.Method, r.RequestURI, got, want)
		}
		for _, line := range got {
			histogram[strings.Fields(line)[0]]++
		}
		var l crstest.Logged
		for _, m := range tx.MatchedRules() {
			l.IDs = append(l.IDs, m.Rule().ID())
			l.Text += m.ErrorLog() + "\n"
		}
		status, header, answer := origin(r, body)
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
		found.Store(&l)
		io.WriteString(w, answer)
	}))
	defer server.Close()
	cases, err := crstest.Cases()
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != 4674 {
		t.Errorf("the rule set brings %d cases", len(cases))
	}
	held := 0
	for i, c := range cases {
		if testing.Short() && i%100 != 0 {
			continue // the whole runs without the race detector
		}
		t.Run(c.Name, func(t *testing.T) {
			name.Store(c.Name)
			wrong := c.Run(server.Listener.Addr().String(), func() crstest.Logged {
				if l := found.Swap(nil); l != nil {
					return *l
				}
				return crstest.Logged{} // refused before the rules
			})
			switch _, refused := crstest.Refused[c.Name]; {
			case wrong == "" && refused:
				t.Error("holds, and is named as one that does not")
			case wrong != "" && !refused:
				t.Error(wrong)
			case wrong == "":
				held++
			}
		})
	}
	t.Logf("%d of %d cases hold, %d requests, %d different rules", held, len(cases), requests, len(histogram))
}
