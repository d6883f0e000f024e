// Package machine gives a test program the machine that it runs on, to install
// on and to spoil: it sees the real /etc, /usr, /var and /home, and whatever it
// writes there is gone with it. Accounts, programs and configuration are then
// tested where they belong.
//
// It is for tests only, and needs root. Processes and the network are the
// machine's own.
package machine

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// copied are the folders that become scratch copies.
var copied = []string{"/etc", "/usr", "/var", "/home"}

// Where the machine's own folders are seen, and what was written since.
const (
	originals = "/run/originals"
	changes   = "/run/changes"
	work      = "/run/work"
)

// entered marks the program that runs inside.
const entered = "SEALGATE_TEST_MACHINE"

// Enter starts this program again in a mount namespace of its own, where it
// returns nil. To be called first in TestMain.
func Enter() error {
	if os.Getenv(entered) != "" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// A namespace is a thread's; the one that execs hands its own on.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("a mount namespace (needs root): %w", err)
	}
	if err := mount(); err != nil {
		return err
	}
	return unix.Exec(self, os.Args, append(os.Environ(), entered+"=1"))
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
		if err := unix.Mount(dir, originals+dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("a second name for %s: %w", dir, err)
		}
		options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", originals+dir, changes+dir, work+dir)
		if err := unix.Mount("overlay", dir, "overlay", 0, options); err != nil {
			return fmt.Errorf("an overlay on %s: %w", dir, err)
		}
	}
	return nil
}
