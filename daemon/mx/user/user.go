// Package user is the accounts of the REST API: what they may do, and the
// operations that administrators manage them with.
//
// An account has roles: "administrator" may everything, "read-only" sees
// everything and changes nothing, and "SITE administrator", for every site there
// is, sees and changes that site alone. Sites are kept by id, so the role's name
// follows a site that is renamed, and is gone with it. An account that is
// readOnly changes nothing whatever its roles are.
package user

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// siteRole ends the names of roles of sites.
const siteRole = " administrator"

// Details are the document of an account.
type Details struct {
	Sites       []string `json:"sites,omitempty"` // ids, for [store.SiteRole]
	ReadOnly    bool     `json:"readOnly,omitempty"`
	Disabled    bool     `json:"disabled,omitempty"`
	Locked      bool     `json:"locked,omitempty"`
	FirstTime   bool     `json:"firstTime,omitempty"`   // somebody else chose the password
	PasswordSet int64    `json:"passwordSet,omitempty"` // milliseconds since 1970
	FullName    string   `json:"fullName,omitempty"`
	Email       string   `json:"email,omitempty"`
	Phone       string   `json:"phone,omitempty"`
	Title       string   `json:"title,omitempty"`
	Location    string   `json:"location,omitempty"`
	Department  string   `json:"department,omitempty"`
}

// DetailsOf reads an account's document.
func DetailsOf(u store.User) (Details, error) {
	var d Details
	if len(u.Document) == 0 {
		return d, nil
	}
	err := json.Unmarshal(u.Document, &d)
	return d, err
}

// PasswordIsNew writes down when the password was set, later than the one before.
func (d *Details) PasswordIsNew() {
	d.PasswordSet = max(time.Now().UnixMilli(), d.PasswordSet+1)
}

// Active says whether the account may be used.
func (d Details) Active() bool { return !d.Disabled && !d.Locked }

// administers says whether an account may do everything.
func administers(u store.User, d Details) bool {
	return u.Role == store.Administrator && !d.ReadOnly && d.Active()
}

// Rights are what an account may do: sites are names, nil is all.
func Rights(ctx context.Context, db *store.Store, u store.User, d Details) (readOnly bool, sites []string, err error) {
	switch u.Role {
	case store.Administrator:
		return d.ReadOnly, nil, nil
	case store.ReadOnlyRole:
		return true, nil, nil
	}
	// What a role is unknown for sees no site at all.
	sites = []string{}
	for _, id := range d.Sites {
		o, err := db.Get(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return true, sites, err
		}
		sites = append(sites, o.Name)
	}
	return d.ReadOnly, sites, nil
}

// Roles are the names of what an account may do.
func Roles(ctx context.Context, db *store.Store, u store.User, d Details) ([]string, error) {
	if u.Role != store.SiteRole {
		return []string{u.Role}, nil
	}
	_, sites, err := Rights(ctx, db, u, d)
	for i := range sites {
		sites[i] += siteRole
	}
	return sites, err
}

// setRoles gives u the roles of these names.
func setRoles(ctx context.Context, tx *store.Tx, names []any, u *store.User, d *Details) error {
	if len(names) == 0 {
		return faultf(codeRolesMissing, "field roles must name at least one of %s, %s, and SITE%s for a site", store.Administrator, store.ReadOnlyRole, siteRole)
	}
	sites, err := tx.List(ctx, model.RootID, model.Site)
	if err != nil {
		return err
	}
	u.Role, d.Sites = "", nil
	for _, n := range names {
		name, _ := n.(string)
		switch {
		case strings.EqualFold(name, store.Administrator):
			u.Role = store.Administrator
		case strings.EqualFold(name, store.ReadOnlyRole):
			if u.Role == "" {
				u.Role = store.ReadOnlyRole
			}
		default:
			i := slices.IndexFunc(sites, func(o store.Object) bool { return o.Name+siteRole == name })
			if i < 0 {
				return faultf(codeNoRole, "field roles: there is no role %q; roles are %s, %s, and SITE%s for each site", name, store.Administrator, store.ReadOnlyRole, siteRole)
			}
			if !slices.Contains(d.Sites, sites[i].ID) {
				d.Sites = append(d.Sites, sites[i].ID)
			}
		}
	}
	switch {
	case u.Role == "":
		u.Role = store.SiteRole
	case u.Role == store.ReadOnlyRole && len(d.Sites) > 0:
		return faultf(codeNoRole, "field roles: %s is for all sites; readOnly makes a role of a site one that only looks", store.ReadOnlyRole)
	default:
		d.Sites = nil
	}
	return nil
}
