// Package ownership says whose an appliance's files are. Those of an installed
// appliance belong to the supervisor, with its jobs; the role reads and writes
// what shared names, by the group that both have, and nothing else.
//
// Folders that are shared have mode 2770, so that whoever makes a file in them
// makes it for both. Everywhere else, and everywhere in an appliance that is
// not installed, files are their maker's alone.
package ownership

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sealgate/appliance"
	"sealgate/appliance/account"
	"sealgate/appliance/atomicfile"
)

const (
	sharedFolder  = fs.ModeSetgid | 0o770
	sharedFile    = 0o660
	sharedRecord  = 0o640 // the role reads it
	private       = 0o600
	privateFolder = 0o700
)

// Umask is that of the processes which work in a home. Each file that they make
// says its own mode; what SQLite makes beside a shared database is the group's
// from the first moment, so that the other account never finds it closed.
const Umask = 0o007

// shared are the folders of a home in which the role works.
func shared(home appliance.Home) []string {
	return []string{filepath.Join(string(home), "data"), home.Certificate(), home.Spool(), home.Link(), home.Results()}
}

// OpenShared opens a file of a folder in which the role works for reading. Whatever a role
// that was taken over has put there, it is a regular file, or an error at once.
func OpenShared(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is not a file", path), err, f.Close())
	}
	return f, nil
}

// FileMode is the mode of a new file in folder: for whoever may make files there.
func FileMode(folder string) (fs.FileMode, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return 0, err
	}
	if info.Mode().Perm()&0o070 == 0o070 {
		return sharedFile, nil
	}
	return private, nil
}

// FolderMode is the mode of a new folder in folder, for whoever may make one there.
// The umask must not have its say: chmod.
func FolderMode(folder string) (fs.FileMode, error) {
	mode, err := FileMode(folder)
	if mode == sharedFile {
		return sharedFolder, err
	}
	return privateFolder, err
}

// Owner is who a home belongs to. The zero value is whoever makes it.
type Owner struct {
	installed bool
	uid, gid  int
}

// Of is the supervisor's account for the home of an installed appliance
// that root, or this account itself, makes.
func Of(home appliance.Home) (Owner, error) {
	if home != appliance.DefaultHome {
		return Owner{}, nil
	}
	u, err := user.Lookup(account.Supervisor)
	if errors.As(err, new(user.UnknownUserError)) {
		return Owner{}, nil
	}
	if err != nil {
		return Owner{}, err
	}
	o := Owner{installed: true}
	if o.uid, err = strconv.Atoi(u.Uid); err != nil {
		return Owner{}, err
	}
	if o.gid, err = strconv.Atoi(u.Gid); err != nil {
		return Owner{}, err
	}
	if os.Geteuid() != 0 && os.Geteuid() != o.uid {
		return Owner{}, appliance.Faultf("run it as root", "%s belongs to the account %s", home, account.Supervisor)
	}
	return o, nil
}

// MakeFolders makes the folders that every home has, where they are missing: releases
// before this one knew fewer.
func (o Owner) MakeFolders(home appliance.Home) error {
	for _, dir := range home.Folders() {
		if err := os.Mkdir(dir, privateFolder); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if !o.installed || !slices.Contains(shared(home), dir) {
			continue
		}
		// Also where somebody was cut off before it.
		if err := errors.Join(os.Chown(dir, o.uid, o.gid), os.Chmod(dir, sharedFolder)); err != nil {
			return err
		}
	}
	return nil
}

// Take gives home and what is in it to the owner, and to the role its share.
func (o Owner) Take(home appliance.Home) error {
	if !o.installed {
		return nil
	}
	// Nothing is followed out of the home, whoever puts links there meanwhile.
	root, err := os.OpenRoot(string(home))
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := root.Lchown(path, o.uid, o.gid); err != nil {
			return err
		}
		if entry.Type()&fs.ModeSymlink != 0 || !inShared(home, path) {
			return nil
		}
		if entry.IsDir() {
			return root.Chmod(path, sharedFolder)
		}
		return root.Chmod(path, sharedFile)
	})
}

func inShared(home appliance.Home, path string) bool {
	path = filepath.Join(string(home), path)
	for _, folder := range shared(home) {
		if path == folder || strings.HasPrefix(path, folder+"/") {
			return true
		}
	}
	return false
}

// WriteRecord makes path hold data, for the owner to write and the role to read.
func (o Owner) WriteRecord(path string, data []byte) error {
	if !o.installed {
		return atomicfile.Write(path, data, private)
	}
	f, err := atomicfile.Create(path, sharedRecord)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chown(o.uid, o.gid); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit()
}

// With says whether home was made for the role's group gid.
func With(home appliance.Home, gid uint32) bool {
	var stat unix.Stat_t
	return unix.Stat(string(home), &stat) == nil && stat.Gid == gid && gid != 0
}
