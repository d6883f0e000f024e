package techinfo

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sealgate/appliance"
)

// A note of what is missing may repeat a secret, on the terminal as in a bundle.
func TestNotesOfAReportAreMasked(t *testing.T) {
	home := appliance.Home(filepath.Join(t.TempDir(), string(secrets[0])))
	if err := os.MkdirAll(home.Audit(), 0o700); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	m, err := Report(t.Context(), Source{Home: home, Secrets: secrets[:1]}, Options{}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Notes) == 0 || !strings.Contains(out.String(), "note: log: ") {
		t.Errorf("nothing was noted: %v", m.Notes)
	}
	if strings.Contains(out.String(), string(secrets[0])) || m.Masked == 0 {
		t.Errorf("%d masked in %s", m.Masked, out.String())
	}
}
