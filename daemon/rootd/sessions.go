package rootd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// endSessions kills every process of a uid that no account has any more.
func endSessions(uid int) error {
	if uid < firstUID {
		return errors.New("that uid is no person's")
	}
	return EndProcesses(uint32(uid))
}

// EndProcesses kills every process of a uid, whatever group or session it is in, and
// waits until they are gone.
func EndProcesses(uid uint32) error {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		processes, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		left := 0
		for _, p := range processes {
			if kill(p, uid) {
				left++
			}
		}
		if left == 0 {
			return nil
		}
	}
	return fmt.Errorf("processes of uid %d are left", uid)
}

// kill kills the process in that folder of /proc if it is uid's, and says whether
// it was.
func kill(folder string, uid uint32) bool {
	pid, err := strconv.Atoi(filepath.Base(folder))
	if err != nil {
		return false
	}
	// The descriptor first: the number may be another's by the time we have looked.
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	status, err := os.ReadFile(filepath.Join(folder, "status"))
	if err != nil || !alive(string(status), uid) {
		return false
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
}

// alive reads /proc/PID/status. The folder's own owner says nothing: it is root
// where a process, as our shell, may not be dumped.
func alive(status string, uid uint32) bool {
	theirs := false
	for line := range strings.Lines(status) {
		f := strings.Fields(line)
		switch {
		case len(f) > 1 && f[0] == "State:" && f[1] == "Z":
			return false
		case len(f) > 1 && f[0] == "Uid:":
			theirs = slices.Contains(f[1:], strconv.FormatUint(uint64(uid), 10))
		}
	}
	return theirs
}
