package proxy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"sealgate/appliance/model"
)

// firewall are the firewall policies of a web service, which are asked when a
// connection comes, before anything of it is read.
type firewall []*firewallPolicy

type firewallPolicy struct {
	name, severity, followed string
	block                    bool
	allow                    bool // only who is listed may come; else who is listed may not
	listed                   addresses
	told                     *told
}

func newFirewall(s *model.Snapshot, service *model.SnapshotService) (list firewall, err error) {
	for i := range s.Policies {
		policy := &s.Policies[i]
		if policy.Kind != model.FirewallPolicy || !policy.Covers(service) {
			continue
		}
		var d model.FirewallSettings
		if json.Unmarshal(policy.Document, &d) != nil {
			return nil, fmt.Errorf("firewall policy %q is not of the declared shape", policy.Name)
		}
		var entries []model.IPEntry
		for _, r := range d.Rules {
			if strings.EqualFold(r.Direction, "outbound") || !carriesHTTP(r.Protocol) {
				continue
			}
			group, ok := s.IPGroups[r.IPGroup]
			if !ok {
				return nil, fmt.Errorf("firewall policy %q names the IP group %q, which is not there", policy.Name, r.IPGroup)
			}
			entries = append(entries, group...)
		}
		if !d.Enabled || len(entries) == 0 {
			continue
		}
		p := &firewallPolicy{name: policy.Name, severity: d.Severity, followed: d.FollowedAction, block: d.Action == "block",
			allow: strings.EqualFold(d.Inbound, "allow"), told: new(told)}
		if p.listed, err = newAddresses(entries); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func carriesHTTP(protocol string) bool {
	switch strings.ToLower(protocol) {
	case "", "any", "all", "tcp", "http", "https":
		return true
	}
	return false
}

// refuses is the policy that is against an address, nil when none is. One that
// blocks goes before one that only tells.
func (f firewall) refuses(ip netip.Addr) (found *firewallPolicy) {
	for _, p := range f {
		if p.listed.contains(ip) != p.allow && (found == nil || p.block && !found.block) {
			found = p
		}
	}
	return found
}

// told keeps a flood of connections from becoming a flood of events: one a minute
// for an address.
type told struct {
	mu   sync.Mutex
	last map[netip.Addr]time.Time
}

const (
	tellEvery = time.Minute
	maxTold   = 4096
)

func (t *told) again(ip netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if last, ok := t.last[ip]; ok && now.Sub(last) < tellEvery {
		return false
	}
	if t.last == nil || len(t.last) >= maxTold {
		t.last = make(map[netip.Addr]time.Time)
	}
	t.last[ip] = now
	return true
}
