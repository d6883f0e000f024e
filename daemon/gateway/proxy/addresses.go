package proxy

import (
	"net/netip"
	"slices"

	"sealgate/appliance/model"
)

// addresses is a set of IP addresses: ranges that neither touch nor overlap, in order.
type addresses []addressRange

type addressRange struct{ first, last netip.Addr }

func newAddresses(entries []model.IPEntry) (addresses, error) {
	all := make(addresses, 0, len(entries))
	for _, e := range entries {
		first, last, err := e.Range()
		if err != nil {
			return nil, err
		}
		all = append(all, addressRange{first, last})
	}
	slices.SortFunc(all, func(a, b addressRange) int { return a.first.Compare(b.first) })
	merged := all[:0]
	for _, r := range all {
		if n := len(merged); n > 0 && merged[n-1].last.Is4() == r.first.Is4() && r.first.Compare(merged[n-1].last) <= 0 {
			if merged[n-1].last.Less(r.last) {
				merged[n-1].last = r.last
			}
			continue
		}
		merged = append(merged, r)
	}
	return merged, nil
}

func (a addresses) contains(ip netip.Addr) bool {
	at, found := slices.BinarySearchFunc(a, ip, func(r addressRange, ip netip.Addr) int { return r.first.Compare(ip) })
	return found || at > 0 && ip.Compare(a[at-1].last) <= 0 && a[at-1].first.Is4() == ip.Is4()
}
