package rootd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sealgate/appliance"
	"sealgate/appliance/account"
	"sealgate/appliance/atomicfile"
)

// maxKeys of one account.
const maxKeys = 32

// keyChange is the data of account-key: exactly one of Add and Remove.
type keyChange struct {
	Name   string `json:"name"`
	Add    string `json:"add,omitempty"`    // a line of an authorized_keys file
	Remove string `json:"remove,omitempty"` // a fingerprint
}

func (s *service) accountKey(_ context.Context, c call) (any, error) {
	var x keyChange
	if err := c.read(&x); err != nil {
		return nil, err
	}
	if (x.Add == "") == (x.Remove == "") {
		return nil, refused("a key is either added or removed")
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	if _, _, err := find(x.Name); err != nil {
		return nil, err
	}
	keys, err := readKeys(x.Name)
	if err != nil {
		return nil, err
	}
	var key account.Key
	if x.Add != "" {
		keys, key, err = withKey(keys, x)
	} else {
		keys, key, err = withoutKey(keys, x)
	}
	if err != nil {
		return nil, err
	}
	if err := writeKeys(x.Name, keys); err != nil {
		return nil, err
	}
	s.log.Info("key changed", "account", x.Name, "key", key.Fingerprint, "added", x.Add != "")
	return key, nil
}

func withKey(keys []account.Key, x keyChange) ([]account.Key, account.Key, error) {
	key, err := account.ParseKey(x.Add)
	if err != nil {
		return nil, key, refused("%s", err)
	}
	if slices.ContainsFunc(keys, func(k account.Key) bool { return k.Fingerprint == key.Fingerprint }) {
		return nil, key, appliance.Faultf("impctl user key list "+x.Name, "%s has the key %s already", x.Name, key.Fingerprint)
	}
	if len(keys) >= maxKeys {
		return nil, key, appliance.Faultf("impctl user key remove "+x.Name+" FINGERPRINT", "%s has %d keys, and more are not kept", x.Name, maxKeys)
	}
	return append(keys, key), key, nil
}

func withoutKey(keys []account.Key, x keyChange) ([]account.Key, account.Key, error) {
	at := slices.IndexFunc(keys, func(k account.Key) bool { return k.Fingerprint == x.Remove })
	if at < 0 {
		return nil, account.Key{}, appliance.Faultf("impctl user key list "+x.Name, "%s has no key %.60q", x.Name, x.Remove)
	}
	if passwords, err := hasPassword(); err != nil || len(keys) == 1 && !passwords[x.Name] {
		if err == nil {
			err = appliance.Faultf("add another key first, or impctl user remove "+x.Name, "nothing else opens the account %s", x.Name)
		}
		return nil, account.Key{}, err
	}
	key := keys[at]
	return slices.Delete(keys, at, at+1), key, nil
}

// readKeys are the keys of an account. Lines that we would not write are none.
func readKeys(name string) ([]account.Key, error) {
	data, err := os.ReadFile(account.KeysFile(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	keys := []account.Key{}
	for line := range strings.Lines(string(data)) {
		if key, err := account.ParseKey(line); err == nil {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// writeKeys makes keys all that open the account. sshd reads them as root, and
// wants that nobody else can write them.
func writeKeys(name string, keys []account.Key) error {
	path, text := account.KeysFile(name), ""
	for _, k := range keys {
		text += k.Line
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// Whatever our umask made of them; both are ours alone.
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	return atomicfile.Write(path, []byte(text), 0o644)
}

func dropKeys(name string) error {
	if err := os.Remove(account.KeysFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
