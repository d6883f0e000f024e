package stories

import (
	"debug/elf"
	"os/exec"
	"strings"
	"testing"
)

// `make build` makes static programs that carry their version.
func TestBuild(t *testing.T) {
	make := exec.Command("make", "-s", "build", "VERSION=1.2.3-test", "BIN="+t.TempDir()+"/")
	make.Dir = "../.."
	dir := strings.TrimPrefix(make.Args[len(make.Args)-1], "BIN=")
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, program := range []string{"sealgated", "sealsh", "impctl", "sealmint"} {
		f, err := elf.Open(dir + program)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP {
				t.Errorf("%s is not static", program)
			}
		}
		f.Close()
		args := []string{"--version"}
		if program == "sealgated" {
			args = []string{"version"}
		}
		if program == "impctl" {
			continue // its --version is the daemon's
		}
		out, err := exec.Command(dir+program, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "1.2.3-test") {
			t.Errorf("%s says %q, %v", program, out, err)
		}
	}
}
