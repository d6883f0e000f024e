package user

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"sealgate/appliance/model"
	"sealgate/appliance/secret"
	"sealgate/appliance/store"
	"sealgate/daemon/mx/openapi"
)

// Codes of faults.
const (
	codeLength          = 10145
	codePasswordMissing = 15100
	codeNoUser          = 15101
	codeLastOne         = 15102 // nobody would be left who may everything
	codePassword        = 15103 // weak
	codeAuthenticator   = 15104
	codeNoRole          = 15105
	codeExists          = 15106
	codeName            = 15107
	codeEmail           = 15108
	codeNotYours        = 10151 // only who may everything manages accounts
	codeRolesMissing    = 15110
)

var faultf = openapi.Faultf

// Limits.
const (
	maxName = 100 // characters
	maxText = 256 // bytes
)

// internal is the one authenticator that there is.
const internal = "internal"

// Accounts are the operations on accounts.
type Accounts struct {
	db        *store.Store
	appliance string          // its name, which no password may contain
	changed   func(id string) // told of each account that is not as it was
}

// New are the operations on the accounts of db. changed is called after an account was
// changed or removed.
func New(db *store.Store, appliance string, changed func(id string)) *Accounts {
	return &Accounts{db, appliance, changed}
}

// Operations are what a router needs.
func (a *Accounts) Operations() []openapi.Operation {
	const one = "/v1/conf/users/{userName}"
	return []openapi.Operation{
		{Method: http.MethodGet, Path: "/v1/conf/users", Out: []model.Field{texts("usernames", 0)}, Do: a.list},
		{Method: http.MethodGet, Path: one, Out: fields(false), Codes: []int{codeNoUser}, Do: a.get},
		{Method: http.MethodPost, Path: one, In: fields(true), Do: a.add, Codes: []int{codeLength, codePasswordMissing, codePassword, codeAuthenticator,
			codeNoRole, codeExists, codeName, codeEmail, codeNotYours, codeRolesMissing}},
		{Method: http.MethodPut, Path: one, In: fields(false), Do: a.update, Codes: []int{codeLength, codePasswordMissing, codeNoUser, codeLastOne, codePassword,
			codeAuthenticator, codeNoRole, codeEmail, codeNotYours, codeRolesMissing}},
		{Method: http.MethodDelete, Path: one, Codes: []int{codeNoUser, codeLastOne, codeNotYours}, Do: a.remove},
	}
}

// may refuses who may not manage accounts. Who looks at itself is no manager.
func may(c *openapi.Call) error {
	if c.Caller.Sites == nil && (!c.Caller.ReadOnly || c.Request.Method == http.MethodGet) {
		return nil
	}
	if c.Request.Method == http.MethodGet && c.Path["userName"] == c.Caller.Name {
		return nil
	}
	return faultf(codeNotYours, "accounts are for an %s of all sites, and user %q is none", store.Administrator, c.Caller.Name)
}

func (a *Accounts) list(ctx context.Context, c *openapi.Call) (any, error) {
	if err := may(c); err != nil {
		return nil, err
	}
	users, err := a.db.Users(ctx)
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = u.Name
	}
	return map[string][]string{"usernames": names}, err
}

// shown is an account as clients see it. Nobody sees a password.
type shown struct {
	Authenticator string   `json:"authenticator"`
	Enabled       bool     `json:"enabled,string"`
	Locked        bool     `json:"locked,string"`
	ReadOnly      bool     `json:"readOnly,string"`
	FullName      string   `json:"fullName,omitempty"`
	Email         string   `json:"email,omitempty"`
	Phone         string   `json:"phone,omitempty"`
	Title         string   `json:"title,omitempty"`
	Location      string   `json:"location,omitempty"`
	Department    string   `json:"department,omitempty"`
	Roles         []string `json:"roles"`
}

func (a *Accounts) get(ctx context.Context, c *openapi.Call) (any, error) {
	if err := may(c); err != nil {
		return nil, err
	}
	u, err := a.db.User(ctx, c.Path["userName"])
	if err != nil {
		return nil, missing(err, c.Path["userName"])
	}
	d, err := DetailsOf(u)
	if err != nil {
		return nil, err
	}
	roles, err := Roles(ctx, a.db, u, d)
	return shown{internal, !d.Disabled, d.Locked, d.ReadOnly || u.Role == store.ReadOnlyRole,
		d.FullName, d.Email, d.Phone, d.Title, d.Location, d.Department, roles}, err
}

func missing(err error, name string) error {
	if errors.Is(err, store.ErrNotFound) {
		return faultf(codeNoUser, "there is no user %.80q", name)
	}
	return err
}

func (a *Accounts) add(ctx context.Context, c *openapi.Call) (any, error) {
	name := c.Path["userName"]
	if err := may(c); err != nil {
		return nil, err
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if _, err := a.db.User(ctx, name); !errors.Is(err, store.ErrNotFound) {
		return nil, exists(err, name)
	}
	f, err := a.read(ctx, c, fields(true))
	if err != nil {
		return nil, err
	}
	u := store.User{Name: name}
	if u.Verifier, err = secret.Hash(ctx, f.password()); err != nil {
		return nil, err
	}
	d := Details{FirstTime: true}
	d.PasswordIsNew()
	_, err = a.db.Write(ctx, store.Change{Author: c.Caller.Name, Summary: "create user " + name}, func(tx *store.Tx) error {
		if err := f.apply(ctx, tx, &u, &d); err != nil {
			return err
		}
		_, err := tx.AddUser(ctx, u)
		return err
	})
	if errors.Is(err, store.ErrExists) {
		err = exists(nil, name)
	}
	return nil, err
}

func exists(err error, name string) error {
	if err != nil {
		return err
	}
	return faultf(codeExists, "there is a user %q already", name)
}

func checkName(name string) error {
	if n := utf8.RuneCountInString(name); n == 0 || n > maxName {
		return faultf(codeLength, "a user's name has 1 to %d characters, this one has %d", maxName, n)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r == ':' || unicode.IsControl(r) || !unicode.IsPrint(r) }) {
		return faultf(codeName, "a user's name is of characters that can be seen, blanks included, without the ':' that ends it in HTTP Basic")
	}
	return nil
}

func (a *Accounts) update(ctx context.Context, c *openapi.Call) (any, error) {
	name := c.Path["userName"]
	if err := may(c); err != nil {
		return nil, err
	}
	if _, err := a.db.User(ctx, name); err != nil {
		return nil, missing(err, name)
	}
	f, err := a.read(ctx, c, fields(false))
	if err != nil {
		return nil, err
	}
	verifier := ""
	if f.password() != "" {
		if verifier, err = secret.Hash(ctx, f.password()); err != nil {
			return nil, err
		}
	}
	var u store.User
	_, err = a.db.Write(ctx, store.Change{Author: c.Caller.Name, Summary: "change user " + name}, func(tx *store.Tx) (err error) {
		if u, err = tx.User(ctx, name); err != nil {
			return missing(err, name)
		}
		d, err := DetailsOf(u)
		if err != nil {
			return err
		}
		if verifier != "" {
			u.Verifier, d.FirstTime = verifier, c.Caller.Name != name
			d.PasswordIsNew()
		}
		if err := f.apply(ctx, tx, &u, &d); err != nil {
			return err
		}
		if err := tx.UpdateUser(ctx, u); err != nil {
			return err
		}
		return somebodyLeft(ctx, tx)
	})
	if err == nil {
		a.changed(u.ID)
	}
	return nil, err
}

func (a *Accounts) remove(ctx context.Context, c *openapi.Call) (any, error) {
	name := c.Path["userName"]
	if err := may(c); err != nil {
		return nil, err
	}
	var u store.User
	_, err := a.db.Write(ctx, store.Change{Author: c.Caller.Name, Summary: "delete user " + name}, func(tx *store.Tx) (err error) {
		if u, err = tx.User(ctx, name); err != nil {
			return missing(err, name)
		}
		if err := tx.DeleteUser(ctx, u.ID); err != nil {
			return err
		}
		return somebodyLeft(ctx, tx)
	})
	if err == nil {
		a.changed(u.ID)
	}
	return nil, err
}

// somebodyLeft keeps the last one who may everything.
func somebodyLeft(ctx context.Context, tx *store.Tx) error {
	users, err := tx.Users(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		if d, err := DetailsOf(u); err == nil && administers(u, d) {
			return nil
		}
	}
	return faultf(codeLastOne, "nobody would be left who is %s of all sites, enabled, not locked and not readOnly", store.Administrator)
}

// read reads and checks what does not depend on the account.
func (a *Accounts) read(ctx context.Context, c *openapi.Call, fields []model.Field) (sent, error) {
	body, err := c.Read(ctx, fields)
	if err != nil {
		return nil, err
	}
	if password, given := body["password"].(string); given {
		if err := CheckPassword(password, c.Path["userName"], a.appliance); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// CheckPassword refuses a weak password of an account.
func CheckPassword(password, name, appliance string) error {
	if password == "" {
		return faultf(codePasswordMissing, "field password is empty")
	}
	if err := secret.CheckPassword("user's", password, name, appliance); err != nil {
		return faultf(codePassword, "%v", err)
	}
	return nil
}

// sent is what a client sent of an account, read.
type sent map[string]any

func (s sent) password() string {
	password, _ := s["password"].(string)
	return password
}

// apply writes what was sent into an account.
func (s sent) apply(ctx context.Context, tx *store.Tx, u *store.User, d *Details) (err error) {
	for name, to := range map[string]*bool{"locked": &d.Locked, "readOnly": &d.ReadOnly} {
		if v, given := s[name].(string); given {
			*to = v == "true"
		}
	}
	if enabled, given := s["enabled"].(string); given {
		d.Disabled = enabled != "true"
	}
	for name, to := range map[string]*string{"fullName": &d.FullName, "email": &d.Email, "phone": &d.Phone, "title": &d.Title,
		"location": &d.Location, "department": &d.Department} {
		if v, given := s[name].(string); given {
			*to = v
		}
	}
	if roles, given := s["roles"].([]any); given {
		if err := setRoles(ctx, tx, roles, u, d); err != nil {
			return err
		}
	}
	u.Document, err = json.Marshal(d)
	return err
}
