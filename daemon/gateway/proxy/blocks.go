package proxy

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/waf"
)

// blocks are who is kept out for a time, by server group: addresses, sessions and users
// that followed actions named.
type blocks struct {
	some atomic.Bool // false: nobody is
	mu   sync.Mutex
	of   map[blocked]*block
}

type blocked struct {
	group string
	whom
}

// whom is somebody as an action of that type knows him. A name that anybody can say counts
// where it comes from: else whoever knows it could lock its owner out.
type whom struct{ kind, name, from string }

// whoAsks is whom a request is from. A user who is known by no name is his session.
func whoAsks(client netip.Addr, header http.Header) []whom {
	address := network(client).String()
	list := []whom{{model.ActionIPBlock, address, ""}}
	session := waf.Session(header)
	if session != "" {
		list = append(list, whom{model.ActionSessionBlock, session, ""})
	}
	if user := waf.User(header); user != "" {
		list = append(list, whom{model.ActionUserBlock, user, address})
	} else if session != "" {
		list = append(list, whom{model.ActionUserBlock, session, ""})
	}
	return list
}

// block is why and until when.
type block struct {
	policy, followed string // the policy that an action followed, its action set
	shown            string // who it is, for administrators
	end              time.Time
	event            string // that tells of it; empty until somebody was refused
}

// maxBlocks bounds memory. When there are more, those that end first go.
const maxBlocks = 100_000

// add keeps somebody out. A block that is there may become longer.
func (b *blocks) add(group string, who whom, length time.Duration, why block) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil {
		b.of = make(map[blocked]*block)
	}
	if len(b.of) >= maxBlocks {
		b.makeRoom()
	}
	key := blocked{group, who}
	why.end = time.Now().Add(length)
	if before := b.of[key]; before == nil || before.end.Before(why.end) {
		if before != nil {
			why.event = before.event
		}
		b.of[key] = &why
	}
	b.some.Store(true)
}

// makeRoom drops what has ended, and otherwise one of many that ends early.
func (b *blocks) makeRoom() {
	now := time.Now()
	var first blocked
	looked := 0
	for key, one := range b.of {
		if one.end.Before(now) {
			delete(b.of, key)
			continue
		}
		if looked == 0 || one.end.Before(b.of[first].end) {
			first = key
		}
		if looked++; looked == 100 {
			break
		}
	}
	if len(b.of) >= maxBlocks {
		delete(b.of, first)
	}
}

// refuse is the block that keeps one of these out, nil when none does. The first time it
// takes event for its own.
func (b *blocks) refuse(group string, event func() string, who []whom) (found *block, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, one := range who {
		key := blocked{group, one}
		kept := b.of[key]
		if kept == nil {
			continue
		}
		if !time.Now().Before(kept.end) {
			delete(b.of, key)
			b.some.Store(len(b.of) > 0)
			continue
		}
		if first = kept.event == ""; first {
			kept.event = event()
		}
		found := *kept
		return &found, first
	}
	return nil, false
}

// count is how many are kept out, or were and have not come back since.
func (b *blocks) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.of)
}

// keep lifts the blocks that a configuration would not make.
func (b *blocks) keep(s *model.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.of) == 0 {
		return
	}
	type cause struct{ policy, followed string }
	causes := make(map[cause]bool)
	for i := range s.Policies {
		var d struct {
			FollowedAction string                            `json:"followedAction"`
			Rules          []struct{ FollowedAction string } `json:"rules"`
		}
		if json.Unmarshal(s.Policies[i].Document, &d) != nil {
			continue
		}
		causes[cause{s.Policies[i].Name, d.FollowedAction}] = true
		for _, r := range d.Rules {
			causes[cause{s.Policies[i].Name, r.FollowedAction}] = true
		}
	}
	for key, one := range b.of {
		acts := slices.ContainsFunc(s.ActionSets[one.followed].Actions, func(a model.Action) bool { return a.Type == key.kind })
		if !acts || !causes[cause{one.policy, one.followed}] {
			delete(b.of, key)
		}
	}
	b.some.Store(len(b.of) > 0)
}

// Blocks are who is kept out now.
func (p *Proxy) Blocks() model.Blocks {
	b := &p.blocks
	b.mu.Lock()
	now, list := time.Now(), []model.Block{}
	for key, one := range b.of {
		if now.Before(one.end) {
			list = append(list, model.Block{Until: one.end.UTC().Truncate(time.Second), Type: key.kind, Who: one.shown, ServerGroup: key.group,
				Policy: one.policy, ActionSet: one.followed, Event: one.event})
		}
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(a, b model.Block) int { return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.Who, b.Who)) })
	return model.Blocks{Total: len(list), Blocks: list[:min(len(list), model.MostBlocks)]}
}

// Unblock lifts blocks, and says how many.
func (p *Proxy) Unblock(u model.Unblock) model.Unblocked {
	if ip, err := netip.ParseAddr(u.Who); err == nil {
		u.Who = shownAddress(ip.Unmap())
	}
	b := &p.blocks
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.of)
	maps.DeleteFunc(b.of, func(_ blocked, one *block) bool {
		return u.All || u.Who != "" && (u.Who == one.shown || u.Who == one.event)
	})
	b.some.Store(len(b.of) > 0)
	return model.Unblocked{Lifted: before - len(b.of)}
}

// shownAddress is what a block of an address keeps out.
func shownAddress(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(network(ip), 64).String()
}
