package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// readSmall reads a file of at most limit bytes; one that is not there is empty.
func readSmall(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > limit) {
		err = fmt.Errorf("%s is not a regular file of at most %d bytes", file, limit)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// changeFile replaces a file of at most limit bytes by what change makes of it. The folder is locked meanwhile, so that
// two sessions that change it at the same time both keep their changes. Failures of the disk pass through fault;
// change's own do not.
func changeFile(file string, limit int64, change func(text []byte) ([]byte, error), fault func(file string, err error) error) error {
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return fault(file, err)
	}
	defer folder.Close()
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		return fault(file, err)
	}
	old, err := readSmall(file, limit)
	if err != nil {
		return fault(file, err)
	}
	text, err := change(slices.Clone(old))
	if err != nil || bytes.Equal(text, old) {
		return err
	}
	if err := writeWhole(file, text, folder); err != nil {
		return fault(file, err)
	}
	return nil
}

// writeWhole makes file hold text, or leaves it as it was: a temporary name, fsync, rename, fsync of the folder.
func writeWhole(file string, text []byte, folder *os.File) (err error) {
	temporary, err := os.CreateTemp(folder.Name(), "."+filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			temporary.Close()
			os.Remove(temporary.Name())
		}
	}()
	if _, err := temporary.Write(text); err != nil {
		return err
	}
	if err := temporary.Sync(); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), file); err != nil {
		return err
	}
	return folder.Sync()
}
