// Package machine gives a test program the machine that it runs on, to install
// on and to spoil: it sees the real /etc, /usr, /var and /home, and whatever it
// writes there is gone with it. Accounts, programs and configuration are then
// tested where they belong.
//
// It is for tests only, and needs root. Processes and the network are the
// machine's own, uids too, so one program is inside at a time.
package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"sealgate/internal/peers"
)

// copied are the folders that become scratch copies.
var copied = []string{"/etc", "/usr", "/var", "/home"}

// Where the machine's own folders are seen, and what was written since.
const (
	originals = "/run/originals"
	changes   = "/run/changes"
	work      = "/run/work"
)

// entered marks the program that runs inside, and says which descriptor holds
// the lock.
const entered = "SEALGATE_TEST_MACHINE"

// Enter starts this program again in a mount namespace of its own, where it
// returns nil. To be called first in TestMain.
func Enter() error {
	if lock := os.Getenv(entered); lock != "" {
		fd, err := strconv.Atoi(lock)
		if err == nil {
			unix.CloseOnExec(fd) // ours, not our children's
		}
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	lock, err := unix.Open(filepath.Join(os.TempDir(), "sealgate-test-machine"), unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("the machine's lock: %w", err)
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(lock, unix.LOCK_EX)
	}
	if err != nil {
		return fmt.Errorf("the machine's lock: %w", err)
	}
	// A namespace is a thread's; the one that execs hands its own on.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("a mount namespace (needs root): %w", err)
	}
	if err := mount(); err != nil {
		return err
	}
	return unix.Exec(self, os.Args, append(os.Environ(), entered+"="+strconv.Itoa(lock)))
}

func mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	// Nobody outside sees what is mounted over it, or has to remove it. An empty
	// /run also keeps the machine's systemd out of reach.
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("a tmpfs on /run: %w", err)
	}
	for _, dir := range copied {
		for _, d := range []string{originals + dir, changes + dir, work + dir} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				return err
			}
		}
		if err := keep(dir); err != nil {
			return err
		}
		options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", originals+dir, changes+dir, work+dir)
		if err := unix.Mount("overlay", dir, "overlay", 0, options); err != nil {
			return fmt.Errorf("an overlay on %s: %w", dir, err)
		}
	}
	return nil
}

// keep gives the machine's own folder a second name. Of /etc it is a copy, since
// other tests make and remove accounts meanwhile; theirs are left out.
func keep(dir string) error {
	if dir != "/etc" {
		if err := unix.Mount(dir, originals+dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("a second name for %s: %w", dir, err)
		}
		return nil
	}
	if out, err := exec.Command("cp", "-a", dir, originals).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", dir, err, out)
	}
	theirs := regexp.MustCompile(`(?m)^` + peers.AccountPrefix + `.*\n`)
	for _, name := range []string{"passwd", "shadow", "group", "gshadow", "subuid", "subgid"} {
		path := filepath.Join(originals, dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// In place: mode and owner stay.
		if err := os.WriteFile(path, theirs.ReplaceAll(text, nil), 0o600); err != nil {
			return err
		}
	}
	return nil
}
