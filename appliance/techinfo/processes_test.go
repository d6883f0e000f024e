package techinfo

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asAnother says that this process is the one that collects under another uid.
const asAnother = "SEALGATE_TEST_COLLECTS"

// An installed appliance makes bundles under a uid that neither its role nor the shells
// have: their processes are in them, or a note says that they cannot be seen.
func TestProcessesOfOtherUsers(t *testing.T) {
	if os.Getenv(asAnother) != "" {
		got := collector{"processes", processes}.run(t.Context(), collectTime)
		for _, i := range got.items {
			fmt.Println(i.name)
		}
		fmt.Println(strings.Join(got.notes, "\n"))
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir, err := os.MkdirTemp("/tmp", "") // whose parents all may enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	collect, ours := filepath.Join(dir, "collect"), filepath.Join(dir, "sealgated")
	for to, from := range map[string]string{collect: self, ours: "/bin/sleep"} {
		if out, err := exec.Command("install", from, to).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	role := exec.Command(ours, "600")
	if err := role.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { role.Process.Kill(); role.Wait() }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // it is a copy of this process first
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", role.Process.Pid)); string(comm) == "sealgated\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not start")
		}
	}
	for option, hidden := range map[string]bool{"hidepid=off": false, "hidepid=noaccess": true, "hidepid=invisible": true} {
		cmd := exec.Command("unshare", "--mount", "sh", "-c", `mount -t proc -o "$1" proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$2" -test.run '^TestProcessesOfOtherUsers$'`, "sh", option, collect)
		cmd.Env = append(os.Environ(), asAnother+"=1")
		cmd.Dir = "/"
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", option, err, out)
		}
		for _, name := range []string{"status", "stat", "limits"} {
			if is := strings.Contains(string(out), fmt.Sprintf("processes/%d-%s\n", role.Process.Pid, name)); is == hidden {
				t.Errorf("%s: whether %s of another uid's process is there: %v", option, name, is)
			}
		}
		if said := strings.Contains(string(out), "only processes of uid 65534 are here, /proc hides those of others"); said != hidden {
			t.Errorf("%s: whether it says that processes are missing: %v\n%s", option, said, out)
		}
	}
}
