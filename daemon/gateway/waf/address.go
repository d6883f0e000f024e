package waf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// addresses are ranges of IP addresses, once they are sorted in order and apart.
type addresses [][2]netip.Addr

func (a addresses) sorted() addresses {
	slices.SortFunc(a, func(x, y [2]netip.Addr) int { return x[0].Compare(y[0]) })
	apart := a[:0]
	for _, r := range a {
		if n := len(apart); n > 0 && apart[n-1][1].BitLen() == r[0].BitLen() && r[0].Compare(apart[n-1][1]) <= 0 {
			if apart[n-1][1].Less(r[1]) {
				apart[n-1][1] = r[1]
			}
			continue
		}
		apart = append(apart, r)
	}
	return apart
}

// contains says whether an address is in a range of sorted ones. An IPv4 address is
// the same when it is written as IPv6.
func (a addresses) contains(ip netip.Addr) bool {
	ip = ip.Unmap()
	at, found := slices.BinarySearchFunc(a, ip, func(r [2]netip.Addr, ip netip.Addr) int { return r[0].Compare(ip) })
	return found || at > 0 && a[at-1][0].BitLen() == ip.BitLen() && ip.Compare(a[at-1][1]) <= 0
}

// span is the range of an entry.
func (e IPEntry) span() ([2]netip.Addr, error) {
	var none [2]netip.Addr
	switch e.Type {
	case "single", "range":
		to := e.IPAddressTo
		if e.Type == "single" {
			to = e.IPAddressFrom
		}
		from, err := netip.ParseAddr(e.IPAddressFrom)
		if err != nil {
			return none, fmt.Errorf("%q is no IP address", e.IPAddressFrom)
		}
		last, err := netip.ParseAddr(to)
		if err != nil || last.Unmap().BitLen() != from.Unmap().BitLen() {
			return none, fmt.Errorf("%q ends no range that begins at %s", to, from)
		}
		return [2]netip.Addr{from.Unmap(), last.Unmap()}, nil
	case "network":
		ip, err := netip.ParseAddr(e.NetworkAddress)
		if err != nil {
			return none, fmt.Errorf("%q is no IP address", e.NetworkAddress)
		}
		return network(ip, e.CIDRMask)
	}
	return none, fmt.Errorf("an entry is single, range or network, not %q", e.Type)
}

func network(ip netip.Addr, bits int) ([2]netip.Addr, error) {
	if ip.Is4In6() {
		ip, bits = ip.Unmap(), bits-96
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return [2]netip.Addr{}, fmt.Errorf("a network of %s has no mask of %d bits", ip, bits)
	}
	last := prefix.Addr().AsSlice()
	for i := bits; i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return [2]netip.Addr{prefix.Addr(), end}, nil
}

// literal reads an address, a network or a range FROM-TO.
func literal(s string) ([2]netip.Addr, error) {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		return network(prefix.Addr(), prefix.Bits())
	}
	for i := range len(s) {
		if s[i] == '-' {
			return IPEntry{Type: "range", IPAddressFrom: strings.TrimSpace(s[:i]), IPAddressTo: strings.TrimSpace(s[i+1:])}.span()
		}
	}
	return IPEntry{Type: "single", IPAddressFrom: s}.span()
}
