// Package account is what an installed appliance has in the operating system:
// the accounts of its own processes, and one account for each administrator
// or operator, whose rights follow from a group. It holds the rules for names and
// SSH keys; it changes nothing, which is the root service's work.
package account

import (
	"fmt"
	"path/filepath"
	"regexp"
)

// The accounts of our own processes. Both have the group [Group].
const (
	Supervisor = "sealgate"      // owns the appliance's folder
	Role       = "sealgate-role" // the role's process
	Group      = "sealgate"
)

// The groups whose members may use the appliance.
const (
	AdministratorGroup = "sealgate-admin"
	OperatorGroup      = "sealgate-operator"
)

// Shell is the login shell that makes an account one of ours.
const Shell = "/usr/bin/sealsh"

// keysFolder is where sshd looks for the keys of an account.
const keysFolder = "/etc/sealgate/authorized_keys"

// KeysFile holds the SSH keys that open the account of that valid name.
func KeysFile(name string) string { return filepath.Join(keysFolder, name) }

// Rights are what an account may do, in words.
type Rights string

// The rights that an account can have.
const (
	Administrator Rights = "administrator"
	Operator      Rights = "operator"
)

// Group is the group that gives the rights, "" for none.
func (r Rights) Group() string {
	switch r {
	case Administrator:
		return AdministratorGroup
	case Operator:
		return OperatorGroup
	}
	return ""
}

// Account is one person's.
type Account struct {
	Name     string `json:"name"`
	Rights   Rights `json:"role"`
	Password bool   `json:"password"` // one is set
	Keys     []Key  `json:"keys"`
}

// New is an account to be made: with a password, a key, or both.
type New struct {
	Name     string `json:"name"`
	Rights   Rights `json:"role"`
	Password string `json:"password,omitempty"`
	Key      string `json:"key,omitempty"` // as in an authorized_keys file
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// CheckName says which rule a name breaks, or nil.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("an account's name is 1 to 31 lower-case letters, digits and '-', and begins with a letter")
	}
	return nil
}
