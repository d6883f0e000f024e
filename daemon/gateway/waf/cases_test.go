package waf_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"sealgate/daemon/gateway/waf"
	"sealgate/internal/crstest"
)

// The rules' own cases of some rules through an engine behind a listener, as
// they will go through the gateway's. All of them run in package crs.
func TestCasesThroughAnEngine(t *testing.T) {
	var logged crstest.Logged
	e := engine(t, waf.Policies{Paranoia: 4, Setup: crstest.Setup, Trace: func(id int, line string) {
		logged.IDs = append(logged.IDs, id)
		logged.Text += line + "\n"
	}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := netip.MustParseAddrPort(r.RemoteAddr)
		tx := e.Begin(r.Context(), waf.Request{ID: "1", ClientIP: client.Addr(), ClientPort: int(client.Port()), ServerIP: client.Addr(), ServerPort: 80,
			Method: r.Method, URI: r.RequestURI, Proto: r.Proto, Host: r.Host, Header: r.Header})
		tx.Headers()
		body, _ := io.ReadAll(r.Body)
		tx.Body(body)
		tx.EndBody()
		tx.Close()
	}))
	defer server.Close()
	cases, err := crstest.Cases()
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, c := range cases {
		if !strings.HasPrefix(c.Name, "9421") && !strings.HasPrefix(c.Name, "949") && !strings.HasPrefix(c.Name, "9411") {
			continue
		}
		if ran++; testing.Short() && ran%25 != 0 {
			continue
		}
		if wrong := c.Run(server.Listener.Addr().String(), func() crstest.Logged {
			l := logged
			logged = crstest.Logged{}
			return l
		}); wrong != "" {
			t.Errorf("%s: %s", c.Name, wrong)
		}
	}
	if ran < 400 {
		t.Errorf("%d cases ran", ran)
	}
}
