package model

import "time"

// Block is somebody whom a followed action keeps out of a server group.
type Block struct {
	Until       time.Time `json:"until"`
	Type        string    `json:"type"` // the action's
	Who         string    `json:"who"`  // an address, a /64 in IPv6, a user, or a session's fingerprint as events have it
	ServerGroup string    `json:"server_group"`
	Policy      string    `json:"policy"`
	ActionSet   string    `json:"action_set"`
	Event       string    `json:"event,omitempty"` // that pages name; empty until somebody got one
}

// Blocks are those of a gateway.
type Blocks struct {
	Total  int     `json:"total"`
	Blocks []Block `json:"blocks"` // those that end last, at most MostBlocks
}

// MostBlocks is how many are told.
const MostBlocks = 1000

// Unblock says which are to be lifted: by address, user, fingerprint of a session, or event.
type Unblock struct {
	Who string `json:"who,omitempty"`
	All bool   `json:"all,omitempty"`
}

// Unblocked says how many were.
type Unblocked struct {
	Lifted int `json:"lifted"`
}
