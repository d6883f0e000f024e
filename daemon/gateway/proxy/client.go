package proxy

import (
	"net/http"
	"net/netip"
	"strings"
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

// claims are headers by which a client could pretend to be somebody else. They reach
// a server only from trusted peers.
var claims = []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Cluster-Client-Ip", "Client-Ip"}

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
	if !trusted {
		for _, name := range claims {
			delete(header, name)
		}
		for _, from := range f.from {
			delete(header, from.header)
		}
	}
	for name := range header {
		if strings.IndexByte(name, '_') >= 0 && f.pretends(name) {
			delete(header, name)
		}
	}
	if f.tell != "" {
		header[f.tell] = []string{client.String()}
	}
}

// pretends says whether a server that makes variables of headers would take name for
// one that names the client.
func (f *forwarding) pretends(name string) bool {
	name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	if name == f.tell {
		return true
	}
	for _, claim := range claims {
		if name == claim {
			return true
		}
	}
	for _, from := range f.from {
		if name == from.header {
			return true
		}
	}
	return false
}
