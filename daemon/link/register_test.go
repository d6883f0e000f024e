package link

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"sealgate/appliance/anchor"
	"sealgate/appliance/licence"
	"sealgate/appliance/model"
	"sealgate/appliance/seal"
	"sealgate/appliance/secret"
	"sealgate/appliance/secret/cpace"
	"sealgate/appliance/store"
	"sealgate/appliance/token"
	"sealgate/daemon/errand"
)

// has fails unless err is a refusal of a code whose text has the words.
func has(t *testing.T, err error, code Code, words ...string) {
	t.Helper()
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.Code != code {
		t.Errorf("got %v, want a refusal %s", err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(p.Text+p.Hint, w) {
			t.Errorf("%q does not say %q", p.Text, w)
		}
	}
}

// objects are the names of a gateway's objects.
func (m *mx) objects(t *testing.T, gateway string) (group string, addresses, aliases []string) {
	t.Helper()
	err := m.store.Read(t.Context(), func(q *store.Reader) error {
		groups, err := q.List(t.Context(), model.RootID, model.GatewayGroup)
		if err != nil {
			return err
		}
		for _, g := range groups {
			o, err := q.Find(t.Context(), g.ID, model.Gateway, gateway)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			group = g.Name
			if addresses, err = q.Names(t.Context(), o.ID, model.Address); err != nil {
				return err
			}
			aliases, err = q.Names(t.Context(), o.ID, model.Alias)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return group, addresses, aliases
}

func TestRegister(t *testing.T) {
	m := newMX(t)
	m.link.Handle("POST /v1/test", func(w http.ResponseWriter, r *http.Request, g Gateway) error { return Answer(w, g.Kind) })
	for what, join := range map[string]func(*Join){
		"password": func(*Join) {},
		"token":    func(j *Join) { j.Password, j.Token = "", m.token(t, time.Now().Add(time.Hour)) },
	} {
		id := newIdentity(t)
		j := m.join("gw-" + what)
		j.Group, j.DataAddress = "Group of "+what, "192.0.2.7"
		join(&j)
		r, err := id.Register(t.Context(), j)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if r.ServerName != "mx1" || r.Pin != m.link.pin || r.Group != j.Group || r.DataAddress != "192.0.2.7" || !r.Registered() {
			t.Errorf("%s: registered as %+v", what, r)
		}
		if group, addresses, aliases := m.objects(t, j.Name); group != j.Group || !slices.Equal(addresses, []string{"192.0.2.7"}) || !slices.Equal(aliases, []string{"AWS Default"}) {
			t.Errorf("%s: %q %q %q", what, group, addresses, aliases)
		}
		var kind string
		if err := m.client(t, id).Call(t.Context(), "/v1/test", struct{}{}, &kind); err != nil || kind != "on-demand" {
			t.Errorf("%s: registered, and %q, %v", what, kind, err)
		}
	}
	if n := m.supervisor.noted(errand.Registered); n != 2 {
		t.Errorf("%d registrations are in the audit log", n)
	}
	// Browsers are not asked for a certificate.
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			t.Error("REST asks for a certificate")
			return &tls.Certificate{}, nil
		}}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + m.address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "REST over HTTP/2.0" {
		t.Errorf("REST says %q", body)
	}
}

func TestWrongPassword(t *testing.T) {
	m := newMX(t)
	id, j := newIdentity(t), m.join("gw1")
	j.Password = "Secure-pw-18"
	for range freeAttempts + 1 {
		_, err := id.Register(t.Context(), j)
		has(t, err, WrongSecret, "secure password is wrong")
	}
	// Also who knows it waits now, from there.
	j.Password = password
	_, _, err := id.register(t.Context(), j)
	has(t, err, Busy, "possible again in")
	m.clock.Pass(time.Hour)
	if _, err := id.Register(t.Context(), j); err != nil {
		t.Error(err)
	}
	if n := m.supervisor.noted(errand.WrongSecret); n != freeAttempts+1 {
		t.Errorf("%d wrong passwords are in the audit log", n)
	}
	if m.supervisor.noted(errand.TooMany) != 1 {
		t.Error("the audit log does not say that the address was held up")
	}
}

// The hole: a gateway that registers does not know its management server's key yet.
// The attack: somebody in the middle speaks TLS with both, and passes everything on,
// or changes it. What must hold: neither is registered, and what the middle saw is
// nothing to guess with.
func TestMiddle(t *testing.T) {
	m := newMX(t)
	attacker := newIdentity(t)
	cert, err := attacker.certificate()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{Protocol}, ClientAuth: tls.RequireAnyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var passed atomic.Int64
	var seen lockedWriter
	seen.to = new(bytes.Buffer)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			onward, err := dial(t.Context(), m.address, cert, nil)
			if err != nil {
				conn.Close()
				continue
			}
			passed.Add(1)
			go func() { io.Copy(io.MultiWriter(conn, &seen), onward); conn.Close() }()
			go func() { io.Copy(io.MultiWriter(onward, &seen), conn); onward.Close() }()
		}
	}()
	j := m.join("gw1")
	j.Server = ln.Addr().String()
	_, err = newIdentity(t).Register(t.Context(), j)
	has(t, err, WrongSecret, "somebody is between")
	if passed.Load() == 0 {
		t.Fatal("nobody was in the middle")
	}
	if m.supervisor.noted(errand.WrongSecret) != 1 || m.supervisor.noted(errand.Registered) != 0 {
		t.Errorf("the audit log says %+v", m.supervisor.notes)
	}
	// A token is not shown to a stranger.
	j.Password, j.Token = "", m.token(t, time.Now().Add(time.Hour))
	if _, err = newIdentity(t).Register(t.Context(), j); !errors.Is(err, ErrOtherServer) {
		t.Errorf("with a token: %v", err)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if bytes.Contains(seen.to.Bytes(), []byte("SGT1-")) {
		t.Error("the middle saw the token")
	}
}

// The attack: a server that does not know the password says that all is well. What
// must hold: the gateway keeps nothing of it.
func TestFalseServer(t *testing.T) {
	cert, err := newIdentity(t).certificate()
	if err != nil {
		t.Fatal(err)
	}
	for what, hashing := range map[string]secret.Hashing{
		"plausible": {Salt: make([]byte, 16), Memory: 19456, Passes: 2, Lanes: 1},
		"dear":      {Salt: make([]byte, 16), Memory: 4 << 20, Passes: 2, Lanes: 1},
		"long":      {Salt: make([]byte, 16), Memory: 19456, Passes: 1 << 30, Lanes: 1},
		"cheap":     {Salt: make([]byte, 16), Memory: 8, Passes: 1, Lanes: 1},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		mux, protocols := http.NewServeMux(), new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		srv := &http.Server{Handler: mux, Protocols: protocols}
		finished := false
		mux.HandleFunc(PathRegisterBegin, func(w http.ResponseWriter, r *http.Request) {
			share := make([]byte, 32)
			if what == "plausible" { // of any password but the right one
				hash, err := hashing.Hash(r.Context(), "guess")
				if err != nil {
					t.Error(err)
				}
				share = secret.PasswordExchange(hash, nil, []byte("s")).Share()
			}
			Answer(w, Begun{Version: Version, Session: []byte("s"), Hashing: hashing, Share: share})
		})
		mux.HandleFunc(PathRegisterFinish, func(w http.ResponseWriter, r *http.Request) {
			finished = true
			Answer(w, Finished{Version: Version, Proof: make([]byte, 64)})
		})
		go srv.Serve(tlsPlain{ln, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{Protocol}}})
		_, err = newIdentity(t).Register(t.Context(), Join{Server: ln.Addr().String(), Password: password, Name: "gw1", Alias: "a"})
		if what == "plausible" && (!errors.Is(err, errMiddle) || !finished) || what != "plausible" && !errors.Is(err, secret.ErrHashing) {
			t.Errorf("%s: %v", what, err)
		}
		srv.Close()
	}
}

// The hole: a server with no room is tried a hundred times. The attack: who plays the
// server puts a guess at the password into each exchange, learns from the gateway's proof
// whether it was right, and then says that there is no room. What must hold: it has as
// few guesses as one who cuts the connection.
func TestFalseServerHasFewGuesses(t *testing.T) {
	cert, err := newIdentity(t).certificate()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux, protocols := http.NewServeMux(), new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: mux, Protocols: protocols}
	defer srv.Close()
	hashing := secret.Hashing{Salt: make([]byte, 16), Memory: 19456, Passes: 2, Lanes: 1}
	mux.HandleFunc(PathRegisterBegin, func(w http.ResponseWriter, r *http.Request) {
		x := cpace.New(cpace.Initiator, []byte("guess"), nil, []byte("s"))
		Answer(w, Begun{Version: Version, Session: []byte("s"), Hashing: hashing, Share: x.Share()})
	})
	guesses := 0
	mux.HandleFunc(PathRegisterFinish, func(w http.ResponseWriter, r *http.Request) {
		guesses++
		w.WriteHeader(http.StatusTooManyRequests)
		Answer(w, Problem{Code: Busy, Text: "no room", After: -guesses}) // no time to wait
	})
	go srv.Serve(tlsPlain{ln, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{Protocol}}})
	_, err = newIdentity(t).Register(t.Context(), Join{Server: ln.Addr().String(), Password: password, Name: "gw1", Alias: "a"})
	has(t, err, Busy, "no room")
	if guesses != maxCut {
		t.Errorf("it had %d guesses", guesses)
	}
}

// tlsPlain accepts TLS connections, and hides that they are.
type tlsPlain struct {
	net.Listener
	config *tls.Config
}

func (l tlsPlain) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return plain{tls.Server(conn, l.config)}, nil
}

// stranger is a connection of its own, and speaks as it likes.
func (m *mx) stranger(t *testing.T, id *Identity) (*Client, tls.ConnectionState) {
	t.Helper()
	cert, err := id.certificate()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dial(t.Context(), m.address, cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return newClient(once(conn)), conn.ConnectionState()
}

// The attack: what a gateway sent once is sent again, on its connection and on another.
func TestReplay(t *testing.T) {
	m := newMX(t)
	id, j := newIdentity(t), m.join("gw1")
	client, state := m.stranger(t, id)
	message := Finish{Version: Version, Name: "gw1", Alias: "a", Address: "192.0.2.1", Mask: 24, Licensing: j.Licensing}
	opener, err := id.Opener()
	if err != nil {
		t.Fatal(err)
	}
	message.Sealing = opener.Recipient()
	if _, err := id.exchange(t.Context(), client, state, Join{Password: password}, &message); err != nil {
		t.Fatal(err)
	}
	other, _ := m.stranger(t, id)
	has(t, other.Call(t.Context(), PathRegisterFinish, message, nil), NoSession)
	var done Finished
	if err := client.Call(t.Context(), PathRegisterFinish, message, &done); err != nil || len(done.Proof) == 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	has(t, client.Call(t.Context(), PathRegisterFinish, message, nil), NoSession)
	has(t, client.Call(t.Context(), PathRegisterBegin, Begin{Version}, nil), NoSession)
	if n := m.supervisor.noted(errand.NoSession); n != 2 {
		t.Errorf("%d replays are in the audit log", n)
	}
}

func TestKeys(t *testing.T) {
	m := newMX(t)
	m.link.Handle("POST /v1/test", func(w http.ResponseWriter, r *http.Request, g Gateway) error { return Answer(w, "in") })
	call := func(c *Client) error { return c.Call(t.Context(), "/v1/test", struct{}{}, new(string)) }
	has(t, call(m.client(t, newIdentity(t))), UnknownKey)
	flood := m.client(t, newIdentity(t))
	for range 2 * refusalsTold {
		has(t, call(flood), UnknownKey)
	}
	if n := m.supervisor.noted(errand.UnknownKey); n != refusalsTold {
		t.Errorf("strangers have %d records", n)
	}
	// Who floods one kind hides none of the others.
	guess := m.join("gw1")
	guess.Password = "Wrong-pw-17"
	_, err := newIdentity(t).Register(t.Context(), guess)
	has(t, err, WrongSecret)
	if n := m.supervisor.noted(errand.WrongSecret); n != 1 {
		t.Errorf("a wrong password beside the flood has %d records", n)
	}
	m.clock.Pass(refusalsEvery)
	id := newIdentity(t)
	if _, err := id.Register(t.Context(), m.join("gw1")); err != nil {
		t.Fatal(err)
	}
	c := m.client(t, id)
	if err := call(c); err != nil {
		t.Fatal(err)
	}
	// A key counts for as long as it is registered, on connections that are there too.
	if err := c.Call(t.Context(), PathUnregister, struct{}{}, new(struct{})); err != nil {
		t.Fatal(err)
	}
	has(t, call(c), DeletedKey, "deleted")
	if m.supervisor.noted(errand.DeletedKey) != 1 || m.supervisor.noted(errand.Unregistered) != 1 {
		t.Errorf("the audit log says %+v", m.supervisor.notes)
	}
	if group, _, _ := m.objects(t, "gw1"); group != "" {
		t.Errorf("the gateway is still in %q", group)
	}
	// Another server than the one that was registered at.
	other := newMX(t)
	moved, err := NewClient(other.address, m.link.pin, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := call(moved); !errors.Is(err, ErrOtherServer) {
		t.Errorf("another server: %v", err)
	}
}

// A gateway whose aliases rules use keeps its object, and takes it back.
func TestAdopted(t *testing.T) {
	m := newMX(t)
	id := newIdentity(t)
	j := m.join("gw1")
	if _, err := id.Register(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	use := func(tx *store.Tx) error {
		group, err := tx.Find(t.Context(), model.RootID, model.GatewayGroup, model.DefaultGroupName)
		if err != nil {
			return err
		}
		gateway, err := tx.Find(t.Context(), group.ID, model.Gateway, "gw1")
		if err != nil {
			return err
		}
		alias, err := tx.Find(t.Context(), gateway.ID, model.Alias, "AWS Default")
		if err != nil {
			return err
		}
		parent := model.RootID
		for _, kind := range []string{model.Site, model.ServerGroup, model.WebService} {
			if parent, err = tx.Create(t.Context(), store.Object{ParentID: parent, Kind: kind, Name: "s"}); err != nil {
				return err
			}
		}
		_, err = tx.Create(t.Context(), store.Object{ParentID: parent, Kind: model.InboundRule, Name: "r", Document: fmt.Appendf(nil, `{"aliasName":%q}`, alias.ID)})
		return err
	}
	if _, err := m.store.Write(t.Context(), store.Change{}, use); err != nil {
		t.Fatal(err)
	}
	if err := m.client(t, id).Call(t.Context(), PathUnregister, struct{}{}, new(struct{})); err != nil {
		t.Fatal(err)
	}
	if group, _, aliases := m.objects(t, "gw1"); group == "" || len(aliases) != 1 {
		t.Fatalf("%q %q", group, aliases)
	}
	// With another key, in another group: it is the gateway of this name, where it was.
	j.Group, j.Alias, j.DataAddress = "elsewhere", "second", "192.0.2.9"
	id = newIdentity(t)
	r, err := id.Register(t.Context(), j)
	if err != nil || r.Group != model.DefaultGroupName || r.Note != `the gateway is known there, and stays in gateway group "Default Gateway Group"` {
		t.Fatalf("%+v, %v", r, err)
	}
	// What is not as it asked, it hears; what is, it does not.
	for _, again := range []struct{ group, alias, address, note string }{
		{"", "third", "192.0.2.9", `192.0.2.9 has the alias "second" there, and keeps it`},
		{"", "second", "127.0.0.1", `127.0.0.1 has the alias "AWS Default" there, and keeps it`},
		{model.DefaultGroupName, "second", "192.0.2.9", ""},
	} {
		j.Group, j.Alias, j.DataAddress = again.group, again.alias, again.address
		if r, err := id.Register(t.Context(), j); err != nil || r.Note != again.note {
			t.Errorf("%+v: %q, %v", again, r.Note, err)
		}
	}
	if _, addresses, aliases := m.objects(t, "gw1"); !slices.Equal(addresses, []string{"127.0.0.1", "192.0.2.9"}) || !slices.Equal(aliases, []string{"AWS Default", "second"}) {
		t.Errorf("%q %q", addresses, aliases)
	}
}

// A gateway that did not hear that it was registered registers again with its key.
func TestLostAnswer(t *testing.T) {
	m := newMX(t)
	id := newIdentity(t)
	for range 2 {
		if _, err := id.Register(t.Context(), m.join("gw1")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := newIdentity(t).Register(t.Context(), m.join("gw1"))
	has(t, err, NameTaken, "gw1", "DELETE")
	_, err = id.Register(t.Context(), m.join("gw2"))
	has(t, err, NameTaken, "another name")
	if keys, err := m.store.GatewayKeys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("%+v, %v", keys, err)
	}
	if m.supervisor.noted(errand.NameTaken) != 2 {
		t.Errorf("the audit log says %+v", m.supervisor.notes)
	}
}

// The attack is a power cut: the management server has committed, and its answer never
// arrives.
func TestCutAfterCommit(t *testing.T) {
	m := newMX(t)
	cuts := 0
	m.supervisor.cut = func(n errand.Note) {
		if n.Kind != errand.Registered || cuts == 2 {
			return
		}
		cuts++
		m.link.mu.Lock()
		defer m.link.mu.Unlock()
		for _, peers := range m.link.known {
			for _, p := range peers {
				p.Close()
			}
		}
	}
	id := newIdentity(t)
	r, err := id.Register(t.Context(), m.join("gw1"))
	if err != nil || !r.Registered() || cuts != 2 {
		t.Fatalf("%+v, %v, %d cuts", r, err, cuts)
	}
	if keys, err := m.store.GatewayKeys(t.Context()); err != nil || len(keys) != 1 || keys[0].Pin != hex.EncodeToString(pinBytes(id)) {
		t.Errorf("%+v, %v", keys, err)
	}
}

func pinBytes(id *Identity) []byte { pin := id.Pin(); return pin[:] }

func TestLicences(t *testing.T) {
	m := newMX(t)
	byol := func(name string) Join {
		j := m.join(name)
		j.Licensing = string(licence.BYOL)
		return j
	}
	_, err := newIdentity(t).Register(t.Context(), byol("gw0"))
	has(t, err, NoLicence, "licences let 0 byol gateways register", "none")
	m.license(t, 2)
	first := newIdentity(t)
	for i, id := range []*Identity{first, newIdentity(t)} {
		if _, err := id.Register(t.Context(), byol(fmt.Sprintf("gw%d", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	_, err = newIdentity(t).Register(t.Context(), byol("gw3"))
	has(t, err, NoLicence, "licences let 2 byol gateways register, and 2 are", "gw1", "gw2", "on-demand")
	if group, _, _ := m.objects(t, "gw3"); group != "" {
		t.Error("a refused gateway is in the configuration")
	}
	if _, err := newIdentity(t).Register(t.Context(), m.join("gw4")); err != nil {
		t.Errorf("on demand: %v", err)
	}
	if _, err := first.Register(t.Context(), byol("gw1")); err != nil {
		t.Errorf("one that has its place already: %v", err)
	}
	if err := m.client(t, first).Call(t.Context(), PathUnregister, struct{}{}, new(struct{})); err != nil {
		t.Fatal(err)
	}
	if _, err := newIdentity(t).Register(t.Context(), byol("gw3")); err != nil {
		t.Errorf("in the place of one that left: %v", err)
	}
}

// license loads a licence for so many gateways.
func (m *mx) license(t *testing.T, gateways int) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, file, err := anchor.MarshalKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(m.home.Anchors(), 0o755), os.WriteFile(filepath.Join(m.home.Anchors(), "vendor.pub"), file, 0o644)); err != nil {
		t.Fatal(err)
	}
	key, err := seal.Mint(private, seal.Licence{ID: "L1", Product: seal.Product, Issued: time.Now().Unix(), Features: []string{fmt.Sprintf("%s=%d", seal.Gateways, gateways)}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.store.Write(t.Context(), store.Change{}, func(tx *store.Tx) error {
		return tx.AddLicence(t.Context(), store.Licence{ID: "L1", Key: key}, json.RawMessage("{}"))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTokens(t *testing.T) {
	m := newMX(t)
	elsewhere := newMX(t)
	good, old, foreign := m.token(t, time.Now().Add(time.Hour)), m.token(t, time.Now().Add(-time.Second)), elsewhere.token(t, time.Now().Add(time.Hour))
	forged := token.New(m.link.pin).String()
	for what, tok := range map[string]string{"expired": old, "forged": forged} {
		j := m.join("gw1")
		j.Password, j.Token = "", tok
		_, err := newIdentity(t).Register(t.Context(), j)
		has(t, err, WrongSecret, "has expired", "gatewayRegistrationToken")
		if m.supervisor.noted(errand.WrongToken) == 0 {
			t.Errorf("%s: the audit log does not say it", what)
		}
	}
	m.clock.Pass(time.Minute)
	j := m.join("gw1")
	j.Password, j.Token = "", foreign
	if _, err := newIdentity(t).Register(t.Context(), j); !errors.Is(err, ErrOtherServer) {
		t.Errorf("foreign: %v", err)
	}
	// A gateway that does not look sends it all the same.
	client, _ := m.stranger(t, newIdentity(t))
	has(t, client.Call(t.Context(), PathRegisterFinish, Finish{Version: Version, Token: foreign, Name: "gw1"}, nil), WrongSecret)
	m.clock.Pass(time.Hour / 2)
	for _, name := range []string{"gw1", "gw2"} { // for as many as licences let in
		j := m.join(name)
		j.Password, j.Token = "", good
		if _, err := newIdentity(t).Register(t.Context(), j); err != nil {
			t.Error(err)
		}
	}
	j.Token = good[:len(good)-1]
	if _, err := newIdentity(t).Register(t.Context(), j); !errors.Is(err, token.ErrForm) {
		t.Errorf("cut: %v", err)
	}
}

func TestVersions(t *testing.T) {
	m := newMX(t)
	client, _ := m.stranger(t, newIdentity(t))
	has(t, client.Call(t.Context(), PathRegisterBegin, Begin{7}, nil), BadVersion, "the gateway speaks version 7 of the link, the management server version 1")
	has(t, client.Call(t.Context(), PathRegisterFinish, Finish{Version: 2}, nil), BadVersion)
	// A later release of the same version says more.
	if err := client.Call(t.Context(), PathRegisterBegin, map[string]any{"version": 1, "colour": "blue"}, new(Begun)); err != nil {
		t.Error(err)
	}
}

// A gateway that knows the secret may still ask for what cannot be.
func TestNotAccepted(t *testing.T) {
	m := newMX(t)
	tok := m.token(t, time.Now().Add(time.Hour))
	opener, err := newIdentity(t).Opener()
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Finish){
		"name":      func(f *Finish) { f.Name = "../etc" },
		"no name":   func(f *Finish) { f.Name = "" },
		"group":     func(f *Finish) { f.Group = "a\x1b[31m" },
		"tag":       func(f *Finish) { f.Group = "<b>" },
		"alias":     func(f *Finish) { f.Alias = strings.Repeat("x", 101) },
		"no alias":  func(f *Finish) { f.Alias = "" },
		"address":   func(f *Finish) { f.Address = "localhost" },
		"any":       func(f *Finish) { f.Address = "0.0.0.0" },
		"zone":      func(f *Finish) { f.Address = "fe80::1%eth0" },
		"mask":      func(f *Finish) { f.Mask = 33 },
		"interface": func(f *Finish) { f.Interface = "eth0\n" },
		"software":  func(f *Finish) { f.Software = strings.Repeat("1", 65) },
		"licensing": func(f *Finish) { f.Licensing = "free" },
		"sealing":   func(f *Finish) { f.Sealing = []byte("short") },
	} {
		client, _ := m.stranger(t, newIdentity(t))
		f := Finish{Version: Version, Token: tok, Name: "gw1", Alias: "a", Address: "192.0.2.1", Mask: 24, Licensing: "on-demand", Sealing: opener.Recipient()}
		change(&f)
		if err := client.Call(t.Context(), PathRegisterFinish, f, nil); err == nil {
			t.Errorf("%s was accepted", what)
		} else {
			has(t, err, NotAccepted)
		}
	}
	if keys, err := m.store.GatewayKeys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("%+v, %v", keys, err)
	}
}

// Strangers get no more connections than there is room for, and keep none.
func TestStrangersAreBounded(t *testing.T) {
	m := newMX(t)
	m.link.mu.Lock()
	m.link.most = crowd{all: 30, ofAddress: 16, turnedAway: 4}
	most := m.link.most.ofAddress + m.link.most.turnedAway
	m.link.mu.Unlock()
	id := newIdentity(t)
	cert, err := id.certificate()
	if err != nil {
		t.Fatal(err)
	}
	var open []*tls.Conn
	for range most {
		conn, err := dial(t.Context(), m.address, cert, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		open = append(open, conn)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		m.link.mu.Lock()
		total := m.link.total
		m.link.mu.Unlock()
		if total == most {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d strangers", total)
		}
	}
	one, err := dial(t.Context(), m.address, cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	one.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := one.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one more stranger: %v", err)
	}
	late := newClient(once(open[len(open)-1]))
	has(t, late.Call(t.Context(), PathRegisterBegin, Begin{Version}, nil), Busy, "too many gateways")
	for _, conn := range open {
		conn.Close()
	}
	if _, err := id.Register(t.Context(), m.join("gw1")); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

// Neither the password nor what stands for it is in a log, the audit log or a file of
// the gateway.
func TestSecrecy(t *testing.T) {
	m := newMX(t)
	id := newIdentity(t)
	j := m.join("gw1")
	j.Password = "Wrong-pw-1817"
	id.Register(t.Context(), j)
	if _, err := id.Register(t.Context(), m.join("gw1")); err != nil {
		t.Fatal(err)
	}
	hashing, _, err := m.keys.SecureExchange(nil, []byte("s"))
	if err != nil {
		t.Fatal(err)
	}
	prs := argon2.IDKey([]byte(password), hashing.Salt, hashing.Passes, hashing.Memory, hashing.Lanes, 32)
	written, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	notes, err := json.Marshal(m.supervisor.notes)
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string][]byte{"log": m.log.Bytes(), "identity": written, "audit": notes} {
		if len(text) == 0 {
			t.Fatalf("the %s is empty", where)
		}
		for _, s := range [][]byte{[]byte(password), []byte(j.Password), prs} {
			if holds(text, s) {
				t.Errorf("the %s has a secret", where)
			}
		}
	}
}

// holds says whether text has a secret in one of the forms in which bytes are written.
func holds(text, s []byte) bool {
	return bytes.Contains(text, s) || bytes.Contains(text, []byte(hex.EncodeToString(s))) || bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString(s)))
}

// One thousand gateways register at once, from one address, by password or by token.
func TestThousand(t *testing.T) {
	gateways := 1000
	if testing.Short() {
		gateways = 100
	}
	for _, by := range []string{"password", "token"} {
		t.Run(by, func(t *testing.T) { thousand(t, gateways, by) })
	}
}

func thousand(t *testing.T, gateways int, by string) {
	m := newMX(t)
	like := m.join("")
	if by == "token" {
		like.Password, like.Token = "", m.token(t, time.Now().Add(time.Hour))
	}
	// Each of a thousand machines hashes the password; here one does it for all.
	var once sync.Once
	var hash []byte
	like.hash = func(h secret.Hashing, ctx context.Context, password string) (_ []byte, err error) {
		once.Do(func() { hash, err = h.Hash(ctx, password) })
		return hash, err
	}
	var joining sync.WaitGroup
	for i := range gateways {
		joining.Go(func() {
			id, err := NewIdentity()
			if err == nil {
				j := like
				j.Name, j.DataAddress = fmt.Sprintf("gw%d", i), fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250)
				_, err = id.Register(t.Context(), j)
			}
			if err != nil {
				t.Errorf("gateway %d: %v", i, err)
			}
		})
	}
	joining.Wait()
	if keys, err := m.store.GatewayKeys(t.Context()); err != nil || len(keys) != gateways {
		t.Errorf("%d are registered, %v", len(keys), err)
	}
	// On a slow machine an answer may come too late, and the gateway registers again.
	if n := m.supervisor.noted(errand.Registered); n < gateways {
		t.Errorf("%d are in the audit log", n)
	}
}
