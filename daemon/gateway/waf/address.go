package waf

import (
	"fmt"
	"net/netip"
)

// addresses are ranges of IP addresses.
type addresses [][2]netip.Addr

// contains says whether an address is in a range. An IPv4 address is the same
// when it is written as IPv6.
func (a addresses) contains(ip netip.Addr) bool {
	ip = ip.Unmap()
	for _, r := range a {
		if r[0].BitLen() == ip.BitLen() && r[0].Compare(ip) <= 0 && ip.Compare(r[1]) <= 0 {
			return true
		}
	}
	return false
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
		return network(ip.Unmap(), e.CIDRMask)
	}
	return none, fmt.Errorf("an entry is single, range or network, not %q", e.Type)
}

func network(ip netip.Addr, bits int) ([2]netip.Addr, error) {
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
			return IPEntry{Type: "range", IPAddressFrom: s[:i], IPAddressTo: s[i+1:]}.span()
		}
	}
	return IPEntry{Type: "single", IPAddressFrom: s}.span()
}
