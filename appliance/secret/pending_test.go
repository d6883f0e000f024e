package secret

import (
	"bytes"
	"os"
	"testing"
)

func TestRegistrationWaitsSealed(t *testing.T) {
	home := t.TempDir()
	if err := Create(home, "System-pw-17", "Secure-pw-17"); err != nil {
		t.Fatal(err)
	}
	keys, err := Open(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := keys.PendingRegistration(home); ok || err != nil {
		t.Errorf("nothing waits: %v, %v", ok, err)
	}
	want := Registration{Password: "Secure-pw-17", Token: "SGT1-x"}
	if err := keys.KeepRegistration(home, want); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(registrationFile(home))
	if err != nil || bytes.Contains(file, []byte("Secure-pw-17")) || bytes.Contains(file, []byte("SGT1")) {
		t.Errorf("the file holds %q, %v", file, err)
	}
	if got, ok, err := keys.PendingRegistration(home); got != want || !ok || err != nil {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	if err := os.WriteFile(registrationFile(home), file[:len(file)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := keys.PendingRegistration(home); ok || err == nil {
		t.Errorf("damaged: %v, %v", ok, err)
	}
	for range 2 {
		if err := DropRegistration(home); err != nil {
			t.Error(err)
		}
	}
	if _, ok, err := keys.PendingRegistration(home); ok || err != nil {
		t.Errorf("dropped: %v, %v", ok, err)
	}
}
