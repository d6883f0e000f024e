package proxy

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"sealgate/appliance/model"
	"sealgate/daemon/access"
	"sealgate/daemon/gateway/http1"
	"sealgate/daemon/gateway/urlpath"
	"sealgate/daemon/gateway/waf"
)

// exchange is one request and its answer.
type exchange struct {
	*binding
	l *listener
	p *Proxy
	w http.ResponseWriter
	r *http.Request

	began   time.Time
	id      string // of events, and in error pages
	peer    netip.AddrPort
	client  netip.Addr
	trusted bool   // peer is a proxy that says who the client is
	target  string // as it is sent: rewritten perhaps
	host    string

	grpc                bool
	openStreams, resets int // of the connection, where it speaks HTTP/2

	timed *timedBody // nil: nobody waits for the body in vain, or http1 sees to it

	judge  *judge // nil: nothing is inspected
	status int    // of the answer
	server netip.AddrPort
}

// ServeHTTP answers a request of a client, over either version of HTTP.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange{binding: l.binding.Load(), l: l, p: l.proxy, w: w, r: r, began: time.Now(), target: http1.OriginForm(r.RequestURI), host: r.Host}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		x.peer = netip.AddrPortFrom(peer.Addr().Unmap().WithZone(""), peer.Port())
	}
	x.client, x.grpc = x.peer.Addr(), isGRPC(r)
	defer x.done()
	if of, ok := r.Context().Value(streamsKey{}).(*streams); ok {
		x.openStreams, x.resets = int(of.open.Add(1)), int(of.resets.Load())
		defer func() {
			of.open.Add(-1)
			if r.Context().Err() != nil {
				of.resets.Add(1)
			}
		}()
	}
	switch {
	case x.binding == nil:
		x.plain(http.StatusNotFound, "no web service is here")
	case r.ProtoMajor == 2 && !x.admitted():
	default:
		x.serve()
	}
}

// errAmbiguous is for who could get past a route that asks for a certificate.
var errAmbiguous = &http1.Refusal{Status: http.StatusBadRequest, Name: http1.IllegalURL, Reason: "servers read different paths of the URL, and a certificate is asked for at some of them"}

// refuse answers a request that is not taken, whatever the mode is.
func (x *exchange) refuse(r *http1.Refusal) {
	v := x.p.newRefusal(x.binding, netip.AddrPortFrom(x.client, x.peer.Port()), r)
	x.describe(v)
	x.p.tell(nil, v, "")
	x.plain(r.Status, r.Reason)
}

// refused tells of a request that http1 did not take.
func (l *listener) refused(c netip.AddrPort, r *http1.Refusal) {
	l.proxy.metrics.requests.Add(statusClass(r.Status), 1)
	l.proxy.o.Access.Add(access.Entry{Client: c.Addr().Unmap(), Began: time.Now(), Status: r.Status, Bytes: -1})
	l.proxy.refusalEvent(l.binding.Load(), c, r)
}

func (x *exchange) serve() {
	if len(x.binding.forward.from) > 0 {
		x.client, x.trusted = x.binding.forward.client(x.peer.Addr(), x.r.Header)
	}
	if x.mode == model.ModeDisabled {
		x.plain(http.StatusServiceUnavailable, "this web service is out of operation")
		return
	}
	if x.keptOut() {
		x.block()
		return
	}
	if x.inspects(x.client) && x.monitored() {
		x.id = newID()
		x.judge = x.newJudge()
		defer x.judge.release()
		defer x.judge.finish()
		if x.judge.request() {
			return
		}
	}
	if redirect := x.rewriteRequest(); redirect > 0 {
		x.redirect(redirect)
		return
	}
	way := x.route(x.host, x.target)
	switch {
	case x.asksForCertificates(x.host) && urlpath.Ambiguous(x.target):
		x.refuse(errAmbiguous)
	case way == nil:
		x.plain(http.StatusNotFound, "no rule says where this request goes")
	case !way.admits(x.r.TLS):
		x.strangerEvent()
		x.block()
	default:
		x.forward(way.to)
	}
}

// keptOut says whether a followed action, or a firewall policy that came after the
// connection, keeps the client out.
func (x *exchange) keptOut() bool {
	if x.mode != model.ModeActive {
		return false
	}
	group := x.service.ServerGroup
	if x.p.blocks.some.Load() {
		if b, first := x.p.blocks.refuse(group, newID, whoAsks(x.client, x.r.Header)); b != nil {
			if x.id = b.event; first {
				x.blockEvent(b)
			}
			return true
		}
	}
	if rule := x.firewall.refuses(x.client); rule != nil && rule.block {
		x.p.firewallEvent(x.l, x.binding, netip.AddrPortFrom(x.client, x.peer.Port()), rule, true)
		return true
	}
	return false
}

// block answers with the web service's error page.
func (x *exchange) block() {
	if x.id == "" {
		x.id = newID()
	}
	p := x.pages.choose(x.subject())
	x.status = p.status
	p.send(x.w, x.r, x.id)
}

// subject is what criteria know of the request.
func (x *exchange) subject() waf.Request {
	return waf.Request{
		ID: x.id, ClientIP: x.client, ClientPort: int(x.peer.Port()), ServerIP: x.l.at.Addr(), ServerPort: int(x.l.at.Port()),
		Method: x.r.Method, URI: http1.OriginForm(x.r.RequestURI), Proto: x.r.Proto, Host: x.r.Host, Header: x.r.Header, Streams: x.openStreams, Resets: x.resets,
		Site: x.service.Site, ServerGroup: x.service.ServerGroup, Service: x.service.Name, Application: x.application(x.r.Host),
		IgnoreCase: x.service.CaseSensitiveURLs != nil && !*x.service.CaseSensitiveURLs,
	}
}

func (x *exchange) plain(status int, words string) {
	x.status = status
	sendPlain(x.w, x.r, status, words)
}

func (x *exchange) redirect(status int) {
	scheme := "http://"
	if x.r.TLS != nil {
		scheme = "https://"
	}
	x.status = status
	header := x.w.Header()
	header.Set("Location", scheme+x.host+x.target)
	header.Set("Content-Length", "0")
	x.w.WriteHeader(status)
}

// done counts the exchange.
func (x *exchange) done() {
	if x.timed != nil {
		x.timed.end()
	}
	x.p.metrics.requests.Add(statusClass(x.status), 1)
	x.p.o.Access.Add(access.Entry{Client: x.client, Began: x.began, Method: x.r.Method, Target: x.r.RequestURI, Protocol: x.r.Proto, Status: x.status, Bytes: x.length()})
	if target := http1.OriginForm(x.r.RequestURI); x.p.o.Watched != nil && x.p.o.Watched(target) {
		x.p.o.Saw(Seen{Target: target, Client: x.peer, Server: x.server, Gateway: x.l.at, Status: x.status})
	}
}

// length is that of the answer's body, where it was announced.
func (x *exchange) length() int64 {
	if announced := x.w.Header()["Content-Length"]; len(announced) == 1 && x.r.Method != http.MethodHead {
		if n, err := strconv.ParseInt(announced[0], 10, 64); err == nil {
			return n
		}
	}
	return -1
}

// newID names an event: 40 bits of its time, in 64 ms, and 60 random ones. Events of one
// time lie side by side in a database's index.
func newID() string {
	at := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli())>>6)
	return base32.StdEncoding.EncodeToString(at[3:]) + rand.Text()[:12]
}
