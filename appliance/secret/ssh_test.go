package secret

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestSSHKey(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(folder(home), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := SSHKey(home); !errors.Is(err, ErrNoSSHKey) {
		t.Errorf("%v", err)
	}
	first, err := RenewSSHKey(home)
	if err != nil {
		t.Fatal(err)
	}
	again, err := SSHKey(home)
	if err != nil || string(again.PublicKey().Marshal()) != string(first.PublicKey().Marshal()) {
		t.Errorf("another key is read: %v", err)
	}
	if info, err := os.Stat(sshFile(home)); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	second, err := RenewSSHKey(home)
	if err != nil || string(second.PublicKey().Marshal()) == string(first.PublicKey().Marshal()) {
		t.Errorf("the new key is the old one: %v", err)
	}
	if err := os.WriteFile(sshFile(home), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SSHKey(home); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("%v", err)
	}
}
