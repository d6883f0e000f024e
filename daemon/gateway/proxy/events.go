package proxy

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/gateway/http1"
	"sealgate/daemon/gateway/waf"
)

// Actions of an event.
const (
	actionBlock = "block"
	actionNone  = "none"
)

func action(block bool) string {
	if block {
		return actionBlock
	}
	return actionNone
}

// newViolation is what is known of every violation at a binding.
func (p *Proxy) newViolation(b *binding, id string, from netip.AddrPort) *store.Violation {
	v := &store.Violation{ID: id, Time: time.Now().UnixMilli(), Gateway: p.o.Gateway, SourceIP: from.Addr().String(), SourcePort: int(from.Port())}
	if b != nil {
		v.Site, v.ServerGroup, v.Service = b.service.Site, b.service.ServerGroup, b.service.Name
	}
	return v
}

// violation tells of the n-th match of a request, and carries out its followed action.
func (x *exchange) violation(m *waf.Match, n int, blocked bool) {
	id := x.id
	if n > 0 {
		id = fmt.Sprintf("%s-%d", id, n)
	}
	v := x.p.newViolation(x.binding, id, netip.AddrPortFrom(x.client, x.peer.Port()))
	x.describe(v)
	v.Severity, v.Type, v.Policy, v.Description = m.Severity, m.Rule, m.Policy, m.Message
	v.Signature, v.SignatureName, v.ViolatedItem = text(m.Value), m.Signature, strings.TrimSuffix(m.Target+":"+m.Item, ":")
	v.Action = action(blocked && m.Block)
	if m.DisplayPage {
		v.Comment = x.outcome(blocked)
	}
	x.p.tell(x.config, v, m.FollowedAction)
	x.p.follow(x.binding, x.client, x.r.Header, m.Policy, m.FollowedAction)
}

// outcome says what answer the client gets.
func (x *exchange) outcome(blocked bool) string {
	status := x.status
	if blocked {
		status = x.pages.choose(x.subject()).status
	}
	if status == 0 {
		return "the client got no answer"
	}
	return fmt.Sprintf("the client got status %d", status)
}

// describe says what the request was, masked.
func (x *exchange) describe(v *store.Violation) {
	v.DestIP, v.DestPort = x.l.at.Addr().String(), int(x.l.at.Port())
	v.Application, v.Method, v.Host = x.application(x.r.Host), x.r.Method, x.r.Host
	path, query, _ := strings.Cut(x.masker.URI(http1.OriginForm(x.r.RequestURI)), "?")
	v.Path, v.Query = text(path), text(query)
	v.UserAgent = text(x.masker.Header("User-Agent", x.r.Header.Get("User-Agent")))
	if session := waf.Session(x.r.Header); session != "" {
		v.Session = fingerprint(session)
	}
}

// follow carries out what of a policy's action set is the proxy's, in active mode.
func (p *Proxy) follow(b *binding, client netip.Addr, header http.Header, policy, name string) {
	if b.mode != model.ModeActive || name == "" {
		return
	}
	for _, a := range b.config.actions[name].Actions {
		for _, who := range whoAsks(client, header) {
			if who.kind == a.Type {
				length := time.Duration(cmp.Or(a.Seconds, model.UsualBlock)) * time.Second
				p.blocks.add(b.service.ServerGroup, who, length, block{policy: policy, followed: name, shown: b.shown(client, who, header)})
			}
		}
	}
}

// shown is whom a block keeps out, as an administrator may see it.
func (b *binding) shown(client netip.Addr, who whom, header http.Header) string {
	switch {
	case who.kind == model.ActionIPBlock:
		return shownAddress(client)
	case who.kind == model.ActionUserBlock && who.name == waf.User(header) && b.masker.Header("Authorization", who.name) == who.name:
		return text(who.name)
	}
	return fingerprint(who.name)
}

// blockEvent tells of somebody who is kept out.
func (x *exchange) blockEvent(b *block) {
	v := x.p.newViolation(x.binding, b.event, netip.AddrPortFrom(x.client, x.peer.Port()))
	x.describe(v)
	v.Severity, v.Type, v.Policy, v.Action = "informative", "Blocked Client", b.policy, actionBlock
	v.Description = fmt.Sprintf("a client that the action set %q blocks until %s", b.followed, b.end.UTC().Format(time.RFC3339))
	x.p.tell(x.config, v, "")
}

func (p *Proxy) tell(c *config, v *store.Violation, followed string) {
	var actions []model.Action
	if c != nil && followed != "" {
		actions = c.actions[followed].Actions
	}
	p.o.Event(v, actions)
}

// refusalEvent tells of a request that broke the protocol.
func (p *Proxy) refusalEvent(b *binding, from netip.AddrPort, r *http1.Refusal) {
	p.tell(nil, p.newRefusal(b, from, r), "")
}

func (p *Proxy) newRefusal(b *binding, from netip.AddrPort, r *http1.Refusal) *store.Violation {
	v := p.newViolation(b, newID(), from)
	v.Severity, v.Type, v.Description, v.Action, v.Policy = "medium", r.Name, r.Reason, actionBlock, "HTTP Protocol"
	if r.Status == http.StatusRequestTimeout {
		v.Severity = "low"
	}
	return v
}

func (p *Proxy) firewallEvent(l *listener, b *binding, from netip.AddrPort, rule *firewallPolicy, blocked bool) {
	p.follow(b, from.Addr(), nil, rule.name, rule.followed)
	if !rule.told.again(from.Addr()) {
		return
	}
	v := p.newViolation(b, newID(), from)
	v.DestIP, v.DestPort = l.at.Addr().String(), int(l.at.Port())
	v.Severity, v.Type, v.Policy, v.Action = rule.severity, "Firewall", rule.name, action(blocked)
	v.Description = "a connection from an address that the firewall policy is against"
	p.tell(b.config, v, rule.followed)
}

// strangerEvent tells of a request without the certificate that its way asks for.
func (x *exchange) strangerEvent() {
	x.id = newID()
	v := x.p.newViolation(x.binding, x.id, netip.AddrPortFrom(x.client, x.peer.Port()))
	x.describe(v)
	v.Severity, v.Type, v.Action, v.Description = "medium", "Client Certificate", actionBlock, "the client shows no certificate that the outbound rule takes"
	if x.r.TLS != nil && len(x.r.TLS.PeerCertificates) > 0 {
		v.ViolatedItem = text(x.r.TLS.PeerCertificates[0].Subject.String())
	}
	x.p.tell(x.config, v, "")
}

// encodedEvent tells of an answer that cannot be read, once a minute of a server.
func (x *exchange) encodedEvent(encoding string) {
	if !x.p.encoders.again(x.server.Addr()) {
		return
	}
	v := x.p.newViolation(x.binding, newID(), netip.AddrPortFrom(x.client, x.peer.Port()))
	x.describe(v)
	v.Severity, v.Type, v.Action, v.ViolatedItem = "low", uninspected, actionNone, text("Content-Encoding:"+encoding)
	v.Description = "the server encodes answers though it is asked not to, and they are not inspected"
	x.p.tell(x.config, v, "")
}

// uninspected is the rule for what could not be inspected.
const uninspected = "Inspection Not Completed"

// serverEvery is how often an event tells of the same server.
const serverEvery = 10 * time.Second

// serverEvent tells that a server did not answer.
func (x *exchange) serverEvent(to *upstream, err error) {
	x.p.o.Log.Warn("a server does not answer", "web_service", x.service.Name, "server", to.address, "error", err)
	now, last := time.Now().Unix(), to.complained.Load()
	x.p.unreachable(to, now, err)
	if now-last < int64(serverEvery/time.Second) || !to.complained.CompareAndSwap(last, now) {
		return
	}
	v := x.p.newViolation(x.binding, newID(), netip.AddrPortFrom(x.client, x.peer.Port()))
	x.describe(v)
	v.Severity, v.Type, v.Action, v.ViolatedItem = "informative", "Server Unavailable", actionNone, to.address
	v.Description = fmt.Sprintf("the server %s does not answer", to.address)
	x.p.tell(x.config, v, "")
}

// downEvery is how often it is told at most that the same server went down: one that
// answers some requests and not others is told of no more.
const downEvery = time.Minute

// unreachable tells that a server went down, once until it answers again.
func (p *Proxy) unreachable(u *upstream, now int64, err error) {
	if now-u.downSince.Load() >= int64(downEvery/time.Second) && u.down.CompareAndSwap(false, true) {
		u.downSince.Store(now)
		p.o.Server(u.address, err)
	}
}

// answered tells that a server which was down answers again.
func (p *Proxy) answered(u *upstream) {
	if u.down.Load() && u.down.CompareAndSwap(true, false) {
		p.o.Server(u.address, nil)
	}
}

// overloadEvent tells that there was no room to inspect a body. It is told once a minute
// of an address.
func (x *exchange) overloadEvent(blocked bool) {
	if !x.p.overloads.again(network(x.client)) {
		return
	}
	limits := x.l.limits.Load()
	x.p.o.Log.Warn("there is no room to inspect a body", "web_service", x.service.Name, "client", x.client, "held", x.p.held.bytes(), "most", limits.held, "most_of_one_address", limits.heldPerAddress)
	v := x.p.newViolation(x.binding, newID(), netip.AddrPortFrom(x.client, x.peer.Port()))
	x.describe(v)
	v.Severity, v.Type, v.Action = "high", uninspected, action(blocked)
	v.Description = fmt.Sprintf("there is no room to inspect the body: the held ones may take %d bytes in all, and %d of one address", limits.held, limits.heldPerAddress)
	x.p.tell(x.config, v, "")
}
