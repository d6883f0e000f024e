package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrInUse means that a store is open for writing where it must not be, or is
// about to be replaced.
var ErrInUse = errors.New("is in use")

// lockData keeps writers of the generation in use (unix.LOCK_SH) apart from who
// would replace it (unix.LOCK_EX). The kernel lets go of it with the process.
func lockData(home string, how int) (*dataLock, error) {
	folder, err := os.Open(dataFolder(home))
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(folder.Fd()), how|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, errors.Join(fmt.Errorf("the database below %s %w", home, err), folder.Close())
	}
	return &dataLock{folder}, nil
}

type dataLock struct{ *os.File }

// Close lets go of the lock. A child that is being started has the folder open, too,
// and would hold it until it runs its program.
func (l *dataLock) Close() error {
	return errors.Join(unix.Flock(int(l.Fd()), unix.LOCK_UN), l.File.Close())
}
