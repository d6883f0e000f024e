// Package openapi is the management server's REST API: one declaration per
// resource, from which routing, validation, storage and the OpenAPI document
// follow, and operations that are written by hand where a resource is not a
// stored object.
//
// It promises the wire contract that clients depend on: success is 200, every
// fault of an application is 406 with one error per fault, 404 means that there is
// no such URL, and 401 that there is no session.
package openapi

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"sealgate/appliance/model"
)

// Base is what all paths start with.
const Base = "/SecureSphere/api"

// Caller is who sends a request.
type Caller struct {
	Name     string
	ReadOnly bool     // may GET only
	Sites    []string // names of the sites that it may see and change; nil is all
	Address  netip.Addr
}

// sees reports whether the caller may know of a site.
func (c Caller) sees(site string) bool { return c.Sites == nil || slices.Contains(c.Sites, site) }

// Call is one request, authenticated and read.
type Call struct {
	Caller  Caller
	Path    map[string]string // values of the braces in Operation.Path, percent-decoded, never trimmed
	Query   url.Values
	Body    []byte        // bounded; empty when none was sent
	Request *http.Request // for headers; its body is read already
	Header  http.Header   // of the answer

	Operation *Operation // that is asked for

	api *API
}

type callKey struct{}

// CallOf is the call that a context of [Operation.Do] belongs to, nil for any other.
func CallOf(ctx context.Context) *Call {
	call, _ := ctx.Value(callKey{}).(*Call)
	return call
}

// Operation is what one method of one path does, where a declaration of a resource
// does not say so already.
type Operation struct {
	Method string
	Path   string // below Base, names in braces: /v1/conf/sites/{siteName}
	Open   bool   // needs no session
	Query  []string
	Codes  []int // of the faults that it may answer, as in 10005

	// What it takes and answers, for the OpenAPI document; nil says nothing. Bare
	// answers and bodies are lists of such objects.
	In, Out           []model.Field
	BareIn, BareOut   bool
	Summary, Resource string

	// Do returns what is answered as JSON; nil is an empty body. An error that is
	// not Faults is logged and answered as IMP-10007.
	Do func(ctx context.Context, c *Call) (any, error)
}
