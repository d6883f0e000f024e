package secret_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"sealgate/appliance/secret"
)

func TestWhoSealsCannotOpen(t *testing.T) {
	home, keys := create(t)
	path := filepath.Join(home, "recipient.pub")
	for range 2 { // the second time it is there
		if err := keys.PublishRecipient(path); err != nil {
			t.Fatal(err)
		}
	}
	recipient, err := secret.ReadRecipient(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed := recipient.Seal("id", []byte("a private key"))
	if bytes.Contains(sealed, []byte("private")) {
		t.Error("it is in the clear")
	}
	if plain, err := keys.Unseal("id", sealed); err != nil || string(plain) != "a private key" {
		t.Errorf("unsealed %q, %v", plain, err)
	}
	if _, err := keys.Unseal("another id", sealed); err == nil {
		t.Error("it opens under another id")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := keys.Unseal("id", sealed); err == nil {
		t.Error("it opens after a change")
	}
	_, other := create(t)
	if _, err := other.Unseal("id", recipient.Seal("id", []byte("x"))); err == nil {
		t.Error("it opens with another appliance's key")
	}
}
