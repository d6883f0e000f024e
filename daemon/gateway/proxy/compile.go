package proxy

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/urlpath"
	"sealgate/daemon/gateway/waf"
)

// built is a compiled snapshot.
type built struct {
	config    *config
	bindings  map[netip.AddrPort]*binding
	doubled   []Unbound
	upstreams map[string]*upstream
}

// binding is what holds at one address: one inbound rule of one web service.
type binding struct {
	*site
	tls    *tls.Config
	routes []route
}

// site is a web service, shared by its bindings.
type site struct {
	service  *model.SnapshotService
	config   *config
	mode     string
	engine   waf.Engine
	ignore   addresses
	only     addresses // inspected alone, where limited
	limited  bool
	forward  forwarding
	firewall firewall
	pages    pages
	rewrites []rewrite
	snippets []snippet
	masker   *waf.Masker
	mappings []mapping
	scopes   map[string]scope // by web application
}

// route is an outbound rule.
type route struct {
	host   string // lower-case; empty is any
	suffix bool   // host begins with a dot and names fit by their end
	prefix string // of canonical paths
	to     *upstream
	from   *regexp.Regexp // subjects of the certificates of whom it is for; nil: everybody
}

func (r *route) isFor(host string) bool {
	return r.host == "" || r.host == host || r.suffix && strings.HasSuffix(host, r.host)
}

// leads says whether a canonical path is the route's. One that asks for a certificate
// is for all that a server could take for its own, which may not tell A from a.
func (r *route) leads(path string) bool {
	if r.from != nil {
		return len(path) >= len(r.prefix) && strings.EqualFold(path[:len(r.prefix)], r.prefix)
	}
	return strings.HasPrefix(path, r.prefix)
}

// admits says whether whom a connection's certificate names may take the route.
func (r *route) admits(c *tls.ConnectionState) bool {
	if r.from == nil {
		return true
	}
	return c != nil && len(c.VerifiedChains) > 0 && r.from.MatchString(c.PeerCertificates[0].Subject.String())
}

// mapping says which application a host is.
type mapping struct {
	host, kind, application string
	expression              *regexp.Regexp
}

func (p *Proxy) compile(s *model.Snapshot) (*built, error) {
	c := &config{revision: s.Revision, group: s.Group, limits: newLimits(s.Group.Limits), failClosed: s.Group.FailMode == model.FailClosed, actions: s.ActionSets}
	out := &built{config: c, bindings: make(map[netip.AddrPort]*binding), upstreams: make(map[string]*upstream)}
	var errs []error
	for i := range s.Services {
		if err := p.compileService(s, &s.Services[i], out); err != nil {
			errs = append(errs, fmt.Errorf("web service %q: %w", s.Services[i].Name, err))
		}
	}
	return out, errors.Join(errs...)
}

func (p *Proxy) compileService(s *model.Snapshot, service *model.SnapshotService, out *built) error {
	st := &site{service: service, config: out.config, mode: service.Mode, limited: service.LimitIPGroup != "", scopes: newScopes(service.Applications)}
	keys, err := newKeyring(service.Keys)
	if err != nil {
		return err
	}
	if st.ignore, err = newAddresses(s.IPGroups[service.IgnoreIPGroup]); err != nil {
		return err
	}
	if st.only, err = newAddresses(s.IPGroups[service.LimitIPGroup]); err != nil {
		return err
	}
	if st.forward, err = newForwarding(s, service); err != nil {
		return err
	}
	if st.firewall, err = newFirewall(s, service); err != nil {
		return err
	}
	if st.pages, err = newPages(s, service); err != nil {
		return err
	}
	if st.rewrites, err = newRewrites(s, service); err != nil {
		return err
	}
	if st.snippets, err = newSnippets(s, service); err != nil {
		return err
	}
	if st.masker, err = newMasker(s.DataMaskingGroups[service.DataMaskingGroup]); err != nil {
		return err
	}
	if st.mappings, err = newMappings(service.HostMappings); err != nil {
		return err
	}
	// Where nothing is forwarded nothing is judged.
	if p.o.Engine != nil && service.Mode != model.ModeDisabled {
		if st.engine, err = p.o.Engine(s, service); err != nil {
			return err
		}
	}
	for i := range service.Inbound {
		if err := p.compileInbound(s, st, keys, &service.Inbound[i], out); err != nil {
			return err
		}
	}
	return nil
}

func (p *Proxy) compileInbound(s *model.Snapshot, st *site, keys *keyring, in *model.SnapshotInbound, out *built) error {
	address, ok := s.Aliases[p.o.Gateway][in.Alias]
	if !ok {
		return nil // the alias is another gateway's
	}
	b := &binding{site: st}
	var err error
	if b.tls, err = keys.serverTLS(s, st.service, in); err != nil {
		return err
	}
	rules := slices.Clone(in.Outbound)
	slices.SortStableFunc(rules, func(a, b model.SnapshotOutbound) int { return cmp.Compare(a.Priority, b.Priority) })
	for i := range rules {
		u, err := newUpstream(s, keys, &rules[i], p.upstreams, p.o.Resolver)
		if err != nil {
			return err
		}
		if same := out.upstreams[u.key]; same != nil {
			u = same
		}
		out.upstreams[u.key] = u
		r := newRoute(&rules[i], u)
		if name := rules[i].ClientRule; name != "" {
			if r.from, err = regexp.Compile(in.ClientRules[name]); err != nil {
				return fmt.Errorf("client authentication rule %q: %q is no regular expression", name, in.ClientRules[name])
			}
		}
		b.routes = append(b.routes, r)
	}
	for _, port := range in.Ports {
		at := netip.AddrPortFrom(address.Unmap(), uint16(port))
		if other := out.bindings[at]; other != nil {
			out.doubled = append(out.doubled, Unbound{at, st.service.Name, fmt.Sprintf("the address belongs to web service %q already", other.service.Name)})
			continue
		}
		out.bindings[at] = b
	}
	return nil
}

func newRoute(rule *model.SnapshotOutbound, to *upstream) route {
	r := route{host: strings.ToLower(rule.ExternalHost), prefix: urlpath.Prefix(rule.URLPrefix), to: to}
	switch {
	case r.host == "any" || r.host == "*":
		r.host = ""
	case strings.HasPrefix(r.host, "*"):
		r.host, r.suffix = r.host[1:], true
	}
	return r
}

// route is where a request goes, nil when no rule fits.
func (b *binding) route(host, target string) *route {
	host, path := hostName(host), urlpath.Canonical(target)
	for i := range b.routes {
		if b.routes[i].isFor(host) && b.routes[i].leads(path) {
			return &b.routes[i]
		}
	}
	return nil
}

// asksForCertificates says whether one of a host's routes does.
func (b *binding) asksForCertificates(host string) bool {
	host = hostName(host)
	return slices.ContainsFunc(b.routes, func(r route) bool { return r.from != nil && r.isFor(host) })
}

// hostName is a Host header's name without port, lower-case.
func hostName(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func newForwarding(s *model.Snapshot, service *model.SnapshotService) (f forwarding, err error) {
	if service.UseForwardingHeader {
		for _, c := range service.ForwardedConnections {
			from := forwardedFrom{header: http.CanonicalHeaderKey(c.Header), any: c.IPGroup == ""}
			if from.proxies, err = newAddresses(s.IPGroups[c.IPGroup]); err != nil {
				return f, err
			}
			f.from = append(f.from, from)
		}
	}
	if service.ForwardClientIP {
		f.tell = http.CanonicalHeaderKey(cmp.Or(service.ForwardHeaderName, "X-Forwarded-For"))
	}
	return f, nil
}

func newMappings(list []model.SnapshotMapping) ([]mapping, error) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b model.SnapshotMapping) int { return cmp.Compare(a.Priority, b.Priority) })
	mappings := make([]mapping, len(list))
	for i, m := range list {
		mappings[i] = mapping{host: strings.ToLower(m.Host), kind: m.MatchType, application: m.Application}
		if m.MatchType == "Regex" {
			var err error
			if mappings[i].expression, err = regexp.Compile("(?i)" + m.Host); err != nil {
				return nil, err
			}
		}
	}
	return mappings, nil
}

// application is the web application that a host is.
func (s *site) application(host string) string {
	if len(s.mappings) > 0 {
		host = hostName(host)
	}
	for i := range s.mappings {
		if s.mappings[i].fits(host) {
			return s.mappings[i].application
		}
	}
	return s.service.DefaultApplication
}

func (m *mapping) fits(host string) bool {
	switch m.kind {
	case "Prefix":
		return strings.HasPrefix(host, m.host)
	case "Suffix":
		return strings.HasSuffix(host, m.host)
	case "Regex":
		return m.expression.MatchString(host)
	}
	return host == m.host
}

// enforces says whether a verdict is carried out.
func (s *site) enforces(block bool) bool { return block && s.mode == model.ModeActive }

// inspects says whether requests of a client are judged.
func (s *site) inspects(client netip.Addr) bool {
	return s.engine != nil && !s.ignore.contains(client) && (!s.limited || s.only.contains(client))
}
