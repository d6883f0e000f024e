package session

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"

	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/daemon/mx/openapi"
	"sealgate/daemon/mx/user"
)

// Codes of faults.
const (
	codeBusy       = 10001
	codeMissing    = 10056
	codeNotFirst   = 15102 // the password was chosen by who uses it
	codeSame       = 15103
	codeNoPassword = 15100
)

// maxName bounds the names that are looked up, in bytes.
const maxName = 1024

// Operations are what a router needs.
func (s *Sessions) Operations() []openapi.Operation {
	const session, first = "/v1/auth/session", "/v1/administration/user/password/firsttime"
	return []openapi.Operation{
		{Method: http.MethodPost, Path: session, Open: true, Out: openedFields, Codes: []int{codeBusy}, Do: s.login},
		{Method: http.MethodDelete, Path: session, Do: s.logout},
		{Method: http.MethodGet, Path: session + "/roles", Out: []model.Field{{Type: model.Text}}, BareOut: true, Do: s.roles},
		{Method: http.MethodPost, Path: first, Open: true, In: firstFields, Out: openedFields, Codes: []int{codeBusy, codeMissing, codeNoPassword, codeNotFirst, codeSame}, Do: s.firstTime},
	}
}

// opened is the answer to a login. Clients send the value back as it is.
type opened struct {
	ID string `json:"session-id"`
}

var openedFields = []model.Field{{Name: "session-id"}}

func (s *Sessions) login(ctx context.Context, c *openapi.Call) (any, error) {
	u, d, err := s.authenticate(ctx, c.Request)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, c, u, d)
}

// open begins a session, whatever session the request itself brought.
func (s *Sessions) open(ctx context.Context, c *openapi.Call, u store.User, d user.Details) (any, error) {
	id, err := s.begin(ctx, u, d)
	if err != nil {
		return nil, err
	}
	setCookies(c, id, rand.Text())
	s.Log.Info("login", "user", u.Name, "address", addressOf(c.Request).String())
	return opened{cookieName + "=" + id}, nil
}

// authenticate checks the name and the password of HTTP Basic.
func (s *Sessions) authenticate(ctx context.Context, r *http.Request) (store.User, user.Details, error) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return store.User{}, user.Details{}, openapi.ErrNoSession
	}
	var u store.User
	var d user.Details
	ok, held, err := s.gate.attempt(ctx, name, addressOf(r), func() (ok bool, err error) {
		u, d, ok, err = s.check(ctx, name, password)
		return ok, err
	})
	if _, refused := errors.AsType[heldError](err); refused {
		return u, d, openapi.Faultf(codeBusy, "%v", err)
	}
	if err != nil {
		return u, d, err
	}
	if !ok {
		known := u.Name
		if known == "" {
			known = "unknown" // which may be a password, typed too early
		}
		s.Log.Warn("a login failed", "user", known, "address", addressOf(r).String(), "refused_since", held)
		return u, d, openapi.ErrNoSession
	}
	return u, d, nil
}

// check compares a password. It costs the same for accounts that are not there, and
// for those that may not be used.
func (s *Sessions) check(ctx context.Context, name, password string) (u store.User, d user.Details, ok bool, err error) {
	verifier := s.decoy
	if name != "" && len(name) <= maxName {
		u, err = s.Store.User(ctx, name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return u, d, false, err
		}
	}
	if d, err = user.DetailsOf(u); err != nil {
		return u, d, false, err
	}
	there := u.Verifier != "" && d.Active()
	if there {
		verifier = u.Verifier
	}
	if len(password) > secret.MaxPassword {
		password = ""
	}
	same, err := s.Check(ctx, verifier, password)
	return u, d, same && there, err
}

func (s *Sessions) logout(_ context.Context, c *openapi.Call) (any, error) {
	for _, id := range presented(c.Request) {
		s.end(func(x *session) bool { return x.id == id })
	}
	setCookies(c, "", "")
	s.Log.Info("logout", "user", c.Caller.Name, "address", c.Caller.Address.String())
	return nil, nil
}

func (s *Sessions) roles(ctx context.Context, c *openapi.Call) (any, error) {
	u, err := s.Store.User(ctx, c.Caller.Name)
	if err != nil {
		return nil, err
	}
	d, err := user.DetailsOf(u)
	if err != nil {
		return nil, err
	}
	return user.Roles(ctx, s.Store, u, d)
}

// firstTime lets an account choose its password: HTTP Basic brings the one that
// somebody else chose for it, the body the new one. It works once.
func (s *Sessions) firstTime(ctx context.Context, c *openapi.Call) (any, error) {
	u, d, err := s.authenticate(ctx, c.Request)
	if err != nil {
		return nil, err
	}
	password, err := newPassword(ctx, c)
	if err != nil {
		return nil, err
	}
	if !d.FirstTime {
		return nil, openapi.Faultf(codeNotFirst, "user %q has chosen a password already; an administrator may set another one", u.Name)
	}
	if err := user.CheckPassword(password, u.Name, s.Appliance); err != nil {
		return nil, err
	}
	if _, old, _ := c.Request.BasicAuth(); old == password {
		return nil, openapi.Faultf(codeSame, "the new password is the old one")
	}
	verifier, err := secret.Hash(ctx, password)
	if err != nil {
		return nil, err
	}
	_, err = s.Store.Write(ctx, store.Change{Author: u.Name, Summary: "choose the password of user " + u.Name}, func(tx *store.Tx) error {
		now, err := tx.User(ctx, u.Name)
		if err != nil {
			return err
		}
		if now.Verifier != u.Verifier { // somebody was faster
			return openapi.ErrNoSession
		}
		if d, err = user.DetailsOf(now); err != nil {
			return err
		}
		d.FirstTime = false
		d.PasswordIsNew()
		now.Verifier = verifier
		if now.Document, err = json.Marshal(d); err != nil {
			return err
		}
		u = now
		return tx.UpdateUser(ctx, now)
	})
	if err != nil {
		return nil, err
	}
	s.Changed(u.ID)
	return s.open(ctx, c, u, d)
}

// firstFields are of the body; older clients send the second.
var firstFields = []model.Field{{Name: "newPassword"}, {Name: "password"}}

func newPassword(ctx context.Context, c *openapi.Call) (string, error) {
	sent, err := c.Read(ctx, firstFields)
	if err != nil {
		return "", err
	}
	for _, f := range firstFields {
		if password, _ := sent[f.Name].(string); password != "" {
			return password, nil
		}
	}
	return "", openapi.Faultf(codeMissing, "field newPassword is missing")
}
