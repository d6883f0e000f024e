package trial

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"filippo.io/age"

	"sealgate/appliance"
	"sealgate/appliance/anchor"
	"sealgate/appliance/patch"
)

// Vendor makes patches with its own keys in a folder.
type Vendor struct {
	Bin string // folder of the programs
	Dir string
}

// NewVendor makes the keys.
func NewVendor(bin, dir string) (*Vendor, error) {
	v := &Vendor{bin, dir}
	return v, v.run("patch", "keygen", "--out", v.path("vendor"))
}

func (v *Vendor) path(name string) string { return filepath.Join(v.Dir, name) }

func (v *Vendor) run(args ...string) error {
	if out, err := exec.Command(filepath.Join(v.Bin, "sealmint"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("sealmint %v: %w\n%s", args, err, out)
	}
	return nil
}

// Trust has the patches of the vendor hold for an appliance, whose anchors lie in
// that folder.
func (v *Vendor) Trust(anchors string) error {
	if err := os.MkdirAll(filepath.Join(anchors, "patches"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"vendor.pub", "vendor.identity"} {
		data, err := os.ReadFile(v.path(name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(anchors, "patches", name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Patch makes a signed patch of the files in folder.
func (v *Vendor) Patch(folder, from, to string, sequence int, out string) error {
	if err := v.run("patch", "build", "--from", from, "--to", to, "--sequence", fmt.Sprint(sequence),
		"--recipient", v.path("vendor.recipient"), "--out", out, folder); err != nil {
		return err
	}
	return v.run("patch", "sign", "--key", v.path("vendor.key"), out)
}

// SignedPatch makes a patch of folder in this process, by a vendor whose patches
// hold for home from then on.
func SignedPatch(home appliance.Home, folder, out string, m patch.Manifest) error {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	_, public, err := anchor.MarshalKey(private)
	if err != nil {
		return err
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(home.PatchAnchors(), 0o755); err != nil {
		return err
	}
	for name, data := range map[string][]byte{"vendor.pub": public, "vendor.identity": []byte(identity.String() + "\n")} {
		if err := os.WriteFile(filepath.Join(home.PatchAnchors(), name), data, 0o644); err != nil {
			return err
		}
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := patch.Build(file, folder, m, identity.Recipient()); err != nil {
		return err
	}
	_, err = patch.Sign(file, private)
	return err
}

// NextSchema is what the database of a later release has and ours has not, so that
// ours refuses its data.
const NextSchema = "-- +goose Up\nCREATE TABLE next (id TEXT PRIMARY KEY);\n"

// BuildRelease builds what a patch brings: a sealgated that says that it is that
// release, with a later schema of the database, as a migration.
func BuildRelease(dir, version, migration string) error {
	_, here, _, _ := runtime.Caller(0)
	added := filepath.Join(filepath.Dir(here), "../../appliance/store/migrations/config/09999_next.sql")
	schema, overlay := filepath.Join(dir, ".next.sql"), filepath.Join(dir, ".overlay.json")
	if err := os.WriteFile(schema, []byte(migration), 0o600); err != nil {
		return err
	}
	defer os.Remove(schema)
	data, err := json.Marshal(map[string]map[string]string{"Replace": {added: schema}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(overlay, data, 0o600); err != nil {
		return err
	}
	defer os.Remove(overlay)
	cmd := exec.Command("go", "build", "-overlay", overlay, "-ldflags", "-s -w -X sealgate/control.Version="+version,
		"-o", filepath.Join(dir, "sealgated"), "sealgate/cmd/sealgated")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}
