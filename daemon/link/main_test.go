package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/certificate"
	"sealgate/appliance/licence"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/appliance/token"
	"sealgate/daemon/errand"
	"sealgate/daemon/keyring"
	"sealgate/internal/trial"
)

const password = "Secure-pw-17"

// supervisor has real keys, does one errand after the other as the daemon does, and keeps
// what it is told.
type supervisor struct {
	*keyring.Keyring
	turn  sync.Mutex
	mu    sync.Mutex
	notes []errand.Note
	cut   func(errand.Note) // is called with each note; may be nil
}

func (s *supervisor) BeginExchange(_ context.Context, channel, session []byte) (errand.Exchange, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	return s.Keyring.BeginExchange(channel, session)
}

func (s *supervisor) FinishExchange(_ context.Context, session, share, proof []byte) ([]byte, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	return s.Keyring.FinishExchange(session, share, proof)
}

func (s *supervisor) SealFor(_ context.Context, recipient []byte, id string, sealed []byte) ([]byte, error) {
	return s.Keyring.SealFor(recipient, id, sealed)
}

func (s *supervisor) Note(_ context.Context, n errand.Note) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, n)
	if s.cut != nil {
		s.cut(n)
	}
	return nil
}

func (s *supervisor) noted(kind errand.Kind) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, note := range s.notes {
		if note.Kind == kind {
			n++
		}
	}
	return n
}

// mx is a management server with a real store and real keys, on loopback.
type mx struct {
	home       appliance.Home
	store      *store.Store
	keys       *secret.Keys
	link       *Server
	supervisor *supervisor
	address    string
	clock      *trial.Clock
	log        *bytes.Buffer
}

func newMX(t testing.TB) *mx {
	t.Helper()
	home := appliance.Home(t.TempDir())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(home.Run(), 0o700))
	must(secret.Create(string(home), "System-pw-17", password))
	must(store.Create(t.Context(), string(home), "admin", "no verifier", store.Options{}))
	must(certificate.Ensure(home, certificate.Names{Common: "mx1"}, time.Now()))
	must(licence.WriteIdentity(home, licence.Identity{Challenge: "AAAA-BBBB"}))
	m := &mx{home: home, clock: new(trial.Clock), log: new(bytes.Buffer)}
	var err error
	m.store, err = store.Open(t.Context(), string(home), store.Options{})
	must(err)
	t.Cleanup(func() { m.store.Close() })
	m.keys, err = secret.Open(string(home))
	must(err)
	m.supervisor = &supervisor{Keyring: keyring.New(m.keys, m.clock.Now)}
	log := slog.New(slog.NewTextHandler(&lockedWriter{to: m.log}, nil))
	m.link, err = NewServer(Config{Home: home, Name: "mx1", Store: m.store, Log: log, Now: m.clock.Now, Supervisor: m.supervisor})
	must(err)
	m.serve(t)
	return m
}

type lockedWriter struct {
	mu sync.Mutex
	to *bytes.Buffer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// serve serves the management address: a REST API of one word, and the link.
func (m *mx) serve(t testing.TB) {
	t.Helper()
	keeper, err := certificate.NewKeeper(m.home, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("REST over " + r.Proto)) }),
		TLSConfig: &tls.Config{GetCertificate: keeper.Get, MinVersion: tls.VersionTLS12},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	m.link.Attach(srv)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { srv.ServeTLS(ln, "", "") })
	serving.Go(func() {
		if err := m.link.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); srv.Close(); serving.Wait() })
}

// join is a registration of an On-Demand gateway by password.
func (m *mx) join(name string) Join {
	return Join{Server: m.address, Password: password, Name: name, Alias: "AWS Default", Licensing: string(licence.OnDemand), Software: "1.0"}
}

// token makes a registration token.
func (m *mx) token(t testing.TB, until time.Time) string {
	t.Helper()
	tok := token.New(m.link.pin)
	_, err := m.store.Write(t.Context(), store.Change{Author: "test"}, func(tx *store.Tx) error {
		return tx.AddRegistrationToken(t.Context(), "test", tok.Verifier(), until)
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok.String()
}

func newIdentity(t testing.TB) *Identity {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (m *mx) client(t testing.TB, id *Identity) *Client {
	t.Helper()
	c, err := NewClient(m.address, m.link.pin, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
