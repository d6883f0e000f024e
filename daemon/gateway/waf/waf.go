// Package waf judges web traffic: it says of a request or response whether it
// is to be blocked, and what matched. It reads no socket, writes no log and
// knows no operation mode: whether a verdict is carried out is the proxy's.
package waf

import (
	"context"
	"net/http"
	"net/netip"
)

// Engine judges one web service's traffic. It serves many requests at a time.
type Engine interface {
	Begin(ctx context.Context, r Request) Transaction
}

// Request is what is known before the body is read. Header is as the client
// sent it; Host is apart, as in net/http.
type Request struct {
	ID         string
	ClientIP   netip.Addr // the client's, past trusted proxies
	ClientPort int
	ServerIP   netip.Addr
	ServerPort int
	Method     string
	URI        string // path and query as on the request line
	Proto      string // HTTP/1.1
	Host       string
	Header     http.Header

	// Streams of its HTTP/2 connection that are open, and Resets that the client took
	// back before.
	Streams, Resets int

	Site, ServerGroup, Service, Application string
	IgnoreCase                              bool // of paths
}

// Transaction is one request and its response, for one goroutine at a time. The
// calls come in the order below; the answer's may be left out. Who does not
// carry a verdict out goes on as if it had not blocked: what else matches is
// found, and every further verdict repeats the first that blocked.
type Transaction interface {
	Headers() Verdict      // request line, headers, cookies, URL parameters
	Body(p []byte) Verdict // a piece of the body, in order; p is not kept
	EndBody() Verdict      // also when there is no body
	Response(status int, h http.Header) Verdict
	ResponseBody(p []byte) Verdict // the last piece is empty
	// Close says what matched, for events, with masked values: the first 200. It
	// may be called again, and then says the same.
	Close() []Match
}

// Verdict is what is to happen now.
type Verdict struct {
	Block  bool
	Status int    // what the client is to get
	Rule   *Match // the rule that blocked; nil when nothing blocks
}

// Match is a rule that fits, and where.
type Match struct {
	Policy, Rule, ID             string
	Severity, Message, Signature string
	Target, Item, Value          string // collection, name in it, masked value; a KiB at most, as it came
	Block                        bool
	FollowedAction               string
	DisplayPage                  bool
}
