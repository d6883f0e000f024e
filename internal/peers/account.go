package peers

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// AccountPrefix begins the name of every account and folder that this package makes.
const AccountPrefix = "sealgatetest"

// Account is a throw-away account of the operating system. Several servers may share one.
type Account struct {
	Name, Password string
	UID, GID       int
}

// NewAccount makes an account with a random name and password, / as its home and a plain shell. What a killed run
// left behind is removed on the way.
func NewAccount() (*Account, error) { return NewAccountFor("/bin/sh", "/") }

// NewAccountFor is NewAccount with that login shell, home and further groups. The home is not made.
func NewAccountFor(shell, home string, groups ...string) (*Account, error) {
	if err := needRoot(); err != nil {
		return nil, err
	}
	removeOrphans()
	a := &Account{Name: AccountPrefix + strings.ToLower(rand.Text()[:8]), Password: rand.Text()}
	hash, err := hashPassword(a.Password)
	if err != nil {
		return nil, err
	}
	// Apart from the uids that a test of the root service gives out inside a machine of its own: who ends one of those
	// accounts ends whatever runs under its uid, and uids are the kernel's.
	err = accountTool("useradd", "--key", "UID_MIN=40000", "--key", "UID_MAX=49999", "--no-create-home", "--home-dir", home, "--shell", shell,
		"--groups", strings.Join(groups, ","), "--comment", ownerComment(os.Getpid()), "--password", hash, a.Name)
	if err != nil {
		return nil, err
	}
	entry, err := user.Lookup(a.Name)
	if err != nil {
		a.Remove()
		return nil, err
	}
	a.UID, _ = strconv.Atoi(entry.Uid)
	a.GID, _ = strconv.Atoi(entry.Gid)
	return a, nil
}

// Remove deletes the account.
func (a *Account) Remove() error { return accountTool("userdel", "--force", a.Name) }

// hashPassword makes a SHA-512 crypt hash, which both the shadow file and nginx understand.
func hashPassword(password string) (string, error) {
	cmd := exec.Command("openssl", "passwd", "-6", "-stdin")
	cmd.Stdin = strings.NewReader(password + "\n")
	hash, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("openssl passwd: %w", err)
	}
	return strings.TrimSpace(string(hash)), nil
}

// accountTool runs a tool that locks the account files; another run may hold the lock for a moment.
func accountTool(name string, args ...string) error {
	var out []byte
	var err error
	for range 20 {
		if out, err = exec.Command(name, args...).CombinedOutput(); err == nil || !strings.Contains(string(out), "lock") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// ownerComment marks an account with the process that made it.
func ownerComment(pid int) string {
	return fmt.Sprintf("sealgate test of process %d started %s", pid, startedAt(pid))
}

// startedAt tells processes apart that had the same number, in clock ticks since boot; empty for one that is gone.
func startedAt(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// removeOrphans deletes the accounts and folders whose makers are gone.
func removeOrphans() {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), AccountPrefix+"-*"))
	for _, folder := range folders {
		var pid int
		if n, _ := fmt.Sscanf(filepath.Base(folder), AccountPrefix+"-%d-", &pid); n == 1 && startedAt(pid) == "" {
			os.RemoveAll(folder)
		}
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(passwd)) {
		fields := strings.Split(line, ":")
		if len(fields) < 5 || !strings.HasPrefix(fields[0], AccountPrefix) {
			continue
		}
		var pid int
		if n, _ := fmt.Sscanf(fields[4], "sealgate test of process %d", &pid); n == 1 && fields[4] != ownerComment(pid) {
			// Two runs may come upon the same one; the later finds nothing to do.
			accountTool("userdel", "--force", fields[0])
		}
	}
}
