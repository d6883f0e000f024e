package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sealgate/appliance/model"
)

// upstream is a server behind the gateway. It lives on while configurations that name
// it alike follow each other, and with it its connections.
type upstream struct {
	key      string
	host     string
	port     int
	scheme   string // http or https
	address  string // host:port, for URLs
	tls      *tls.Config
	wait     time.Duration // until it begins to answer
	resolver Resolver

	pool       atomic.Pointer[pool]
	asking     atomic.Bool // somebody asks for the name again
	first      sync.Mutex  // held for the first lookup
	expires    atomic.Int64
	complained atomic.Int64 // when its last failure was told, in seconds
	down       atomic.Bool  // it was told that it does not answer
	downSince  atomic.Int64 // when that was told last, in seconds
}

// pool holds the connections to one set of addresses.
type pool struct {
	addresses []netip.Addr
	next      atomic.Uint32
	http1     *http.Transport
	http2     *http.Transport // for gRPC, which needs it
}

const (
	dialTimeout  = 5 * time.Second
	idlePerHost  = 512
	idleUpstream = 50 * time.Second // servers keep connections for a minute or more
	retryLookup  = 5 * time.Second
)

// newUpstream makes what an outbound rule names, or takes it from before.
func newUpstream(s *model.Snapshot, keys *keyring, out *model.SnapshotOutbound, before map[string]*upstream, resolver Resolver) (*upstream, error) {
	u := &upstream{host: strings.Trim(out.Host, "[]"), port: out.Port, scheme: "http", resolver: resolver, wait: seconds(s.Group.Limits.ServerSeconds, 60)}
	u.address = net.JoinHostPort(u.host, strconv.Itoa(out.Port))
	if out.Encrypt {
		var err error
		if u.tls, err = clientTLS(s, keys, out); err != nil {
			return nil, err
		}
		u.scheme = "https"
	}
	identity := []any{u.address, u.scheme, u.wait, resolver}
	if out.Encrypt {
		var certificate [][]byte
		if c := keys.byKey[out.ClientCertificate]; c != nil {
			certificate = c.Certificate
		}
		identity = append(identity, out.Validate, out.SSLSettings, s.SSLSettings[out.SSLSettings], certificate, s.Authorities)
	}
	key, err := json.Marshal(identity)
	if err != nil {
		return nil, err
	}
	if known := before[string(key)]; known != nil {
		return known, nil
	}
	u.key = string(key)
	return u, nil
}

func clientTLS(s *model.Snapshot, keys *keyring, out *model.SnapshotOutbound) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: !out.Validate, ServerName: strings.Trim(out.Host, "[]"), ClientSessionCache: tls.NewLRUClientSessionCache(64)}
	if out.SSLSettings != "" {
		if err := applyTLS(config, out.SSLSettings, s.SSLSettings[out.SSLSettings]); err != nil {
			return nil, err
		}
	}
	if cert := keys.byKey[out.ClientCertificate]; cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	if !out.Validate || len(s.Authorities) == 0 {
		return config, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for i, pem := range s.Authorities {
		if !roots.AppendCertsFromPEM([]byte(pem)) {
			return nil, fmt.Errorf("certificate authority %d is no certificate", i+1)
		}
	}
	config.RootCAs = roots
	return config, nil
}

// RoundTrip sends a request over a kept connection, or a new one to an address that
// the name has now.
func (u *upstream) roundTrip(r *http.Request, grpc bool) (*http.Response, error) {
	p, err := u.current(r.Context())
	if err != nil {
		return nil, err
	}
	if grpc {
		return p.http2.RoundTrip(r)
	}
	return p.http1.RoundTrip(r)
}

// current is the pool for the addresses that the name has. When their records have
// expired they are asked for again, while the old ones serve on.
func (u *upstream) current(ctx context.Context) (*pool, error) {
	if p := u.pool.Load(); p != nil {
		if time.Now().UnixNano() > u.expires.Load() && u.asking.CompareAndSwap(false, true) {
			go func() {
				defer u.asking.Store(false)
				again, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				u.lookup(again)
			}()
		}
		return p, nil
	}
	u.first.Lock()
	defer u.first.Unlock()
	if p := u.pool.Load(); p != nil {
		return p, nil
	}
	if err := u.lookup(ctx); err != nil {
		return nil, err
	}
	return u.pool.Load(), nil
}

// lookup asks for the name and replaces the pool when its addresses have changed.
func (u *upstream) lookup(ctx context.Context) error {
	found, ttl, err := u.resolver.Lookup(ctx, u.host)
	if err != nil {
		u.expires.Store(time.Now().Add(retryLookup).UnixNano())
		return err
	}
	u.expires.Store(time.Now().Add(ttl).UnixNano())
	old := u.pool.Load()
	if old != nil && slices.Equal(old.addresses, found) {
		return nil
	}
	u.pool.Store(u.newPool(found))
	if old != nil {
		old.close()
	}
	return nil
}

func (u *upstream) newPool(found []netip.Addr) *pool {
	p := &pool{addresses: found}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx, dialer, u.port) }
	transport := func(protocols func(*http.Protocols)) *http.Transport {
		t := &http.Transport{
			DialContext: dial, TLSClientConfig: u.tls.Clone(), TLSHandshakeTimeout: 2 * dialTimeout,
			DisableCompression: true, MaxIdleConns: 0, MaxIdleConnsPerHost: idlePerHost, IdleConnTimeout: idleUpstream,
			ResponseHeaderTimeout: u.wait, ExpectContinueTimeout: 2 * time.Second,
			MaxResponseHeaderBytes: 256 << 10, WriteBufferSize: 8 << 10, ReadBufferSize: 8 << 10,
			Protocols: new(http.Protocols),
		}
		protocols(t.Protocols)
		return t
	}
	p.http1 = transport(func(ps *http.Protocols) { ps.SetHTTP1(true) })
	p.http2 = transport(func(ps *http.Protocols) {
		ps.SetHTTP2(u.tls != nil)
		ps.SetUnencryptedHTTP2(u.tls == nil)
	})
	return p
}

// dial tries the addresses in turn, each time beginning with the next one.
func (p *pool) dial(ctx context.Context, dialer *net.Dialer, port int) (net.Conn, error) {
	begin := int(p.next.Add(1))
	var errs []error
	for i := range p.addresses {
		ip := p.addresses[(begin+i)%len(p.addresses)]
		c, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(ip, uint16(port)).String())
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// close ends idle connections. Those in use end when they have idled.
func (p *pool) close() {
	p.http1.CloseIdleConnections()
	p.http2.CloseIdleConnections()
}

// close ends what a configuration no longer names.
func (u *upstream) close() {
	if p := u.pool.Load(); p != nil {
		p.close()
	}
}

func seconds(n, otherwise int) time.Duration {
	if n == 0 {
		n = otherwise
	}
	return time.Duration(n) * time.Second
}
