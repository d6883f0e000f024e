package transfer_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"sealgate/transfer"
)

func newKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newECDSAKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestKnownHostsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	if entries, err := transfer.KnownHosts(file); err != nil || len(entries) != 0 {
		t.Fatalf("a file that is not there: %v, %v", entries, err)
	}
	key, other := newKey(t), newECDSAKey(t)
	add := func(host string, port, want int, keys ...ssh.PublicKey) {
		t.Helper()
		if added, err := transfer.AddKnownHost(file, host, port, keys...); err != nil || added != want {
			t.Fatalf("add %s: %d, %v", host, added, err)
		}
	}
	add("Host", 22, 2, key, other)
	add("host", 22, 0, key)
	add("host", 2222, 1, key)
	add("::1", 22, 1, key)
	add("::1", 2222, 1, key)
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	_, err := transfer.AddKnownHost(file, "host", 22, newKey(t))
	mustFail(t, err, transfer.OpHostKey, transfer.HostKeyChanged)
	_, err = transfer.AddKnownHost(file, "bad host", 22, key)
	mustFail(t, err, transfer.OpHostKey, transfer.LocalFailure)

	entries, err := transfer.KnownHosts(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, fmt.Sprintf("%d %v %s", entry.Line, entry.Hosts, entry.Key.Type()))
	}
	want := "1 [host] ssh-ed25519|2 [host] ecdsa-sha2-nistp256|3 [[host]:2222] ssh-ed25519|4 [::1] ssh-ed25519|5 [[::1]:2222] ssh-ed25519"
	if strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
	// OpenSSH reads what we write.
	for _, host := range []string{"host", "[host]:2222", "::1", "[::1]:2222"} {
		if out, err := exec.Command("ssh-keygen", "-F", host, "-f", file).CombinedOutput(); err != nil {
			t.Errorf("ssh-keygen does not find %s: %v: %s", host, err, out)
		}
	}
	for host, want := range map[string]int{"host": 2, "none": 0} {
		if removed, err := transfer.RemoveKnownHost(file, host, 22); err != nil || removed != want {
			t.Errorf("remove %s: %d, %v", host, removed, err)
		}
	}
	if strings.Contains(read(t, file), "\nhost ") || !strings.Contains(read(t, file), "[host]:2222") {
		t.Errorf("after the removal: %s", read(t, file))
	}
}

// What others have written stays as it was, but for the host that is removed.
func TestKnownHostsKeepsWhatIsNotItsOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	key := newKey(t)
	plain := strings.TrimPrefix(knownhosts.Line([]string{"x"}, key), "x")
	const comment = "# kept as it is  \n\n"
	several := "one,two,10.0.0.1" + plain + " a comment\n"
	pattern := "*.example.com" + plain + "\n"
	authority := "@cert-authority two" + plain + "\n"
	revoked := "@revoked two" + plain + "\n"
	hashed := xknownhosts.HashHostname("two") + plain + "\n"
	write(t, file, comment, several, pattern, authority, revoked, hashed, "three"+plain) // and no line end
	if removed, err := transfer.RemoveKnownHost(file, "two", 22); err != nil || removed != 2 {
		t.Fatalf("removed %d, %v", removed, err)
	}
	want := comment + "one,10.0.0.1" + plain + " a comment\n" + pattern + authority + revoked + "three" + plain
	if got := read(t, file); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := transfer.AddKnownHost(file, "four", 22, key); err != nil {
		t.Fatal(err)
	}
	if got := read(t, file); got != want+"\nfour"+plain+"\n" {
		t.Errorf("got\n%s", got)
	}
}

func TestKnownHostsThatCannotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	write(t, file, "host ssh-ed25519 AAAA\x1b[2J\n")
	_, err := transfer.KnownHosts(file)
	if fault := mustFail(t, err, transfer.OpHostKey, transfer.LocalFailure); !strings.Contains(fault.Error(), "line 1") {
		t.Errorf("%v does not name the line", fault)
	}
	before := read(t, file)
	if _, err := transfer.AddKnownHost(file, "x", 22, newKey(t)); err == nil || read(t, file) != before {
		t.Errorf("a broken file was changed: %v", err)
	}
	_, err = transfer.KnownHosts(t.TempDir())
	mustFail(t, err, transfer.OpHostKey, transfer.LocalFailure)
}

func TestKnownHostsAddedAtTheSameTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	key := newKey(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := transfer.AddKnownHost(file, fmt.Sprintf("host%d", i), 22, key); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if entries, err := transfer.KnownHosts(file); err != nil || len(entries) != 20 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
		t.Errorf("the folder holds %v", left)
	}
}
