package transfer_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/internal/peers"
	"sealgate/transfer"
)

// witness is a web server that redirects what it has a way for, takes or gives everything else, and remembers
// who came with which authorization.
type witness struct {
	*httptest.Server
	mu   sync.Mutex
	to   map[string]string // path: where it redirects to
	said []string          // METHOD /path AUTHORIZATION
	busy int               // so often it has no time
}

func newWitness(t *testing.T, secured *tls.Config) *witness {
	w := new(witness)
	w.Server = httptest.NewUnstartedServer(w)
	if secured != nil {
		w.TLS = secured
		w.StartTLS()
	} else {
		w.Start()
	}
	t.Cleanup(w.Close)
	return w
}

// lead sets where paths redirect to, and how often there is no time.
func (w *witness) lead(to map[string]string, busy int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to, w.busy = to, busy
}

func (w *witness) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.said = append(w.said, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
	next := w.to[r.URL.Path]
	busy := w.busy > 0
	w.busy = max(0, w.busy-1)
	w.mu.Unlock()
	io.Copy(io.Discard, r.Body)
	switch {
	case busy:
		to.WriteHeader(http.StatusServiceUnavailable)
	case next != "":
		to.Header().Set("Location", next)
		to.WriteHeader(http.StatusTemporaryRedirect)
	case r.Method == http.MethodPut:
		to.WriteHeader(http.StatusCreated)
	default:
		io.WriteString(to, "here")
	}
}

// heard are the authorizations that came, "" for none.
func (w *witness) heard() (authorizations []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.said {
		if !strings.HasPrefix(line, "HEAD") {
			authorizations = append(authorizations, strings.SplitN(line, " ", 3)[2])
		}
	}
	w.said = nil
	return authorizations
}

// A password goes to the host and port that were named: over http after it was asked for, at once where a redirect leads
// to https there, and never down, to another port or to another host, even one that leads back.
func TestPasswordAfterRedirect(t *testing.T) {
	const basic = "Basic dXNlcjpodW50ZXIy"
	names := peers.Nginx(t, peers.NginxConfig{Account: account, TLS: true})
	pair, err := tls.LoadX509KeyPair(names.TLSFiles())
	if err != nil {
		t.Fatal(err)
	}
	secured := &tls.Config{Certificates: []tls.Certificate{pair}}
	plain, safe, other := newWitness(t, nil), newWitness(t, secured), newWitness(t, secured)
	elsewhere := func(w *witness) string { return strings.Replace(w.URL, "127.0.0.1", "localhost", 1) }
	for _, test := range []struct {
		name       string
		from       *witness
		to         string
		upload     string // why an upload ends there; "": it arrives
		download   string
		arrives    *witness
		authorized []string // what that one hears, when it arrives
	}{
		{"up to https", plain, safe.URL, "", "", safe, []string{basic}},
		{"to another host", plain, elsewhere(safe), "not sent to another host", "", safe, []string{""}},
		{"from https to another host", safe, elsewhere(other), "not sent to another host", "", other, []string{""}},
		{"from https to another port", safe, other.URL, "not sent to another port", "", other, []string{""}},
		{"down to http", safe, plain.URL, "give up TLS", "give up TLS", plain, nil},
		{"down to http of another host", safe, elsewhere(plain), "give up TLS", "give up TLS", plain, nil},
		{"to another host and back", safe, elsewhere(other) + "/back", "not sent to another host", "", safe, []string{basic, ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			noGoroutineLeft(t)
			test.from.lead(map[string]string{"/begin": test.to + "/end"}, 0)
			other.lead(map[string]string{"/back/end": safe.URL + "/end"}, 0)
			options := transfer.Options{User: "user", Password: "hunter2", Policy: loopback, RootCAs: names.CAs, Retries: -1}
			target, err := transfer.ParseURL(test.from.URL + "/begin")
			if err != nil {
				t.Fatal(err)
			}
			check := func(err error, op transfer.Op, fail string) {
				t.Helper()
				switch {
				case fail == "" && err != nil:
					t.Error(err)
				case fail != "":
					if fault := mustFail(t, err, op, transfer.Refused, "hunter2"); !strings.Contains(fault.Error(), fail) {
						t.Errorf("%v does not say %q", fault, fail)
					}
				}
				first := test.from.heard()
				if test.from == plain && first[0] != "" {
					t.Errorf("http heard %q unasked", first)
				}
				if test.from == safe && first[0] != basic {
					t.Errorf("https heard %q", first)
				}
				got := first
				if test.arrives != test.from {
					got = test.arrives.heard()
				}
				if fail == "" && strings.Join(got, ";") != strings.Join(test.authorized, ";") || fail != "" && test.arrives != test.from && len(got) > 0 {
					t.Errorf("where it leads heard %q", got)
				}
				for _, w := range []*witness{plain, safe, other} {
					for _, said := range w.heard() {
						if said != "" {
							t.Errorf("somebody on the way heard %q", said)
						}
					}
				}
			}
			_, err = transfer.Upload(t.Context(), target, &random{size: 2 << 20}, options)
			check(err, transfer.OpWrite, test.upload)
			_, err = transfer.Download(t.Context(), target, filepath.Join(t.TempDir(), "x.part"), options)
			check(err, transfer.OpReceive, test.download)
		})
	}
}

// What https was told at once after a redirect is not told to http when it is tried again.
func TestPasswordAfterRedirectAndRetry(t *testing.T) {
	names := peers.Nginx(t, peers.NginxConfig{Account: account, TLS: true})
	pair, err := tls.LoadX509KeyPair(names.TLSFiles())
	if err != nil {
		t.Fatal(err)
	}
	plain, safe := newWitness(t, nil), newWitness(t, &tls.Config{Certificates: []tls.Certificate{pair}})
	safe.lead(nil, 2)
	plain.lead(map[string]string{"/begin": safe.URL + "/end"}, 0)
	options := transfer.Options{User: "user", Password: "hunter2", Policy: loopback, RootCAs: names.CAs, Retries: 1, RetryWait: time.Millisecond}
	target, err := transfer.ParseURL(plain.URL + "/begin")
	if err != nil {
		t.Fatal(err)
	}
	_, err = transfer.Upload(t.Context(), target, text("x"), options)
	mustFail(t, err, transfer.OpWrite, transfer.Refused, "hunter2")
	safe.lead(nil, 1)
	if _, err := transfer.Download(t.Context(), target, filepath.Join(t.TempDir(), "x.part"), options); err != nil {
		t.Error(err)
	}
	if got := plain.heard(); strings.Join(got, "") != "" || len(got) != 4 {
		t.Errorf("http heard %q", got)
	}
	if got := safe.heard(); len(got) != 4 || slices.Contains(got, "") {
		t.Errorf("https heard %q", got)
	}
}
