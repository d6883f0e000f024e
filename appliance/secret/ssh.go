package secret

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"sealgate/appliance/atomicfile"
)

// ErrNoSSHKey means that an appliance has no SSH key of its own yet.
var ErrNoSSHKey = errors.New("the appliance has no SSH key yet")

func sshFile(home string) string { return filepath.Join(folder(home), "ssh_ed25519") }

// SSHKey is the key by which an appliance logs in elsewhere.
func SSHKey(home string) (ssh.Signer, error) {
	data, err := os.ReadFile(sshFile(home))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoSSHKey
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the SSH key: %w", err)
	}
	key, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged", sshFile(home))
	}
	return key, nil
}

// RenewSSHKey makes a new one, in the place of the old.
func RenewSSHKey(home string) (ssh.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, err
	}
	if err := atomicfile.Write(sshFile(home), pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the SSH key: %w", err)
	}
	return SSHKey(home)
}
