package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"sealgate/appliance"
)

// What a gateway that was killed has put aside of its clients' uploads is gone when the
// next one starts.
func TestUploadsAreNotLeft(t *testing.T) {
	t.Setenv("TMPDIR", os.TempDir()) // is put back
	home := appliance.Home(t.TempDir())
	if err := os.Mkdir(home.Spool(), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := emptyUploads(home); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(home.Uploads()); err != nil || len(left) > 0 {
			t.Fatalf("%v, %v", left, err)
		}
		if err := os.WriteFile(filepath.Join(os.TempDir(), "crzmp1"), []byte("a client's"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
