package rootd

import (
	"context"
	"fmt"
	"slices"

	"sealgate/appliance"
	"sealgate/appliance/account"
	"sealgate/appliance/secret"
)

func notOurs(name string) error {
	return appliance.Faultf("impctl user list shows the accounts", "%.40q is no account of an administrator or operator of this appliance", name)
}

func (s *service) accountList(context.Context, call) (any, error) {
	s.accounts.Lock()
	defer s.accounts.Unlock()
	entries, err := managed()
	if err != nil {
		return nil, err
	}
	passwords, err := hasPassword()
	if err != nil {
		return nil, err
	}
	list := []account.Account{}
	for _, e := range entries {
		keys, err := readKeys(e.name)
		if err != nil {
			return nil, err
		}
		list = append(list, account.Account{Name: e.name, Rights: e.rights, Password: passwords[e.name], Keys: keys})
	}
	return list, nil
}

// accountAdd makes an account whole, or leaves none.
func (s *service) accountAdd(_ context.Context, c call) (_ any, err error) {
	var n account.New
	if err := c.read(&n); err != nil {
		return nil, err
	}
	if err := check(n); err != nil {
		return nil, refused("%s", err)
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	if there, err := taken(n.Name); err != nil || there {
		if err == nil {
			err = appliance.Faultf("choose another name", "the machine has an account or a group named %s already", n.Name)
		}
		return nil, err
	}
	// What is left of an account that was removed by hand must not open this one.
	if err := dropKeys(n.Name); err != nil {
		return nil, err
	}
	// A password "*" matches nothing, and unlike "!" does not lock sshd's keys out.
	if err := run("", "/usr/sbin/useradd", "--no-create-home", "--home-dir", "/", "--no-user-group", "--gid", n.Rights.Group(),
		"--shell", account.Shell, "--comment", "Sealgate "+string(n.Rights), "--password", "*", "--no-log-init", "--", n.Name); err != nil {
		return nil, err
	}
	if err := s.furnish(n); err != nil {
		if left := run("", "/usr/sbin/userdel", "--", n.Name); left != nil {
			s.log.Error("an account was made in part", "account", n.Name, "error", left)
		}
		return nil, err
	}
	s.log.Info("account added", "account", n.Name, "role", n.Rights)
	return nil, nil
}

// check holds a request against the rules once more.
func check(n account.New) error {
	if err := account.CheckName(n.Name); err != nil {
		return err
	}
	if n.Rights.Group() == "" {
		return fmt.Errorf("a role is %s or %s", account.Administrator, account.Operator)
	}
	if n.Password == "" && n.Key == "" {
		return fmt.Errorf("an account needs a password or a key")
	}
	if n.Password != "" {
		if err := secret.CheckPassword("account's", n.Password, n.Name); err != nil {
			return err
		}
	}
	if n.Key != "" {
		if _, err := account.ParseKey(n.Key); err != nil {
			return err
		}
	}
	return nil
}

// furnish gives a fresh account what opens it.
func (s *service) furnish(n account.New) error {
	if n.Password != "" {
		// The strength rule leaves no line end in it.
		if err := run(n.Name+":"+n.Password+"\n", "/usr/sbin/chpasswd"); err != nil {
			return err
		}
	}
	if n.Key == "" {
		return nil
	}
	key, err := account.ParseKey(n.Key)
	if err != nil {
		return err
	}
	return writeKeys(n.Name, []account.Key{key})
}

// name is the data of account-remove.
type name struct {
	Name string `json:"name"`
}

// accountRemove takes the account away, what opens it first and what runs
// under it last: its uid may be given to the next account.
func (s *service) accountRemove(_ context.Context, c call) (any, error) {
	var n name
	if err := c.read(&n); err != nil {
		return nil, err
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	e, all, err := find(n.Name)
	if err != nil {
		return nil, err
	}
	if e.rights == account.Administrator && !slices.ContainsFunc(all, func(o entry) bool { return o.rights == e.rights && o.name != e.name }) {
		return nil, appliance.Faultf("impctl user add NAME --role administrator adds another one first", "%s is the last administrator", e.name)
	}
	if err := dropKeys(e.name); err != nil {
		return nil, err
	}
	// --force: also while a session of it is open.
	if err := run("", "/usr/sbin/userdel", "--force", "--", e.name); err != nil {
		return nil, err
	}
	if err := endSessions(e.uid); err != nil {
		return nil, fmt.Errorf("%s is removed, but its sessions do not end: %w", e.name, err)
	}
	s.log.Info("account removed", "account", e.name)
	return nil, nil
}
