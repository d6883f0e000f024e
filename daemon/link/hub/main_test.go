package hub_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/certificate"
	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/spool"
	"sealgate/appliance/store"
	"sealgate/daemon/errand"
	"sealgate/daemon/gateway"
	"sealgate/daemon/gateway/event"
	"sealgate/daemon/link"
	"sealgate/daemon/link/hub"
	"sealgate/internal/trial"
)

// supervisor has real keys. Nobody registers here: rows say who is registered.
type supervisor struct {
	link.Supervisor
	keys *secret.Keys
}

func (s supervisor) SealFor(_ context.Context, recipient []byte, id string, sealed []byte) ([]byte, error) {
	private, err := s.keys.Unseal(id, sealed)
	if err != nil {
		return nil, err
	}
	to, err := secret.ParseRecipient(recipient)
	if err != nil {
		return nil, err
	}
	return to.Seal(id, private), nil
}

func (supervisor) Note(context.Context, errand.Note) error { return nil }

// Note is the audit log's.
func (m *mx) Note(_ context.Context, n errand.Note) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes = append(m.notes, n)
	return nil
}

// mx is a management server: a real store, real keys, and the link on loopback.
type mx struct {
	t       testing.TB
	home    appliance.Home
	store   *store.Store
	keys    *secret.Keys
	hub     *hub.Hub
	address string
	stop    func()

	mu    sync.Mutex
	notes []errand.Note // in the audit log
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newMX(t testing.TB) *mx { return newMXIn(t, t.TempDir()) }

func newMXIn(t testing.TB, dir string) *mx {
	t.Helper()
	home := appliance.Home(dir)
	must(t, secret.Create(string(home), "System-pw-17", "Secure-pw-17"))
	must(t, store.Create(t.Context(), string(home), "admin", "no verifier", store.Options{}))
	must(t, certificate.Ensure(home, certificate.Names{Common: "mx1"}, time.Now()))
	must(t, os.Mkdir(home.Results(), 0o700))
	keys, err := secret.Open(string(home))
	must(t, err)
	m := &mx{t: t, home: home, keys: keys}
	m.start("127.0.0.1:0", new(trial.Clock))
	t.Cleanup(func() { m.stop() })
	return m
}

func logger(t testing.TB) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	return slog.New(slog.DiscardHandler)
}

// start starts the server, as after a restart.
func (m *mx) start(address string, c *trial.Clock) {
	m.t.Helper()
	log := logger(m.t).With("of", "mx")
	var err error
	m.store, err = store.Open(m.t.Context(), string(m.home), store.Options{Now: c.Now})
	must(m.t, err)
	keeper, err := certificate.NewKeeper(m.home, log)
	must(m.t, err)
	server, err := link.NewServer(link.Config{Home: m.home, Name: "mx1", Store: m.store, Log: log, Now: c.Now, Supervisor: supervisor{keys: m.keys}})
	must(m.t, err)
	m.hub, err = hub.New(m.t.Context(), hub.Config{Home: m.home, Name: "mx1", Store: m.store, Sealer: supervisor{keys: m.keys}, Audit: m, Log: log, Now: c.Now})
	must(m.t, err)
	m.hub.Attach(server)
	srv := &http.Server{TLSConfig: &tls.Config{GetCertificate: keeper.Get, MinVersion: tls.VersionTLS12}, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	server.Attach(srv)
	ln, err := net.Listen("tcp", address)
	must(m.t, err)
	m.address = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { srv.ServeTLS(ln, "", "") })
	running.Go(func() { server.Run(ctx) })
	running.Go(func() { m.hub.Run(ctx) })
	m.stop = func() {
		cancel()
		srv.Close()
		running.Wait()
		must(m.t, m.store.Close())
	}
}

// write changes the configuration.
func (m *mx) write(fn func(*store.Tx) error) {
	m.t.Helper()
	_, err := m.store.Write(m.t.Context(), store.Change{Author: "tester", Summary: "a test"}, fn)
	must(m.t, err)
}

// create makes an object, and returns its id.
func (m *mx) create(tx *store.Tx, parent, kind, name string, document map[string]any) string {
	m.t.Helper()
	if document == nil {
		document = map[string]any{}
	}
	text, err := json.Marshal(document)
	must(m.t, err)
	id, err := tx.Create(m.t.Context(), store.Object{ParentID: parent, Kind: kind, Name: name, Document: text})
	must(m.t, err)
	return id
}

// register registers fresh keys for a gateway in the default group, with one alias.
func (m *mx) register(name string) (*link.Identity, string) {
	m.t.Helper()
	id, err := link.NewIdentity()
	must(m.t, err)
	opener, err := id.Opener()
	must(m.t, err)
	pin := id.Pin()
	var gateway string
	m.write(func(tx *store.Tx) error {
		gateway = m.create(tx, model.DefaultID(model.GatewayGroup, model.DefaultGroupName), model.Gateway, name, nil)
		at := m.create(tx, gateway, model.Address, "127.0.0.1", nil)
		m.create(tx, gateway, model.Alias, "front", map[string]any{"internalAddress": at})
		return tx.PutGatewayKey(m.t.Context(), store.GatewayKey{GatewayID: gateway, Pin: hex.EncodeToString(pin[:]), Kind: "byol",
			Sealing: base64.StdEncoding.EncodeToString(opener.Recipient())})
	})
	server, err := certificate.LinkPin(m.home)
	must(m.t, err)
	id.Registration = link.Registration{Server: m.address, Pin: server, Name: name, DataAddress: "127.0.0.1"}
	return id, gateway
}

// gw is a gateway's role in a home of its own.
type gw struct {
	t    testing.TB
	id   string
	name string
	home appliance.Home
	stop func()

	daemon   gateway.Daemon
	restarts chan bool
}

// newGateway registers a gateway and starts its role.
func (m *mx) newGateway(name string) *gw {
	m.t.Helper()
	id, object := m.register(name)
	g := &gw{t: m.t, id: object, name: name, home: newHome(m.t, name), restarts: make(chan bool, 1)}
	g.daemon = g
	must(m.t, id.Write(g.home))
	g.start()
	m.t.Cleanup(func() { g.stop() })
	return g
}

// May says what the daemon of a gateway says that is never asked too often.
func (g *gw) May(context.Context, string) error { return nil }

// RestartRole restarts the role beside the answer, as the daemon does.
func (g *gw) RestartRole(context.Context) error {
	g.restarts <- true
	return nil
}

// TechInfo makes a bundle of a kind.
func (g *gw) TechInfo(context.Context) (string, error) {
	return "bundle.tgz", os.WriteFile(filepath.Join(g.home.Results(), "bundle.tgz"), []byte("\x1f\x8b of "+g.name), 0o600)
}

func (g *gw) AuditHead(context.Context) (string, error) { return "", nil }

func newHome(t testing.TB, name string) appliance.Home {
	t.Helper()
	home := appliance.Home(t.TempDir())
	config := appliance.NewConfig("5ea19a7e-0000-4000-8000-000000000001", appliance.Gateway, name, time.Now())
	config.Listen = "127.0.0.1:0"
	data, err := json.Marshal(config)
	must(t, err)
	must(t, os.WriteFile(home.Config(), data, 0o600))
	must(t, os.Mkdir(home.Link(), 0o700))
	must(t, os.Mkdir(home.Results(), 0o700))
	return home
}

func (g *gw) start() {
	g.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(g.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan bool, 1), make(chan error, 1)
	go func() {
		ended <- gateway.Run(ctx, g.home, ln, func() error { ready <- true; return nil }, g.daemon, logger(g.t).With("of", g.name))
	}()
	select {
	case <-ready:
	case err := <-ended:
		g.t.Fatal(err)
	}
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			g.t.Error(err)
		}
	})
}

// put appends a violation as a gateway does.
func put(t testing.TB, s *spool.Spool, v store.Violation) {
	t.Helper()
	body, err := json.Marshal(event.Record{Kind: event.Violation, Violation: &v})
	must(t, err)
	_, err = s.Append(body)
	must(t, err)
}

// eventually waits for what takes a moment.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for range 6000 { // two minutes
		if is() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s: it did not come", what)
}

// keyPair is a certificate with its private key, PEM.
func keyPair(t testing.TB) (string, string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example.com"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	key, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

// stored counts the violations in the database.
func (m *mx) stored() int64 {
	m.t.Helper()
	counts, err := m.store.Counts(m.t.Context())
	must(m.t, err)
	for _, c := range counts {
		if c.Kind == store.Violations {
			return c.Rows
		}
	}
	return 0
}

// happened lists the system events of a code that one appliance tells of.
func (m *mx) happened(source, code string) []store.SystemEvent {
	m.t.Helper()
	list, err := m.store.SystemEvents(m.t.Context(), store.SystemEventFilter{Source: source}, 1000)
	must(m.t, err)
	return slices.DeleteFunc(list, func(e store.SystemEvent) bool { return e.Code != code })
}

func violation(i int) store.Violation {
	return store.Violation{ID: fmt.Sprint("v", i), Time: time.Now().UnixMilli(), Severity: "high", Type: fmt.Sprint("type ", i%3), Policy: "p", Action: "block",
		SourceIP: fmt.Sprintf("198.51.100.%d", i%20), Site: "Site", ServerGroup: "Group", Service: "Shop", Application: "App"}
}
