package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"sealgate/daemon/gateway/http1"
)

// forwarding says which headers of which peers name the client.
type forwarding struct {
	from []forwardedFrom // in order: the first that a trusted peer sends counts
	tell string          // header that tells the server the client's address; empty: none
}

type forwardedFrom struct {
	header  string // canonical
	proxies addresses
	any     bool // every peer is trusted
}

// claims are headers by which a client could pretend to be somebody else, to come in
// another way, or to ask for another URL than was judged. They reach a server only from
// trusted peers, as do all that begin with claimed.
var claims = map[string]bool{
	"Forwarded": true, "X-Real-Ip": true, "X-Client-Ip": true, "Client-Ip": true, "True-Client-Ip": true, "X-True-Client-Ip": true, "X-Cluster-Client-Ip": true,
	"Cf-Connecting-Ip": true, "Cf-Connecting-Ipv6": true, "Fastly-Client-Ip": true, "Fly-Client-Ip": true, "X-Azure-Clientip": true, "X-Azure-Socketip": true,
	"X-Appengine-User-Ip": true, "X-Envoy-External-Address": true, "X-Originating-Ip": true, "X-Remote-Ip": true, "X-Remote-Addr": true, "Remote-Addr": true,
	"X-Original-Forwarded-For": true, "Proxy-Client-Ip": true, "Wl-Proxy-Client-Ip": true, "X-Proxyuser-Ip": true,
	"X-Original-Host": true, "X-Host": true, "X-Http-Host-Override": true, "X-Original-Proto": true, "X-Url-Scheme": true, "X-Scheme": true, "Front-End-Https": true,
	"X-Original-Url": true, "X-Original-Uri": true, "X-Rewrite-Url": true,
}

const claimed = "X-Forwarded-"

// httpoxy is a header that no client has a use for: to CGI it is the proxy to be used.
const httpoxy = "Proxy"

// client is who sent a request that came from peer, and whether peer is trusted.
func (f *forwarding) client(peer netip.Addr, header http.Header) (client netip.Addr, trusted bool) {
	for _, from := range f.from {
		if !from.any && !from.proxies.contains(peer) {
			continue
		}
		trusted = true
		if ip := from.walk(peer, header[from.header]); ip != peer {
			return ip, true
		}
	}
	return peer, trusted
}

// walk goes from the right past trusted proxies. With any peer trusted only the
// right-most entry is known to be true. It stops at what is no address.
func (f *forwardedFrom) walk(peer netip.Addr, lines []string) netip.Addr {
	found := peer
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; rest != ""; {
			at := strings.LastIndexByte(rest, ',')
			ip, ok := forwardedAddress(rest[at+1:])
			if !ok {
				return found
			}
			found = ip
			if f.any || !f.proxies.contains(ip) {
				return found
			}
			rest = rest[:max(at, 0)]
		}
	}
	return found
}

// forwardedAddress reads an entry of X-Forwarded-For and its kin, or the for= of one of
// Forwarded (RFC 7239), with or without a port.
func forwardedAddress(entry string) (netip.Addr, bool) {
	entry = strings.Trim(entry, " \t")
	for part := range strings.SplitSeq(entry, ";") {
		name, value, ok := strings.Cut(part, "=")
		if ok && strings.EqualFold(strings.Trim(name, " \t"), "for") {
			entry = strings.Trim(value, " \t\"")
		}
	}
	if ip, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		return ip.Unmap().WithZone(""), true
	}
	if at, err := netip.ParseAddrPort(entry); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

// apply makes the headers that a server gets say only what is known.
func (f *forwarding) apply(header http.Header, client netip.Addr, trusted bool) {
	for name := range header {
		plain := dashed(name)
		if plain == httpoxy || (!trusted || plain != name) && f.pretends(plain) {
			delete(header, name)
		}
	}
	if f.tell != "" {
		header[f.tell] = []string{client.String()}
	}
}

// applyTrailer drops what a trailer may not say: servers may take it for headers, which
// were judged without it. It is for before the body, too, whose reader fills in what is
// left.
func (f *forwarding) applyTrailer(trailer http.Header) {
	for name := range trailer {
		if plain := dashed(name); plain == httpoxy || f.pretends(plain) || !http1.InTrailer(plain) {
			delete(trailer, name)
		}
	}
}

// dashed is a header's name without underscores: a server that makes variables of headers
// takes both for one.
func dashed(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// pretends says whether a header says who the client is or what it asked for.
func (f *forwarding) pretends(name string) bool {
	return claims[name] || strings.HasPrefix(name, claimed) || name == f.tell || slices.ContainsFunc(f.from, func(from forwardedFrom) bool { return name == from.header })
}
