package stories

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"sealgate/internal/trial"
)

// builds are the releases that were built, once for all scripts.
var builds sync.Map

func build(version, migration string) (string, error) {
	dir := filepath.Join(bin, "release-"+version)
	once, _ := builds.LoadOrStore(version, sync.OnceValue(func() error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		return trial.BuildRelease(dir, version, migration)
	}))
	return dir, once.(func() error)()
}

// vendor makes a vendor's keys in $VENDOR, and has its patches hold for the
// appliance in $WORK/app, which may come later.
func vendor(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs("vendor")
	ts.Check(os.Mkdir(dir, 0o700))
	v, err := trial.NewVendor(bin, dir)
	ts.Check(err)
	ts.Check(v.Trust(ts.MkAbs("app/anchors")))
	ts.Setenv("VENDOR", dir)
}

// patch FILE FROM TO SEQUENCE [PROGRAM|MIGRATION.sql] makes a patch: a real build of
// this appliance with a later schema, or with that migration, or another program in
// its place. Both are files of the script.
func patch(ts *testscript.TestScript, neg bool, args []string) {
	var dir string
	var err error
	switch {
	case len(args) == 4:
		dir, err = build(args[2], trial.NextSchema)
	case strings.HasSuffix(args[4], ".sql"):
		dir, err = build(args[2], ts.ReadFile(args[4]))
	default:
		dir = ts.MkAbs("release-" + args[2])
		ts.Check(os.Mkdir(dir, 0o755))
		err = os.WriteFile(filepath.Join(dir, "sealgated"), []byte(ts.ReadFile(args[4])), 0o755)
	}
	ts.Check(err)
	sequence, err := strconv.Atoi(args[3])
	ts.Check(err)
	v := &trial.Vendor{Bin: bin, Dir: ts.MkAbs("vendor")}
	ts.Check(v.Patch(dir, args[1], args[2], sequence, ts.MkAbs(args[0])))
	ts.Check(os.Chmod(ts.MkAbs(args[0]), 0o644))
}
