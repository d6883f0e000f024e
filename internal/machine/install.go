package machine

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Make runs make in the repository and returns what it says.
func Make(args ...string) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("make", append([]string{"-s", "-C", filepath.Join(filepath.Dir(file), "../..")}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("make %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Install installs the programs of that folder, which trial.Build filled.
func Install(bin string) error {
	_, err := Make("install", "BIN="+bin+"/")
	return err
}
