package openapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/access"
)

// Sessions says who sends a request. It returns an error that is ErrNoSession
// where the request has no session or proves nobody.
type Sessions interface {
	Caller(*http.Request) (Caller, error)
}

// Config is what an API works on.
type Config struct {
	Store      *store.Store
	Sessions   Sessions
	Sealer     store.Sealer // of the secrets that clients write
	Gateways   Gateways     // nil knows none
	Operations []Operation  // besides those of the declared resources
	Log        *slog.Logger
}

// API answers requests.
type API struct {
	store    *store.Store
	sessions Sessions
	sealer   store.Sealer
	gateways Gateways
	log      *slog.Logger
	routes   node
	all      []Operation   // in the order of paths
	large    chan struct{} // holds a value for each large body that is worked on
	pkcs12   chan struct{} // holds a value while a PKCS #12 file is opened
}

// New makes an API. It panics where two operations have one method and path: that
// is a mistake of the program.
func New(c Config) *API {
	a := &API{store: c.Store, sessions: c.Sessions, sealer: c.Sealer, gateways: c.Gateways, log: c.Log, large: make(chan struct{}, largeBodies), pkcs12: make(chan struct{}, 1)}
	a.all = slices.Concat(a.declared(), a.written(), c.Operations)
	slices.SortFunc(a.all, func(x, y Operation) int {
		return strings.Compare(x.Path+" "+x.Method, y.Path+" "+y.Method)
	})
	for i := range a.all {
		a.routes.add(&a.all[i])
	}
	return a
}

// Operations are all that the API can do, in the order of their paths.
func (a *API) Operations() []Operation { return a.all }

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			a.log.Error("a request failed in the program", "method", r.Method, "path", r.URL.EscapedPath(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			a.refuse(w, r, errors.New("panic"))
		}
	}()
	segments, ok := segmentsOf(r.URL)
	if !ok {
		notFound(w)
		return
	}
	target, values := a.routes.find(segments, nil)
	if target == nil {
		notFound(w)
		return
	}
	call := &Call{Request: r, Header: w.Header(), api: a}
	answer, err := a.do(r.Context(), w, target, values, call)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	a.answer(w, r, answer)
}

func (a *API) do(ctx context.Context, w http.ResponseWriter, target *node, values []string, call *Call) (any, error) {
	r := call.Request
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	op := target.operations[method]
	if op == nil || !op.Open {
		var err error
		if call.Caller, err = a.sessions.Caller(r); err != nil {
			return nil, err
		}
		access.Identify(r.Context(), call.Caller.Name)
	}
	if op == nil {
		return nil, Faultf(10016, "method %q is not possible here, possible are %s", short(r.Method), strings.Join(target.methods(), ", "))
	}
	if err := permit(op, call.Caller); err != nil {
		return nil, err
	}
	var err error
	if call.Path, err = op.values(values); err != nil {
		return nil, err
	}
	if call.Query, err = queryOf(r); err != nil {
		return nil, err
	}
	if method == http.MethodPost || method == http.MethodPut {
		release, err := a.read(w, call)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	call.Operation = op
	return op.Do(context.WithValue(ctx, callKey{}, call), call)
}

// permit refuses writes of those who may only look. One's own session is not
// configuration.
func permit(op *Operation, c Caller) error {
	if op.Open || op.Method == http.MethodGet || strings.HasPrefix(op.Path, "/v1/auth/") {
		return nil
	}
	if c.ReadOnly {
		return Faultf(10151, "user %q may only read", c.Name)
	}
	if c.Sites != nil && (op.Resource == model.Site || !strings.Contains(op.Path, "{siteName}")) {
		return Faultf(10151, "user %q may change what lies in %s, and nothing that sites share", c.Name, strings.Join(c.Sites, ", "))
	}
	return nil
}
