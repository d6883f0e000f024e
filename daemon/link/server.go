package link

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/certificate"
	"sealgate/appliance/store"
	"sealgate/appliance/token"
	"sealgate/daemon/errand"
)

// Bounds of the server.
const (
	strangerLife      = time.Minute
	turnedAwayLife    = 15 * time.Second
	maxOfKey          = 8 // connections of one gateway; the oldest makes room
	maxStreams        = 16
	requestTimeout    = 2 * time.Minute // a long poll has half of it
	receiveConnection = 1 << 20
	receiveStream     = 512 << 10
)

// crowd bounds the connections of keys that are not registered.
type crowd struct {
	all, ofAddress int // ofAddress is also of an IPv6 network
	turnedAway     int // more of them, which hear that they come back later
}

// Config is what a server works on.
type Config struct {
	Home  appliance.Home
	Name  string // the appliance's
	Store *store.Store
	Log   *slog.Logger
	Now   func() time.Time

	Supervisor Supervisor
}

// Supervisor has the keys, and the audit log: *errand.Client.
type Supervisor interface {
	BeginExchange(ctx context.Context, channel, session []byte) (errand.Exchange, error)
	FinishExchange(ctx context.Context, session, share, proof []byte) ([]byte, error)
	SealFor(ctx context.Context, recipient []byte, id string, sealed []byte) ([]byte, error)
	Note(context.Context, errand.Note) error
}

// Server is the management server's end of the link.
type Server struct {
	Config
	cert  tls.Certificate
	pin   token.Pin // of cert
	mux   *http.ServeMux
	http  *http.Server
	in    handover
	wrong attempts

	queue   sync.Mutex
	waiting []*admission
	pen     sync.Mutex // held by who writes them

	mu        sync.Mutex
	most      crowd
	strangers map[netip.Prefix]int // by network
	total     int
	known     map[token.Pin][]*Peer

	refusedSince time.Time
	refusals     map[errand.Kind]int // told of since then
}

// NewServer needs the link's certificate to be there.
func NewServer(c Config) (*Server, error) {
	cert, err := certificate.Link(c.Home)
	if err != nil {
		return nil, err
	}
	s := &Server{Config: c, cert: cert, pin: sha256.Sum256(cert.Leaf.RawSubjectPublicKeyInfo), wrong: attempts{now: c.Now}, mux: http.NewServeMux(), in: handover{make(chan net.Conn), make(chan struct{})},
		most: crowd{all: 2048, ofAddress: 1024, turnedAway: 256}, strangers: make(map[netip.Prefix]int), known: make(map[token.Pin][]*Peer)}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // the connections that are handed over are TLS inside
	s.http = &http.Server{
		Handler: s.mux,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, c.(*Peer))
		},
		MaxHeaderBytes: 16 << 10,
		ReadTimeout:    requestTimeout,
		WriteTimeout:   requestTimeout,
		Protocols:      protocols,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingEvery, PingTimeout: pingTimeout, WriteByteTimeout: pingTimeout,
			MaxReceiveBufferPerConnection: receiveConnection, MaxReceiveBufferPerStream: receiveStream},
		ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	s.handle("POST "+PathRegisterBegin, s.begin)
	s.handle("POST "+PathRegisterFinish, s.finish)
	s.Handle("POST "+PathUnregister, s.unregister)
	s.Handle("POST "+PathRenew, s.renew)
	return s, nil
}

// Run serves the connections that were handed over, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.http.Close() })
	defer stop()
	if err := s.http.Serve(s.in); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Attach makes srv, which serves the management address, hand over connections that
// speak the link. Others are never asked for a certificate.
func (s *Server) Attach(srv *http.Server) {
	own := &tls.Config{
		Certificates: []tls.Certificate{s.cert},
		NextProtos:   []string{Protocol},
		MinVersion:   tls.VersionTLS13,
		ClientAuth:   tls.RequireAnyClientCert,
		VerifyConnection: func(c tls.ConnectionState) error {
			if _, ok := c.PeerCertificates[0].PublicKey.(ed25519.PublicKey); !ok {
				return errors.New("a gateway's key is an Ed25519 key")
			}
			return nil
		},
	}
	srv.TLSConfig.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, Protocol) {
			return own, nil
		}
		return nil, nil
	}
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		Protocol: func(_ *http.Server, conn *tls.Conn, _ http.Handler) { s.take(conn) },
	}
}

// take serves a connection to its end.
func (s *Server) take(conn *tls.Conn) {
	remote, _ := conn.RemoteAddr().(*net.TCPAddr)
	if remote == nil {
		return
	}
	p := &Peer{Conn: plain{conn}, Pin: pinOf(conn.ConnectionState()), Address: remote.AddrPort().Addr().Unmap(), tls: conn, gone: make(chan struct{})}
	_, err := s.Store.GatewayKey(context.Background(), p.key())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.Log.Error("a gateway's key cannot be looked up", "error", err.Error())
		return
	}
	if !s.enter(p, err == nil) {
		return
	}
	defer s.leave(p)
	select {
	case s.in.conns <- p:
		<-p.gone
	case <-s.in.closed:
	}
}

// enter counts a connection; false is one too many.
func (s *Server) enter(p *Peer, known bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known {
		s.welcome(p)
		return true
	}
	life := strangerLife
	if ofAddress := s.strangers[network(p.Address)]; s.total >= s.most.all || ofAddress >= s.most.ofAddress {
		p.turnedAway, life = true, turnedAwayLife
		if s.total >= s.most.all+s.most.turnedAway || ofAddress >= s.most.ofAddress+s.most.turnedAway {
			return false
		}
	}
	s.total++
	s.strangers[network(p.Address)]++
	p.stranger = time.AfterFunc(life, func() { p.Close() })
	return true
}

// welcome counts a connection among those of its key, with s.mu held.
func (s *Server) welcome(p *Peer) {
	s.known[p.Pin] = append(s.known[p.Pin], p)
	if list := s.known[p.Pin]; len(list) > maxOfKey {
		go list[0].Close()
	}
}

// registered counts a stranger among those that are known.
func (s *Server) registered(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forget(p) {
		s.welcome(p)
	}
}

// forget takes a stranger out of the count, with s.mu held.
func (s *Server) forget(p *Peer) bool {
	if p.stranger == nil {
		return false
	}
	p.stranger.Stop()
	p.stranger = nil
	s.total--
	if s.strangers[network(p.Address)]--; s.strangers[network(p.Address)] == 0 {
		delete(s.strangers, network(p.Address))
	}
	return true
}

func (s *Server) leave(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forget(p) {
		return
	}
	list := slices.DeleteFunc(s.known[p.Pin], func(other *Peer) bool { return other == p })
	if s.known[p.Pin] = list; len(list) == 0 {
		delete(s.known, p.Pin)
	}
}

// Peer is who is at the other end of a connection: whoever has the key of its pin.
type Peer struct {
	net.Conn
	Pin     token.Pin
	Address netip.Addr

	tls        *tls.Conn
	stranger   *time.Timer // ends it; nil when its key is registered
	turnedAway bool        // there are too many strangers
	once       sync.Once
	gone       chan struct{} // closed with the connection

	mu      sync.Mutex
	begun   bool   // a session; there is one in a connection
	session []byte // until it is used
}

// key is the peer's pin as the store has it.
func (p *Peer) key() string { return hex.EncodeToString(p.Pin[:]) }

// Close closes the connection.
func (p *Peer) Close() error {
	p.once.Do(func() { close(p.gone) })
	return p.Conn.Close()
}

type peerKey struct{}

func peerOf(r *http.Request) *Peer { return r.Context().Value(peerKey{}).(*Peer) }

// Gateway is a registered gateway that asks.
type Gateway struct {
	store.GatewayKey
	Peer *Peer
}

// Handle answers registered gateways at a path. An error is answered with what it
// says if it is a *Problem, else it is logged.
func (s *Server) Handle(pattern string, do func(http.ResponseWriter, *http.Request, Gateway) error) {
	s.handle(pattern, func(w http.ResponseWriter, r *http.Request, p *Peer) error {
		key, err := s.Store.GatewayKey(r.Context(), p.key())
		if errors.Is(err, store.ErrNotFound) {
			return s.stranger(r.Context(), p)
		}
		if err != nil {
			return err
		}
		return do(w, r, Gateway{key, p})
	})
}

// stranger is why a key that is not registered gets nothing.
func (s *Server) stranger(ctx context.Context, p *Peer) error {
	name, err := s.Store.DeletedGatewayKey(ctx, p.key())
	if err != nil {
		return err
	}
	if name != "" {
		s.note(ctx, p, errand.DeletedKey, name, "")
		return &Problem{Code: DeletedKey, Text: "the gateway is not registered any more: it was deleted at the management server"}
	}
	s.note(ctx, p, errand.UnknownKey, "", "its key has the pin "+p.key())
	return &Problem{Code: UnknownKey, Text: "the management server does not know the gateway's key"}
}

// Refusals of a kind that are told of in a minute: strangers fill no log, and keep no
// errand waiting.
const (
	refusalsTold  = 60
	refusalsEvery = time.Minute
)

// tells says whether one more refusal is told of.
func (s *Server) tells(kind errand.Kind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.Now(); now.Sub(s.refusedSince).Abs() >= refusalsEvery {
		s.refusedSince, s.refusals = now, make(map[errand.Kind]int)
	}
	s.refusals[kind]++
	return s.refusals[kind] <= refusalsTold
}

// maxNoted bounds what is told of a stranger's name, in bytes.
const maxNoted = 64

// note has the role's log and the audit log say what happened.
func (s *Server) note(ctx context.Context, p *Peer, kind errand.Kind, gateway, detail string) {
	level := slog.LevelInfo
	if kind != errand.Registered && kind != errand.Renewed && kind != errand.Unregistered {
		level = slog.LevelWarn
		if !s.tells(kind) {
			return
		}
	}
	gateway = gateway[:min(len(gateway), maxNoted)]
	s.Log.Log(ctx, level, string(kind), "gateway", gateway, "address", p.Address.String(), "detail", detail)
	if err := s.Supervisor.Note(context.WithoutCancel(ctx), errand.Note{Kind: kind, Origin: p.Address.String(), Gateway: gateway, Detail: detail}); err != nil {
		s.Log.Error("what happened to a gateway is not in the audit log", "error", err.Error())
	}
}

func (s *Server) handle(pattern string, do func(http.ResponseWriter, *http.Request, *Peer) error) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := do(w, r, peerOf(r)); err != nil {
			s.refuse(w, r, err)
		}
	})
}

var statuses = map[Code]int{UnknownKey: http.StatusUnauthorized, DeletedKey: http.StatusUnauthorized, Busy: http.StatusTooManyRequests, ServerFailed: http.StatusInternalServerError}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		if r.Context().Err() == nil {
			s.Log.Error("a gateway got no answer", "path", r.URL.Path, "gateway", peerOf(r).Address.String(), "error", err.Error())
		}
		p = &Problem{Code: ServerFailed, Text: "the management server failed; its log says why"}
	}
	status, ok := statuses[p.Code]
	if !ok {
		status = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(p)
}

// Answer answers with a message.
func Answer(w http.ResponseWriter, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(data)
	return err
}

// handover is a listener whose connections come from elsewhere.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (h handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h handover) Close() error { close(h.closed); return nil }

func (h handover) Addr() net.Addr { return &net.TCPAddr{} }
