package proxy_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/proxy"
	"sealgate/daemon/gateway/waf"
	"sealgate/daemon/gateway/waf/crs"
	"sealgate/internal/crstest"
)

// refused are the cases that do not hold. The listener answers them before any rule, and
// its refusal is their verdict.
var refused = map[string]string{
	"920430-5": "no version: 400",
	"920430-8": "HTTP/4.0: 505",
}

// coreEngine has the core rules look at what the proxy hands on, and writes down which
// of them matched.
type coreEngine struct {
	set   *crs.Set
	found *atomic.Pointer[crstest.Logged]
}

func (e coreEngine) Begin(ctx context.Context, r waf.Request) waf.Transaction {
	return &coreTransaction{Request: r, engine: e, tx: e.set.Begin(ctx, r.ID, 1<<40)}
}

type coreTransaction struct {
	waf.Request
	engine coreEngine
	tx     *crs.Transaction
}

func (t *coreTransaction) Headers() waf.Verdict {
	t.tx.Headers(&crs.Request{ClientIP: t.ClientIP.String(), ClientPort: t.ClientPort, ServerIP: t.ServerIP.String(), ServerPort: t.ServerPort,
		Method: t.Method, URI: t.URI, Proto: t.Proto, Host: t.Host, Header: t.Header})
	return waf.Verdict{}
}

func (t *coreTransaction) Body(p []byte) waf.Verdict {
	t.tx.WriteRequestBody(p)
	return waf.Verdict{}
}

func (t *coreTransaction) EndBody() waf.Verdict {
	t.tx.Body()
	return waf.Verdict{}
}

func (t *coreTransaction) Response(status int, h http.Header) waf.Verdict {
	for name, values := range h {
		for _, v := range values {
			t.tx.AddResponseHeader(name, v)
		}
	}
	t.tx.ProcessResponseHeaders(status, "HTTP/1.1")
	return waf.Verdict{}
}

func (t *coreTransaction) ResponseBody(p []byte) waf.Verdict {
	t.tx.WriteResponseBody(p)
	return waf.Verdict{}
}

func (t *coreTransaction) Close() []waf.Match {
	t.tx.ProcessResponseBody()
	t.tx.ProcessLogging()
	var l crstest.Logged
	for _, m := range t.tx.MatchedRules() {
		l.IDs = append(l.IDs, m.Rule().ID())
		l.Text += m.ErrorLog() + "\n"
	}
	t.engine.found.Store(&l)
	t.tx.Close() // which removes the files that it made of uploads
	return nil
}

// reflect is the server that the cases expect.
func reflect(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/plain")
	switch path := r.URL.Path; {
	case path == "/anything":
		answer := string(body)
		if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			answer, _ = url.QueryUnescape(answer)
		}
		io.WriteString(w, answer)
	case strings.HasPrefix(path, "/base64/"):
		plain, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(path, "/base64/"))
		w.Write(plain)
	case path == "/reflect":
		var wanted struct {
			Status      int
			Headers     map[string]string
			Body        string
			EncodedBody string
		}
		if json.Unmarshal(body, &wanted) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for name, value := range wanted.Headers {
			w.Header().Set(name, value)
		}
		if wanted.Status != 0 {
			w.WriteHeader(wanted.Status)
		}
		plain, _ := base64.StdEncoding.DecodeString(wanted.EncodedBody)
		io.WriteString(w, wanted.Body+string(plain))
	default:
		io.WriteString(w, "Hello!")
	}
}

// The core rules' own cases, through the gateway's listener to a server and back.
func TestCoreRuleCasesThroughTheListener(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs it without -short")
	}
	set, err := crs.Load(crs.Options{Paranoia: 4, Responses: true, Setup: crstest.Setup})
	if err != nil {
		t.Fatal(err)
	}
	var found atomic.Pointer[crstest.Logged] // stored before the answer begins
	g := newGate(t, behind(t, reflect), func(g *gate, o *proxy.Options) {
		g.service().InspectResponses = true
		o.Engine = func(*model.Snapshot, *model.SnapshotService) (waf.Engine, error) { return coreEngine{set, &found}, nil }
		o.Log = discard
	})
	cases, err := crstest.Cases()
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, c := range cases {
		wrong := c.Run(g.addr(8080), func() crstest.Logged {
			if l := found.Swap(nil); l != nil {
				return *l
			}
			return crstest.Logged{}
		})
		switch why := refused[c.Name]; {
		case wrong == "" && why != "":
			t.Errorf("%s holds, and is named as one that does not: %s", c.Name, why)
		case wrong != "" && why == "":
			t.Errorf("%s: %.300s", c.Name, wrong)
		case wrong == "":
			held++
		}
		for len(g.events) > 0 {
			<-g.events
			<-g.followed
		}
	}
	t.Logf("%d of %d cases hold", held, len(cases))
}
