package login

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// An administrator unlocks an installed appliance over SSH, gets a real shell at
// the next login, and seals it again. Scripts go on, operators stay.
func TestUnlockOverSSH(t *testing.T) {
	vendor := filepath.Join(t.TempDir(), "vendor")
	mint := func(args ...string) string {
		t.Helper()
		out, errs, status := output(t, exec.Command(filepath.Join(programs, "sealmint"), args...))
		if status != 0 {
			t.Fatalf("sealmint: %s", errs)
		}
		return strings.TrimSpace(out)
	}
	mint("keygen", "--out", vendor)
	key := mint("license", "--key", vendor+".key", "--feature", "unseal")
	says := func(words, input string) (string, string, int) {
		t.Helper()
		cmd := admin.SSH(nil, words)
		cmd.Stdin = strings.NewReader(input)
		return output(t, cmd)
	}
	is := func(words, input, want string) {
		t.Helper()
		if out, errs, status := says(words, input); status != 0 || !strings.Contains(out, want) {
			t.Fatalf("%q: exit status %d, said %q and %q", words, status, out, errs)
		}
	}
	refused := func(words, input string, status int, why string) {
		t.Helper()
		if out, errs, got := says(words, input); got != status || out != "" || !strings.Contains(errs, why) {
			t.Fatalf("%q: exit status %d, said %q and %q", words, got, out, errs)
		}
	}

	// An anchor that the daemon's own account put there is none: root's count.
	const anchor = "/etc/sealgate/anchors/vendor.pub"
	if out, err := exec.Command("install", "-o", "sealgate", "-m", "644", vendor+".pub", anchor).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { os.Remove(anchor) })
	refused("unlock -", key+"\n", 3, anchor+" is refused: it belongs to uid ")
	if err := os.Chown(anchor, 0, 0); err != nil {
		t.Fatal(err)
	}
	refused("id", "", 2, `unknown command "id"`)
	is("unlock -", key+"\n", "unsealed\n")
	t.Cleanup(func() { says("impctl seal", "") })

	is("echo $SHELL; id -un", "", "/bin/bash\n"+admin.Name+"\n")
	is("cat", "from here\n", "from here\n")
	is("version", "", "Sealgate dev")
	is("sealsh -c version", "", "Sealgate dev")
	term := openTerminal(t, dialWith(t, admin, ssh.PublicKeys(admin.Key)))
	term.send("echo $0 $((6*7)) $TERM; tty -s && PS1='real> '\r")
	term.expect(`-bash 42 xterm\r\n`)
	term.expect(`real> `)
	term.send("sealsh\r")
	term.expect(`Sealgate dev, management server mx1, unsealed`)
	term.expect(`mx1.*> `)

	out, errs, status := output(t, operator.SSH(nil, "id"))
	if status != 2 || out != "" {
		t.Errorf("an operator: exit status %d, said %q and %q", status, out, errs)
	}

	is("impctl seal", "", "sealed; sessions")
	refused("id", "", 2, `unknown command "id"`)
}
