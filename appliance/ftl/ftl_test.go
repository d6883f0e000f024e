package ftl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sealgate/appliance"
)

func FuzzReadSecrets(f *testing.F) {
	f.Add("system=a\nsecure=b\nadmin=c\n")
	f.Add("system==\r\nsecure= b \nadmin=c=d")
	f.Add("# x\n\nsystem")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadSecrets(strings.NewReader(text))
		if err == nil && (s.System == "" || s.Secure == "" || s.Admin == "") {
			t.Errorf("%q gives %+v", text, s)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func TestReadSecrets(t *testing.T) {
	s, err := ReadSecrets(strings.NewReader("# owner's\r\nadmin= a=b \r\n\nsystem=x\nsecure=y"))
	if err != nil || s != (Secrets{"x", "y", " a=b "}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, text := range []string{"", "system=a\nsystem=b", "system=a\nsecure=b", "SYSTEM=a", "system", strings.Repeat("#", 1<<20)} {
		if _, err := ReadSecrets(strings.NewReader(text)); err == nil {
			t.Errorf("%.20q is taken", text)
		}
	}
}

// Creation that was cut short is no appliance, and says what to do.
func TestInterruptedCreation(t *testing.T) {
	home := appliance.Home(filepath.Join(t.TempDir(), "h"))
	request := Request{Role: appliance.ManagementServer, Name: "mx1", Listen: "127.0.0.1:0"}
	secrets := Secrets{"System-pw-17", "Secure-pw-17", "Admin-pw-17"}
	if _, err := Create(t.Context(), home, request, secrets, time.Now()); err != nil {
		t.Fatal(err)
	}
	c, err := home.Load()
	if err != nil || c.Name != "mx1" || c.Role != appliance.ManagementServer || c.ID == "" {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := os.Remove(home.Config()); err != nil {
		t.Fatal(err)
	}
	if _, err := home.Load(); err == nil {
		t.Error("half an appliance was loaded")
	}
	if _, err := Create(t.Context(), home, request, secrets, time.Now()); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a half one was overwritten: %v", err)
	}
}
