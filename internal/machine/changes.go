package machine

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Changes lists what is not as it was when the program entered: one line for
// each file and folder that is new (+), gone (-) or different (~), with mode,
// owner and the beginning of its SHA-256. What account tools leave behind
// beside their files does not count.
func Changes() ([]string, error) {
	var list []string
	err := filepath.WalkDir(changes, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, changes)
		if err != nil || name == "" || byAccountTools(name) {
			return err
		}
		now, err := describe(path)
		if err != nil {
			return err
		}
		before, err := describe(originals + name)
		switch {
		case d.Type()&fs.ModeCharDevice != 0: // how an overlay says that a file is gone
			list = append(list, "- "+name)
		case os.IsNotExist(err):
			list = append(list, "+ "+name+" "+now)
		case err != nil:
			return err
		case now != before:
			list = append(list, "~ "+name+" "+now)
		}
		return nil
	})
	return list, err
}

func byAccountTools(name string) bool {
	return name == "/etc/.pwd.lock" || filepath.Dir(name) == "/etc" && strings.HasSuffix(name, "-")
}

func describe(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	owner := info.Sys().(*syscall.Stat_t)
	text := fmt.Sprintf("%v %d:%d", info.Mode(), owner.Uid, owner.Gid)
	if !info.Mode().IsRegular() {
		return text, nil
	}
	content, err := os.ReadFile(path)
	// sysusers ends files with a line end that others leave out.
	sum := sha256.Sum256(bytes.TrimRight(content, "\n"))
	return fmt.Sprintf("%s %x", text, sum[:6]), err
}
