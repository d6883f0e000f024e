package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func program(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "sealmint")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// What the vendor reads is looked at when it changes.
func TestHelpIsGolden(t *testing.T) {
	bin := program(t)
	for _, command := range []string{"keygen", "license", "patch keygen", "patch build", "patch sign", "patch verify", "seed"} {
		out, err := exec.Command(bin, append(strings.Fields(command), "--help")...).Output()
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "help_"+strings.ReplaceAll(command, " ", "_")+".txt")
		if *update {
			if err := os.WriteFile(golden, out, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(out)); d != "" {
			t.Error(d)
		}
	}
}

func TestLicenseThatGrantsNothing(t *testing.T) {
	bin, dir := program(t), t.TempDir()
	if out, err := exec.Command(bin, "keygen", "--out", filepath.Join(dir, "vendor")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for args, want := range map[string]string{
		"":                                   "--feature NAME or --gateways N is needed",
		"--gateways=-1":                      "feature",
		"--gateways 1 --feature gateways=2":  "is there twice",
		"--gateways 5 --not-after yesterday": "neither YYYY-MM-DD",
	} {
		out, err := exec.Command(bin, append([]string{"license", "--key", filepath.Join(dir, "vendor.key")}, strings.Fields(args)...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s", args, err, out)
		}
	}
}
