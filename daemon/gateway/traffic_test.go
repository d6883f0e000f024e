package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/gateway"
	"sealgate/daemon/gateway/proxy"
	"sealgate/daemon/mx/configuration"
	"sealgate/daemon/mx/openapi"
)

// traffic is a management server's API over a store of its own, a gateway that is
// told what the API makes, and a server behind it.
type traffic struct {
	t     testing.TB
	store *store.Store
	api   *openapi.API
	*proxy.Proxy
	origin *httptest.Server
	waits  chan bool // a value for each request of /wait that arrived there

	mu       sync.Mutex
	at       map[netip.AddrPort]string // where an address of the configuration really is
	events   []store.Violation
	followed []model.Action
}

// What tests use of the site tree and of the gateway group.
const (
	servers = "/v1/conf/serverGroups/Default%20Site/Web"
	shop    = "/v1/conf/webServices/Default%20Site/Web/Shop"
	app     = "/v1/conf/webApplications/Default%20Site/Web/Shop/Default%20Web%20Application"
	profile = "/v1/conf/webProfile/Default%20Site/Web/Shop/Default%20Web%20Application"
	group   = "/v1/conf/gatewayGroups/Default%20Gateway%20Group"
	gw1     = "/v1/conf/gateways/gw1"
	inbound = shop + "/krpInboundRules/Default%20Gateway%20Group/front/"

	policies = "/v1/conf/policies/security/"
	globals  = "/v1/conf/globalObjects/"
)

// everybody may do everything.
type everybody struct{}

func (everybody) Caller(*http.Request) (openapi.Caller, error) {
	return openapi.Caller{Name: "admin", Address: netip.MustParseAddr("127.0.0.1")}, nil
}

// plain leaves secrets as they are.
type plain struct{}

func (plain) Seal(_ string, plaintext []byte) []byte { return plaintext }

// newTraffic begins with a web service "Shop" at port 8080 of the alias "front" of
// the gateway "gw1", in active mode, in front of an origin that answers with what it
// was asked.
func newTraffic(t testing.TB) *traffic {
	t.Helper()
	w := &traffic{t: t, at: make(map[netip.AddrPort]string), waits: make(chan bool, 10)}
	w.origin = httptest.NewServer(http.HandlerFunc(w.echo))
	t.Cleanup(w.origin.Close)
	home := t.TempDir()
	if err := store.Create(context.Background(), home, "admin", "verifier", store.Options{}); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.store, err = store.Open(context.Background(), home, store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w.api = openapi.New(openapi.Config{Store: w.store, Sealer: plain{}, Log: log, Sessions: everybody{}})
	w.Proxy = proxy.New(proxy.Options{Gateway: "gw1", Log: log, Engine: gateway.NewEngines(), Listen: w.listen, Event: w.event})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		w.Shutdown(ctx)
	})
	w.register("gw1", "127.0.0.1")
	w.do("POST", servers, "")
	w.do("PUT", servers, `{"operationMode":"active"}`)
	w.do("POST", shop, `{"ports":[80]}`)
	w.do("POST", inbound+"8080", fmt.Sprintf(`{"outboundRules":{"10":%s}}`, w.toOrigin()))
	return w
}

// echo says what it was asked. Some paths answer otherwise.
func (t *traffic) echo(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/moved":
		w.Header().Set("Location", "http://inside.example/deep/path")
		w.WriteHeader(http.StatusFound)
	case "/wait":
		t.waits <- true
		<-r.Context().Done()
	case "/page":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<html><head><title>Shop</title></head><body>welcome</body></html>")
	case "/listing":
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html><head><title>Index of /files</title></head><body><h1>Index of /files</h1><pre><a href=\"?C=N;O=D\">Name</a></pre></body></html>")
	default:
		fmt.Fprintf(w, "%s %s host=%s xff=%s", r.Method, r.RequestURI, r.Host, r.Header.Get("X-Forwarded-For"))
	}
}

// arrived waits for requests of /wait.
func (w *traffic) arrived(n int) {
	for range n {
		<-w.waits
	}
}

// toOrigin is the body of an outbound rule.
func (w *traffic) toOrigin(more ...string) string {
	u, err := url.Parse(w.origin.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf(`{"internalIpHost":"127.0.0.1","serverPort":%s%s}`, u.Port(), strings.Join(more, ""))
}

// register is what registration leaves in the store: a gateway with an alias.
func (w *traffic) register(name, address string) {
	w.t.Helper()
	group := model.DefaultID(model.GatewayGroup, model.DefaultGroupName)
	_, err := w.store.Write(context.Background(), store.Change{Author: "test", Summary: "a gateway"}, func(tx *store.Tx) error {
		id, err := tx.Create(context.Background(), store.Object{ParentID: group, Kind: model.Gateway, Name: name})
		if err != nil {
			return err
		}
		at, err := tx.Create(context.Background(), store.Object{ParentID: id, Kind: model.Address, Name: address})
		if err != nil {
			return err
		}
		_, err = tx.Create(context.Background(), store.Object{ParentID: id, Kind: model.Alias, Name: "front", Document: fmt.Appendf(nil, `{"internalAddress":%q}`, at)})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// do asks the API, and has the gateway use what that makes.
func (w *traffic) do(method, path, body string) {
	w.t.Helper()
	w.ask(method, path, body)
	if err := w.apply(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *traffic) ask(method, path, body string) {
	w.t.Helper()
	if answer := w.answer(method, path, body); answer.Code != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", method, path, answer.Code, answer.Body)
	}
}

func (w *traffic) answer(method, path, body string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.api.ServeHTTP(answer, httptest.NewRequest(method, openapi.Base+path, strings.NewReader(body)))
	return answer
}

// apply brings the gateway's group's snapshot to it, with private keys as the link
// leaves them.
func (w *traffic) apply() error {
	w.t.Helper()
	r, err := configuration.Read(context.Background(), w.store)
	if err != nil {
		return err
	}
	for _, id := range r.Groups() {
		b, err := r.Build(id)
		if err != nil {
			return err
		}
		if b.Snapshot.Aliases["gw1"] == nil {
			continue
		}
		s := b.Snapshot
		for i := range s.Services {
			for k := range s.Services[i].Keys {
				key := &s.Services[i].Keys[k]
				private, err := w.store.Sealed(context.Background(), key.Secret)
				if err != nil {
					return err
				}
				key.PrivateKey, key.Secret = string(private), ""
			}
		}
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if s, err = model.ReadSnapshot(bytes.NewReader(text)); err != nil {
			return err
		}
		return w.Apply(s)
	}
	return nil
}

func (w *traffic) listen(at netip.AddrPort) (net.Listener, error) {
	ln, err := net.Listen("tcp", netip.AddrPortFrom(at.Addr(), 0).String())
	if err == nil {
		w.mu.Lock()
		w.at[at] = ln.Addr().String()
		w.mu.Unlock()
	}
	return ln, err
}

func (w *traffic) event(v *store.Violation, followed []model.Action) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, *v)
	w.followed = append(w.followed, followed...)
}

// told are the events since it was asked last. The proxy tells of a request before
// the end of its answer, or soon after.
func (w *traffic) told(want int) []store.Violation {
	w.t.Helper()
	var events []store.Violation
	for range 3000 {
		w.mu.Lock()
		events = append(events, w.events...)
		w.events = nil
		w.mu.Unlock()
		if len(events) >= want {
			return events
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("%d events came: %+v", len(events), events)
	return nil
}

// toldOf waits for an event that is so; others before it are dropped.
func (w *traffic) toldOf(is func(store.Violation) bool) store.Violation {
	w.t.Helper()
	for {
		events := w.told(1)
		if i := slices.IndexFunc(events, is); i >= 0 {
			return events[i]
		}
	}
}

// address is where an address of the configuration really is, "" where nobody listens.
func (w *traffic) address(at string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at[netip.MustParseAddrPort(at)]
}

// client speaks to port of 127.0.0.1 in the configuration.
func (w *traffic) client(port int, config *tls.Config) *http.Client {
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, w.address(fmt.Sprint("127.0.0.1:", port)))
	}}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get asks the web service. Headers come in pairs. A connection that is refused has
// status 0.
func (w *traffic) get(path string, header ...string) (status int, body string) {
	w.t.Helper()
	r, err := http.NewRequest("GET", "http://shop.example"+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	return w.send(w.client(8080, nil), r)
}

func (w *traffic) send(c *http.Client, r *http.Request) (status int, body string) {
	w.t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if location := resp.Header.Get("Location"); location != "" {
		text = append(text, location...)
	}
	return resp.StatusCode, string(text)
}

// wants asks, and wants a status.
func (w *traffic) wants(status int, path string, header ...string) string {
	w.t.Helper()
	got, body := w.get(path, header...)
	if got != status {
		w.t.Fatalf("%s %s: %d %s, want %d", path, header, got, body, status)
	}
	return body
}

// applied is the applyTo of the shop, down to its application where deep is so.
func applied(deep bool) string {
	place := `"siteName":"Default Site","serverGroupName":"Web","webServiceName":"Shop"`
	if deep {
		place += `,"webApplicationName":"Default Web Application"`
	}
	return `"applyTo":[{"operation":"add",` + place + `}]`
}

const injection = "/?q=" + "1%27+union+select+password+from+users--"

// guard applies the default policy against SQL injection.
func (w *traffic) guard() {
	w.t.Helper()
	w.do("PUT", policies+"webApplicationSignaturesPolicies/Default%20Web%20Application%20Signatures%20Policy", "{"+applied(true)+"}")
}

// custom makes a custom policy of the web service.
func (w *traffic) custom(name, criteria string, more ...string) {
	w.t.Helper()
	w.do("POST", policies+"webServiceCustomPolicies/"+name, `{"action":"block",`+applied(false)+`,"matchCriteria":[`+criteria+`]`+strings.Join(more, "")+`}`)
}

const onURL = `{"type":"httpRequestUrl","match":"prefix","operation":"atLeastOne","values":["/admin"]}`

func portOf(address string) int {
	_, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	return n
}
