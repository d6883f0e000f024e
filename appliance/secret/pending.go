package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sealgate/appliance/atomicfile"
)

// Registration is what a new gateway registers with: one of the two.
type Registration struct {
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`
}

const registrationID = "registration that waits"

func registrationFile(home string) string { return filepath.Join(folder(home), "registration") }

// KeepRegistration keeps what a gateway registers with until it has. It is sealed,
// so that a copy of the file alone is worth nothing.
func (k *Keys) KeepRegistration(home string, r Registration) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return atomicfile.Write(registrationFile(home), k.Seal(registrationID, data), 0o600)
}

// PendingRegistration is what was kept; ok is false where nothing waits.
func (k *Keys) PendingRegistration(home string) (r Registration, ok bool, err error) {
	sealed, err := os.ReadFile(registrationFile(home))
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	data, err := k.Unseal(registrationID, sealed)
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return r, false, fmt.Errorf("%s is damaged", registrationFile(home))
	}
	return r, true, nil
}

// DropRegistration forgets it.
func DropRegistration(home string) error {
	err := os.Remove(registrationFile(home))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, atomicfile.SyncDir(folder(home)))
}
