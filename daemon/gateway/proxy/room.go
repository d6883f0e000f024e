package proxy

import (
	"net/netip"
	"sync"
)

// room is what bodies take that wait for a verdict, in bytes: all of them, and those of
// one client.
type room struct {
	mu    sync.Mutex
	taken int64
	of    map[netip.Addr]int64 // by network
}

// take takes more for a client, unless there is not so much.
func (r *room) take(client netip.Addr, more int64, l *limits) bool {
	client = network(client)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken+more > l.held || r.of[client]+more > l.heldPerAddress {
		return false
	}
	if r.of == nil {
		r.of = make(map[netip.Addr]int64)
	}
	r.taken += more
	r.of[client] += more
	return true
}

func (r *room) giveBack(client netip.Addr, n int64) {
	if n == 0 {
		return
	}
	client = network(client)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken -= n
	if r.of[client] -= n; r.of[client] == 0 {
		delete(r.of, client)
	}
}

func (r *room) bytes() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}
