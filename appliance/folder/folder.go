// Package folder is what lies in the export and tech-info folders: dumps,
// support bundles, and those of gateways, by name. It opens regular files directly in those folders
// and nothing else: no path, no link, no device, no unfinished file.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/atomicfile"
)

// Unfinished ends the name of a file that is still being written.
const Unfinished = atomicfile.Suffix

// The kinds of files.
const (
	Dump     = "dump"
	TechInfo = "tech-info"
	Gateway  = "gateway"
)

// File is one file.
type File struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Size     int64     `json:"size"` // bytes
	Modified time.Time `json:"modified"`
}

func folders(home appliance.Home) []struct{ kind, path string } {
	return []struct{ kind, path string }{{Dump, home.Exports()}, {TechInfo, home.TechInfo()}, {Gateway, home.GatewayInfo()}}
}

// List is every file in the folders, by name.
func List(home appliance.Home) ([]File, error) {
	var list []File
	for _, f := range folders(home) {
		entries, err := entriesOf(f.path)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				continue // deleted meanwhile
			}
			list = append(list, fileOf(f.kind, info))
		}
	}
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func fileOf(kind string, info fs.FileInfo) File {
	return File{info.Name(), kind, info.Size(), info.ModTime().UTC().Truncate(time.Second)}
}

// entriesOf are the files of a folder, in no order.
func entriesOf(path string) ([]fs.DirEntry, error) {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return !valid(e.Name()) || !e.Type().IsRegular()
	}), err
}

// valid keeps names to one folder and off hidden and unfinished files.
func valid(name string) bool {
	return name != "" && len(name) <= 255 && name[0] != '.' && !strings.HasSuffix(name, Unfinished) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f })
}

// Open opens the file of that name for reading. Kinds leave out the files of
// others.
func Open(home appliance.Home, name string, kinds ...string) (*os.File, error) {
	if !valid(name) {
		return nil, notThere(name)
	}
	var other string // the kind of a file of that name which is not wanted
	for _, f := range folders(home) {
		// O_NONBLOCK: a FIFO must not hold us; O_NOFOLLOW: a link is not a dump.
		file, err := os.OpenFile(filepath.Join(f.path, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
			file.Close()
			continue
		}
		if len(kinds) > 0 && !slices.Contains(kinds, f.kind) {
			file.Close()
			other = f.kind
			continue
		}
		return file, nil
	}
	if other != "" {
		return nil, appliance.Faultf("files list shows the kind of each", "%q is of the kind %s, and not %s", name, other, strings.Join(kinds, " or "))
	}
	return nil, notThere(name)
}

// Delete removes the file of that name.
func Delete(home appliance.Home, name string) error {
	file, err := Open(home, name)
	if err != nil {
		return err
	}
	defer file.Close()
	return os.Remove(file.Name())
}

func notThere(name string) error {
	if r := []rune(name); len(r) > 80 {
		name = string(r[:80]) + "…"
	}
	return appliance.Faultf("files list shows what is there", "no file named %q in the export or tech-info folder", name)
}

// Unused is a name in the folder dir that no file has: base.tgz, or base-2.tgz
// and so on. It creates the unfinished file, which reserves it and is locked while
// its maker lives.
func Unused(dir, base, ending string) (string, *os.File, error) {
	for i := 1; i < 1000; i++ {
		name := base + ending
		if i > 1 {
			name = fmt.Sprintf("%s-%d%s", base, i, ending)
		}
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			continue
		}
		file, err := os.OpenFile(filepath.Join(dir, name+Unfinished), os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			file.Close()
			continue // being swept
		}
		if there, err := os.Lstat(file.Name()); err != nil || !same(there, file) {
			file.Close()
			continue // swept between creation and lock
		}
		return name, file, nil
	}
	return "", nil, fmt.Errorf("a thousand files named %s exist", base)
}

// Finish gives an unfinished file its name. It is on the disk then, or the
// error says that it is not.
func Finish(name string, file *os.File) error {
	if err := file.Sync(); err != nil {
		return err
	}
	dir := filepath.Dir(file.Name())
	err := unix.Renameat2(unix.AT_FDCWD, file.Name(), unix.AT_FDCWD, filepath.Join(dir, name), unix.RENAME_NOREPLACE)
	if err != nil {
		return fmt.Errorf("name the finished file %s: %w", name, err)
	}
	return atomicfile.SyncDir(dir)
}

// Discard removes an unfinished file.
func Discard(file *os.File) {
	os.Remove(file.Name())
	file.Close()
}

// Sweep removes unfinished files whose maker is gone.
func Sweep(home appliance.Home) error {
	var left []string
	for _, f := range folders(home) {
		found, err := filepath.Glob(filepath.Join(f.path, "*"+Unfinished))
		if err != nil {
			return err
		}
		left = append(left, found...)
	}
	var failed []error
	for _, path := range left {
		file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			failed = append(failed, os.Remove(path))
		}
		file.Close()
	}
	return errors.Join(failed...)
}

// same says whether info is of the open file.
func same(info os.FileInfo, file *os.File) bool {
	open, err := file.Stat()
	return err == nil && os.SameFile(info, open)
}
