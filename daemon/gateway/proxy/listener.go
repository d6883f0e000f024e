package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sealgate/daemon/gateway/http1"
)

// listener takes connections at one address. What is done with them follows the
// binding, which a change of configuration replaces under it.
type listener struct {
	proxy   *Proxy
	at      netip.AddrPort
	ln      net.Listener
	binding atomic.Pointer[binding] // nil: no rule names the address any more
	limits  atomic.Pointer[limits]

	http1  http1.Server
	http2  atomic.Pointer[http2Server]
	ctx    context.Context
	cancel context.CancelFunc
	conns  sync.WaitGroup

	replaced sync.WaitGroup // servers of HTTP/2 whose streams end
	stopping context.Context
	cut      context.CancelFunc // ends those streams
}

const handshakeTimeout = 10 * time.Second

func (p *Proxy) newListener(at netip.AddrPort, ln net.Listener) *listener {
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		at = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
	}
	l := &listener{proxy: p, at: at, ln: ln}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.stopping, l.cut = context.WithCancel(context.Background())
	l.http1.Handler, l.http1.Log, l.http1.Refused = l, p.o.Log, l.refused
	l.http1.HTTP2 = func(c net.Conn) {
		if b := l.binding.Load(); b == nil || !b.service.HTTP2 {
			c.Close()
			return
		}
		l.giveHTTP2(c)
	}
	return l
}

// use makes b what holds for requests that begin now.
func (l *listener) use(b *binding, limits limits) {
	if b != nil && b.service.ConnectionTimeout > 0 {
		limits.Idle = time.Duration(b.service.ConnectionTimeout) * time.Second
	}
	l.limits.Store(&limits)
	l.http1.SetLimits(limits.Limits)
	l.useHTTP2(limits)
	l.binding.Store(b)
}

// serve takes connections until the listener closes.
func (l *listener) serve() {
	for wait := time.Millisecond; ; {
		c, err := l.ln.Accept()
		switch {
		case err == nil:
			wait = time.Millisecond
			l.accept(c.(*net.TCPConn))
		case errors.Is(err, net.ErrClosed):
			return
		default:
			// No descriptors, most likely: some will come free.
			l.proxy.o.Log.Warn("a connection could not be taken", "address", l.at.String(), "error", err)
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
		}
	}
}

// accept decides about a connection before anything of it is read.
func (l *listener) accept(c *net.TCPConn) {
	peer := peerOf(c)
	reason := l.admit(peer)
	if reason == "" {
		reason = l.proxy.clients.enter(peer.Addr(), l.limits.Load())
	}
	if reason != "" {
		l.proxy.metrics.refused.Add(reason, 1)
		c.SetLinger(0)
		c.Close()
		return
	}
	counted := &countedConn{TCPConn: c, leave: func() { l.proxy.clients.leave(peer.Addr()) }}
	l.conns.Go(func() { l.serveConn(counted) })
}

// admit asks the firewall policies.
func (l *listener) admit(peer netip.AddrPort) (reason string) {
	b := l.binding.Load()
	if b == nil {
		return ""
	}
	if rule := b.firewall.refuses(peer.Addr()); rule != nil {
		enforced := b.enforces(rule.block)
		l.proxy.firewallEvent(l, b, peer, rule, enforced)
		if enforced {
			return "firewall"
		}
	}
	return ""
}

func peerOf(c net.Conn) netip.AddrPort {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		at := a.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
	}
	return netip.AddrPort{}
}

// countedConn tells once when it is closed.
type countedConn struct {
	*net.TCPConn
	leave func()
	once  sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(c.leave)
	return c.TCPConn.Close()
}

func (l *listener) serveConn(c *countedConn) {
	b := l.binding.Load()
	if b == nil || b.tls == nil {
		l.http1.ServeConn(l.ctx, c)
		return
	}
	secure := tls.Server(c, &tls.Config{GetConfigForClient: l.tlsConfig})
	ctx, cancel := context.WithTimeout(l.ctx, min(handshakeTimeout, l.limits.Load().Slow))
	err := secure.HandshakeContext(ctx)
	cancel()
	if err != nil {
		c.Close()
		return
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		l.giveHTTP2(secure)
		return
	}
	l.http1.ServeConn(l.ctx, secure)
}

func (l *listener) tlsConfig(*tls.ClientHelloInfo) (*tls.Config, error) {
	if b := l.binding.Load(); b != nil && b.tls != nil {
		return b.tls, nil
	}
	return nil, errors.New("no certificate")
}

// retired is how long requests have that came in at an address that is no rule's any
// more.
const retired = time.Minute

// retire closes the address, while requests that are under way end.
func (l *listener) retire() {
	l.ln.Close()
	l.proxy.serving.Go(func() {
		ctx, cancel := context.WithTimeout(l.proxy.ctx, retired)
		defer cancel()
		l.shutdown(ctx)
	})
}

func (l *listener) shutdown(ctx context.Context) {
	l.ln.Close()
	var both sync.WaitGroup
	both.Go(func() { l.http1.Shutdown(ctx) })
	both.Go(func() { l.http2.Load().end(ctx) })
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	both.Wait()
	l.replaced.Wait()
	l.cancel()
	l.conns.Wait()
}
