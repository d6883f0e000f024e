package proxy

import (
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sealgate/appliance/model"
)

// blocks are who is kept out for a time, by server group: addresses and sessions
// that followed actions named.
type blocks struct {
	some atomic.Bool // false: nobody is
	mu   sync.Mutex
	of   map[blocked]*block
}

type blocked struct{ group, who string }

// block is why and until when.
type block struct {
	kind, policy, followed string // an action's type, the policy that it followed, its action set
	end                    time.Time
	event                  string // that tells of it; empty until somebody was refused
}

// maxBlocks bounds memory. When there are more, those that end first go.
const maxBlocks = 100_000

// add keeps somebody out. A block that is there may become longer.
func (b *blocks) add(group, who string, length time.Duration, why block) {
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
func (b *blocks) refuse(group string, event func() string, who ...string) (found *block, first bool) {
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
		acts := slices.ContainsFunc(s.ActionSets[one.followed].Actions, func(a model.Action) bool { return a.Type == one.kind })
		if !acts || !causes[cause{one.policy, one.followed}] {
			delete(b.of, key)
		}
	}
	b.some.Store(len(b.of) > 0)
}
